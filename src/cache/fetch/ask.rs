//! Asking a registry for a manifest, and taking what it sends: verified, read, linked to its repository, and kept.

use std::sync::Arc;

use bytes::Bytes;

use super::Request;
use super::kept::{Kept, Manifest};
use crate::answer::ManifestHead;
use crate::cache::backing::Backing;
use crate::cache::error::{CacheError, Word};
use crate::cache::negative::Absent;
use crate::cache::sight::{Link, LinkKind};
use crate::oci::{
    Algorithm, Digest, ManifestError, ManifestView, Measurer, MediaType, Reference,
    VerifiedContent, Verifier,
};
use crate::store::{Durability, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{FetchedManifest, ManifestHead as Described};

pub(super) async fn get(
    backing: Arc<Backing>,
    memory: moka::sync::Cache<Digest, Kept>,
    request: Request,
) -> Result<Manifest, CacheError> {
    let Request {
        view,
        reference,
        class,
    } = request;
    // Another request may have brought it between our look and our start.
    if let Reference::Digest(digest) = &reference
        && let Some(link) = backing
            .links
            .find(&view, LinkKind::Manifest, digest)
            .await?
        && let Some(kept) = memory.get(digest)
    {
        return Ok(kept.named(digest, link.media_type.as_ref()));
    }
    let request = Request {
        view,
        reference,
        class,
    };
    if let Some(error) = backing.negative.refused(&request.as_absent()) {
        return Err(error);
    }
    let upstream = backing.upstream(&request.view.origin.upstream)?;
    let asking = upstream.get_manifest(request.view.sought(), &request.reference, class);
    let fetched = asking.await?;
    take(&backing, &memory, request, fetched).await
}

/// Verifies and keeps what came from a registry, or remembers that it has nothing.
pub(super) async fn take(
    backing: &Arc<Backing>,
    memory: &moka::sync::Cache<Digest, Kept>,
    request: Request,
    fetched: Option<FetchedManifest>,
) -> Result<Manifest, CacheError> {
    let absent = request.as_absent();
    let Request {
        view, reference, ..
    } = request;
    let Some(fetched) = fetched else {
        backing.negative.remember(absent, backing.clock.now());
        return Err(CacheError::ManifestUnknown(Word::Given));
    };
    let (content, parsed) = checked(&reference, &fetched).inspect_err(|error| {
        tracing::warn!(repository.name = %view, reference = %reference, error = with_causes(error), "a manifest is refused");
        // What a digest names is the same the next time.
        let is_for_good = matches!(error, CacheError::BadManifest(_) | CacheError::Schema1);
        if is_for_good && matches!(reference, Reference::Digest(_)) {
            backing.negative.refuse(absent.clone(), error);
        }
    })?;
    backing.negative.forget(&absent);
    backing.remember_sizes(&view.origin, &parsed);
    let digest = content.digest();
    let kept = Kept::new(fetched.bytes, &parsed);
    let manifest = kept.clone().named(&digest, Some(&parsed.media_type));
    let seen = link(backing, &manifest.head);
    let remembered = backing
        .links
        .remember(&view, LinkKind::Manifest, &digest, seen);
    // The link is there before the bytes, since whoever finds bytes without a link asks the registry whose they are; and
    // the bytes before the link is on disk, since whoever finds a link without bytes fetches them.
    tokio::join!(biased; remembered, async { memory.insert(digest, kept) });
    let (keeper, bytes) = (backing.clone(), manifest.bytes.clone());
    // Nobody waits for the disk: until it is there, the manifest is in memory.
    drop(backing.tasks.spawn("keep_manifest", async move {
        if let Err(error) = keep(&keeper, content, bytes).await {
            tracing::warn!(content.digest = %digest, error = with_causes(&error), "a manifest was served and could not be kept");
        }
    }));
    Ok(manifest)
}

/// Verifies what came, and reads what it is.
fn checked(
    reference: &Reference,
    fetched: &FetchedManifest,
) -> Result<(VerifiedContent, ManifestView), CacheError> {
    let claimed = fetched.media_type.as_ref();
    let (content, parsed) = match reference {
        Reference::Digest(digest) => (
            Verifier::check(*digest, &fetched.bytes)?,
            parse(&fetched.bytes, claimed)?,
        ),
        Reference::Tag(_) => (
            measure(fetched),
            ManifestView::parse(&fetched.bytes, claimed)?,
        ),
    };
    if parsed.media_type.is_schema1() {
        return Err(CacheError::Schema1);
    }
    Ok((content, parsed))
}

/// Reads bytes that a digest names, so that they are right and only what was said of them can be wrong.
pub(super) fn parse(
    bytes: &[u8],
    claimed: Option<&MediaType>,
) -> Result<ManifestView, ManifestError> {
    match ManifestView::parse(bytes, claimed) {
        Err(error @ (ManifestError::TypesDiffer { .. } | ManifestError::Mislabelled(_))) => {
            tracing::warn!(%error, "the type of the body is served");
            ManifestView::parse(bytes, None)
        }
        parsed => parsed,
    }
}

/// Returns what the bytes are, in the algorithm that the registry names them by if they are what it says.
fn measure(fetched: &FetchedManifest) -> VerifiedContent {
    let measured = Measurer::measure(Algorithm::Sha256, &fetched.bytes);
    let Some(declared) = fetched
        .declared
        .filter(|declared| *declared != measured.digest())
    else {
        return measured;
    };
    match Verifier::check(declared, &fetched.bytes) {
        Ok(content) => content,
        Err(mismatch) => {
            tracing::warn!(%mismatch, "the registry names a manifest by a digest that it does not have");
            measured
        }
    }
}

async fn keep(backing: &Backing, content: VerifiedContent, bytes: Bytes) -> Result<(), StoreError> {
    let spool = backing.spools.write(content, bytes).await?;
    backing.blobs.adopt(spool, Durability::Eventual).await
}

fn link(backing: &Backing, head: &ManifestHead) -> Link {
    Link {
        seen: backing.clock.now(),
        size: Some(head.size),
        media_type: Some(head.media_type.clone()),
    }
}

pub(super) async fn head(
    backing: Arc<Backing>,
    request: Request,
) -> Result<Option<ManifestHead>, CacheError> {
    let Request {
        view,
        reference,
        class,
    } = request;
    let upstream = backing.upstream(&view.origin.upstream)?;
    let answer = upstream
        .head_manifest(view.sought(), &reference, class)
        .await?;
    // Some registries do not do HEAD, and some answer it with 404: only a GET tells.
    let Some(Described::Described {
        digest,
        media_type: Some(media_type),
        size: Some(size),
    }) = answer
    else {
        return Ok(None);
    };
    if matches!(&reference, Reference::Digest(asked) if *asked != digest) {
        return Ok(None);
    }
    if media_type.says_nothing() || media_type.is_schema1() {
        return Ok(None);
    }
    backing
        .negative
        .forget(&Absent::Manifest(view.clone(), reference, class));
    let head = ManifestHead {
        digest,
        media_type,
        size,
    };
    // What bytes have shown counts more than what is said without them.
    if backing
        .links
        .find(&view, LinkKind::Manifest, &digest)
        .await?
        .is_none()
    {
        backing
            .links
            .remember(&view, LinkKind::Manifest, &digest, link(&backing, &head))
            .await;
    }
    Ok(Some(head))
}

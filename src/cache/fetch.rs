//! Fetching manifests: asked for once however many want them, verified, read, and kept.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;

use super::backing::Backing;
use super::error::{CacheError, Word};
use super::flight::SharedWork;
use super::negative::Absent;
use super::sight::{Link, LinkKind, View};
use crate::answer::ManifestHead;
use crate::oci::{
    Algorithm, Digest, ManifestError, ManifestKind, ManifestView, Measurer, MediaType, Reference,
    VariantClass, VerifiedContent, Verifier,
};
use crate::store::{Durability, Opened, Piece, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{Fetched, FetchedManifest, ManifestHead as Described};

/// How many bytes of manifests are kept in memory.
const IN_MEMORY: u64 = 32 * 1024 * 1024;

/// The largest manifest, in bytes (distribution-spec asks for at least 4 MiB).
const LARGEST: u64 = 8 * 1024 * 1024;

/// A manifest with its bytes.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it is.
    pub head: ManifestHead,
    /// The bytes as received.
    pub bytes: Bytes,
}

/// The bytes of a manifest that is here, whoever fetched it, and what they say of themselves.
#[derive(Clone, Debug)]
struct Kept {
    bytes: Bytes,
    declared: Option<MediaType>,
    is_index: bool,
}

impl Kept {
    fn new(bytes: Bytes, view: &ManifestView) -> Self {
        Self {
            bytes,
            declared: view.declared.clone(),
            is_index: view.kind == ManifestKind::Index,
        }
    }

    /// Returns the manifest as one registry names it. What the bytes say counts more than what an answer without bytes
    /// said.
    fn named(self, digest: &Digest, claimed: Option<&MediaType>) -> Manifest {
        let fits =
            |claimed: &&MediaType| !claimed.says_nothing() && claimed.is_index() == self.is_index;
        let usual = if self.is_index {
            MediaType::OCI_INDEX
        } else {
            MediaType::OCI_MANIFEST
        };
        let media_type = self
            .declared
            .or_else(|| claimed.filter(fits).cloned())
            .unwrap_or_else(|| MediaType::known(usual));
        let head = ManifestHead {
            digest: *digest,
            media_type,
            size: self.bytes.len() as u64,
        };
        Manifest {
            head,
            bytes: self.bytes,
        }
    }
}

/// What a request to a registry is shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    view: View,
    reference: Reference,
    class: VariantClass,
}

impl Request {
    /// Names what it asks for, for when that is not there.
    fn as_absent(&self) -> Absent {
        Absent::Manifest(self.view.clone(), self.reference.clone(), self.class)
    }
}

/// Brings manifests from registries and from the store.
#[derive(Debug)]
pub struct Fetcher {
    backing: Arc<Backing>,
    memory: moka::sync::Cache<Digest, Kept>,
    gets: SharedWork<Request, Result<Manifest, CacheError>>,
    heads: SharedWork<Request, Result<Option<ManifestHead>, CacheError>>,
}

impl Fetcher {
    /// Starts with nothing in memory.
    pub fn new(backing: Arc<Backing>) -> Self {
        let weight = |_: &Digest, kept: &Kept| u32::try_from(kept.bytes.len()).unwrap_or(u32::MAX);
        let memory = moka::sync::Cache::builder()
            .max_capacity(IN_MEMORY)
            .weigher(weight)
            .build();
        let (gets, heads) = (
            SharedWork::new(backing.tasks.clone()),
            SharedWork::new(backing.tasks.clone()),
        );
        Self {
            backing,
            memory,
            gets,
            heads,
        }
    }

    /// Returns whether the bytes of a manifest, or of something with its digest, are here.
    ///
    /// # Errors
    /// [`CacheError`] when the store could not be asked.
    pub async fn is_kept(&self, digest: &Digest) -> Result<bool, CacheError> {
        Ok(self.memory.contains_key(digest) || self.backing.blobs.size(digest).await?.is_some())
    }

    /// Returns a manifest that is here, whoever fetched it, for a repository whose registry answered for it with this
    /// type. Bytes that are not taken as a manifest are not there.
    ///
    /// # Errors
    /// [`CacheError`] when the store could not be read.
    pub async fn kept(
        &self,
        view: &View,
        digest: &Digest,
        claimed: Option<&MediaType>,
    ) -> Result<Option<Manifest>, CacheError> {
        if let Some(kept) = self.memory.get(digest) {
            return Ok(Some(kept.named(digest, claimed)));
        }
        let Some(bytes) = self.stored(digest).await? else {
            return Ok(None);
        };
        let parsed = match parse(&bytes, claimed) {
            Ok(parsed) if parsed.media_type.is_schema1() => return Ok(None),
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::debug!(content.digest = %digest, %error, "what is kept is not taken as a manifest");
                return Ok(None);
            }
        };
        self.backing.remember_sizes(&view.origin, &parsed);
        let kept = Kept::new(bytes, &parsed);
        self.memory.insert(*digest, kept.clone());
        Ok(Some(kept.named(digest, claimed)))
    }

    /// Reads what is stored under a digest, unless it is larger than manifests are.
    async fn stored(&self, digest: &Digest) -> Result<Option<Bytes>, CacheError> {
        let Some(found) = self.backing.blobs.open(digest, None).await? else {
            return Ok(None);
        };
        let Opened::Range(_, mut reader) = found.opened else {
            return Ok(None);
        };
        if found.total > LARGEST {
            return Ok(None);
        }
        let mut whole = Vec::with_capacity(usize::try_from(found.total).unwrap_or_default());
        while let Some(piece) = reader.next().await {
            whole.extend_from_slice(&self.read(piece?).await?);
        }
        Ok(Some(Bytes::from(whole)))
    }

    async fn read(&self, piece: Piece) -> Result<Bytes, StoreError> {
        let slice = match piece {
            Piece::Bytes(bytes) => return Ok(bytes),
            Piece::File(slice) => slice,
        };
        let length = usize::try_from(slice.length).unwrap_or(usize::MAX);
        let job = self
            .backing
            .tasks
            .spawn_blocking(move || slice.read(0, length));
        let read = job.await.unwrap_or_else(|stopped| Err(stopped.into()));
        read.map_err(|error| StoreError::io("read", "a manifest", error))
    }

    /// Fetches a manifest from its registry and keeps it, once for all who want it now.
    ///
    /// # Errors
    /// [`CacheError`]: the registry does not have it, could not be asked, or sent something else.
    pub async fn get(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<Manifest, CacheError> {
        let request = Request {
            view: view.clone(),
            reference: reference.clone(),
            class,
        };
        let (backing, memory, asked) = (self.backing.clone(), self.memory.clone(), request.clone());
        let work = move || get(backing, memory, asked);
        self.gets
            .run("get_manifest", &request, work)
            .await
            .ok_or(CacheError::Stopping)?
            .0
    }

    /// Fetches a manifest from its registry and keeps it, unless it is still the one with this digest: then `None`. The
    /// caller sees to it that this is done once for all.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn renew(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
        known: &Digest,
    ) -> Result<Option<Manifest>, CacheError> {
        let backing = &self.backing;
        let upstream = backing.upstream(&view.origin.upstream)?;
        let fetched = upstream
            .get_manifest_unless(view.sought(), reference, class, known)
            .await?;
        let fetched = match fetched {
            Some(Fetched::Unchanged) => return Ok(None),
            Some(Fetched::Manifest(fetched)) => Some(fetched),
            None => None,
        };
        let request = Request {
            view: view.clone(),
            reference: reference.clone(),
            class,
        };
        take(backing, &self.memory, request, fetched)
            .await
            .map(Some)
    }

    /// Asks a registry what a manifest is, once for all who want to know now. `None` when it does not answer such
    /// requests well enough, so that it has to be fetched.
    ///
    /// # Errors
    /// [`CacheError`]: the registry does not have it, or could not be asked.
    pub async fn head(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<Option<ManifestHead>, CacheError> {
        let request = Request {
            view: view.clone(),
            reference: reference.clone(),
            class,
        };
        let (backing, asked) = (self.backing.clone(), request.clone());
        let work = move || head(backing, asked);
        self.heads
            .run("head_manifest", &request, work)
            .await
            .ok_or(CacheError::Stopping)?
            .0
    }
}

async fn get(
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
async fn take(
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
fn parse(bytes: &[u8], claimed: Option<&MediaType>) -> Result<ManifestView, ManifestError> {
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

async fn head(backing: Arc<Backing>, request: Request) -> Result<Option<ManifestHead>, CacheError> {
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

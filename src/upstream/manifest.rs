//! Manifests of one endpoint.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName};
use http::{Method, StatusCode};

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::packing::{Packing, UnpackError, unpack};
use super::registry::{Fetched, FetchedManifest, ManifestHead};
use super::request::{Ask, Sought};
use crate::oci::{
    Digest, EntityTags, MediaType, Reference, RepositoryName, VariantClass, Verifier,
};

/// The largest manifest that is taken. Registries take 4 MiB; an index of many platforms comes near.
const MAX_SIZE: usize = 8 << 20;
/// How a manifest is called in messages.
const WHAT: &str = "a manifest";
/// Where registries say what the digest of a manifest is.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Fetches a manifest.
pub(super) async fn fetch(
    endpoint: &Endpoint,
    sought: Sought<'_>,
    reference: &Reference,
    class: VariantClass,
) -> Result<Option<FetchedManifest>, UpstreamError> {
    let repository = sought.repository;
    let ask = Ask::manifest(Method::GET, repository, reference, class).by(sought.as_whom);
    let answer = endpoint.request(&ask).await?;
    take(endpoint, repository, reference, answer).await
}

/// Fetches a manifest, unless it still has this digest.
pub(super) async fn renew(
    endpoint: &Endpoint,
    sought: Sought<'_>,
    reference: &Reference,
    class: VariantClass,
    known: &Digest,
) -> Result<Option<Fetched>, UpstreamError> {
    let repository = sought.repository;
    let ask = Ask::manifest(Method::GET, repository, reference, class)
        .by(sought.as_whom)
        .unless(known);
    let answer = endpoint.request(&ask).await?;
    if answer.status() != StatusCode::NOT_MODIFIED {
        let taken = take(endpoint, repository, reference, answer).await?;
        return Ok(taken.map(Fetched::Manifest));
    }
    if declared(&answer).is_some_and(|digest| digest != *known) {
        let fault = "says that a manifest is the same, and that it has another digest";
        return Err(UpstreamError::protocol(answer.host(), fault));
    }
    endpoint.habits().note_found(repository, reference);
    Ok(Some(Fetched::Unchanged))
}

/// Takes a manifest out of an answer.
async fn take(
    endpoint: &Endpoint,
    repository: &RepositoryName,
    reference: &Reference,
    answer: Answer,
) -> Result<Option<FetchedManifest>, UpstreamError> {
    let Some(answer) = found(answer)? else {
        endpoint.habits().note_absent(repository, reference);
        return Ok(None);
    };
    endpoint.habits().note_found(repository, reference);
    let media_type = answer.header(&CONTENT_TYPE).and_then(MediaType::parse);
    let declared = declared(&answer);
    let expected = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(_) => declared,
    };
    Ok(Some(FetchedManifest {
        bytes: collect(answer, expected).await?,
        media_type,
        declared,
    }))
}

/// Reads a body, and unpacks it if it came packed.
async fn collect(answer: Answer, expected: Option<Digest>) -> Result<Bytes, UpstreamError> {
    let (host, packing) = (answer.host().clone(), packing(&answer));
    let bytes = answer.into_body().collect(WHAT, MAX_SIZE).await?;
    let is_right = |bytes: &Bytes, digest| Verifier::check(digest, bytes).is_ok();
    // Some servers say "packed" of bytes that are not; the digest tells.
    let is_plain = expected.is_some_and(|digest| is_right(&bytes, digest));
    let fault = match packing {
        Packing::Plain => return Ok(bytes),
        Packing::Gzip | Packing::Other if is_plain => return Ok(bytes),
        Packing::Other => "packs a manifest although it was asked not to",
        Packing::Gzip => match unpack(&bytes, MAX_SIZE).await {
            Ok(unpacked) if expected.is_none_or(|digest| is_right(&unpacked, digest)) => {
                return Ok(unpacked);
            }
            Ok(_) => "packs a manifest that has another digest",
            Err(UnpackError::Damaged) => "packs a manifest in a way that cannot be undone",
            Err(UnpackError::TooLarge) => {
                return Err(UpstreamError::TooLarge {
                    host,
                    what: WHAT,
                    limit_bytes: MAX_SIZE as u64,
                });
            }
        },
    };
    Err(UpstreamError::protocol(&host, fault))
}

/// Asks what a manifest is, without its body; not at all where that tells too little.
pub(super) async fn head(
    endpoint: &Endpoint,
    sought: Sought<'_>,
    reference: &Reference,
    class: VariantClass,
) -> Result<Option<ManifestHead>, UpstreamError> {
    let habits = endpoint.habits();
    if habits.has_poor_heads() {
        return Ok(Some(ManifestHead::Unsupported));
    }
    let repository = sought.repository;
    let ask = Ask::manifest(Method::HEAD, repository, reference, class).by(sought.as_whom);
    let answer = match endpoint.request(&ask).await {
        // A registry that we were sent to may say that it is one in the body alone.
        Err(UpstreamError::Misled { .. }) => {
            habits.note_denied(repository, reference);
            return Ok(Some(ManifestHead::Unsupported));
        }
        answer => answer?,
    };
    if matches!(
        answer.status(),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    ) {
        habits.note_poor_head();
        return Ok(Some(ManifestHead::Unsupported));
    }
    let Some(answer) = found(answer)? else {
        habits.note_denied(repository, reference);
        return Ok(None);
    };
    // What is asked for by digest has that digest, or it is not what was asked for.
    let asked = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(_) => None,
    };
    let head = match declared(&answer).or(asked) {
        Some(digest) => ManifestHead::Described {
            digest,
            media_type: answer.header(&CONTENT_TYPE).and_then(MediaType::parse),
            size: answer
                .content_length()
                .filter(|_| packing(&answer) == Packing::Plain),
        },
        None => ManifestHead::Unsupported,
    };
    if !is_enough(&head) {
        habits.note_poor_head();
    }
    Ok(Some(head))
}

/// Tells whether no GET is needed to know what a manifest is.
fn is_enough(head: &ManifestHead) -> bool {
    match head {
        ManifestHead::Described {
            media_type: Some(media_type),
            size: Some(_),
            ..
        } => !media_type.says_nothing(),
        ManifestHead::Described { .. } | ManifestHead::Unsupported => false,
    }
}

/// Sorts out answers that are neither the manifest nor its absence.
fn found(answer: Answer) -> Result<Option<Answer>, UpstreamError> {
    match answer.status() {
        StatusCode::OK => Ok(Some(answer)),
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(UpstreamError::protocol(
            answer.host(),
            format!("answered {status} to a request for a manifest"),
        )),
    }
}

/// Returns the digest that an answer names.
fn declared(answer: &Answer) -> Option<Digest> {
    let of_header = answer
        .header(&CONTENT_DIGEST)
        .and_then(|text| text.trim().parse().ok());
    of_header.or_else(|| EntityTags::new(answer.header(&ETAG)?).digest())
}

/// Returns how a body is encoded, which was not asked for.
fn packing(answer: &Answer) -> Packing {
    Packing::of(answer.header(&CONTENT_ENCODING))
}

//! Blobs of one endpoint: whether they are there, and the beginning of a transfer.

use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};

use super::answer::{Answer, Body};
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::registry::BlobHead;
use super::request::{Ask, Sought};
use crate::oci::{ContentRange, Digest};

/// Asks whether a blob is there: by HEAD, and where that is not done by a GET of its first byte. When the registry sends
/// the whole blob for that, the connection is closed at once.
pub(super) async fn head(
    endpoint: &Endpoint,
    sought: Sought<'_>,
    digest: &Digest,
) -> Result<Option<BlobHead>, UpstreamError> {
    let ask = Ask::blob(Method::HEAD, sought.repository, digest).by(sought.as_whom);
    match endpoint.request(&ask).await {
        Ok(answer) if answer.status().is_success() => {
            let size = answer.content_length();
            return Ok(Some(BlobHead { size }));
        }
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => return Ok(None),
        Ok(_) => {}
        // Storage behind a registry may take the signature of a GET only; and what speaks for a registry may say so in a
        // body alone.
        Err(UpstreamError::Misled { .. }) => {}
        Err(UpstreamError::Refused { host, .. }) if host != *endpoint.url().site().name() => {}
        Err(error) => return Err(error),
    }
    let ask = Ask::blob(Method::GET, sought.repository, digest)
        .by(sought.as_whom)
        .with_range(0, Some(1));
    let answer = endpoint.request(&ask).await?;
    learn_range(endpoint, &ask, &answer);
    let range = answer.header(&CONTENT_RANGE).unwrap_or_default();
    match answer.status() {
        StatusCode::OK => Ok(Some(BlobHead {
            size: answer.content_length(),
        })),
        StatusCode::PARTIAL_CONTENT => Ok(Some(BlobHead {
            size: ContentRange::parse(range).map(|range| range.total()),
        })),
        // The empty blob has no first byte.
        StatusCode::RANGE_NOT_SATISFIABLE => Ok(Some(BlobHead {
            size: range.trim().strip_suffix("*/0").map(|_| 0),
        })),
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(unexpected(&answer, status)),
    }
}

/// The bytes of a blob as one answer has them.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) body: Body,
    /// How many bytes come before the ones that were asked for.
    pub(super) skip: u64,
    /// The size of the whole blob.
    pub(super) total: Option<u64>,
    /// A strong entity tag, to ask for the rest of the same thing.
    pub(super) tag: Option<HeaderValue>,
}

/// The most that is read of what a registry says about a range that is not there. More is taken for more of the blob, and
/// refused.
const MAX_WORDS: usize = 64 << 10;

/// Asks for a blob from a byte on. `None` when it is not there.
pub(super) async fn open(
    endpoint: &Endpoint,
    ask: &Ask,
    start: u64,
    known_total: Option<u64>,
) -> Result<Option<Opening>, UpstreamError> {
    let answer = endpoint.request(ask).await?;
    learn_range(endpoint, ask, &answer);
    let range = answer.header(&CONTENT_RANGE).and_then(ContentRange::parse);
    let (skip, total) = match answer.status() {
        StatusCode::OK => (start, answer.content_length()),
        StatusCode::PARTIAL_CONTENT => match range {
            Some(range) if range.start() == start => (0, Some(range.total())),
            _ => {
                let fault = format!("sent another range than the one from byte {start}");
                return Err(UpstreamError::protocol(answer.host(), fault));
            }
        },
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::RANGE_NOT_SATISFIABLE
            if start > 0 && known_total.is_none() && size_told(&answer) == Some(start) =>
        {
            return Ok(Some(nothing_more(answer, start).await));
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let fault = format!("says that the blob has no byte {start}");
            return Err(UpstreamError::protocol(answer.host(), fault));
        }
        status => return Err(unexpected(&answer, status)),
    };
    if let (Some(known), Some(said)) = (known_total, total)
        && known != said
    {
        let fault = format!("says that a blob of {known} bytes has {said}");
        return Err(UpstreamError::protocol(answer.host(), fault));
    }
    Ok(Some(Opening {
        skip,
        total: total.or(known_total),
        tag: strong_tag(&answer),
        body: answer.into_body(),
    }))
}

/// Notes whether an endpoint sends parts of blobs.
fn learn_range(endpoint: &Endpoint, ask: &Ask, answer: &Answer) {
    // A condition may be why the whole comes; and of a blob of one byte or none there is no part.
    let is_plain = ask.headers.contains_key(RANGE) && !ask.headers.contains_key(IF_RANGE);
    let has_parts = answer.content_length().is_none_or(|length| length > 1);
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => endpoint.habits().note_range(),
        StatusCode::OK if is_plain && has_parts => endpoint.habits().note_no_range(),
        _ => {}
    }
}

/// Returns the size of the blob in an answer that there is no such range of it: `bytes */1000`.
fn size_told(answer: &Answer) -> Option<u64> {
    let (unit, size) = answer.header(&CONTENT_RANGE)?.trim().split_once(' ')?;
    let is_bytes = unit.eq_ignore_ascii_case("bytes");
    size.strip_prefix("*/")?.parse().ok().filter(|_| is_bytes)
}

/// The end of a blob whose size nobody told before: what was read so far is all of it.
async fn nothing_more(mut answer: Answer, size: u64) -> Opening {
    // Words about the range, which are no part of the blob.
    answer.collect(MAX_WORDS).await;
    Opening {
        skip: 0,
        total: Some(size),
        tag: None,
        body: answer.into_body(),
    }
}

/// Returns the entity tag of an answer, unless it is weak or malformed.
fn strong_tag(answer: &Answer) -> Option<HeaderValue> {
    let tag = answer.headers().get(ETAG)?;
    let text = tag.as_bytes();
    let is_strong = text.len() > 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
    is_strong.then(|| tag.clone())
}

fn unexpected(answer: &Answer, status: StatusCode) -> UpstreamError {
    UpstreamError::protocol(
        answer.host(),
        format!("answered {status} to a request for a blob"),
    )
}

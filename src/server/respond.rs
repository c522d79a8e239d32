//! From an answer to a response, in one place: status, headers, body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, LINK, RETRY_AFTER, WARNING,
};
use http::{Method, Response, StatusCode, response};

use super::body::ResponseBody;
use super::content::Reads;
use super::error::ErrorAnswer;
use super::listing::Page;
use crate::answer::{BlobAnswer, CacheOutcome, ManifestAnswer, StaleReason};
use crate::oci::Digest;

/// Says that this is a registry of the second version of the API; old clients look for it.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// The digest of the content.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Where the answer came from (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What of a list was left out because the client wanted only some of it.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// How many headers answers have, with those that others add: room for them is made once.
const USUAL_HEADERS: usize = 12;
/// Content by digest never changes, and all that is served is public.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// Answers the ping.
pub fn api_version() -> Response<ResponseBody> {
    let builder = base(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, 2);
    finish(builder, ResponseBody::whole("{}"))
}

/// Answers with a manifest; without its bytes if the answer has none.
pub fn manifest(answer: ManifestAnswer) -> Response<ResponseBody> {
    let ManifestAnswer {
        head,
        bytes,
        outcome,
        age,
    } = answer;
    // What is sent decides; the size of a head alone is what the registry said.
    let length = bytes.as_ref().map_or(head.size, |bytes| bytes.len() as u64);
    let builder = identified(base(StatusCode::OK), &head.digest, outcome)
        .header(CONTENT_TYPE, head.media_type.as_str())
        .header(CONTENT_LENGTH, length);
    finish(
        aged(builder, outcome, age),
        bytes.map_or_else(ResponseBody::empty, ResponseBody::whole),
    )
}

/// Answers with a page of a list; with its head alone if that is wanted.
pub fn list(page: Page, method: &Method) -> Response<ResponseBody> {
    let Page {
        media_type,
        body,
        next,
        filter,
        source,
    } = page;
    let mut builder = base(StatusCode::OK)
        .header(CONTENT_TYPE, media_type)
        .header(CONTENT_LENGTH, body.len());
    if let Some(next) = next {
        builder = builder.header(LINK, format!("<{next}>; rel=\"next\""));
    }
    if let Some(filter) = filter {
        builder = builder.header(FILTERS_APPLIED, filter);
    }
    if let Some((outcome, age)) = source {
        builder = aged(builder, outcome, age).header(CACHE_STATUS, outcome.cache_status());
    }
    let body = match *method {
        Method::HEAD => ResponseBody::empty(),
        _ => ResponseBody::whole(body),
    };
    finish(builder, body)
}

/// Answers with a blob or a part of one; without its bytes if the answer has none.
pub fn blob(answer: BlobAnswer, reads: &Arc<Reads>) -> Response<ResponseBody> {
    let BlobAnswer {
        digest,
        size,
        range,
        body,
        outcome,
    } = answer;
    let status = if range.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let length = range.map(|range| range.length()).or(size);
    let mut builder = identified(base(status), &digest, outcome)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(ACCEPT_RANGES, "bytes")
        .header(CACHE_CONTROL, IMMUTABLE);
    if let Some(range) = range {
        builder = builder.header(CONTENT_RANGE, range.to_string());
    }
    if let Some(length) = length {
        builder = builder.header(CONTENT_LENGTH, length);
    }
    let body = body.map(|pieces| ResponseBody::content(pieces, length, reads.clone()));
    finish(builder, body.unwrap_or_else(ResponseBody::empty))
}

/// Answers that the client has this content already.
pub fn not_modified(
    digest: &Digest,
    outcome: CacheOutcome,
    age: Option<Duration>,
) -> Response<ResponseBody> {
    let builder = identified(base(StatusCode::NOT_MODIFIED), digest, outcome);
    finish(aged(builder, outcome, age), ResponseBody::empty())
}

/// Answers with an error.
pub fn error(answer: ErrorAnswer, is_head: bool) -> Response<ResponseBody> {
    let json = Bytes::from(answer.body.to_json());
    let mut builder = base(answer.status)
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, json.len());
    if let Some(after) = answer.retry_after {
        builder = builder.header(RETRY_AFTER, after.as_secs().max(1));
    }
    if let Some(outcome) = answer.outcome {
        builder = builder.header(CACHE_STATUS, outcome.cache_status_of_error());
    }
    if let Some(allow) = answer.allow {
        builder = builder.header(ALLOW, allow);
    }
    if let Some(reason) = answer.unsatisfiable {
        builder = builder.header(CONTENT_RANGE, format!("bytes */{}", reason.total));
    }
    finish(
        builder,
        if is_head {
            ResponseBody::empty()
        } else {
            ResponseBody::whole(json)
        },
    )
}

/// Says of an answer that is not fresh any more how old it is, and why it is what there is.
fn aged(
    builder: response::Builder,
    outcome: CacheOutcome,
    age: Option<Duration>,
) -> response::Builder {
    let builder = match age {
        Some(age) => builder.header(AGE, age.as_secs()),
        None => builder,
    };
    match warning(outcome) {
        Some(warning) => builder.header(WARNING, warning),
        None => builder,
    }
}

/// Says why an answer is stale.
fn warning(outcome: CacheOutcome) -> Option<&'static str> {
    match outcome {
        CacheOutcome::Stale(reason) => Some(match reason {
            StaleReason::Unreachable => "299 - \"stale: the registry could not be asked\"",
            StaleReason::RateLimited => "299 - \"stale: the registry asked to slow down\"",
            StaleReason::Denied => "299 - \"stale: the registry refused to answer\"",
            StaleReason::NotFound => "299 - \"stale: the registry does not have it any more\"",
            StaleReason::Slow => "299 - \"stale: the registry has not answered yet\"",
        }),
        CacheOutcome::Hit
        | CacheOutcome::Miss
        | CacheOutcome::Joined
        | CacheOutcome::Revalidated
        | CacheOutcome::Offline
        | CacheOutcome::Negative
        | CacheOutcome::Passed(_) => None,
    }
}

fn base(status: StatusCode) -> response::Builder {
    let mut builder = Response::builder().status(status);
    if let Some(headers) = builder.headers_mut() {
        headers.reserve(USUAL_HEADERS);
    }
    builder.header(API_VERSION, "registry/2.0")
}

fn identified(
    builder: response::Builder,
    digest: &Digest,
    outcome: CacheOutcome,
) -> response::Builder {
    let digest = digest.text();
    builder
        .header(CONTENT_DIGEST, &*digest)
        .header(ETAG, ["\"", &digest, "\""].concat())
        .header(CACHE_STATUS, outcome.cache_status())
}

fn finish(builder: response::Builder, body: ResponseBody) -> Response<ResponseBody> {
    builder
        .body(body)
        .expect("statuses are constants, and header values are made of checked values")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::ManifestHead;
    use crate::oci::MediaType;

    fn answer(bytes: Option<&'static [u8]>, outcome: CacheOutcome) -> ManifestAnswer {
        ManifestAnswer {
            head: ManifestHead {
                digest: Digest::Sha256([1; 32]),
                media_type: MediaType::known(MediaType::OCI_MANIFEST),
                size: 999,
            },
            bytes: bytes.map(Bytes::from_static),
            outcome,
            age: None,
        }
    }

    #[test]
    fn the_length_of_a_manifest_is_that_of_its_bytes() {
        for (bytes, length) in [(Some(&b"{}"[..]), "2"), (None, "999")] {
            let response = manifest(answer(bytes, CacheOutcome::Hit));
            assert_eq!(response.headers()[CONTENT_LENGTH], length);
        }
    }

    #[test]
    fn a_stale_manifest_says_why_it_is() {
        for (outcome, words) in [
            (CacheOutcome::Hit, None),
            (
                CacheOutcome::Stale(StaleReason::Unreachable),
                Some("could not be asked"),
            ),
            (
                CacheOutcome::Stale(StaleReason::RateLimited),
                Some("slow down"),
            ),
            (CacheOutcome::Stale(StaleReason::Denied), Some("refused")),
            (
                CacheOutcome::Stale(StaleReason::Slow),
                Some("not answered yet"),
            ),
        ] {
            let response = manifest(answer(Some(b"{}"), outcome));
            let warning = response.headers().get(WARNING);
            let warning = warning.map(|value| value.to_str().unwrap());
            assert_eq!(warning.is_some(), words.is_some(), "{outcome}");
            assert!(
                warning
                    .unwrap_or_default()
                    .contains(words.unwrap_or_default()),
                "{warning:?}"
            );
        }
    }
}

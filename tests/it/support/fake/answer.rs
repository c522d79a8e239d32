//! Answers: what the registry says when nothing goes wrong, and the shape that faults bend.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use larder::oci::{
    Accept, ByteRange, ContentRange, Digest, EntityTags, ErrorBody, ErrorCode, ManifestView,
    VariantClass,
};
use serde_json::json;

use super::content::{Manifest, Shelf};
use super::delivery::{Delivery, Step};
use super::request::Request;

/// The header that says which content a body is.
pub const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The header that registries send with every answer.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// The type of content that nobody looks into.
const OCTETS: &str = "application/octet-stream";

/// An answer on its way to the client.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers but `Content-Length`, which the delivery decides.
    pub headers: HeaderMap,
    /// What is sent, or would be sent if the request were not a HEAD.
    pub body: Bytes,
    /// The place of the body's first byte in the content.
    pub start: u64,
    /// How the body is sent.
    pub delivery: Delivery,
}

impl Answer {
    /// An answer without headers but those of every answer.
    pub fn new(status: StatusCode, body: Bytes) -> Self {
        let mut answer = Self {
            status,
            headers: HeaderMap::new(),
            body,
            start: 0,
            delivery: Delivery::default(),
        };
        answer.set(API_VERSION, "registry/2.0");
        answer
    }

    /// Takes away what only registries say.
    pub fn plain(mut self) -> Self {
        self.headers.remove(API_VERSION);
        self.headers.remove(DOCKER_CONTENT_DIGEST);
        self
    }

    /// An error of an object store.
    pub fn of_storage(status: StatusCode, code: &str) -> Self {
        let document = format!("<Error><Code>{code}</Code></Error>");
        let mut answer = Self::new(status, document.into()).plain();
        answer.set(header::CONTENT_TYPE, "application/xml");
        answer
    }

    /// A JSON document.
    pub fn json(status: StatusCode, document: impl Into<Bytes>) -> Self {
        let mut answer = Self::new(status, document.into());
        answer.set(header::CONTENT_TYPE, "application/json");
        answer
    }

    /// An error of the distribution specification.
    pub fn error(status: StatusCode, code: ErrorCode, message: &str) -> Self {
        Self::json(status, ErrorBody::new(code, message).to_json())
    }

    /// An error with the code that goes with a status.
    pub fn error_of(status: StatusCode, message: &str) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
            StatusCode::NOT_FOUND => ErrorCode::ManifestUnknown,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::Unsupported,
            StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooManyRequests,
            _ => ErrorCode::Denied,
        };
        Self::error(status, code, message)
    }

    /// Sets a header.
    pub fn set(&mut self, name: HeaderName, value: &str) {
        self.headers.insert(name, value.parse().unwrap());
    }

    /// Adds something that happens while the body is sent.
    pub fn add(&mut self, step: Step) {
        self.delivery.steps.push(step);
    }

    /// Content with its digest, or 304 when the client has it.
    fn content(request: &Request, digest: &Digest, media_type: &str, body: Bytes) -> Self {
        let condition = request.header(header::IF_NONE_MATCH.as_str());
        let has_it = condition.is_some_and(|tags| EntityTags::new(&tags).matches(digest));
        let mut answer = if has_it {
            Self::new(StatusCode::NOT_MODIFIED, Bytes::new())
        } else {
            Self::new(StatusCode::OK, body)
        };
        answer.set(header::CONTENT_TYPE, media_type);
        answer.set(DOCKER_CONTENT_DIGEST, &digest.to_string());
        answer.set(header::ETAG, &format!("\"{digest}\""));
        answer
    }

    /// A blob, or the part of it that is asked for.
    pub fn blob(request: &Request, digest: &Digest, content: Bytes) -> Self {
        let total = content.len() as u64;
        let mut answer = Self::content(request, digest, OCTETS, content);
        answer.set(header::ACCEPT_RANGES, "bytes");
        let condition = request.header(header::IF_RANGE.as_str());
        let is_same = condition.is_none_or(|tag| EntityTags::new(&tag).matches(digest));
        let is_plain = answer.status == StatusCode::OK && request.method == http::Method::GET;
        let range = request.range().filter(|_| is_plain && is_same);
        match range
            .and_then(|range| ByteRange::parse(&range))
            .map(|range| range.resolve(total))
        {
            None => {}
            Some(Ok(range)) => answer.cut_to(range),
            Some(Err(_)) => {
                answer = Self::error_of(StatusCode::RANGE_NOT_SATISFIABLE, "no such range");
                answer.set(header::CONTENT_RANGE, &format!("bytes */{total}"));
            }
        }
        answer
    }

    fn cut_to(&mut self, range: ContentRange) {
        let index = |place| usize::try_from(place).unwrap();
        self.status = StatusCode::PARTIAL_CONTENT;
        self.set(header::CONTENT_RANGE, &range.to_string());
        self.body = self.body.slice(index(range.start())..index(range.end()));
        self.start = range.start();
    }

    /// A manifest.
    pub fn manifest(request: &Request, digest: &Digest, manifest: &Manifest) -> Self {
        let body = manifest.bytes.clone();
        Self::content(request, digest, &manifest.media_type, body)
    }

    /// A page of the tags of a repository.
    pub fn tags(request: &Request, shelf: &Shelf, page_size: Option<usize>) -> Self {
        let first = |name| request.query(name).into_iter().next();
        let limit = first("n").and_then(|n| n.parse().ok()).or(page_size);
        let last = first("last").unwrap_or_default();
        let name = request.repository.as_deref().unwrap_or_default();
        let mut tags: Vec<&String> = shelf.tags.keys().filter(|tag| **tag > last).collect();
        let has_more = limit.is_some_and(|limit| limit < tags.len() && limit > 0);
        tags.truncate(limit.unwrap_or(usize::MAX));
        let document = json!({"name": name, "tags": tags}).to_string();
        let mut answer = Self::json(StatusCode::OK, document);
        if let Some(last) = tags.last().filter(|_| has_more) {
            let n = tags.len();
            let next = format!("</v2/{name}/tags/list?last={last}&n={n}>; rel=\"next\"");
            answer.set(header::LINK, &next);
        }
        answer
    }
}

/// Finds the manifest that a client gets for a tag: the one that the tag names, or the linux/amd64 child of an index
/// when the client reads no indexes and the registry looks at what it reads.
pub fn negotiate<'a>(
    request: &Request,
    shelf: &'a Shelf,
    tagged: Digest,
) -> Option<(Digest, &'a Manifest)> {
    let manifest = shelf.manifests.get(&tagged)?;
    let accepted = request.header(header::ACCEPT.as_str());
    let accept = Accept::parse(accepted.as_deref());
    let view = ManifestView::parse(&manifest.bytes, None).ok();
    let child = view.as_ref().and_then(ManifestView::default_platform);
    match child.filter(|_| accept.class() != VariantClass::Index) {
        None => Some((tagged, manifest)),
        Some(child) => Some((child.digest, shelf.manifests.get(&child.digest)?)),
    }
}

//! Manifests and blobs on their way out: conditions and ranges of the request, answers of the cache.

use http::header::{ACCEPT, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{Method, Response, Version};

use super::body::ResponseBody;
use super::error::{Kind, RequestError};
use super::handle::Context;
use super::request_log::Subject;
use super::respond;
use crate::addressing::{Grant, Origin};
use crate::cache::Demand;
use crate::oci::{Accept, ByteRange, Digest, EntityTags, Reference};

/// What a request to read says besides its path.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    /// Whether only the head is wanted.
    pub method: &'a Method,
    /// How the client tells where a body ends.
    pub version: Version,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// How fresh the answer has to be.
    pub demand: Demand,
}

/// Answers for a manifest.
///
/// # Errors
/// [`RequestError`] when there is no such manifest, or it cannot be had.
pub async fn manifest(
    context: &Context,
    grant: &Grant<Origin>,
    reference: &Reference,
    conditions: Conditions<'_>,
    subject: &mut Subject,
) -> Result<Response<ResponseBody>, RequestError> {
    let accept = Accept::parse(conditions.values(&ACCEPT));
    let manifests = &context.cache.manifests;
    let demand = conditions.demand;
    let answer = match *conditions.method {
        Method::HEAD => manifests.head(grant, reference, &accept, demand).await,
        _ => manifests.get(grant, reference, &accept, demand).await,
    };
    let answer = answer.map_err(|error| RequestError::Cache {
        subject: format!("manifest {reference} of {}", grant.target()),
        kind: Kind::Manifest,
        error,
    })?;
    subject.outcome = Some(answer.outcome);
    subject.digest = Some(answer.head.digest);
    if conditions.has_it(&answer.head.digest) {
        return Ok(respond::not_modified(
            &answer.head.digest,
            answer.outcome,
            answer.age,
        ));
    }
    Ok(respond::manifest(answer))
}

/// Answers for a blob.
///
/// # Errors
/// [`RequestError`] when there is no such blob, it cannot be had, or has no byte in the range.
pub async fn blob(
    context: &Context,
    grant: &Grant<Origin>,
    digest: &Digest,
    conditions: Conditions<'_>,
    subject: &mut Subject,
) -> Result<Response<ResponseBody>, RequestError> {
    subject.digest = Some(*digest);
    if conditions.wants_another(digest) {
        return Err(RequestError::Precondition(*digest));
    }
    let has_it = conditions.has_it(digest);
    let blobs = &context.cache.blobs;
    let answer = match *conditions.method {
        Method::HEAD => blobs.head(grant, digest).await,
        _ if has_it => blobs.head(grant, digest).await,
        _ => blobs.get(grant, digest, conditions.range(digest)).await,
    };
    let answer = answer.map_err(|error| RequestError::Cache {
        subject: format!("blob {digest} of {}", grant.target()),
        kind: Kind::Blob,
        error,
    })?;
    subject.outcome = Some(answer.outcome);
    if has_it {
        return Ok(respond::not_modified(digest, answer.outcome, None));
    }
    if answer.range.is_none() && answer.size.is_none() && !conditions.sees_a_cut() {
        return Err(RequestError::SizeUnknown(*digest));
    }
    Ok(respond::blob(answer, &context.reads))
}

impl Conditions<'_> {
    fn values(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        self.headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
    }

    /// Returns whether the client can tell a body of unknown size that was cut from one that is whole: in HTTP/1.0 the
    /// end of the connection is the end of the body.
    fn sees_a_cut(&self) -> bool {
        self.version > Version::HTTP_10
    }

    /// Returns whether the client has this content already (`If-None-Match`).
    fn has_it(&self, digest: &Digest) -> bool {
        self.values(&IF_NONE_MATCH)
            .any(|value| EntityTags::new(value).matches(digest))
    }

    /// Returns whether the client wants only other contents (`If-Match`).
    fn wants_another(&self, digest: &Digest) -> bool {
        let mut values = self.values(&IF_MATCH).peekable();
        values.peek().is_some() && !values.any(|value| EntityTags::new(value).matches(digest))
    }

    /// Returns the range that the client wants, unless it wants it of another content (`If-Range`).
    fn range(&self, digest: &Digest) -> Option<ByteRange> {
        let mut values = self.values(&RANGE);
        let range = ByteRange::parse(values.next()?)?;
        // A date, or the tag of something else, does not match: the client gets the whole.
        let holds = self
            .values(&IF_RANGE)
            .all(|value| EntityTags::new(value).matches(digest));
        (values.next().is_none() && holds).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_requests() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let own = format!("\"{digest}\"");
        let first = ByteRange::From { first: 0 };
        for (lines, range, has_it, wants_another) in [
            (vec![(RANGE, "bytes=0-")], Some(first), false, false),
            (
                vec![(RANGE, "bytes=0-"), (IF_RANGE, own.as_str())],
                Some(first),
                false,
                false,
            ),
            (
                vec![(RANGE, "bytes=0-"), (IF_RANGE, "\"other\"")],
                None,
                false,
                false,
            ),
            (
                vec![(RANGE, "bytes=0-"), (IF_RANGE, "Sat, 21 Nov 2026")],
                None,
                false,
                false,
            ),
            (
                vec![(RANGE, "bytes=0-"), (RANGE, "bytes=5-")],
                None,
                false,
                false,
            ),
            (vec![(RANGE, "bytes=0-1,5-6")], None, false, false),
            (
                vec![(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, own.as_str())],
                None,
                true,
                false,
            ),
            (vec![(IF_NONE_MATCH, "*")], None, true, false),
            (vec![(IF_MATCH, own.as_str())], None, false, false),
            (vec![(IF_MATCH, "\"other\"")], None, false, true),
            (vec![], None, false, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &lines {
                headers.append(name, value.parse().unwrap());
            }
            let conditions = Conditions {
                method: &Method::GET,
                version: Version::HTTP_11,
                headers: &headers,
                demand: Demand::Usual,
            };
            let found = (
                conditions.range(&digest),
                conditions.has_it(&digest),
                conditions.wants_another(&digest),
            );
            assert_eq!(found, (range, has_it, wants_another), "{lines:?}");
        }
    }
}

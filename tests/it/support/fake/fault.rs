//! The script of what goes wrong: which requests, how many of them, and what happens to their answers.
//!
//! ```text
//! registry.inject(Fault::on(Kind::BlobGet).of(&digest).once().cut_after(1000));
//! registry.inject(Fault::everywhere().status(503).retry_after("7"));
//! let gate = registry.inject(Fault::on(Kind::ManifestHead).stall_before_headers());
//! ```
//!
//! A fault without a count is *standing*: it is there until it is lifted. A request meets every standing fault that
//! matches it, and the first counted one, so that counted faults are a script, played in the order of injection.
//!
//! Faults that replace the answer (a status, a redirect, a stall before the headers and the like) match whatever
//! the answer would have been. All others bend an answer that is a success, and let a 401 or a 404 pass uncounted,
//! unless [`Fault::answered`] says which answers are bent.
//!
//! The effects of a fault add up, in the order in which they are written: what replaces the answer comes first.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use larder::oci::Digest;
use serde_json::Value;

use super::answer::DOCKER_CONTENT_DIGEST;
use super::effect::Effect;
use super::request::{Kind, Request};

/// Something that goes wrong. Made by [`Fault::on`], narrowed, filled with effects, and given to
/// [`FakeRegistry::inject`](super::FakeRegistry::inject).
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which kinds of request; none means all.
    kinds: Vec<Kind>,
    method: Option<Method>,
    repository: Option<String>,
    digest: Option<Digest>,
    headers: Vec<HeaderName>,
    /// The status of the answer that would have been given.
    answered: Option<StatusCode>,
    /// Whether that must have been a success, whatever the effects are.
    is_of_success: bool,
    pub(super) skip: usize,
    pub(super) limit: Option<usize>,
    pub(super) effects: Vec<Effect>,
}

/// Which requests, and how many.
impl Fault {
    /// A fault of requests of this kind, or these kinds.
    pub fn on(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
            method: None,
            repository: None,
            digest: None,
            headers: Vec::new(),
            answered: None,
            is_of_success: false,
            skip: 0,
            limit: None,
            effects: Vec::new(),
        }
    }

    /// A fault of every request.
    pub fn everywhere() -> Self {
        Self::on([])
    }

    /// Only requests with this digest in their path.
    pub fn of(mut self, digest: &Digest) -> Self {
        self.digest = Some(*digest);
        self
    }

    /// Only requests for this repository.
    pub fn in_repository(mut self, repository: &str) -> Self {
        self.repository = Some(repository.into());
        self
    }

    /// Only requests with this method.
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only requests with a `Range` header.
    pub fn ranged(mut self) -> Self {
        self.headers.push(header::RANGE);
        self
    }

    /// Only requests with an `Authorization` header.
    pub fn authorized(mut self) -> Self {
        self.headers.push(header::AUTHORIZATION);
        self
    }

    /// Only requests that would have been answered with this status: 404, to change how absence is told.
    pub fn answered(mut self, status: u16) -> Self {
        self.answered = Some(StatusCode::from_u16(status).unwrap());
        self
    }

    /// Only requests that would have been answered well: those that are let in, for what is there.
    pub fn found(mut self) -> Self {
        self.is_of_success = true;
        self
    }

    /// Lets this many matching requests pass first.
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Ends with this many requests.
    pub fn times(mut self, requests: usize) -> Self {
        self.limit = Some(requests);
        self
    }

    /// Ends with the first request.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Returns whether a request is one of those that this fault is for.
    pub(super) fn matches(&self, request: &Request, status: StatusCode) -> bool {
        let fits = |wanted: Option<bool>| wanted.unwrap_or(true);
        (self.kinds.is_empty() || self.kinds.contains(&request.kind))
            && fits(self.method.as_ref().map(|method| *method == request.method))
            && fits(
                self.repository
                    .as_ref()
                    .map(|name| request.repository.as_ref() == Some(name)),
            )
            && fits(self.digest.map(|digest| request.digest() == Some(digest)))
            && self
                .headers
                .iter()
                .all(|name| request.headers.contains_key(name))
            && match self.answered {
                Some(wanted) => status == wanted,
                None => {
                    let replaces = self.effects.iter().any(Effect::replaces);
                    status.is_success() || (replaces && !self.is_of_success)
                }
            }
    }

    fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}

/// Answers in place of the right one.
impl Fault {
    /// Answers with this status and a JSON error body.
    pub fn status(self, status: u16) -> Self {
        self.with(Effect::Status(StatusCode::from_u16(status).unwrap()))
    }

    /// Answers everything with Docker Hub's limit against abuse, which is not the one of pulls.
    pub fn abuse_limit() -> Self {
        let plain = Self::everywhere().status(429).content_type("text/plain");
        plain.body("Too Many Requests\n")
    }

    /// Answers HEAD with 405.
    pub fn no_head(self) -> Self {
        self.method(Method::HEAD).status(405)
    }

    /// Answers 401 with the registry's own challenge and this `error` in it, as if the token were not good.
    pub fn refuse_token(self, error: &'static str) -> Self {
        self.with(Effect::RefuseToken(error))
    }

    /// Redirects with this status. In the target, `{digest}`, `{repository}` and `{path}` stand for those of the
    /// request.
    pub fn redirect(self, status: u16, target: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        self.with(Effect::Redirect(status, target.into()))
    }

    /// Holds the whole answer back until the gate is opened. What it says was settled when the request came.
    pub fn stall_before_headers(self) -> Self {
        self.with(Effect::StallBeforeHeaders)
    }

    /// Closes the connection without a word (on HTTP/2: resets the stream).
    pub fn hang_up(self) -> Self {
        self.with(Effect::HangUp)
    }

    /// Answers a `Range` with the whole content and 200.
    pub fn ignores_range(self) -> Self {
        self.ranged().with(Effect::IgnoreRange)
    }
}

/// Headers that are wrong, missing or more.
impl Fault {
    /// Sets a header, in place of the right one if there is one.
    pub fn header(self, name: impl TryInto<HeaderName>, value: &str) -> Self {
        let Ok(name) = name.try_into() else {
            panic!("the name of a header is not one");
        };
        self.with(Effect::Header(name, value.parse::<HeaderValue>().unwrap()))
    }

    /// Leaves a header out.
    pub fn without_header(self, name: HeaderName) -> Self {
        self.with(Effect::WithoutHeader(name))
    }

    /// Says when to come again: seconds, or a date.
    pub fn retry_after(self, when: &str) -> Self {
        self.header(header::RETRY_AFTER, when)
    }

    /// Says another `Content-Type`.
    pub fn content_type(self, media_type: &str) -> Self {
        self.header(header::CONTENT_TYPE, media_type)
    }

    /// Says a `Docker-Content-Digest` that is not the content's.
    pub fn wrong_digest_header(self) -> Self {
        let digest = Digest::Sha256([0xbd; 32]);
        self.header(DOCKER_CONTENT_DIGEST, &digest.to_string())
    }

    /// Leaves `Docker-Content-Digest` out.
    pub fn no_digest_header(self) -> Self {
        self.without_header(DOCKER_CONTENT_DIGEST)
    }

    /// Takes the quotes off the `ETag`.
    pub fn unquoted_etag(self) -> Self {
        self.with(Effect::UnquotedEtag)
    }

    /// Says `Content-Encoding: gzip` of what is not encoded.
    pub fn claims_gzip(self) -> Self {
        self.header(header::CONTENT_ENCODING, "gzip")
    }

    /// Says a `Content-Range` that starts one byte later than what it sends.
    pub fn wrong_content_range(self) -> Self {
        self.ranged().with(Effect::WrongContentRange)
    }

    /// Says this `Content-Length`. A body that is longer is cut to it; one that is shorter ends the connection.
    pub fn wrong_length(self, length: u64) -> Self {
        self.with(Effect::Length(length))
    }

    /// Says no `Content-Length`: the body is chunked.
    pub fn no_content_length(self) -> Self {
        self.with(Effect::Chunked)
    }
}

/// Bodies that are wrong.
impl Fault {
    /// Answers with this body. Alone, it is a lie with status 200; after [`Fault::status`], an error page.
    pub fn body(self, bytes: impl Into<Bytes>) -> Self {
        self.with(Effect::Body(bytes.into()))
    }

    /// Changes the JSON document that is sent.
    pub fn edit(self, change: fn(&mut Value)) -> Self {
        self.with(Effect::Edit(change))
    }

    /// Answers with a page for people.
    pub fn html(self) -> Self {
        self.content_type("text/html; charset=utf-8")
            .body("<html><body><h1>It works!</h1></body></html>")
    }

    /// Flips a bit in the byte at this place of the content, whatever range of it is sent.
    pub fn wrong_byte_at(self, place: u64) -> Self {
        self.with(Effect::WrongByte(place))
    }

    /// Leaves out the last bytes; `Content-Length` agrees with what is left.
    pub fn short_by(self, bytes: usize) -> Self {
        self.with(Effect::ShortBy(bytes))
    }

    /// Adds bytes at the end; `Content-Length` agrees with what there is.
    pub fn long_by(self, bytes: usize) -> Self {
        self.with(Effect::LongBy(bytes))
    }

    /// Never ends the body: chunked, and noise after the content.
    pub fn endless(self) -> Self {
        self.with(Effect::Endless)
    }
}

/// Bodies that do not come through. Places count the bytes of this answer's body and lie before its end.
impl Fault {
    /// Sends this many bytes of the body, then waits until the gate is opened.
    pub fn stall_after(self, bytes: u64) -> Self {
        self.with(Effect::StallAfter(bytes))
    }

    /// Sends the body in pieces of this many bytes, each when the test calls [`Gate::step`](super::Gate::step).
    pub fn drip(self, bytes: u64) -> Self {
        assert!(bytes > 0, "a drop has a size");
        self.with(Effect::Drip(bytes))
    }

    /// Sends exactly this many bytes of the body, then closes the connection as if that were all (FIN).
    pub fn end_after(self, bytes: u64) -> Self {
        self.with(Effect::EndAfter(bytes))
    }

    /// Hands this many bytes of the body to the kernel, then resets the connection (RST; on HTTP/2 the stream).
    ///
    /// A reset overtakes what the client has not read from its socket, so that it sees *at most* these bytes; a test
    /// that counts uses [`Fault::end_after`], or lets the client read before a stall is opened into the cut.
    pub fn cut_after(self, bytes: u64) -> Self {
        self.with(Effect::CutAfter(bytes))
    }
}

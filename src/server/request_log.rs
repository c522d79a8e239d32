//! The closing line of a request: one, when its last byte is sent, it was cut, or the client left.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::access::Client;
use super::metrics::Metrics;
use super::request_id::RequestId;
use crate::answer::{BodyError, CacheOutcome};
use crate::oci::{Digest, Reference};
use crate::telemetry::with_causes;

/// What a request turned out to be, for its closing line.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What was asked for, as a word.
    pub route: &'static str,
    /// Where the name led, as the registry calls it.
    pub target: Option<String>,
    /// The tag or digest.
    pub reference: Option<Reference>,
    /// What it is, or what the tag led to.
    pub digest: Option<Digest>,
    /// Where the answer came from.
    pub outcome: Option<CacheOutcome>,
    /// Which registry the client named by `ns`, once its name led somewhere.
    pub namespace: Option<HeaderValue>,
}

impl Default for Subject {
    fn default() -> Self {
        Self {
            route: "unknown",
            target: None,
            reference: None,
            digest: None,
            outcome: None,
            namespace: None,
        }
    }
}

/// Collects what the closing line says, and writes it when dropped.
#[derive(Debug)]
pub struct RequestLog {
    metrics: Metrics,
    id: RequestId,
    method: http::Method,
    client: Client,
    began: Instant,
    subject: Subject,
    /// How long a registry was waited for until the answer began; `None` when it was not.
    upstream: Option<Duration>,
    /// `None` until there is an answer.
    status: Option<StatusCode>,
    sent_bytes: u64,
    /// Whether the body was given to its end.
    is_whole: bool,
    error: Option<String>,
}

/// What a request is counted as whose client left before its answer ended. No registered status says that.
pub const CLIENT_LEFT: u16 = 499;

impl RequestLog {
    /// Begins with a request.
    pub fn begin(id: RequestId, method: http::Method, client: Client, metrics: Metrics) -> Self {
        Self {
            metrics,
            id,
            method,
            client,
            began: Instant::now(),
            subject: Subject::default(),
            upstream: None,
            status: None,
            sent_bytes: 0,
            is_whole: false,
            error: None,
        }
    }

    /// Says what the request is.
    pub fn subject(&mut self) -> &mut Subject {
        &mut self.subject
    }

    /// Says that it was a registry that was waited for up to now.
    pub fn waited_for_upstream(&mut self) {
        self.upstream = Some(self.began.elapsed());
    }

    /// Says how it is answered.
    pub fn answered(&mut self, status: StatusCode, error: Option<String>) {
        self.status = Some(status);
        self.error = error;
        // Nobody asks for the body of such an answer, whatever it is.
        self.is_whole = self.method == http::Method::HEAD;
    }

    /// Says that the body was given to its end.
    pub fn ended(&mut self) {
        self.is_whole = true;
    }

    /// Counts bytes of the body.
    pub fn sent(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
    }

    /// Says that the body ended before its end.
    pub fn cut(&mut self, error: &BodyError) {
        self.error = Some(with_causes(error));
    }

    /// Returns the status that the request is counted with. An answer that larder cut itself keeps its own.
    fn counted_status(&self) -> u16 {
        match self.status {
            Some(status) if self.is_whole || self.error.is_some() => status.as_u16(),
            Some(_) | None => CLIENT_LEFT,
        }
    }

    /// Blobs that were here are many and say little; the rest is worth a line.
    fn is_quiet(&self) -> bool {
        let Subject { route, outcome, .. } = &self.subject;
        self.error.is_none()
            && (*route == "ping"
                || (*route == "blob" && matches!(outcome, Some(CacheOutcome::Hit))))
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let counted = self.counted_status();
        if self.error.is_none() && counted == CLIENT_LEFT {
            self.error = Some("the client left".into());
        }
        let Subject {
            route,
            target,
            reference,
            digest,
            outcome,
            namespace: _,
        } = &self.subject;
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "larder::access",
                    $level,
                    request.id = %self.id,
                    http.method = %self.method,
                    http.status = self.status.map(|status| status.as_u16()),
                    client.address = %self.client,
                    route,
                    repository.name = target.as_deref(),
                    reference = reference.as_ref().map(tracing::field::display),
                    content.digest = digest.map(tracing::field::display),
                    outcome = outcome.map(CacheOutcome::name),
                    sent_bytes = self.sent_bytes,
                    duration_ms = milliseconds(self.began.elapsed()),
                    upstream_ms = self.upstream.map(milliseconds),
                    error = self.error.as_deref(),
                    "request"
                )
            };
        }
        let named = outcome.map_or("none", CacheOutcome::name);
        self.metrics
            .answered(route, counted, named, self.sent_bytes);
        if self.is_quiet() {
            line!(tracing::Level::DEBUG)
        } else {
            line!(tracing::Level::INFO)
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use http::HeaderMap;

    use super::*;
    use crate::server::access::Peer;
    use crate::server::request_id::RequestIds;

    /// A request for a blob that is here.
    pub(in crate::server) fn begun(metrics: Metrics) -> RequestLog {
        let peer = Peer::Itself(SocketAddr::from(([127, 0, 0, 1], 1)));
        let client = Client::find(peer, &HeaderMap::new(), &[]);
        let id = RequestIds::default().of(&HeaderMap::new());
        let mut log = RequestLog::begin(id, http::Method::GET, client, metrics);
        *log.subject() = Subject {
            route: "blob",
            outcome: Some(CacheOutcome::Hit),
            ..Subject::default()
        };
        log
    }

    #[test]
    fn what_did_not_end_is_not_counted_as_answered() {
        let mut whole = begun(Metrics::default());
        whole.answered(StatusCode::OK, None);
        whole.ended();
        assert_eq!(whole.counted_status(), 200);
        let unanswered = begun(Metrics::default());
        assert_eq!(unanswered.counted_status(), CLIENT_LEFT);
        let mut left = begun(Metrics::default());
        left.answered(StatusCode::OK, None);
        assert_eq!(left.counted_status(), CLIENT_LEFT);
        let mut cut = begun(Metrics::default());
        cut.answered(StatusCode::OK, None);
        cut.cut(&BodyError::Cut(Arc::new(std::io::Error::other("broken"))));
        assert_eq!(cut.counted_status(), 200);
        let mut refused = begun(Metrics::default());
        refused.answered(StatusCode::NOT_FOUND, Some("no such blob".into()));
        refused.ended();
        assert_eq!(refused.counted_status(), 404);
    }
}

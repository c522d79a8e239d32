//! The closing line of a request: one, when its last byte is sent or it was cut.

use std::net::SocketAddr;

use http::StatusCode;
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::answer::{BodyError, CacheOutcome};
use crate::oci::Reference;
pub use crate::telemetry::with_causes;

/// What a request turned out to be, for its closing line.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What was asked for, as a word.
    pub route: &'static str,
    /// Where the name led, as the registry calls it.
    pub target: Option<String>,
    /// The tag or digest.
    pub reference: Option<Reference>,
    /// Where the answer came from.
    pub outcome: Option<CacheOutcome>,
}

impl Default for Subject {
    fn default() -> Self {
        Self {
            route: "unknown",
            target: None,
            reference: None,
            outcome: None,
        }
    }
}

/// Collects what the closing line says, and writes it when dropped.
#[derive(Debug)]
pub struct RequestLog {
    metrics: Metrics,
    method: http::Method,
    client: SocketAddr,
    began: Instant,
    subject: Subject,
    status: StatusCode,
    sent_bytes: u64,
    error: Option<String>,
}

impl RequestLog {
    /// Begins with a request.
    pub fn begin(method: http::Method, client: SocketAddr, metrics: Metrics) -> Self {
        Self {
            metrics,
            method,
            client,
            began: Instant::now(),
            subject: Subject::default(),
            status: StatusCode::OK,
            sent_bytes: 0,
            error: None,
        }
    }

    /// Says what the request is.
    pub fn subject(&mut self) -> &mut Subject {
        &mut self.subject
    }

    /// Says how it is answered.
    pub fn answered(&mut self, status: StatusCode, error: Option<String>) {
        self.status = status;
        self.error = error;
    }

    /// Counts bytes of the body.
    pub fn sent(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
    }

    /// Says that the body ended before its end.
    pub fn cut(&mut self, error: &BodyError) {
        self.error = Some(with_causes(error));
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
        let Subject {
            route,
            target,
            reference,
            outcome,
        } = &self.subject;
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "larder::access",
                    $level,
                    http.method = %self.method,
                    http.status = self.status.as_u16(),
                    client.address = %self.client,
                    route,
                    repository.name = target.as_deref(),
                    reference = reference.as_ref().map(tracing::field::display),
                    outcome = outcome.map(CacheOutcome::name),
                    sent_bytes = self.sent_bytes,
                    duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    error = self.error.as_deref(),
                    "request"
                )
            };
        }
        let named = outcome.map_or("none", CacheOutcome::name);
        self.metrics
            .answered(route, self.status, named, self.sent_bytes);
        if self.is_quiet() {
            line!(tracing::Level::DEBUG)
        } else {
            line!(tracing::Level::INFO)
        }
    }
}

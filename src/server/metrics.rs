//! What the server counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of requests. Clones are the same counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<Request, Counter>,
    sent_bytes: Family<Source, Counter>,
    connections: Gauge,
    /// Nothing without TLS.
    certificate_not_after: Family<[(&'static str, &'static str); 0], Gauge>,
}

/// Counts a connection while it lives.
#[derive(Debug)]
pub struct Connected(Gauge);

/// What a request was. Every value comes from a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    status: u16,
    outcome: &'static str,
}

/// Where bytes came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    route: &'static str,
    outcome: &'static str,
}

impl Metrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "requests",
            "Requests of clients; status 499 when the client left before the answer ended",
            metrics.requests.clone(),
        );
        registry.register(
            "sent_bytes",
            "Bytes of bodies sent to clients",
            metrics.sent_bytes.clone(),
        );
        registry.register(
            "connections",
            "Connections of clients that are open",
            metrics.connections.clone(),
        );
        registry.register(
            "tls_certificate_not_after_seconds",
            "When the certificate that clients are shown ends, in seconds since 1970; absent without TLS",
            metrics.certificate_not_after.clone(),
        );
        metrics
    }

    /// Counts a connection until the result is dropped.
    pub fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }

    /// Tells when the certificate that clients are shown ends, in seconds since 1970; `None` when that is not known.
    pub fn certificate_ends(&self, not_after: Option<i64>) {
        match not_after {
            Some(seconds) => drop(self.certificate_not_after.get_or_create(&[]).set(seconds)),
            None => self.certificate_not_after.clear(),
        }
    }

    /// Counts a request that came to its end.
    pub fn answered(
        &self,
        route: &'static str,
        status: u16,
        outcome: &'static str,
        sent_bytes: u64,
    ) {
        self.requests
            .get_or_create(&Request {
                route,
                status,
                outcome,
            })
            .inc();
        if sent_bytes > 0 {
            self.sent_bytes
                .get_or_create(&Source { route, outcome })
                .inc_by(sent_bytes);
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
impl Metrics {
    /// Counts something of everything.
    pub(crate) fn sample(&self) {
        self.answered("blob", 200, "hit", 7);
        drop(self.connected());
        self.certificate_ends(Some(1_800_000_000));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_bytes_are_counted_by_closed_sets_of_labels() {
        let mut registry = Registry::with_prefix("larder");
        let metrics = Metrics::register(&mut registry);
        metrics.sample();
        metrics.answered("blob", 404, "none", 0);
        let first = metrics.connected();
        let _second = metrics.connected();
        drop(first);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(
            text.lines()
                .any(|line| line == "larder_tls_certificate_not_after_seconds{} 1800000000")
        );
        metrics.certificate_ends(None);
        let mut without = String::new();
        prometheus_client::encoding::text::encode(&mut without, &registry).unwrap();
        assert!(!without.contains("larder_tls_certificate_not_after_seconds"));
        for line in [
            r#"larder_requests_total{route="blob",status="200",outcome="hit"} 1"#,
            r#"larder_requests_total{route="blob",status="404",outcome="none"} 1"#,
            r#"larder_sent_bytes_total{route="blob",outcome="hit"} 7"#,
            "larder_connections 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}

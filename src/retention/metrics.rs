//! What is counted of what went.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What went. Clones are the same counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    blobs: Counter,
    bytes: Counter,
}

impl Metrics {
    /// Registers what is counted.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "evicted_blobs",
            "Blobs that were removed to make room",
            metrics.blobs.clone(),
        );
        registry.register(
            "evicted_bytes",
            "Bytes of the blobs that were removed to make room",
            metrics.bytes.clone(),
        );
        metrics
    }

    /// Counts a blob that went.
    pub(super) fn evicted(&self, bytes: u64) {
        self.blobs.inc();
        self.bytes.inc_by(bytes);
    }
}

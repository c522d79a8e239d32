//! Whether the configuration that is written is the one that larder goes by.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::runtime::Timestamp;

/// What is told of reading the configuration. Clones are the same figures.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct ReloadMetrics {
    is_successful: Gauge,
    succeeded_at: Gauge,
}

impl ReloadMetrics {
    /// Registers the figures.
    pub(in crate::cli) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "config_last_reload_successful",
            "Whether the configuration had no fault when it was read last (1), or is not in force (0)",
            metrics.is_successful.clone(),
        );
        registry.register(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration that is in force was read, in seconds since 1970",
            metrics.succeeded_at.clone(),
        );
        metrics
    }

    /// Takes down that a configuration is in force from now on.
    pub(super) fn succeeded(&self, now: Timestamp) {
        let seconds = now.as_millis() / 1000;
        self.is_successful.set(1);
        self.succeeded_at
            .set(seconds.try_into().unwrap_or(i64::MAX));
    }

    /// Takes down that a configuration has faults.
    pub(super) fn failed(&self) {
        self.is_successful.set(0);
    }
}

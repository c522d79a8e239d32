//! What the cache counts. Registries are named as they are configured (a family by its pattern), all else comes from closed
//! sets: the labels are few, whatever clients and registries send.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::fill::FillError;
use crate::answer::StaleReason;

/// Counters of fills and of old answers. Clones are the same counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    fills: Family<FillLabels, Counter>,
    fill_joins: Counter,
    fill_resumes: Counter,
    unverified_parts: Counter,
    stale_answers: Family<StaleLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FillLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StaleLabels {
    upstream: Arc<str>,
    reason: &'static str,
}

impl Metrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "fills",
            "Blobs whose fetching ended: complete, or why not",
            metrics.fills.clone(),
        );
        registry.register(
            "fill_joins",
            "Requests that joined the fetching of a blob that was under way",
            metrics.fill_joins.clone(),
        );
        registry.register(
            "fill_resumes",
            "Blobs whose fetching went on with what an earlier one had left on the disk",
            metrics.fill_resumes.clone(),
        );
        registry.register(
            "unverified_parts",
            "Parts of blobs that went out before the whole was verified",
            metrics.unverified_parts.clone(),
        );
        registry.register(
            "stale_answers",
            "Old answers that went out because the registry could not confirm them, by what was wrong",
            metrics.stale_answers.clone(),
        );
        metrics
    }

    /// Counts a fill that came to its end.
    pub(super) fn filled(&self, ended: Result<(), &FillError>) {
        let outcome = match ended {
            Ok(()) => "complete",
            Err(error) => failure(error),
        };
        self.fills.get_or_create(&FillLabels { outcome }).inc();
    }

    /// Counts a request that joined a fill.
    pub(super) fn joined(&self) {
        self.fill_joins.inc();
    }

    /// Counts a fill that went on with a spool that was left.
    pub(super) fn resumed(&self) {
        self.fill_resumes.inc();
    }

    /// Counts a part that went out before the whole was verified.
    pub(super) fn went_unverified(&self) {
        self.unverified_parts.inc();
    }

    /// Counts an old answer about something of an upstream, under its configured name.
    pub(super) fn stale(&self, upstream: &Arc<str>, reason: StaleReason) {
        let labels = StaleLabels {
            upstream: upstream.clone(),
            reason: reason.name(),
        };
        self.stale_answers.get_or_create(&labels).inc();
    }

    /// Counts something of everything.
    #[cfg(test)]
    pub(crate) fn sample(&self) {
        self.filled(Ok(()));
        self.filled(Err(&FillError::Abandoned));
        self.joined();
        self.resumed();
        self.went_unverified();
        self.stale(&"docker.io".into(), StaleReason::RateLimited);
    }
}

/// Names why a fill ended without its content.
fn failure(error: &FillError) -> &'static str {
    match error {
        FillError::Unknown => "absent",
        FillError::Kept => "here_already",
        FillError::Mismatch(_) | FillError::WrongSize { .. } => "wrong_content",
        FillError::NoSpace(_) => "no_space",
        FillError::Abandoned => "abandoned",
        FillError::Stopping => "stopped",
        FillError::NotConfigured(_) | FillError::Upstream(_) | FillError::Store(_) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_and_old_answers_are_counted_by_closed_sets_of_labels() {
        let mut registry = Registry::with_prefix("larder");
        Metrics::register(&mut registry).sample();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"larder_fills_total{outcome="complete"} 1"#,
            r#"larder_fills_total{outcome="abandoned"} 1"#,
            "larder_fill_joins_total 1",
            "larder_fill_resumes_total 1",
            "larder_unverified_parts_total 1",
            r#"larder_stale_answers_total{upstream="docker.io",reason="rate_limited"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}

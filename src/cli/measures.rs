//! All that is counted, in one place: what each room registers, under larder's name.

use prometheus_client::registry::Registry;

use crate::{cache, server, upstream};

/// What the rooms count, and where it is read.
#[derive(Debug)]
pub(super) struct Measures {
    /// Everything.
    pub(super) registry: Registry,
    pub(super) upstream: upstream::Metrics,
    pub(super) cache: cache::Metrics,
    pub(super) server: server::metrics::Metrics,
}

impl Measures {
    /// Registers what is counted as it happens.
    pub(super) fn register() -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("larder");
        Self {
            server: server::metrics::Metrics::register(own),
            cache: cache::Metrics::register(own),
            upstream: upstream::Metrics::register(own),
            registry,
        }
    }
}

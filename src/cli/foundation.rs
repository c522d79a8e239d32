//! What a larder stands on: store, registries and cache, without a server.

use std::sync::Arc;

use super::measures::Measures;
use crate::addressing::Addressing;
use crate::admin::{Gauges, Operations};
use crate::cache::{Cache, Parts};
use crate::config::Settings;
use crate::retention::{self, TrackedBlobs, Usage};
use crate::runtime::{Clock, InstanceId, Live, Tasks};
use crate::store::disk::DiskStore;
use crate::upstream::{self, Limits, Upstreams};

/// The rooms below the server, put together.
#[derive(Debug)]
pub(super) struct Foundation {
    pub(super) store: DiskStore,
    pub(super) usage: Arc<Usage>,
    pub(super) cache: Arc<Cache>,
    pub(super) addressing: Live<Addressing>,
    /// What is counted.
    pub(super) measures: Measures,
    pub(super) instance: InstanceId,
    pub(super) clock: Clock,
}

impl Foundation {
    /// Opens the store.
    ///
    /// # Errors
    /// When a part cannot start; the error says which, and why.
    pub(super) async fn lay(settings: &Settings, tasks: &Tasks) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let instance = InstanceId::random();
        let store = DiskStore::open(&settings.store, tasks.clone(), clock.clone()).await?;
        let measures = Measures::register();
        let parts = upstream::Parts {
            limits: Limits::default(),
            metrics: measures.upstream.clone(),
            egress: settings.egress.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            instance,
        };
        let upstreams = Upstreams::new(settings.upstreams.clone(), parts)?;
        let usage = Arc::new(Usage::new(store.usage_records.clone(), clock.clone()));
        let parts = Parts {
            blobs: Arc::new(TrackedBlobs::new(store.blobs.clone(), usage.clone())),
            spools: store.spools.clone(),
            records: store.cache_records.clone(),
            upstreams,
            metrics: measures.cache.clone(),
            tasks: tasks.clone(),
            clock: clock.clone(),
        };
        Ok(Self {
            store,
            usage,
            cache: Arc::new(Cache::new(parts, settings.cache.clone())),
            addressing: Live::new(Addressing::new(&settings.addressing)),
            measures,
            instance,
            clock,
        })
    }

    /// Returns what the operator can have done with it.
    pub(super) fn operations(&self) -> Operations {
        let (cache, addressing) = (self.cache.clone(), self.addressing.clone());
        Operations::new(cache, addressing, self.clock.clone())
    }
    /// Returns the figures of how it stands.
    pub(super) fn gauges(&self, retention: &Live<retention::Settings>, tasks: &Tasks) -> Gauges {
        Gauges {
            cache: self.cache.clone(),
            store: self.store.clone(),
            usage: self.usage.clone(),
            retention: retention.clone(),
            tasks: tasks.clone(),
            began: self.clock.now(),
        }
    }
}

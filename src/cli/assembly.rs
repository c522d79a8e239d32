//! Puts the rooms together, and runs them until a signal says to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::failure::NotListening;
use crate::addressing::Addressing;
use crate::admin::{Door, Gauges};
use crate::cache::{Cache, Parts};
use crate::config::Settings;
use crate::oci::UpstreamName;
use crate::runtime::shutdown::StopSignals;
use crate::runtime::{Clock, InstanceId, Tasks, open_files};
use crate::server::metrics::Metrics;
use crate::server::{self, Server};
use crate::store::disk::DiskStore;
use crate::upstream::{self, Limits, Upstreams};

/// How long answers under way may take to be given after the first signal to stop; a second signal ends them.
const DRAIN: Duration = Duration::from_mins(10);

/// How long what is written behind the answers may take after that.
const SETTLE: Duration = Duration::from_secs(30);

/// A larder that listens.
pub(super) struct Larder {
    server: Server,
    /// Health and metrics, if they are wanted.
    door: Option<Door>,
    tasks: Tasks,
}

impl Larder {
    /// Opens the store and begins to listen.
    ///
    /// # Errors
    /// When a part cannot start; the error says which, and why.
    pub(super) async fn assemble(settings: Settings) -> anyhow::Result<Self> {
        let (tasks, clock) = (Tasks::new(), Clock::system());
        let instance = InstanceId::random();
        let connections = places()?;
        let store = DiskStore::open(&settings.store, tasks.clone(), clock.clone()).await?;
        store.keep_swept();
        let mut registry = Registry::with_prefix("larder");
        let parts = upstream::Parts {
            limits: Limits::default(),
            metrics: upstream::Metrics::register(&mut registry),
            egress: settings.egress,
            clock: clock.clone(),
            tasks: tasks.clone(),
            instance,
        };
        let upstreams = Upstreams::new(settings.upstreams, parts)?;
        let hub = UpstreamName::docker_hub();
        if let Some(hub) = upstreams.get(&hub) {
            drop(tasks.spawn("quota", upstream::quota::announce(hub)));
        }
        let parts = Parts {
            blobs: store.blobs.clone(),
            spools: store.spools.clone(),
            records: store.cache_records.clone(),
            upstreams,
            tasks: tasks.clone(),
            clock,
        };
        let cache = Arc::new(Cache::new(parts, settings.cache));
        let gauges = Gauges {
            cache: cache.clone(),
            tasks: tasks.clone(),
        };
        registry.register_collector(Box::new(gauges));
        let parts = server::Parts {
            addressing: Addressing::new(&settings.addressing),
            cache,
            metrics: Metrics::register(&mut registry),
            instance,
            connections,
            tasks: tasks.clone(),
        };
        let listen = settings.server.listen;
        let server =
            Server::bind(settings.server, parts).context(NotListening::Registry(listen))?;
        let door = match settings.metrics_listen {
            Some(listen) => {
                let door = Door::bind(listen, registry, tasks.clone()).await;
                Some(door.context(NotListening::Health(listen))?)
            }
            None => None,
        };
        Ok(Self {
            server,
            door,
            tasks,
        })
    }

    /// Serves until a signal says to stop, then gives the answers under way. A second signal ends those as well.
    ///
    /// # Errors
    /// When the operating system does not say where larder listens.
    pub(super) async fn run(self, mut signals: StopSignals) -> anyhow::Result<()> {
        let Self {
            server,
            door,
            tasks,
        } = self;
        tracing::info!(server.listen = %server.local_addr()?, "ready");
        let stopping = CancellationToken::new();
        if let Some(door) = door {
            drop(tasks.spawn("door", door.run(stopping.clone())));
        }
        let mut serving = std::pin::pin!(server.run(stopping.clone(), DRAIN));
        let cut = tokio::select! {
            cut = &mut serving => cut,
            signal = signals.next() => {
                tracing::info!(signal, "stops: no new connections; answers under way are given");
                stopping.cancel();
                tokio::select! {
                    cut = serving => cut,
                    signal = signals.next() => {
                        tracing::warn!(signal, "stops at once");
                        return Ok(());
                    }
                }
            }
        };
        if cut > 0 {
            tracing::warn!(connections = cut, "answers were cut: they took too long");
        }
        tokio::select! {
            left = tasks.drain(SETTLE) => tracing::info!(tasks = left, "stopped"),
            signal = signals.next() => tracing::warn!(signal, "stops at once"),
        }
        Ok(())
    }
}

/// Finds out for how many clients there is room, and says so.
fn places() -> anyhow::Result<usize> {
    let limit = open_files::raise_limit().context("could not raise the limit of open files")?;
    let connections = server::connections(limit);
    tracing::info!(
        open_files = limit,
        connections,
        "so many clients can be connected"
    );
    Ok(connections)
}

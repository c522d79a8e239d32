//! Puts the rooms together, and runs them until a signal says to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::activation::Activated;
use super::failure::NotListening;
use super::foundation::Foundation;
use super::reloading::{Occasions, Reloader, Rooms, Source, watch};
use crate::admin;
use crate::admin::{Door, Operations, Reloads, Socket, TcpDoor};
use crate::oci::UpstreamName;
use crate::retention::{self, Evictor};
use crate::runtime::signals::{ReloadSignal, StopSignals};
use crate::runtime::{Live, Tasks, open_files};
use crate::server::{self, BindError, Server};
use crate::upstream;

/// How long what is written behind the answers may take after they are given.
const SETTLE: Duration = Duration::from_secs(30);

/// A larder that listens.
pub(super) struct Larder {
    server: Server,
    /// Health and metrics, if they are wanted.
    door: Option<Door>,
    /// The operator's commands, if they can come in.
    socket: Option<Socket>,
    /// The same over TCP, if they are wanted.
    commands: Option<TcpDoor>,
    tasks: Tasks,
    /// How long answers under way may take to be given after the first signal to stop.
    drain_timeout: Live<Duration>,
}

impl Larder {
    /// Opens the store and begins to listen.
    ///
    /// # Errors
    /// When a part cannot start; the error says which, and why.
    pub(super) async fn assemble(
        source: Source,
        activated: Activated,
        signal: ReloadSignal,
    ) -> anyhow::Result<Self> {
        let settings = source.loaded.settings.clone();
        let tasks = Tasks::new();
        let connections = places()?;
        let (sockets, metrics_socket) = activated.into_sockets();
        let foundation = Foundation::lay(&settings, &tasks).await?;
        foundation.store.keep_swept();
        let (reloads, wishes) = Reloads::channel();
        let operations = Arc::new(foundation.operations().with_reloads(reloads));
        let socket = socket(&settings.store.socket(), operations.clone(), &tasks);
        let commands = commands(settings.admin, operations, &tasks).await?;
        let retention = Live::new(settings.retention);
        let eviction = eviction(&foundation, &retention, &tasks);
        drop(tasks.spawn("eviction", eviction));
        announce_quota(&foundation, &tasks);
        let gauges = foundation.gauges(&retention, &tasks);
        let Foundation {
            cache,
            addressing,
            measures,
            instance,
            store,
            clock,
            ..
        } = foundation;
        let mut registry = measures.registry;
        gauges.register(&mut registry);
        let parts = server::Parts {
            addressing: addressing.clone(),
            cache: cache.clone(),
            metrics: measures.server,
            instance,
            connections,
            sockets,
            tasks: tasks.clone(),
        };
        let server = Server::bind(settings.server, parts).map_err(not_listening)?;
        let drain_timeout = Live::new(settings.drain_timeout);
        let rooms = Rooms {
            cache,
            addressing,
            server: server.settings(),
            drain_timeout: drain_timeout.clone(),
            store,
            retention,
        };
        let reloader = Reloader::new(source, rooms, measures.reload, clock);
        let occasions = Occasions { signal, wishes };
        drop(tasks.spawn("reload", watch(reloader, occasions, tasks.clone())));
        let door = door(metrics_socket, settings.metrics_listen, registry, &tasks).await?;
        Ok(Self {
            server,
            door,
            socket,
            commands,
            tasks,
            drain_timeout,
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
            socket,
            commands,
            tasks,
            drain_timeout,
        } = self;
        let addresses = server.local_addrs()?;
        let admin = commands.as_ref().map(TcpDoor::local_addr).transpose()?;
        tracing::info!(
            server.listen = addresses.first().map(tracing::field::display),
            server.tls.listen = addresses.get(1).map(tracing::field::display),
            admin.listen = admin.map(tracing::field::display),
            "ready"
        );
        let stopping = CancellationToken::new();
        if let Some(door) = door {
            drop(tasks.spawn("door", door.run(stopping.clone())));
        }
        if let Some(socket) = socket {
            drop(tasks.spawn("socket", socket.run()));
        }
        if let Some(commands) = commands {
            drop(tasks.spawn("commands", commands.run()));
        }
        let mut serving = std::pin::pin!(server.run(stopping.clone(), drain_timeout));
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
            tracing::warn!(
                connections = cut,
                "connections were cut: drain_timeout is over"
            );
        }
        tokio::select! {
            left = tasks.drain(SETTLE) => tracing::info!(tasks = left, "stopped"),
            signal = signals.next() => tracing::warn!(signal, "stops at once"),
        }
        Ok(())
    }
}

/// Puts the cause of an address that cannot be listened on below what is said of it, and of nothing else.
fn not_listening(error: BindError) -> anyhow::Error {
    match error {
        BindError::Listen {
            door,
            address,
            source,
        } => anyhow::Error::new(source).context(match door {
            server::Door::Registry => NotListening::Registry(address),
            server::Door::RegistryTls => NotListening::RegistryTls(address),
        }),
        BindError::Tls(_) => error.into(),
    }
}

/// Begins to listen for the operator's commands. Where that cannot be, larder serves without them.
fn socket(path: &Path, operations: Arc<Operations>, tasks: &Tasks) -> Option<Socket> {
    let bound = Socket::bind(path, operations, tasks.clone());
    let warn = |error| {
        tracing::warn!(
            %error, path = %path.display(),
            "`larder refresh`, `upstream` and `status` cannot reach this larder: it could not listen for commands"
        );
    };
    bound.map_err(warn).ok()
}

/// Begins to listen for those who ask for health and metrics, where that is wanted.
async fn door(
    given: Option<TcpListener>,
    listen: Option<SocketAddr>,
    registry: Registry,
    tasks: &Tasks,
) -> anyhow::Result<Option<Door>> {
    match (given, listen) {
        (Some(socket), _) => Ok(Some(Door::over(socket, registry, tasks.clone())?)),
        (None, Some(listen)) => {
            let door = Door::bind(listen, registry, tasks.clone()).await;
            Ok(Some(door.context(NotListening::Health(listen))?))
        }
        (None, None) => Ok(None),
    }
}

/// Has it said in the log how many pulls Docker Hub allows, where it can be reached.
fn announce_quota(foundation: &Foundation, tasks: &Tasks) {
    let hub = foundation
        .cache
        .upstreams()
        .get(&UpstreamName::docker_hub());
    if let Some(hub) = hub {
        drop(tasks.spawn("quota", upstream::quota::announce(hub)));
    }
}

/// Makes room in a store whenever it is needed.
fn eviction(
    foundation: &Foundation,
    settings: &Live<retention::Settings>,
    tasks: &Tasks,
) -> impl Future<Output = ()> + Send + use<> {
    let store = foundation.store.clone();
    let evictor = Evictor::new(retention::Parts {
        blobs: store.blobs.clone(),
        leases: store.blobs.leases().clone(),
        usage: foundation.usage.clone(),
        floor: store.floor().clone(),
        settings: settings.clone(),
        metrics: foundation.measures.retention.clone(),
        tasks: tasks.clone(),
    });
    evictor.run(move || {
        let store = store.clone();
        async move { store.space().await }
    })
}

/// Begins to listen for the operator's commands over TCP, where that is wanted.
async fn commands(
    settings: Option<admin::Settings>,
    operations: Arc<Operations>,
    tasks: &Tasks,
) -> anyhow::Result<Option<TcpDoor>> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let listen = settings.listen;
    let bound = TcpDoor::bind(settings, operations, tasks.clone()).await;
    bound.map(Some).context(NotListening::Commands(listen))
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

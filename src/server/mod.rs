//! The registry API: reads requests, asks the rooms below, writes answers. Decides nothing about freshness.

pub mod access;
pub mod activity;
pub mod body;
pub mod connection;
pub mod content;
pub mod error;
pub mod failure;
pub mod forwarded;
mod greeting;
pub mod handle;
pub mod listen;
pub mod listing;
pub mod metrics;
pub mod proxy_protocol;
pub mod pull;
pub mod query;
pub mod request_id;
pub mod request_log;
pub mod respond;
pub mod route;
pub mod route_table;
mod sendfile;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::content::Reads;
use self::handle::Context;
use self::listen::{Accepted, Listeners};
pub use self::listen::{BindError, Door};
use self::metrics::Metrics;
use self::request_id::RequestIds;
pub use self::tls::TlsSettings;
use crate::addressing::Addressing;
use crate::cache::Cache;
use crate::runtime::executor::HyperExecutor;
use crate::runtime::{InstanceId, Live, Tasks};

/// What the configuration says of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the registry API is served.
    pub listen: SocketAddr,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsSettings>,
    /// The proxies that are believed when they say for whom they ask.
    pub proxies: Proxies,
    /// From where, beside this machine, clients may say that the registry is to be asked now.
    pub refresh_from: Vec<IpNet>,
    /// Who may see which repositories are here.
    pub catalog: CatalogAudience,
}

impl Settings {
    /// Returns all addresses, that of `server.listen` first.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        let beside = self.tls.as_ref().and_then(|tls| tls.listen);
        std::iter::once(self.listen).chain(beside)
    }
}

/// The proxies that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Their networks.
    pub trusted: Vec<IpNet>,
    /// Whether they say on each connection for whom it is.
    pub protocol: ProxyProtocol,
}

/// Whether connections begin with the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Absent,
    /// All of them do, and come from trusted proxies.
    Required,
}

/// Sockets that listen already: whoever started this process opened them.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For `server.listen`.
    pub registry: Option<std::net::TcpListener>,
    /// For `server.tls.listen`.
    pub registry_tls: Option<std::net::TcpListener>,
}

/// Who may see which repositories are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatalogAudience {
    /// Clients on this machine.
    #[default]
    ThisMachine,
    /// Everyone; those that are private and not shared are left out.
    Everyone,
}

/// What a server answers with.
#[derive(Debug)]
pub struct Parts {
    /// Where names lead.
    pub addressing: Live<Addressing>,
    /// The content of other registries.
    pub cache: Arc<Cache>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who we are.
    pub instance: InstanceId,
    /// How many clients can be connected; further ones wait to be accepted.
    pub connections: usize,
    /// Sockets to take in place of new ones.
    pub sockets: Sockets,
    /// All tasks.
    pub tasks: Tasks,
}

/// How many clients can be connected at most: each has buffers.
const CONNECTIONS: u64 = 10_000;
/// How many files are kept free for everything that no client waits for: records, registries, the log.
const OWN_FILES: u64 = 512;
/// How long accepting rests when it fails, as it does when the process has no more files to open.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Returns how many clients can be connected when so many files can be open (`None`: any number). Each has a socket, and
/// reads a file.
pub fn connections(open_files: Option<u64>) -> usize {
    let most = open_files.map_or(CONNECTIONS, |files| files.saturating_sub(OWN_FILES) / 2);
    // A limit that leaves none is one that cannot be kept.
    usize::try_from(most.clamp(16, CONNECTIONS)).unwrap_or(usize::MAX)
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listeners: Listeners,
    connections: usize,
    context: Arc<Context>,
    tasks: Tasks,
}

impl Server {
    /// Begins to listen. Connections are accepted when [`Server::run`] is called.
    ///
    /// # Errors
    /// [`BindError`] when an address cannot be listened on, or the files of TLS cannot be used.
    pub fn bind(settings: Settings, parts: Parts) -> Result<Self, BindError> {
        let Parts {
            addressing,
            cache,
            metrics,
            instance,
            connections,
            sockets,
            tasks,
        } = parts;
        let listeners = Listeners::bind(&settings, sockets, &metrics)?;
        let reads = Arc::new(Reads::new(tasks.clone()));
        Ok(Self {
            listeners,
            connections,
            context: Arc::new(Context {
                settings: Live::new(settings),
                addressing,
                cache,
                reads,
                metrics,
                ids: RequestIds::default(),
                instance,
            }),
            tasks,
        })
    }

    /// Returns what it goes by, to be replaced while it runs. Where it listens stays what it was, and how it speaks TLS.
    pub fn settings(&self) -> Live<Settings> {
        self.context.settings.clone()
    }

    /// Returns the addresses that are listened on, with the ports that were given where none was asked for. That of
    /// `server.listen` comes first.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.addresses()
    }

    /// Serves until `stopping`, then lets the answers under way be given, at most for `drain` as it is then. Returns how
    /// many connections were cut after that.
    pub async fn run(mut self, stopping: CancellationToken, drain: Live<Duration>) -> usize {
        let connections = Tasks::new();
        let places = Arc::new(Semaphore::new(self.connections));
        let end = CancellationToken::new();
        if let Some(tls) = self.listeners.tls() {
            let (looking, stopping) = (tls.keep_current(self.tasks.clone()), stopping.clone());
            drop(self.tasks.spawn("certificate", async move {
                stopping.run_until_cancelled(looking).await;
            }));
        }
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => break,
                accepted = accept(&mut self.listeners, &places) => accepted,
            };
            let Some((accepted, place)) = accepted else {
                continue;
            };
            let executor = HyperExecutor::new(self.tasks.clone());
            let served =
                connection::serve(accepted, self.context.clone(), executor, stopping.clone());
            let end = end.clone();
            let connected = self.context.metrics.connected();
            drop(connections.spawn("connection", async move {
                tokio::select! {
                    () = served => {}
                    () = end.cancelled() => {}
                }
                drop((connected, place));
            }));
        }
        drop(self.listeners);
        let cut = connections.drain(*drain.now()).await;
        end.cancel();
        cut
    }
}

/// Accepts the next connection when there is a place for it.
async fn accept(
    listeners: &mut Listeners,
    places: &Arc<Semaphore>,
) -> Option<(Accepted, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listeners.accept().await {
        Ok(accepted) => Some((accepted, place)),
        Err(error) => {
            tracing::warn!(%error, "could not accept a connection");
            tokio::time::sleep(ACCEPT_REST).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_for_everything_else() {
        for (files, clients) in [
            (None, 10_000),
            (Some(1_048_576), 10_000),
            (Some(20_512), 10_000),
            (Some(1_024), 256),
            (Some(256), 16),
        ] {
            assert_eq!(connections(files), clients, "{files:?}");
        }
    }
}

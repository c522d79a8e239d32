//! The registry API: reads requests, asks the rooms below, writes answers. Decides nothing about freshness.

pub mod access;
pub mod activity;
pub mod body;
pub mod connection;
pub mod error;
pub mod handle;
pub mod listing;
pub mod metrics;
pub mod pull;
pub mod query;
pub mod request_log;
pub mod respond;
pub mod route;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::body::Reads;
use self::handle::Context;
use self::metrics::Metrics;
use crate::addressing::Addressing;
use crate::cache::Cache;
use crate::runtime::executor::HyperExecutor;
use crate::runtime::{InstanceId, Tasks};

/// What the configuration says of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the registry API is served.
    pub listen: SocketAddr,
    /// From where, beside this machine, clients may say that the registry is to be asked now.
    pub refresh_from: Vec<IpNet>,
    /// Who may see which repositories are here.
    pub catalog: CatalogAudience,
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
    pub addressing: Addressing,
    /// The content of other registries.
    pub cache: Arc<Cache>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who we are.
    pub instance: InstanceId,
    /// How many clients can be connected; further ones wait to be accepted.
    pub connections: usize,
    /// All tasks.
    pub tasks: Tasks,
}

/// How many clients can be connected at most: each has buffers.
const CONNECTIONS: u64 = 10_000;
/// How many files are kept free for everything that no client waits for: records, registries, the log.
const OWN_FILES: u64 = 512;
/// How many connections the operating system keeps that are not accepted yet.
const BACKLOG: i32 = 1_024;
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
    listener: TcpListener,
    connections: usize,
    context: Arc<Context>,
    tasks: Tasks,
}

impl Server {
    /// Begins to listen. Connections are accepted when [`Server::run`] is called.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(settings: Settings, parts: Parts) -> io::Result<Self> {
        let Parts {
            addressing,
            cache,
            metrics,
            instance,
            connections,
            tasks,
        } = parts;
        let listener = listen(settings.listen)?;
        let reads = Arc::new(Reads::new(tasks.clone()));
        Ok(Self {
            listener,
            connections,
            context: Arc::new(Context {
                refresh_from: settings.refresh_from,
                catalog: settings.catalog,
                addressing,
                cache,
                reads,
                metrics,
                instance,
            }),
            tasks,
        })
    }

    /// Returns the address that is listened on, with the port that was given where none was asked for.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stopping`, then lets the answers under way be given, at most for `drain`. Returns how many
    /// connections were cut then.
    pub async fn run(self, stopping: CancellationToken, drain: Duration) -> usize {
        let connections = Tasks::new();
        let places = Arc::new(Semaphore::new(self.connections));
        let end = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let Some((stream, client, place)) = accepted else {
                continue;
            };
            let executor = HyperExecutor::new(self.tasks.clone());
            let served = connection::serve(
                stream,
                client,
                self.context.clone(),
                executor,
                stopping.clone(),
            );
            let end = end.clone();
            drop(connections.spawn("connection", async move {
                tokio::select! {
                    () = served => {}
                    () = end.cancelled() => {}
                }
                drop(place);
            }));
        }
        drop(self.listener);
        let cut = connections.drain(drain).await;
        end.cancel();
        cut
    }
}

type Accepted = (
    tokio::net::TcpStream,
    SocketAddr,
    tokio::sync::OwnedSemaphorePermit,
);

/// Accepts the next connection when there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, client)) => Some((stream, client, place)),
        Err(error) => {
            tracing::warn!(%error, "could not accept a connection");
            tokio::time::sleep(ACCEPT_REST).await;
            None
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
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

//! The listeners of the registry API: where connections come in, and what is spoken there.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};

use super::metrics::Metrics;
use super::tls::Tls;
use super::{Settings, Sockets};
use crate::upstream::TlsError;

/// How many connections the operating system keeps that are not accepted yet.
const BACKLOG: i32 = 1_024;

/// What is spoken where a listener listens.
#[derive(Clone, Debug)]
pub enum Speech {
    /// HTTP.
    Plain,
    /// HTTP over TLS.
    Encrypted(Arc<Tls>),
}

/// One of the listeners, by the key that sets its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `server.listen`.
    Registry,
    /// `server.tls.listen`.
    RegistryTls,
}

/// Why the registry API cannot be served.
#[derive(Debug, Error)]
pub enum BindError {
    /// An address cannot be listened on.
    #[error("could not listen at {address}")]
    Listen {
        /// For what.
        door: Door,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The files of TLS cannot be used.
    #[error("could not set up TLS for the registry API")]
    Tls(#[from] TlsError),
}

/// Sockets that connections come in by.
#[derive(Debug)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Which one is looked at first the next time, so that none has to wait for another.
    first: usize,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    speech: Speech,
}

/// A connection that came in.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) client: SocketAddr,
    pub(super) speech: Speech,
}

impl Listeners {
    /// Begins to listen wherever the settings say, with the sockets that are there already.
    pub(super) fn bind(
        settings: &Settings,
        sockets: Sockets,
        metrics: &Metrics,
    ) -> Result<Self, BindError> {
        let open = |door, address, given: Option<std::net::TcpListener>| {
            let socket = match given {
                Some(socket) => adopt(socket),
                None => listen(address),
            };
            socket.map_err(|source| BindError::Listen {
                door,
                address,
                source,
            })
        };
        let tls = settings.tls.clone();
        let beside = tls.as_ref().and_then(|tls| tls.listen);
        let encrypted = tls.map(|tls| Tls::open(tls, metrics.clone()));
        let encrypted = encrypted.transpose()?.map(Arc::new);
        let encrypted = encrypted.map(Speech::Encrypted);
        let mut all = Vec::new();
        let speech = match (&encrypted, beside) {
            (Some(encrypted), None) => encrypted.clone(),
            (Some(_), Some(_)) | (None, _) => Speech::Plain,
        };
        all.push(Listener {
            socket: open(Door::Registry, settings.listen, sockets.registry)?,
            speech,
        });
        if let (Some(speech), Some(address)) = (encrypted, beside) {
            let socket = open(Door::RegistryTls, address, sockets.registry_tls)?;
            all.push(Listener { socket, speech });
        }
        Ok(Self { all, first: 0 })
    }

    /// Returns the addresses, the one of `server.listen` first.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.all.iter().map(|one| one.socket.local_addr());
        addresses.collect()
    }

    /// Returns what does the handshakes, where TLS is spoken.
    pub(super) fn tls(&self) -> Option<Arc<Tls>> {
        let mut speeches = self.all.iter().map(|one| &one.speech);
        speeches.find_map(|speech| match speech {
            Speech::Encrypted(tls) => Some(tls.clone()),
            Speech::Plain => None,
        })
    }

    /// Accepts the next connection.
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        let count = self.all.len();
        let (index, accepted) = poll_fn(|context| {
            for offset in 0..count {
                let index = (self.first + offset) % count;
                if let Poll::Ready(accepted) = self.all[index].socket.poll_accept(context) {
                    return Poll::Ready((index, accepted));
                }
            }
            Poll::Pending
        })
        .await;
        self.first = (index + 1) % count;
        let (stream, client) = accepted?;
        Ok(Accepted {
            stream,
            client,
            speech: self.all[index].speech.clone(),
        })
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

fn adopt(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

//! What happens on a connection before its first request: what a proxy says of it, and the handshake of TLS. Whoever speaks
//! something else than is spoken there is told so, or at least the log is.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::server::TlsStream;

use super::access::{self, Peer};
use super::connection::{HEAD_WITHIN, TAKE_WITHIN};
use super::listen::{Accepted, Speech};
use super::proxy_protocol::{self, ProxyProtocolError, Told};
use super::sendfile::FileSocket;
use super::tls::{HANDSHAKE_WITHIN, HandshakeError};
use super::{Proxies, ProxyProtocol};

/// How long a trusted proxy may take for what it says of a connection. It says so at once, or never.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// The first byte of a TLS connection: a record of a handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// A connection whose writes do not wait for ever.
pub(super) type Stream = Pin<Box<TimeoutStream<FileSocket>>>;

/// A connection on which HTTP is spoken next.
#[derive(Debug)]
pub(super) enum Greeted {
    /// Without encryption, as is meant.
    Plain(Stream),
    /// Over TLS.
    Encrypted(Box<TlsStream<Stream>>),
    /// Without encryption, where TLS is spoken.
    Unencrypted(Stream),
}

/// Why a connection comes to nothing.
#[derive(Debug, Error)]
pub(super) enum GreetingError {
    /// It is gone, or ended before it said anything.
    #[error("the connection is gone already")]
    Gone(#[from] io::Error),
    /// Nothing came.
    #[error("nothing came on the connection for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// Only trusted proxies may connect.
    #[error("it is no trusted proxy, and with server.proxy_protocol nobody else may connect")]
    Stranger,
    /// A trusted proxy does not say what it has to.
    #[error("a trusted proxy does not speak the PROXY protocol as it has to")]
    Proxy(#[source] ProxyProtocolError),
    /// TLS came to nothing.
    #[error("no TLS with the client")]
    Handshake(#[from] HandshakeError),
}

/// Finds out who is connected, and speaks TLS where that is spoken.
pub(super) async fn greet(
    accepted: Accepted,
    proxies: &Proxies,
) -> Result<(Peer, Greeted), GreetingError> {
    let Accepted {
        mut stream,
        client,
        speech,
    } = accepted;
    // Without it the second part of a small answer waits for the client's acknowledgement of the first.
    stream.set_nodelay(true)?;
    let peer = match proxies.protocol {
        ProxyProtocol::Absent => Peer::Itself(client),
        ProxyProtocol::Required => Peer::Proxy {
            address: client,
            told: told(&mut stream, client, &proxies.trusted).await?,
        },
    };
    let greeted = match speech {
        Speech::Plain => {
            if first_byte(&stream, HEAD_WITHIN).await? == HANDSHAKE_RECORD {
                // It is answered as any request that makes no sense is: many clients then try without TLS.
                tracing::debug!(
                    client.address = %client,
                    "a client speaks TLS where larder does not: it needs http://, or larder needs [server.tls]"
                );
            }
            Greeted::Plain(bounded(FileSocket::new(stream)))
        }
        Speech::Encrypted(tls) => match first_byte(&stream, HANDSHAKE_WITHIN).await? {
            // So begin the methods of HTTP. TLS tells of everything else what is wrong with it.
            b'A'..=b'Z' => Greeted::Unencrypted(bounded(FileSocket::new(stream))),
            _ => Greeted::Encrypted(Box::new(
                tls.shake_hands(bounded(FileSocket::new(stream))).await?,
            )),
        },
    };
    Ok((peer, greeted))
}

/// Reads what a trusted proxy says of a connection.
async fn told(
    stream: &mut TcpStream,
    client: SocketAddr,
    trusted: &[IpNet],
) -> Result<Told, GreetingError> {
    if !access::is_in(trusted, client.ip()) {
        return Err(GreetingError::Stranger);
    }
    match timeout(HEADER_WITHIN, proxy_protocol::read(stream)).await {
        Ok(told) => told.map_err(GreetingError::Proxy),
        Err(_) => Err(GreetingError::Silent(HEADER_WITHIN)),
    }
}

/// Waits for the first byte, and leaves it where it is.
async fn first_byte(stream: &TcpStream, within: Duration) -> Result<u8, GreetingError> {
    let mut first = [0];
    match timeout(within, stream.peek(&mut first)).await {
        Ok(Ok(0)) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(Ok(_)) => Ok(first[0]),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(GreetingError::Silent(within)),
    }
}

/// Has writes fail when the client takes nothing for too long.
pub(super) fn bounded(socket: FileSocket) -> Stream {
    let mut stream = TimeoutStream::new(socket);
    stream.set_write_timeout(Some(TAKE_WITHIN));
    Box::pin(stream)
}

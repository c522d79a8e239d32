//! The first part of a connection: to the host itself, or to a proxy and, for TLS, through it by `CONNECT`.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::connect::{BoxError, BoxFuture, Guard, OutOfReach};
use super::egress::Proxies;
use super::request::AGENT;
use super::settings::Limits;
use super::trust::Reach;

/// Connects to hosts directly or through proxies.
#[derive(Clone)]
pub(super) struct Road {
    direct: HttpConnector<Guard>,
    /// Proxies are the operator's, so they may be anywhere.
    to_proxy: HttpsConnector<HttpConnector<Guard>>,
    exits: Exits,
    reach: Reach,
}

/// The proxies, and what is trusted when they are spoken to with TLS.
#[derive(Clone, Debug)]
pub(super) struct Exits {
    pub(super) proxies: Proxies,
    pub(super) tls: Arc<ClientConfig>,
}

/// A connection on which a host can be spoken to: as it is, or with TLS on top.
pub(super) struct Transport {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    via: Via,
}

/// Whom a connection goes through. It is found among the extensions of each answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Nobody.
    Nobody,
    /// A proxy that sees and sends on each request.
    Forwarder(Arc<str>),
    /// A proxy that sends on bytes.
    Tunnel(Arc<str>),
}

/// There is no way through a proxy: it is down, or it refuses.
#[derive(Debug)]
pub(super) struct ProxyFailed {
    proxy: Arc<str>,
    source: BoxError,
}

impl Road {
    /// Makes connections to addresses within the reach of a guard, except for those of proxies.
    pub(super) fn new(guard: Guard, exits: Exits, limits: &Limits) -> Self {
        let reach = guard.reach();
        let to_proxy = connector(guard.anywhere(), limits);
        let names = Arc::new(DefaultServerNameResolver::default());
        Self {
            direct: connector(guard, limits),
            to_proxy: HttpsConnector::new(to_proxy, exits.tls.clone(), false, names),
            exits,
            reach,
        }
    }
}

fn connector(guard: Guard, limits: &Limits) -> HttpConnector<Guard> {
    let mut tcp = HttpConnector::new_with_resolver(guard);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    // Shared out among the addresses of a name, so that a dead one does not take it all.
    tcp.set_connect_timeout(Some(limits.connect));
    tcp
}

impl Service<Uri> for Road {
    type Response = Transport;
    type Error = BoxError;
    type Future = BoxFuture<Transport>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        std::task::ready!(self.direct.poll_ready(context))?;
        self.to_proxy.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> BoxFuture<Transport> {
        let Some(proxy) = self.exits.proxies.toward(&target) else {
            let connecting = self.direct.call(target);
            return Box::pin(async move {
                Ok(Transport {
                    stream: MaybeHttpsStream::Http(connecting.await?),
                    via: Via::Nobody,
                })
            });
        };
        // The proxy resolves the name, and nobody judges what it finds.
        if !self.reach.admits_name(target.host().unwrap_or_default()) {
            return Box::pin(async { Err(OutOfReach.into()) });
        }
        let name: Arc<str> = proxy
            .url
            .authority()
            .map_or("", |found| found.as_str())
            .into();
        let failed = ProxyFailed::by(name.clone());
        if target.scheme_str() != Some("https") {
            let connecting = self.to_proxy.call(proxy.url);
            return Box::pin(async move {
                Ok(Transport {
                    stream: connecting.await.map_err(failed)?,
                    via: Via::Forwarder(name),
                })
            });
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let mut tunnel = Tunnel::new(proxy.url, self.to_proxy.clone()).with_headers(headers);
        if let Some(authorization) = proxy.authorization {
            tunnel = tunnel.with_auth(authorization);
        }
        let connecting = tunnel.call(target);
        Box::pin(async move {
            Ok(Transport {
                stream: connecting.await.map_err(|error| failed(error.into()))?,
                via: Via::Tunnel(name),
            })
        })
    }
}

impl Via {
    /// Returns whether the address of the connection is that of the host.
    pub(super) fn is_direct(&self) -> bool {
        match self {
            Self::Nobody => true,
            Self::Forwarder(_) | Self::Tunnel(_) => false,
        }
    }

    /// Returns the failure when it is the proxy that answers, since it wants a login.
    pub(super) fn refusal(&self, status: StatusCode) -> Option<ProxyFailed> {
        match self {
            Self::Forwarder(proxy) if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Some(ProxyFailed {
                    proxy: proxy.clone(),
                    source: "it wants another user or password".into(),
                })
            }
            Self::Nobody | Self::Forwarder(_) | Self::Tunnel(_) => None,
        }
    }
}

impl Connection for Transport {
    fn connected(&self) -> Connected {
        let is_forwarder = matches!(self.via, Via::Forwarder(_));
        let connected = self.stream.connected().extra(self.via.clone());
        connected.proxy(is_forwarder)
    }
}

impl Read for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

impl ProxyFailed {
    fn by(proxy: Arc<str>) -> impl FnOnce(BoxError) -> BoxError {
        move |source| Self { proxy, source }.into()
    }
}

#[cfg(test)]
impl ProxyFailed {
    /// Makes a failure.
    pub(super) fn new(proxy: &str, source: impl Into<BoxError>) -> Self {
        Self {
            proxy: proxy.into(),
            source: source.into(),
        }
    }
}

impl fmt::Display for ProxyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no way through the proxy {}", self.proxy)
    }
}

impl Error for ProxyFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

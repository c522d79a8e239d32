//! A client that hides nothing: one request at a time, every header as written, bodies to the byte.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder::runtime::Tasks;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::authority::Pair;
use super::within;

/// Knows where to connect. Every request of it has a connection of its own, unless it goes through [`Client::connect`].
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    has_http2: bool,
    beginning: Vec<u8>,
}

impl Client {
    /// A client of a server that speaks plain HTTP/1.1.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            has_http2: false,
            beginning: Vec::new(),
        }
    }

    /// A client of a server that speaks TLS, with a certificate of this authority for its address.
    pub fn tls(address: SocketAddr, ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address,
            tls: Some(Arc::new(config)),
            has_http2: false,
            beginning: Vec::new(),
        }
    }

    /// Shows a certificate, in PEM form with its key, to whoever wants one over TLS.
    pub fn showing(mut self, pair: &Pair) -> Self {
        let mut config = ClientConfig::clone(self.tls.as_ref().unwrap());
        let provider = config.crypto_provider().clone();
        let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let pair = CertifiedKey::from_der(chain, key, &provider).unwrap();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        self.tls = Some(Arc::new(config));
        self
    }

    /// Sends these bytes first on each connection, as a proxy does that says for whom it connects.
    pub fn beginning(mut self, bytes: &[u8]) -> Self {
        self.beginning = bytes.to_vec();
        self
    }

    /// Speaks HTTP/2 instead.
    pub fn http2(mut self) -> Self {
        self.has_http2 = true;
        if let Some(config) = &mut self.tls {
            Arc::make_mut(config).alpn_protocols = vec![b"h2".to_vec()];
        }
        self
    }

    /// Asks for a path, with its query if it has one.
    pub fn get(&self, path: &str) -> Ask<'_> {
        self.request(Method::GET, path)
    }

    /// Asks for the headers of a path.
    pub fn head(&self, path: &str) -> Ask<'_> {
        self.request(Method::HEAD, path)
    }

    /// Begins any request.
    pub fn request(&self, method: Method, path: &str) -> Ask<'_> {
        Ask::new(Via::New(self), method, path)
    }

    /// Opens a connection for several requests.
    pub async fn connect(&self) -> Connection {
        within("a connection", Box::pin(self.try_connect()))
            .await
            .unwrap()
    }

    async fn try_connect(&self) -> io::Result<Connection> {
        let mut socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        socket.write_all(&self.beginning).await?;
        match &self.tls {
            None => self.talk(socket).await,
            Some(config) => {
                let name = ServerName::from(self.address.ip());
                let connector = TlsConnector::from(Arc::clone(config));
                self.talk(connector.connect(name, socket).await?).await
            }
        }
    }

    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Connection> {
        let closed = CancellationToken::new();
        let stream = TokioIo::new(stream);
        let tasks = Tasks::new();
        let until_closed = closed.clone();
        let sender = if self.has_http2 {
            let talk = http2::handshake(TokioExecutor::new(), stream).await;
            let (sender, connection) = talk.map_err(io::Error::other)?;
            tasks.spawn("client", until_closed.run_until_cancelled_owned(connection));
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            tasks.spawn("client", until_closed.run_until_cancelled_owned(connection));
            Sender::Http1(sender)
        };
        Ok(Connection {
            host: self.address.to_string(),
            sender,
            open: Arc::new(closed.drop_guard()),
        })
    }
}

/// An open connection. It closes when it and every [`Reply`] that came on it are dropped.
#[derive(Debug)]
pub struct Connection {
    host: String,
    sender: Sender,
    open: Arc<DropGuard>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Asks for a path.
    pub fn get(&mut self, path: &str) -> Ask<'_> {
        self.request(Method::GET, path)
    }

    /// Begins any request. An earlier reply must have been read to its end.
    pub fn request(&mut self, method: Method, path: &str) -> Ask<'_> {
        Ask::new(Via::Open(self), method, path)
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> io::Result<Reply> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                request
                    .headers_mut()
                    .entry(header::HOST)
                    .or_insert(self.host.parse().unwrap());
                sender.ready().await.map_err(io_error)?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                let uri = format!("http://{}{}", self.host, request.uri());
                *request.uri_mut() = uri.parse().unwrap();
                sender.send_request(request).await
            }
        };
        let (parts, body) = response.map_err(io_error)?.into_parts();
        Ok(Reply {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
            body,
            read_ahead: BytesMut::new(),
            _open: Arc::clone(&self.open),
        })
    }
}

/// A request that is not yet sent.
#[derive(Debug)]
pub struct Ask<'a> {
    via: Via<'a>,
    request: Request<Full<Bytes>>,
}

#[derive(Debug)]
enum Via<'a> {
    New(&'a Client),
    Open(&'a mut Connection),
}

impl<'a> Ask<'a> {
    fn new(via: Via<'a>, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path);
        Self {
            via,
            request: request.body(Full::default()).unwrap(),
        }
    }

    /// Adds a header line; a second one of the same name stands beside the first.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request
            .headers_mut()
            .append(name, value.parse().unwrap());
        self
    }

    /// Adds a form, as OAuth2 wants it.
    pub fn form(mut self, form: &str) -> Self {
        *self.request.body_mut() = Full::from(form.to_owned());
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sends the request and waits for the headers of the answer.
    pub async fn send(self) -> Reply {
        self.try_send().await.unwrap()
    }

    /// Sends the request, and tells what was in the way when no headers come back.
    pub async fn try_send(self) -> io::Result<Reply> {
        let Self { via, request } = self;
        // The handshakes of TLS and HTTP/2 are large futures.
        let answer = Box::pin(async {
            match via {
                Via::New(client) => client.try_connect().await?.send(request).await,
                Via::Open(connection) => connection.send(request).await,
            }
        });
        within("an answer", answer).await
    }
}

/// An answer whose body is still to be read. Dropping it closes the connection, unless that is kept open elsewhere.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The version of HTTP that the server answered in.
    pub version: Version,
    /// The headers, every line of them.
    pub headers: HeaderMap,
    body: Incoming,
    read_ahead: BytesMut,
    _open: Arc<DropGuard>,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the headers or the last chunk said.
    Complete,
    /// Before that, by the end of the connection.
    Early,
    /// By a reset of the connection, or some other error.
    Reset,
}

impl Reply {
    /// Returns the first line of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Reads the whole body, which must end as it should.
    pub async fn body(self) -> Bytes {
        let (bytes, ending) = self.rest().await;
        assert_eq!(ending, Ending::Complete, "after {} bytes", bytes.len());
        bytes
    }

    /// Reads whatever comes and tells how it ended.
    pub async fn rest(mut self) -> (Bytes, Ending) {
        let ending = loop {
            match self.read_more().await {
                Ok(true) => {}
                Ok(false) => break Ending::Complete,
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof => break Ending::Early,
                    _ => break Ending::Reset,
                },
            }
        };
        (self.read_ahead.freeze(), ending)
    }

    /// Reads this many bytes, which must come.
    pub async fn read_exactly(&mut self, length: usize) -> Bytes {
        while self.read_ahead.len() < length {
            let has_more = self.read_more().await.unwrap();
            assert!(
                has_more,
                "the body ends after {} bytes",
                self.read_ahead.len()
            );
        }
        self.read_ahead.split_to(length).freeze()
    }

    /// Reads a piece, and returns whether there was one.
    async fn read_more(&mut self) -> io::Result<bool> {
        match within("a piece of a body", self.body.frame()).await {
            None => Ok(false),
            Some(Err(error)) => Err(io_error(error)),
            Some(Ok(frame)) => {
                self.read_ahead
                    .extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                Ok(true)
            }
        }
    }
}

/// Finds what the socket said, below what hyper says.
fn io_error(error: hyper::Error) -> io::Error {
    if error.is_incomplete_message() {
        return io::Error::new(io::ErrorKind::UnexpectedEof, error);
    }
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(found) = found.downcast_ref::<io::Error>() {
            return io::Error::new(found.kind(), error);
        }
        cause = found.source();
    }
    io::Error::other(error)
}

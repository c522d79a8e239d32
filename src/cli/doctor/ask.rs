//! Asks somebody over HTTP/1.1 as a client of this machine would: one connection a request, within bounds of time and size.
//! It is not for registries: those are asked by `upstream`, which trusts nobody as far.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, InvalidMessage};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{Address, Scheme};
use super::way::Place;
use super::witness::{self, Seen, Witness};
use crate::telemetry::with_causes;
use crate::upstream::TlsError;

/// How long a connection may take to come about, its handshake included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take that no registry has to be asked for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take that a registry has to be asked for: longer than larder itself waits.
const PULL_WITHIN: Duration = Duration::from_secs(60);
/// The longest answer that is read where no content is wanted, in bytes.
const SHORT: usize = 1 << 20;

/// Who we are.
const AGENT: &str = concat!("larder-doctor/", env!("CARGO_PKG_VERSION"));

/// Somebody who can be asked.
#[derive(Debug)]
pub(super) struct Door {
    address: Address,
    tls: Option<(Arc<ClientConfig>, Arc<Witness>)>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// The path and query.
    pub(super) target: &'a str,
    /// What is taken, if it is said.
    pub(super) accept: Option<&'static str>,
    pub(super) within: Duration,
    /// The longest body that is read, in bytes.
    pub(super) limit: usize,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum AskError {
    /// Nobody could be connected to.
    #[error("{0}")]
    Connect(io::Error),
    /// It took too long.
    #[error("nothing was heard within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// No TLS is spoken there.
    #[error("no TLS is spoken there")]
    Unencrypted,
    /// The certificate that was shown is not trusted; what was seen of it tells more.
    #[error("its certificate is not trusted")]
    Untrusted,
    /// Whoever is there wants a certificate of the client.
    #[error("a certificate of the client is wanted there")]
    NoCertificate,
    /// TLS did not come about for another reason.
    #[error("TLS did not come about: {0}")]
    Tls(io::Error),
    /// The answer is longer than it should be.
    #[error("its answer has more than {0} bytes")]
    TooLong(usize),
    /// The exchange broke off, or was not HTTP.
    #[error("the exchange broke off: {}", with_causes(&**.0))]
    Broke(Box<dyn std::error::Error + Send + Sync>),
}

impl<'a> Asked<'a> {
    /// Asks for something short that no registry has to be asked for.
    pub(super) fn short(method: &'a Method, target: &'a str) -> Self {
        Self {
            method,
            target,
            accept: None,
            within: ANSWER_WITHIN,
            limit: SHORT,
        }
    }

    /// Asks for content.
    pub(super) fn content(method: &'a Method, target: &'a str, limit: usize) -> Self {
        Self {
            within: PULL_WITHIN,
            limit,
            ..Self::short(method, target)
        }
    }
}

impl Reply {
    /// Returns a header as text; empty when there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the message of an error of the registry API, if it is one.
    pub(super) fn message(&self) -> Option<String> {
        self.error("message")
    }

    /// Returns what more is said of an error of the registry API, if it is one.
    pub(super) fn detail(&self) -> Option<String> {
        self.error("detail")
    }

    fn error(&self, part: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let told = body["errors"][0][part].as_str()?;
        Some(told.to_owned())
    }
}

/// Status and message, for people.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match self.message() {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

/// What goes out and comes back.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Door {
    /// Gets ready to ask at a place, by this scheme.
    ///
    /// # Errors
    /// [`TlsError`] when a file that the client was told of cannot be used.
    pub(super) fn new(place: &Place, scheme: Scheme) -> Result<Self, TlsError> {
        let tls = match scheme {
            Scheme::Http => None,
            Scheme::Https | Scheme::Either => Some(witness::set_up(&place.trust)?),
        };
        Ok(Self {
            address: Address::new(scheme, place.address.authority()),
            tls,
        })
    }

    /// Returns the address.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns what was seen of the certificate that is shown there.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.tls.as_ref()?.1.seen()
    }

    /// Asks for something.
    pub(super) async fn ask(&self, asked: Asked<'_>) -> Result<Reply, AskError> {
        let connecting = Box::pin(self.connect());
        let connected = timeout(CONNECT_WITHIN, connecting).await;
        let stream = connected.map_err(|_| AskError::TimedOut(CONNECT_WITHIN))??;
        let mut request = Request::builder()
            .method(asked.method)
            .uri(asked.target)
            .header(HOST, self.address.authority())
            .header(USER_AGENT, AGENT);
        if let Some(accept) = asked.accept {
            request = request.header(ACCEPT, accept);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| AskError::Broke(error.into()))?;
        let exchanging = Box::pin(exchange(stream, request, asked.limit));
        let exchanged = timeout(asked.within, exchanging).await;
        exchanged.map_err(|_| AskError::TimedOut(asked.within))?
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, AskError> {
        let to = (self.address.host(), self.address.port());
        let stream = TcpStream::connect(to).await.map_err(AskError::Connect)?;
        let Some((config, _)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.address.host().to_owned());
        let name = name.map_err(|error| AskError::Broke(error.into()))?;
        let connector = TlsConnector::from(config.clone());
        let stream = connector.connect(name, stream).await.map_err(tls_error)?;
        Ok(Box::new(stream))
    }
}

/// Tells why there was no handshake.
fn tls_error(error: io::Error) -> AskError {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            AskError::Unencrypted
        }
        Some(rustls::Error::InvalidCertificate(_)) => AskError::Untrusted,
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            AskError::NoCertificate
        }
        _ => AskError::Tls(error),
    }
}

/// Tells why an exchange broke off. With TLS 1.3, that a certificate is wanted is said only then.
fn broke(error: hyper::Error) -> AskError {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let of_tls = inner
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) =
            of_tls.and_then(|it| it.downcast_ref())
        {
            return AskError::NoCertificate;
        }
        cause = inner.source();
    }
    AskError::Broke(error.into())
}

/// Sends one request and reads its answer.
async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Empty<Bytes>>,
    limit: usize,
) -> Result<Reply, AskError> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broke)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broke)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => AskError::TooLong(limit),
            false => AskError::Broke(error),
        })?;
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = answer.as_mut() => answer,
        ended = connection => {
            ended.map_err(broke)?;
            answer.await
        }
    }
}

//! The other side of the operator's doors: has a running larder do what the operator wants.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::document::{
    Failure, History, ImageWanted, ModeChanged, ModeWanted, Refreshed, Reloaded, Upstreams,
};
use super::error::OperationError;
use crate::upstream::{Mode, Secret};

/// How long a larder may take to accept us.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to answer: longer than it gives itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// The largest answer that is read, in bytes: each of 300 upstreams may tell of 100 images that people lack.
const ANSWER: usize = 64 << 20;

/// The port of addresses that name none.
const USUAL_PORT: u16 = 80;

/// A connection to a running larder.
#[derive(Debug)]
pub struct Client {
    stream: Box<dyn Stream>,
    at: Whereabouts,
    host: HeaderValue,
    /// What is shown at the door.
    authorization: Option<HeaderValue>,
}

/// What goes to a larder and comes back.
trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Stream for S {}

/// Where a running larder takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// At a socket.
    Socket(PathBuf),
    /// At its door over TCP.
    Address(AdminUrl),
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Address(url) => url.fmt(f),
        }
    }
}

/// The address of a door over TCP: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUrl(Authority);

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// Why a text is no address of a door.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AdminUrlError {
    /// It is none at all.
    #[error("write http://host:port")]
    Form,
    /// It is for TLS.
    #[error(
        "no TLS is spoken here: write http://host:port, where a tunnel such as `ssh -L` can lead to"
    )]
    Encrypted,
}

impl FromStr for AdminUrl {
    type Err = AdminUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| AdminUrlError::Form)?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err(AdminUrlError::Encrypted);
        }
        let is_bare = uri.path_and_query().map(PathAndQuery::as_str) == Some("/");
        let is_plain = uri.scheme() == Some(&Scheme::HTTP);
        match uri.into_parts().authority {
            // A user and a password would not be shown to anybody.
            Some(authority) if is_plain && is_bare && !authority.as_str().contains('@') => {
                Ok(Self(authority))
            }
            Some(_) | None => Err(AdminUrlError::Form),
        }
    }
}

impl AdminUrl {
    /// Connects to the door.
    ///
    /// # Errors
    /// When nobody listens there, or there is no such place.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        let host = self.0.host().trim_matches(['[', ']']);
        let port = self.0.port_u16().unwrap_or(USUAL_PORT);
        TcpStream::connect((host, port)).await
    }

    /// Returns what stands in the header `Host` of requests.
    pub fn host(&self) -> HeaderValue {
        HeaderValue::from_str(self.0.as_str()).expect("an authority is a header value")
    }
}

/// Why a running larder was not heard.
#[derive(Debug, Error)]
pub enum ClientError {
    /// It cannot be connected to.
    #[error("could not connect to the larder at {at}")]
    Connect {
        /// Where it is.
        at: Whereabouts,
        /// Why not.
        source: io::Error,
    },
    /// It does not answer.
    #[error("the larder at {at} did not answer within {} seconds", within.as_secs())]
    TimedOut {
        /// Where it is.
        at: Whereabouts,
        /// How long it had.
        within: Duration,
    },
    /// The connection broke.
    #[error("the larder at {at} closed the connection")]
    Broke {
        /// Where it is.
        at: Whereabouts,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered something else than this version understands.
    #[error("the larder at {at} answered {status} with something that is not understood here")]
    Unintelligible {
        /// Where it is.
        at: Whereabouts,
        /// The status.
        status: StatusCode,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It did not do what it was asked for.
    #[error(transparent)]
    Refused(OperationError),
}

impl Client {
    /// Connects to the larder that listens at a socket. `None` when nobody does.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when that cannot be found out, as for users who may not open the socket.
    pub async fn connect(path: &Path) -> Result<Option<Self>, ClientError> {
        let at = Whereabouts::Socket(path.to_owned());
        let Ok(connected) = timeout(CONNECT_WITHIN, UnixStream::connect(path)).await else {
            let within = CONNECT_WITHIN;
            return Err(ClientError::TimedOut { at, within });
        };
        match connected {
            Ok(stream) => Ok(Some(Self {
                stream: Box::new(stream),
                at,
                host: HeaderValue::from_static("larder"),
                authorization: None,
            })),
            // Of these the last is a path that is too long for a socket.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(ClientError::Connect { at, source }),
        }
    }

    /// Connects to the larder behind an address, and shows the token there.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when nobody listens there, [`ClientError::TimedOut`] when nothing is heard.
    pub async fn connect_over_tcp(url: &AdminUrl, token: &Secret) -> Result<Self, ClientError> {
        let at = Whereabouts::Address(url.clone());
        let Ok(connected) = timeout(CONNECT_WITHIN, url.connect()).await else {
            let within = CONNECT_WITHIN;
            return Err(ClientError::TimedOut { at, within });
        };
        let stream = match connected {
            Ok(stream) => Box::new(stream),
            Err(source) => return Err(ClientError::Connect { at, source }),
        };
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .expect("tokens are visible characters of ASCII");
        authorization.set_sensitive(true);
        Ok(Self {
            stream,
            at,
            host: url.host(),
            authorization: Some(authorization),
        })
    }

    /// Returns where a tag pointed.
    ///
    /// # Errors
    /// [`ClientError`], as those below.
    pub async fn history(self, image: &str) -> Result<History, ClientError> {
        let image = utf8_percent_encode(image, NON_ALPHANUMERIC);
        self.ask(
            Method::GET,
            &format!("/v1/history?image={image}"),
            None::<&()>,
        )
        .await
    }

    /// Has the registry asked what a tag points at.
    ///
    /// # Errors
    /// [`ClientError`], as those below.
    pub async fn refresh(self, image: &str) -> Result<Refreshed, ClientError> {
        let wanted = ImageWanted {
            image: image.to_owned(),
        };
        self.ask(Method::POST, "/v1/refresh", Some(&wanted)).await
    }

    /// Sets whether an upstream is asked.
    ///
    /// # Errors
    /// [`ClientError`], as those below.
    pub async fn set_mode(self, name: &str, mode: Mode) -> Result<ModeChanged, ClientError> {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let wanted = ModeWanted { mode };
        self.ask(Method::PUT, &format!("/v1/upstreams/{name}"), Some(&wanted))
            .await
    }

    /// Has the configuration read again.
    ///
    /// # Errors
    /// [`ClientError`], as those below.
    pub async fn reload(self) -> Result<Reloaded, ClientError> {
        self.ask(Method::POST, "/v1/reload", None::<&()>).await
    }

    /// Returns how the upstreams stand.
    ///
    /// # Errors
    /// [`ClientError`]: larder did not do it, or did not answer.
    pub async fn upstreams(self) -> Result<Upstreams, ClientError> {
        self.ask(Method::GET, "/v1/upstreams", None::<&()>).await
    }

    async fn ask<T: DeserializeOwned>(
        self,
        method: Method,
        target: &str,
        wanted: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let body = wanted.map(|wanted| serde_json::to_vec(wanted).expect("our documents are JSON"));
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .expect("encoded names make a request");
        if let Some(authorization) = self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let at = self.at;
        let exchanged = timeout(ANSWER_WITHIN, Box::pin(exchange(self.stream, request))).await;
        let Ok(exchanged) = exchanged else {
            let within = ANSWER_WITHIN;
            return Err(ClientError::TimedOut { at, within });
        };
        let (status, bytes) = match exchanged {
            Ok(answer) => answer,
            Err(source) => return Err(ClientError::Broke { at, source }),
        };
        let unintelligible = |source| ClientError::Unintelligible { at, status, source };
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(unintelligible);
        }
        let Failure { error } = serde_json::from_slice(&bytes).map_err(unintelligible)?;
        Err(ClientError::Refused(OperationError::new(
            error.code,
            error.message,
        )))
    }
}

/// Sends one request and reads its answer.
async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER).collect().await?;
        Ok((status, body.to_bytes()))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = answer.as_mut() => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_door_is_a_host_and_a_port() {
        for text in [
            "http://127.0.0.1:5002",
            "http://[::1]:5002",
            "http://larder",
        ] {
            assert_eq!(text.parse::<AdminUrl>().unwrap().to_string(), text);
        }
        let with_slash: AdminUrl = "http://larder:5002/".parse().unwrap();
        assert_eq!(with_slash.to_string(), "http://larder:5002");
        for (text, error) in [
            ("https://larder:5002", AdminUrlError::Encrypted),
            ("larder:5002", AdminUrlError::Form),
            ("http://larder:5002/v1", AdminUrlError::Form),
            ("http://larder:5002/?x", AdminUrlError::Form),
            ("http://ada:hunter2@larder:5002", AdminUrlError::Form),
            ("ftp://larder:5002", AdminUrlError::Form),
            ("", AdminUrlError::Form),
        ] {
            assert_eq!(text.parse::<AdminUrl>(), Err(error), "{text}");
        }
    }
}

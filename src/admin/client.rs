//! The other side of the socket: has a running larder do what the operator wants.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::document::{
    Failure, History, ImageWanted, ModeChanged, ModeWanted, Refreshed, Upstreams,
};
use super::error::OperationError;
use crate::upstream::Mode;

/// How long a larder may take to accept us.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to answer: longer than it gives itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// The largest answer that is read, in bytes: each of 300 upstreams may tell of 100 images that people lack.
const ANSWER: usize = 64 << 20;

/// A connection to a running larder.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
}

/// Why a running larder was not heard.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Its socket cannot be opened.
    #[error("could not connect to the larder at {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not answer.
    #[error("the larder at {} did not answer within {} seconds", path.display(), within.as_secs())]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long it had.
        within: Duration,
    },
    /// The connection broke.
    #[error("the larder at {} closed the connection", path.display())]
    Broke {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered something else than this version understands.
    #[error("the larder at {} answered {status} with something that is not understood here", path.display())]
    Unintelligible {
        /// The socket.
        path: PathBuf,
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
        let path = path.to_owned();
        let Ok(connected) = timeout(CONNECT_WITHIN, UnixStream::connect(&path)).await else {
            let within = CONNECT_WITHIN;
            return Err(ClientError::TimedOut { path, within });
        };
        match connected {
            Ok(stream) => Ok(Some(Self { stream, path })),
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
            Err(source) => Err(ClientError::Connect { path, source }),
        }
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
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "larder")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .expect("encoded names make a request");
        let path = self.path;
        let exchanged = timeout(ANSWER_WITHIN, Box::pin(exchange(self.stream, request))).await;
        let Ok(exchanged) = exchanged else {
            let within = ANSWER_WITHIN;
            return Err(ClientError::TimedOut { path, within });
        };
        let (status, bytes) = match exchanged {
            Ok(answer) => answer,
            Err(source) => return Err(ClientError::Broke { path, source }),
        };
        let unintelligible = |source| ClientError::Unintelligible {
            path,
            status,
            source,
        };
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
    stream: UnixStream,
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

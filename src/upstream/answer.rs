//! What a host answered: its head, and its body as it comes, neither longer nor slower than is taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::connect::HttpInfo;
use prometheus_client::metrics::counter::Counter;
use tokio::time::timeout;

use super::credentials::LoginIdentity;
use super::error::{Phase, UpstreamError};
use super::metrics::Kind;
use super::transport::Via;
use super::trust::{AddressClass, Hop, Sender};

/// The head of an answer, with its body still to come.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    /// Where it was asked for.
    pub(super) hop: Hop,
    /// With which login.
    pub(super) payer: Option<LoginIdentity>,
    /// What it was asked for.
    pub(super) kind: Kind,
    /// How long it may be silent.
    pub(super) idle: Duration,
    /// Counts the bytes of its body.
    pub(super) received: Counter,
}

impl Answer {
    /// Returns the status.
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns all headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns a header that is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Returns with which login it was asked for.
    pub(super) fn payer(&self) -> Option<&LoginIdentity> {
        self.payer.as_ref()
    }

    /// Returns the host that answered, as it is written in messages.
    pub(super) fn host(&self) -> &Arc<str> {
        self.hop.site.name()
    }

    /// Returns the address that answered, behind all redirects.
    pub(super) fn url(&self) -> &Uri {
        &self.hop.url
    }

    /// Returns the `Content-Length`.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// Returns who answered, for judging where it sends us.
    pub(super) fn sender(&self) -> Sender<'_> {
        let extensions = self.response.extensions();
        // Behind a proxy nobody knows where the answer comes from.
        let is_direct = extensions.get::<Via>().is_none_or(Via::is_direct);
        let info = extensions.get::<HttpInfo>().filter(|_| is_direct);
        let is_private = info
            .is_some_and(|info| AddressClass::of(info.remote_addr().ip()) != AddressClass::Public);
        Sender {
            site: &self.hop.site,
            is_private,
        }
    }

    /// Reads the whole body and keeps the head. `None` when it does not come, or is larger than the limit.
    pub(super) async fn collect(&mut self, limit: usize) -> Option<Bytes> {
        let body = Limited::new(self.response.body_mut(), limit).collect();
        let body = timeout(self.idle, body).await.ok()?.ok()?;
        let bytes = body.to_bytes();
        self.received.inc_by(bytes.len() as u64);
        Some(bytes)
    }

    /// Goes on to the body.
    pub(super) fn into_body(self) -> Body {
        Body {
            host: self.hop.site.name().clone(),
            incoming: self.response.into_body(),
            idle: self.idle,
            received: self.received,
        }
    }
}

/// The body of an answer. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(super) struct Body {
    incoming: Incoming,
    host: Arc<str>,
    idle: Duration,
    received: Counter,
}

impl Body {
    /// Returns the host that sends it.
    pub(super) fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Returns whether nothing more can come.
    pub(super) fn is_at_end(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// Returns the next bytes, `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            let frame = timeout(self.idle, self.incoming.frame())
                .await
                .map_err(|_| UpstreamError::TimedOut {
                    host: self.host.clone(),
                    phase: Phase::Body,
                })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(UpstreamError::unreachable(&self.host, error)),
                // Trailers are of no use.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        self.received.inc_by(data.len() as u64);
                        return Ok(Some(data));
                    }
                    Err(_) => {}
                },
            }
        }
    }

    /// Reads the whole body, up to a limit, in the time that one piece of a blob may take.
    pub(super) async fn collect(
        mut self,
        what: &'static str,
        limit: usize,
    ) -> Result<Bytes, UpstreamError> {
        let within = self.idle;
        let timed_out = UpstreamError::TimedOut {
            host: self.host.clone(),
            phase: Phase::Body,
        };
        let whole = async {
            let mut whole = BytesMut::new();
            while let Some(piece) = self.next().await? {
                if whole.len() + piece.len() > limit {
                    return Err(UpstreamError::TooLarge {
                        host: self.host.clone(),
                        what,
                        limit_bytes: limit as u64,
                    });
                }
                whole.extend_from_slice(&piece);
            }
            Ok(whole.freeze())
        };
        timeout(within, whole).await.map_err(|_| timed_out)?
    }
}

//! One connection of a client, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Patience};
use super::body::ResponseBody;
use super::greeting::{Greeted, GreetingError, greet};
use super::handle::{Context, handle, refuse_unencrypted};
use super::listen::Accepted;
use super::proxy_protocol::ProxyProtocolError;
use super::sendfile::Windows;
use crate::runtime::executor::HyperExecutor;
use crate::telemetry::with_causes;

/// How long a client may take for the head of its next request: an idle connection is closed after this.
/// It bounds silence before the first byte as well, and HTTP/2 connections without a stream.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer that is there.
pub(super) const TAKE_WITHIN: Duration = Duration::from_mins(5);
/// When a connection is asked to end because nothing happens on it.
const QUIET: Patience = Patience {
    idle: HEAD_WITHIN,
    stalled: TAKE_WITHIN,
};
/// When it is closed after that. HTTP/1 may have the rest of an answer in its buffer.
const GONE: Patience = Patience {
    idle: TAKE_WITHIN,
    stalled: TAKE_WITHIN,
};
/// How much of a request or an answer is buffered, in bytes: more than the headers that are taken.
const BUFFER: u32 = 96 * 1024;
/// How many requests an HTTP/2 client may have under way. Each holds [`STREAM_BUFFER`] and a read of a file.
const STREAMS: u32 = 32;
/// How much of an answer is buffered for each HTTP/2 request, in bytes, however wide the client's window is.
const STREAM_BUFFER: usize = 16 * 1024;

/// Serves a connection until the client leaves; after `stopping`, until the answer under way is given.
pub(super) async fn serve(
    accepted: Accepted,
    context: Arc<Context>,
    executor: HyperExecutor,
    stopping: CancellationToken,
) {
    let address = accepted.client;
    let settings = context.settings.now();
    let greeted = tokio::select! {
        greeted = Box::pin(greet(accepted, &settings.proxies)) => greeted,
        () = stopping.cancelled() => return,
    };
    let (peer, greeted) = match greeted {
        Ok(greeted) => greeted,
        Err(error) => return tell(&error, address),
    };
    let http = Http {
        address,
        executor,
        stopping,
    };
    match greeted {
        Greeted::Plain(stream) => {
            let windows = stream.get_ref().windows().clone();
            let answer = move |request| handle(context.clone(), request, peer);
            Box::pin(http.serve(stream, Some(windows), answer)).await;
        }
        Greeted::Encrypted(stream) => {
            let answer = move |request| handle(context.clone(), request, peer);
            Box::pin(http.serve(stream, None, answer)).await;
        }
        Greeted::Unencrypted(stream) => {
            let answer = move |request| refuse_unencrypted(context.clone(), request, peer);
            Box::pin(http.serve(stream, None, answer)).await;
        }
    }
}

/// Says in the log why a connection came to nothing. Anybody can bring that about, so that it is not told loudly, unless it
/// is the operator's own proxy.
fn tell(error: &GreetingError, address: SocketAddr) {
    let words = with_causes(error);
    match error {
        GreetingError::Proxy(
            ProxyProtocolError::Absent
            | ProxyProtocolError::Malformed(_)
            | ProxyProtocolError::TooLong { .. },
        ) => tracing::warn!(
            client.address = %address,
            error = words,
            "a connection was closed: have the proxy send the PROXY protocol, or set server.proxy_protocol to false"
        ),
        GreetingError::Proxy(ProxyProtocolError::Broken(_))
        | GreetingError::Gone(_)
        | GreetingError::Silent(_)
        | GreetingError::Stranger
        | GreetingError::Handshake(_) => {
            tracing::debug!(client.address = %address, error = words, "a connection was closed");
        }
    }
}

/// HTTP on one connection.
struct Http {
    address: SocketAddr,
    executor: HyperExecutor,
    stopping: CancellationToken,
}

impl Http {
    /// Answers what comes in. Files are sent through the windows, if there are any.
    async fn serve<S, F>(
        self,
        stream: S,
        windows: Option<Arc<Windows>>,
        answer: impl Fn(Request<Incoming>) -> F,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let activity = windows
            .as_ref()
            .map_or_else(Activity::begin, |windows| windows.activity().clone());
        activity.happened();
        let service = service_fn(|request| {
            let open = activity.request();
            // HTTP/2 copies what it sends into frames.
            let windows = windows.clone();
            let windows = windows.filter(|_| request.version() < Version::HTTP_2);
            let answered = answer(request);
            async move {
                let response = answered.await;
                Ok::<_, Infallible>(response.map(|body| open.until_taken(body.through(windows))))
            }
        });
        let builder = builder(self.executor);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stopping.cancelled() => None,
            () = activity.quiet(QUIET) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = activity.quiet(GONE) => {
                        tracing::debug!(client.address = %self.address, "a client takes nothing: its connection is closed");
                        return;
                    }
                }
            }
        };
        // The closing line of a request is written when its last bytes are on their way; what befalls them is told here.
        if let Some(fault) = windows.as_ref().and_then(|windows| windows.take_fault()) {
            let error = with_causes(&fault);
            tracing::warn!(client.address = %self.address, error, "a kept file could not be sent: the connection is closed");
        }
        if let Err(error) = ended {
            let error = with_causes(&*error);
            tracing::debug!(client.address = %self.address, error, "a connection broke");
        }
    }
}

pub(super) fn builder(executor: HyperExecutor) -> auto::Builder<HyperExecutor> {
    let mut builder = auto::Builder::new(executor);
    builder
        .http1()
        // Never by copies: `sendfile` has to see where bytes lie.
        .writev(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(STREAM_BUFFER)
        .max_header_list_size(BUFFER)
        .keep_alive_interval(HEAD_WITHIN);
    builder
}

//! One connection of a client, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Patience};
use super::handle::{Context, handle};
use crate::runtime::executor::HyperExecutor;

/// How long a client may take for the head of its next request: an idle connection is closed after this.
/// It bounds silence before the first byte as well, and HTTP/2 connections without a stream.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer that is there.
const TAKE_WITHIN: Duration = Duration::from_mins(5);
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
pub async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    context: Arc<Context>,
    executor: HyperExecutor,
    stopping: CancellationToken,
) {
    // Without it the second part of a small answer waits for the client's acknowledgement of the first.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(client.address = %client, %error, "the connection is gone already");
        return;
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKE_WITHIN));
    let activity = Activity::begin();
    let requests = activity.clone();
    let service = service_fn(move |request| {
        let (context, open) = (context.clone(), requests.request());
        async move {
            let response = handle(context, request, client).await;
            Ok::<_, Infallible>(response.map(|body| open.until_taken(body)))
        }
    });
    let mut builder = auto::Builder::new(executor);
    builder
        .http1()
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
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopping.cancelled() => None,
        () = activity.quiet(QUIET) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = activity.quiet(GONE) => {
                    tracing::debug!(client.address = %client, "a client takes nothing: its connection is closed");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client.address = %client, %error, "a connection broke");
    }
}

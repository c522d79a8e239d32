//! Serves few connections over HTTP/1.1, bounded in number and time: what the doors of the operator have in common.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::runtime::Tasks;

/// How long whoever asks may take for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long whoever asks may take nothing of an answer that is there.
const TAKE_WITHIN: Duration = Duration::from_secs(30);
/// How many may be connected to one door: orchestrators, scrapers and operators are few. Further ones wait to be
/// accepted.
pub(super) const CONNECTIONS: usize = 64;
/// How much of a request's head is buffered, in bytes: far more than anyone of these sends.
const BUFFER: usize = 16 * 1024;
/// How long accepting rests when it fails.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Accepts connections and serves each in a task of its own, until the tasks are told to stop. `what` they are for is
/// the name of the tasks, too.
pub(super) async fn serve_all<S, A, F>(
    what: &'static str,
    tasks: &Tasks,
    accept: impl Fn() -> A,
    serve: impl Fn(S) -> F,
) where
    A: Future<Output = io::Result<S>>,
    F: Future<Output = ()> + Send + 'static,
{
    let end = tasks.stopping();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (accept().await, place)
        };
        let accepted = tokio::select! {
            () = end.cancelled() => return,
            accepted = accept => accepted,
        };
        match accepted {
            (Ok(stream), place) => {
                let served = serve(stream);
                let end = end.clone();
                drop(tasks.spawn(what, async move {
                    tokio::select! {
                        () = served => {}
                        () = end.cancelled() => {}
                    }
                    drop(place);
                }));
            }
            (Err(error), _) => {
                tracing::warn!(%error, "could not accept a connection for {what}");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Answers the requests of one connection, until the other side leaves.
pub(super) async fn converse<S, F>(
    what: &'static str,
    stream: S,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    S: AsyncRead + AsyncWrite + 'static,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let response = answer(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKE_WITHIN));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER);
    if let Err(error) = builder
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .await
    {
        tracing::debug!(%error, "a connection for {what} broke");
    }
}

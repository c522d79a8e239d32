//! The sockets of a fake registry: listening, connections, and the way of one request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use larder::runtime::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::State;
use super::delivery::{Body, Report};
use super::request::{Kind, Request};
use super::tls::Certificates;
use super::wire::{Line, Wire};

/// The most that a form may have, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// How a registry speaks.
pub struct Speech {
    /// What TLS needs; without it, the registry speaks plain HTTP.
    pub certificates: Option<Certificates>,
    /// Whether HTTP/2 is spoken: where clients choose it with TLS, always without.
    pub has_http2: bool,
}

/// How many connections there are and were.
#[derive(Debug, Default)]
pub struct Connections {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Connections {
    /// Returns how many connections were accepted since the start.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Returns how many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// Takes a port without listening there: whoever connects is refused. Others who do so may have it too, and the first of
/// them may listen; nobody else gets the port.
pub fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections until the tasks are told to stop.
pub async fn accept(state: Arc<State>, listener: TcpListener, tasks: Tasks) {
    let stopping = tasks.stopping();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else { continue };
        let number = state.connections.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        state.connections.open.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&state);
        let stopping = stopping.clone();
        tasks.spawn("fake connection", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                // A connection that broke is what faults are for.
                _ = connection(&state, socket, number) => {}
            }
            state.connections.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn connection(state: &Arc<State>, socket: TcpStream, number: usize) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let line = Arc::new(Line::new(number));
    let wire = Wire::new(socket, Arc::clone(&line));
    let Some(certificates) = &state.speech.certificates else {
        let is_http2 = state.speech.has_http2;
        return converse(state, wire, line, is_http2).await;
    };
    let secured = certificates.acceptor.accept(wire).await?;
    let is_http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    converse(state, secured, line, is_http2).await
}

async fn converse(
    state: &Arc<State>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    line: Arc<Line>,
    is_http2: bool,
) -> io::Result<()> {
    let stream = TokioIo::new(stream);
    let service_line = Arc::clone(&line);
    let service =
        service_fn(move |request| respond(Arc::clone(state), Arc::clone(&service_line), request));
    let conversed = if is_http2 {
        line.share();
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .serve_connection(stream, service)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(stream, service)
            .await
    };
    conversed.map_err(io::Error::other)
}

/// The way of one request: into the log, to its answer, through the faults, out.
async fn respond(
    state: Arc<State>,
    line: Arc<Line>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let mut request = Request::read(&parts, line.number, state.access.token_path);
    if request.kind == Kind::Token {
        let body = Limited::new(body, MAX_FORM).collect().await;
        request.body = body.map_err(io::Error::other)?.to_bytes();
    }
    request.shown = state.access.recognise(&request);
    let number = state.recorder.record(request.clone());
    let report = Report::on(Arc::clone(&state.recorder), number);
    let mut answer = state.answer(&request);
    state.quota.charge(&request, &mut answer);
    let habits = state.habits.select(&request, answer.status);
    let faults = state.script.select(&request, answer.status);
    for injection in habits.iter().chain(&faults) {
        for effect in &injection.fault.effects {
            effect
                .apply(&mut answer, &request, &state, &injection.gate)
                .await;
        }
    }
    if answer.delivery.is_refused {
        return Err(io::Error::other("the registry hangs up"));
    }
    Ok(answer.into_response(&request.method, line, report))
}

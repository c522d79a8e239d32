//! A registry on loopback that does exactly what a test says, byte for byte.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use crate::runtime::Tasks;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    /// Returns a header, by its lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Returns the first byte of the `Range`.
    pub(super) fn first(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.split('-').next()?.parse().ok()
    }
}

/// What a registry answers.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    head: String,
    body: Vec<u8>,
    is_sized: bool,
    then: Then,
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    KeepOpen,
    Close,
    Hang,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            head: format!("HTTP/1.1 {status} Said\r\n"),
            body: Vec::new(),
            is_sized: true,
            then: Then::KeepOpen,
        }
    }

    /// Answers 200 with a body.
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// Answers the part of a blob that was asked for.
    pub(super) fn range(blob: &[u8], seen: &Seen) -> Self {
        let Some(first) = seen.first() else {
            return Self::ok(blob);
        };
        let last = seen
            .header("range")
            .and_then(|range| range.rsplit_once('-'));
        let last = last.and_then(|(_, last)| last.parse().ok());
        let last: usize = last.unwrap_or(blob.len() - 1);
        let range = format!("bytes {first}-{last}/{}", blob.len());
        Self::status(206)
            .header("Content-Range", &range)
            .body(&blob[first..=last])
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").unwrap();
        self
    }

    /// Sends the body in chunks, without its length.
    pub(super) fn chunked(mut self) -> Self {
        let mut body = Vec::new();
        for chunk in self.body.chunks(7) {
            body.extend(format!("{:x}\r\n", chunk.len()).bytes());
            body.extend(chunk.iter().chain(b"\r\n"));
        }
        body.extend(b"0\r\n\r\n");
        self.body = body;
        self.unsized_().header("Transfer-Encoding", "chunked")
    }

    /// Sends the head as it is, without `Content-Length`.
    pub(super) fn unsized_(mut self) -> Self {
        self.is_sized = false;
        self
    }

    /// Sends this much of the body and closes the connection.
    pub(super) fn cut(self, at: usize) -> Self {
        self.end(at, Then::Close)
    }

    /// Sends this much of the body and nothing more, ever.
    pub(super) fn stall(self, at: usize) -> Self {
        self.end(at, Then::Hang)
    }

    fn end(mut self, at: usize, then: Then) -> Self {
        self = self.sized();
        self.body.truncate(at);
        self.then = then;
        self
    }

    fn sized(mut self) -> Self {
        if self.is_sized {
            let length = self.body.len().to_string();
            self = self.unsized_().header("Content-Length", &length);
        }
        self
    }

    /// Says nothing at all.
    pub(super) fn silence() -> Self {
        let mut reply = Self::status(200).unsized_().end(0, Then::Hang);
        reply.head.clear();
        reply
    }

    /// Closes the connection without an answer.
    pub(super) fn hang_up() -> Self {
        Self {
            then: Then::Close,
            ..Self::silence()
        }
    }

    fn bytes(self, method: &str) -> Vec<u8> {
        let reply = self.sized();
        if reply.head.is_empty() {
            return Vec::new();
        }
        let body = if method == "HEAD" {
            Vec::new()
        } else {
            reply.body
        };
        [reply.head.into_bytes(), b"\r\n".to_vec(), body].concat()
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A registry that follows a script. It stops when it is dropped.
pub(super) struct Registry {
    scheme: &'static str,
    port: u16,
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    came: watch::Sender<usize>,
    connections: AtomicUsize,
    left: Notify,
    script: Box<Script>,
    tls: Option<TlsAcceptor>,
}

impl Registry {
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(script)).await
    }

    pub(super) async fn start_tls(
        tls: TlsAcceptor,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(tls), Box::new(script)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, script: Box<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            came: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            left: Notify::new(),
            script,
            tls,
        });
        let tasks = Tasks::new();
        let (spawner, state) = (tasks.clone(), shared.clone());
        drop(tasks.spawn("registry", async move {
            let stopping = spawner.stopping();
            while let Some(Ok((stream, _))) = stopping.run_until_cancelled(listener.accept()).await
            {
                state.connections.fetch_add(1, Ordering::Relaxed);
                let (state, stopping) = (state.clone(), stopping.clone());
                drop(spawner.spawn("connection", async move {
                    stopping.run_until_cancelled(state.serve(stream)).await;
                }));
            }
        }));
        Self {
            scheme,
            port,
            shared,
            tasks,
        }
    }

    /// Returns its address, without a path.
    pub(super) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Returns all requests up to now.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Returns the methods and targets of all requests up to now.
    pub(super) fn log(&self) -> Vec<String> {
        let seen = self.seen();
        let lines = seen
            .iter()
            .map(|seen| format!("{} {}", seen.method, seen.target));
        lines.collect()
    }

    /// Waits until so many requests came.
    pub(super) async fn came(&self, count: usize) {
        let mut came = self.shared.came.subscribe();
        let coming = came.wait_for(|came| *came >= count);
        drop(super::within("a request", coming).await.unwrap());
    }

    /// Waits until a client has closed a connection on which nothing more came.
    pub(super) async fn left(&self) {
        self.shared.left.notified().await;
    }

    /// Returns how many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) {
        match &self.tls {
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    self.converse(stream).await;
                }
            }
            None => self.converse(stream).await,
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = BufReader::new(stream);
        while let Some(seen) = request(&mut stream).await {
            self.seen.lock().unwrap().push(seen.clone());
            self.came.send_modify(|count| *count += 1);
            let reply = (self.script)(&seen);
            let then = reply.then;
            if stream.write_all(&reply.bytes(&seen.method)).await.is_err() {
                return;
            }
            stream.flush().await.ok();
            match then {
                Then::KeepOpen => {}
                Then::Close => {
                    stream.shutdown().await.ok();
                    return;
                }
                Then::Hang => {
                    // Nothing comes but the end.
                    stream.read_u8().await.ok();
                    self.left.notify_one();
                    return;
                }
            }
        }
    }
}

/// Reads the head of a request; none of ours has a body.
async fn request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_string()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let headers = lines.iter().skip(1).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_string()))
    });
    Some(Seen {
        method: first.next()?.into(),
        target: first.next()?.into(),
        headers: headers.collect(),
    })
}

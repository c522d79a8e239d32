//! The registry that all targets pull from. It runs in this process, so that its work is not counted as theirs; it counts
//! what it is asked, and can be slow, wrong, or gone.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use larder::oci::Digest;

use super::content::{Content, Image};

/// How much is written at once.
const PART: u64 = 256 * 1024;

/// How much of the time that was not used can be made up for, so that waking up late does not lower the rate.
const SLACK: Duration = Duration::from_millis(50);

/// The most that the head of a request has, in bytes.
const MAX_HEAD: u64 = 64 * 1024;

/// A registry on a port of the loopback interface.
#[derive(Debug)]
pub(crate) struct Upstream {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    resources: HashMap<String, Content>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counts: Counts,
    answering: usize,
    bytes_per_second: Option<u64>,
    /// When the next part may be sent.
    free: Instant,
    flipped: Option<Digest>,
    is_stopped: bool,
    connections: Vec<Arc<TcpStream>>,
}

/// What it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// How many bytes of blobs went out.
    pub(crate) blob_bytes: u64,
}

/// What matters of a request.
struct Request {
    method: String,
    path: String,
    is_last: bool,
}

impl Upstream {
    /// Starts one that has these images.
    pub(crate) fn start(images: &[Image]) -> io::Result<Self> {
        let state = State {
            counts: Counts::default(),
            answering: 0,
            bytes_per_second: None,
            free: Instant::now(),
            flipped: None,
            is_stopped: false,
            connections: Vec::new(),
        };
        let resources = images.iter().flat_map(Image::resources);
        let shared = Shared {
            resources: resources
                .map(|(path, content)| (path, content.clone()))
                .collect(),
            state: Mutex::new(state),
        };
        let mut upstream = Self {
            port: 0,
            shared: Arc::new(shared),
            accepting: None,
        };
        upstream.restart()?;
        Ok(upstream)
    }

    /// Listens, at the same port as before.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        self.port = listener.local_addr()?.port();
        self.shared.lock().is_stopped = false;
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(thread::spawn(move || shared.accept(&listener)));
        Ok(())
    }

    /// Refuses connections from now on, and cuts those that there are.
    pub(crate) fn stop(&mut self) {
        self.shared.lock().is_stopped = true;
        // Wakes the thread that accepts.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for connection in self.shared.lock().connections.drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Limits how many bytes of blobs go out in a second, to all clients together.
    pub(crate) fn pace(&self, bytes_per_second: Option<u64>) {
        self.shared.lock().bytes_per_second = bytes_per_second;
    }

    /// From now on, one byte in the middle of this blob is wrong whenever it goes out.
    pub(crate) fn flip(&self, blob: Option<Digest>) {
        self.shared.lock().flipped = blob;
    }

    /// Returns what it was asked since it was asked this last.
    pub(crate) fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.shared.lock().counts)
    }

    /// Returns whether an answer is on its way.
    pub(crate) fn is_answering(&self) -> bool {
        self.shared.lock().answering > 0
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for socket in listener.incoming().map_while(Result::ok) {
            let socket = Arc::new(socket);
            let mut state = self.lock();
            if state.is_stopped {
                return;
            }
            state.connections.retain(|it| Arc::strong_count(it) > 1);
            state.connections.push(Arc::clone(&socket));
            drop(state);
            let shared = Arc::clone(&self);
            // A connection that breaks is the business of the target.
            thread::spawn(move || drop(shared.converse(&socket)));
        }
    }

    fn converse(&self, mut socket: &TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut reader = BufReader::new(socket);
        while let Some(request) = Request::read(&mut reader)? {
            let found = self.resources.get(&request.path);
            let mut state = self.lock();
            state.counts.requests += 1;
            state.answering += 1;
            drop(state);
            let answered = match found {
                Some(content) => self.answer(&mut socket, &request, content),
                None => {
                    let status = if request.path == "/v2/" {
                        "200 OK"
                    } else {
                        "404 Not Found"
                    };
                    write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}")
                }
            };
            self.lock().answering -= 1;
            answered?;
            if request.is_last {
                break;
            }
        }
        socket.shutdown(Shutdown::Both)
    }

    fn answer(
        &self,
        socket: &mut &TcpStream,
        request: &Request,
        content: &Content,
    ) -> io::Result<()> {
        let (size, digest) = (content.size, content.digest);
        // It ignores ranges, as a registry may.
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {size}\r\n\
             Docker-Content-Digest: {digest}\r\nETag: \"{digest}\"\r\n\r\n",
            content.media_type
        )
        .into_bytes();
        if request.method == "HEAD" {
            return socket.write_all(&bytes);
        }
        let is_blob = request.path.contains("/blobs/");
        let is_wrong = self.lock().flipped == Some(digest);
        let mut offset = 0;
        while offset < size {
            let part = content.part(offset, PART.min(size - offset));
            let length = part.len() as u64;
            let head = bytes.len();
            bytes.extend_from_slice(part);
            let middle = size / 2;
            if is_wrong && (offset..offset + length).contains(&middle) {
                bytes[head + usize::try_from(middle - offset).map_err(io::Error::other)?] ^= 1;
            }
            if is_blob {
                thread::sleep(self.lock().turn(length));
            }
            socket.write_all(&bytes)?;
            bytes.clear();
            offset += length;
        }
        Ok(())
    }
}

impl State {
    /// Counts some bytes of a blob, and returns how long they have to wait.
    fn turn(&mut self, bytes: u64) -> Duration {
        self.counts.blob_bytes += bytes;
        let Some(bytes_per_second) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        let start = self.free.max(now.checked_sub(SLACK).unwrap_or(now));
        self.free = start + Duration::from_nanos(bytes * 1_000_000_000 / bytes_per_second);
        start.saturating_duration_since(now)
    }
}

impl Request {
    /// Reads the next one; none when the client has gone.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = reader.take(MAX_HEAD);
        let mut line = String::new();
        head.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(target), Some(version)) =
            (words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            is_last: version == "HTTP/1.0",
        };
        loop {
            let mut line = String::new();
            head.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(Some(request));
            };
            if name.eq_ignore_ascii_case("connection") && value.trim() == "close" {
                request.is_last = true;
            }
        }
    }
}

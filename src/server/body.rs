//! Content on its way to a socket: pieces of files become buffers, without blocking a worker.
//!
//! A part that is in the page cache is read in place; only what the disk has to be asked for goes to the blocking pool.
//! One buffer is in the making at a time, so that a connection holds little memory however large the content is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::request_log::RequestLog;
use crate::answer::{self, BodyError};
use crate::runtime::Tasks;
use crate::store::{FileSlice, Piece, StoreError};

/// How much is read at once, in bytes. Larger reads cost as much processor time a byte, and more memory a connection.
const READ_SIZE: u64 = 64 * 1024;

/// How files are read, for all connections.
#[derive(Debug)]
pub struct Reads {
    tasks: Tasks,
    /// Whether the file system can tell what is in memory; some cannot, which is found out once.
    can_read_now: AtomicBool,
}

impl Reads {
    /// Reads on the blocking pool of these tasks.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            can_read_now: AtomicBool::new(true),
        }
    }

    fn now(&self, slice: &FileSlice, at: u64, length: usize) -> io::Result<Option<Bytes>> {
        if !self.can_read_now.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match slice.read_now(at, length) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.can_read_now.store(false, Ordering::Relaxed);
                Ok(None)
            }
            read => read,
        }
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    log: Option<RequestLog>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Whole(Bytes),
    Content(Box<Content>),
}

/// Content that is read as it is sent.
struct Content {
    pieces: answer::Body,
    reads: Arc<Reads>,
    /// How many bytes are still to come, if that is known.
    left: Option<u64>,
    state: State,
}

enum State {
    /// Between two pieces.
    Between,
    /// In a file, this many bytes into the slice.
    In(FileSlice, u64),
    /// The disk is being asked.
    Asking(FileSlice, u64, JoinHandle<io::Result<Bytes>>),
    /// There is no more, or it failed.
    Done,
}

impl ResponseBody {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self {
            source: Source::Empty,
            log: None,
        }
    }

    /// A body that is in memory.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            source: Source::Whole(bytes.into()),
            log: None,
        }
    }

    /// A body that comes in pieces, of this length if it is known.
    pub fn content(pieces: answer::Body, length: Option<u64>, reads: Arc<Reads>) -> Self {
        let content = Content {
            pieces,
            reads,
            left: length,
            state: State::Between,
        };
        Self {
            source: Source::Content(Box::new(content)),
            log: None,
        }
    }

    /// Writes the closing line of the request when the body is gone.
    pub fn logged(self, mut log: RequestLog) -> Self {
        if self.is_end_stream() {
            log.ended();
        }
        Self {
            log: Some(log),
            ..self
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = match &mut self.source {
            Source::Empty => None,
            Source::Whole(bytes) => Some(Ok(std::mem::take(bytes)))
                .filter(|bytes| !matches!(bytes, Ok(b) if b.is_empty())),
            Source::Content(content) => ready!(content.poll_next(context)),
        };
        // The last piece of a body whose length is known is not followed by another question.
        let is_end = self.is_end_stream();
        if let Some(log) = &mut self.log {
            match &next {
                Some(Ok(bytes)) => log.sent(bytes.len() as u64),
                Some(Err(error)) => log.cut(error),
                None => log.ended(),
            }
            if is_end {
                log.ended();
            }
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Content(content) => content.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Content(content) => content
                .left
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Content {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let next = match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Between => match Pin::new(&mut self.pieces).poll_next(context) {
                    Poll::Pending => {
                        self.state = State::Between;
                        return Poll::Pending;
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(Some(Ok(Piece::Bytes(bytes)))) => {
                        self.state = State::Between;
                        Ok(Some(bytes))
                    }
                    Poll::Ready(Some(Ok(Piece::File(slice)))) => {
                        self.state = State::In(slice, 0);
                        Ok(None)
                    }
                },
                State::In(slice, at) => self.read(slice, at),
                State::Asking(slice, at, mut job) => match Pin::new(&mut job).poll(context) {
                    Poll::Pending => {
                        self.state = State::Asking(slice, at, job);
                        return Poll::Pending;
                    }
                    Poll::Ready(read) => {
                        let read = read.unwrap_or_else(|stopped| Err(stopped.into()));
                        read.map(|bytes| Some(self.advance(slice, at, bytes)))
                    }
                },
            };
            match next {
                Ok(None) => {}
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    self.left = self
                        .left
                        .map(|left| left.saturating_sub(bytes.len() as u64));
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Err(error) => {
                    self.state = State::Done;
                    return Poll::Ready(Some(Err(
                        StoreError::io("read", "the content", error).into()
                    )));
                }
            }
        }
    }

    /// Reads on in a file: now if it is in memory, else by asking the disk.
    fn read(&mut self, slice: FileSlice, at: u64) -> io::Result<Option<Bytes>> {
        let length = (slice.length - at).min(READ_SIZE);
        if length == 0 {
            self.state = State::Between;
            return Ok(None);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if let Some(bytes) = self.reads.now(&slice, at, length)? {
            return Ok(Some(self.advance(slice, at, bytes)));
        }
        let asked = slice.clone();
        let job = self
            .reads
            .tasks
            .spawn_blocking(move || asked.read(at, length));
        self.state = State::Asking(slice, at, job);
        Ok(None)
    }

    fn advance(&mut self, slice: FileSlice, at: u64, bytes: Bytes) -> Bytes {
        self.state = State::In(slice, at + bytes.len() as u64);
        bytes
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

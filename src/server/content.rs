//! Content on its way to a socket: pieces of files become windows or buffers, without blocking a worker.
//!
//! What is in the page cache is sent from there where the connection can, else read in place; only what the disk has to
//! be asked for goes to the blocking pool. One buffer is in the making at a time, so that a connection holds little
//! memory however large the content is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::JoinHandle;

use super::sendfile::Windows;
use crate::answer::{self, BodyError};
use crate::runtime::Tasks;
use crate::store::{FileSlice, Piece, StoreError};

/// How much is read at once, in bytes. Larger reads cost as much processor time a byte, and more memory a connection.
const READ_SIZE: u64 = 64 * 1024;
/// How much of a window goes out at once, in bytes.
const SEND_SIZE: u64 = 512 * 1024;

/// How files are read, for all connections.
#[derive(Debug)]
pub struct Reads {
    tasks: Tasks,
    /// Whether the file system can tell what is in memory; some cannot, which is found out once.
    can_tell: AtomicBool,
}

impl Reads {
    /// Reads on the blocking pool of these tasks.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            can_tell: AtomicBool::new(true),
        }
    }

    /// Returns whether it can be asked what is in memory.
    fn can_tell(&self) -> bool {
        self.can_tell.load(Ordering::Relaxed)
    }

    /// Asks what is in memory. As if nothing was, where the file system does not tell.
    fn ask<T: Default>(&self, question: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !self.can_tell() {
            return Ok(T::default());
        }
        match question() {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.can_tell.store(false, Ordering::Relaxed);
                Ok(T::default())
            }
            answer => answer,
        }
    }
}

/// Content that is read as it is sent.
pub(super) struct Content {
    pieces: answer::Body,
    reads: Arc<Reads>,
    /// Where the connection sends files from.
    windows: Option<Arc<Windows>>,
    /// How many bytes are still to come, if that is known.
    left: Option<u64>,
    state: State,
}

enum State {
    /// Between two pieces.
    Between,
    /// In a file.
    In(Part),
    /// The disk is being asked.
    Asking(Part, JoinHandle<io::Result<Bytes>>),
    /// There is no more, or it failed.
    Done,
}

/// A part of a file that is on its way.
struct Part {
    slice: FileSlice,
    window: Option<Bytes>,
    /// How much of it is gone, in bytes.
    at: u64,
}

impl Content {
    /// Content in pieces, of this length in bytes if it is known.
    pub(super) fn new(pieces: answer::Body, length: Option<u64>, reads: Arc<Reads>) -> Self {
        Self {
            pieces,
            reads,
            windows: None,
            left: length,
            state: State::Between,
        }
    }

    /// Sends files through windows.
    pub(super) fn through(&mut self, windows: Arc<Windows>) {
        self.windows = Some(windows);
    }

    /// Returns how many bytes are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    /// Returns what was wrong with a file that the connection was sending, once.
    pub(super) fn take_fault(&self) -> Option<BodyError> {
        let fault = self.windows.as_ref()?.take_fault()?;
        Some(unreadable(fault))
    }

    /// Returns the next bytes.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
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
                        self.state = State::In(self.begin(slice));
                        Ok(None)
                    }
                },
                State::In(part) => self.read(part),
                State::Asking(part, mut job) => match Pin::new(&mut job).poll(context) {
                    Poll::Pending => {
                        self.state = State::Asking(part, job);
                        return Poll::Pending;
                    }
                    Poll::Ready(read) => {
                        let read = read.unwrap_or_else(|stopped| Err(stopped.into()));
                        read.map(|bytes| Some(self.advance(part, bytes)))
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
                    return Poll::Ready(Some(Err(unreadable(error))));
                }
            }
        }
    }

    fn begin(&self, slice: FileSlice) -> Part {
        let is_worth_it = slice.length > READ_SIZE && self.reads.can_tell();
        let windows = self.windows.as_ref().filter(|_| is_worth_it);
        Part {
            window: windows.and_then(|windows| windows.open(&slice)),
            slice,
            at: 0,
        }
    }

    /// Goes on in a file: at once with what is in memory, else by asking the disk.
    fn read(&mut self, part: Part) -> io::Result<Option<Bytes>> {
        let Part { slice, window, at } = &part;
        let left = slice.length - at;
        if left == 0 {
            self.state = State::Between;
            return Ok(None);
        }
        if let Some(window) = window {
            let length = left.min(SEND_SIZE);
            if self.reads.ask(|| slice.is_in_memory(*at, length))? {
                let bytes = window.slice(bytes_in_memory(*at)..bytes_in_memory(at + length));
                return Ok(Some(self.advance(part, bytes)));
            }
        }
        let length = bytes_in_memory(left.min(READ_SIZE));
        if let Some(bytes) = self.reads.ask(|| slice.read_now(*at, length))? {
            return Ok(Some(self.advance(part, bytes)));
        }
        let (asked, at) = (slice.clone(), *at);
        let job = self
            .reads
            .tasks
            .spawn_blocking(move || asked.read(at, length));
        self.state = State::Asking(part, job);
        Ok(None)
    }

    fn advance(&mut self, mut part: Part, bytes: Bytes) -> Bytes {
        part.at += bytes.len() as u64;
        self.state = State::In(part);
        bytes
    }
}

fn unreadable(error: io::Error) -> BodyError {
    StoreError::io("read", "the content", error).into()
}

/// Counts bytes of something that is mapped or will be read into memory.
fn bytes_in_memory(count: u64) -> usize {
    usize::try_from(count).expect("what is in memory has an address")
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::future::poll_fn;
    use std::os::unix::fs::FileExt;

    use futures_util::StreamExt;
    use futures_util::stream;
    use rustix::fs::{Advice, fadvise};

    use super::*;

    const LENGTH: u64 = SEND_SIZE + READ_SIZE + 3;

    /// Returns all bytes, and how many came at first.
    async fn taken(file: &Arc<File>, windows: Option<Arc<Windows>>) -> (Vec<u8>, u64) {
        let slice = FileSlice {
            file: file.clone(),
            offset: 5,
            length: LENGTH,
        };
        let pieces = stream::iter([Ok(Piece::File(slice))]).boxed();
        let reads = Arc::new(Reads::new(Tasks::new()));
        let mut content = Content::new(pieces, Some(LENGTH), reads);
        if let Some(windows) = windows {
            content.through(windows);
        }
        let (mut all, mut first) = (Vec::new(), None);
        while let Some(bytes) = poll_fn(|context| content.poll_next(context)).await {
            let bytes = bytes.unwrap();
            first.get_or_insert(bytes.len() as u64);
            all.extend_from_slice(&bytes);
        }
        assert_eq!(content.left(), Some(0));
        (all, first.unwrap())
    }

    #[tokio::test]
    async fn a_file_comes_whole_from_memory_and_disk_through_windows_and_without() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let written: Vec<u8> = (0..LENGTH + 5).map(|at| at.to_le_bytes()[1]).collect();
        file.write_all_at(&written, 0).unwrap();
        let windows = Arc::new(Windows::new());
        let (all, first) = taken(&file, Some(windows.clone())).await;
        assert!(all == written[5..]);
        // On some file systems nobody can tell that it is in memory.
        assert!([SEND_SIZE, READ_SIZE].contains(&first), "{first}");
        let (all, first) = taken(&file, None).await;
        assert!(all == written[5..]);
        assert_eq!(first, READ_SIZE);
        file.sync_all().unwrap();
        for windows in [Some(windows), None] {
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            assert!(taken(&file, windows).await.0 == written[5..]);
        }
    }
}

//! The socket that sends windows as files.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::poll_proceed;

use super::windows::{View, Windows};

/// How much goes out for each of the operations that tokio lets a task do before others have their turn, in bytes: those
/// are 128, and a fast client would never make the task wait.
pub(super) const OPERATION: usize = 32 * 1024;

/// The socket of a connection.
#[derive(Debug)]
pub(in crate::server) struct FileSocket {
    socket: TcpStream,
    windows: Arc<Windows>,
}

impl FileSocket {
    /// A socket that sends windows as files.
    pub(in crate::server) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            windows: Arc::new(Windows::new()),
        }
    }

    /// Returns where windows for this socket are opened.
    pub(in crate::server) fn windows(&self) -> &Arc<Windows> {
        &self.windows
    }

    /// Sends the part of a file that a window shows. `None` where the kernel has no way to do so.
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        view: &View,
    ) -> Poll<io::Result<Option<usize>>> {
        // Where the client is gone it would raise SIGPIPE, which Rust's programs ignore.
        let sent = ready!(self.poll_attempt(context, |socket| {
            let mut offset = view.offset;
            match sendfile(socket, &view.file, Some(&mut offset), view.length) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => Ok(None),
                sent => sent.map(Some),
            }
        }));
        Poll::Ready(match sent {
            // It was cut since its bytes were promised.
            Ok(Some(0)) => Err(self.windows.fail(io::ErrorKind::UnexpectedEof.into())),
            Ok(sent) => {
                self.windows.activity().happened();
                spend(context, sent.unwrap_or(0) / OPERATION);
                Ok(sent)
            }
            Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => {
                Err(self.windows.fail(error))
            }
            Err(error) => Err(error),
        })
    }

    /// Makes an attempt whenever the socket takes something, until it comes to something.
    fn poll_attempt<T>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl Fn(&TcpStream) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.socket.poll_write_ready(context))?;
            let socket = &self.socket;
            let attempted = socket.try_io(Interest::WRITABLE, || Ok(attempt(socket)?));
            match attempted.as_ref().map_err(io::Error::kind) {
                Err(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                _ => return Poll::Ready(attempted),
            }
        }
    }
}

/// Takes operations off those that the task may still do.
fn spend(context: &mut Context<'_>, operations: usize) {
    for _ in 0..operations {
        let Poll::Ready(operation) = poll_proceed(context) else {
            return;
        };
        operation.made_progress();
    }
}

impl AsyncWrite for FileSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let begin = parts.iter().position(|part| !part.is_empty());
        let parts = &parts[begin.unwrap_or(0)..];
        match self.windows.first(parts) {
            None => Pin::new(&mut self.socket).poll_write_vectored(context, parts),
            Some((0, view)) => match ready!(self.poll_send(context, &view))? {
                Some(sent) => Poll::Ready(Ok(sent)),
                None => Pin::new(&mut self.socket).poll_write(context, &parts[0]),
            },
            // What goes before a file waits for it.
            Some((before, _)) => {
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                self.poll_attempt(context, |socket| {
                    let mut nothing = SendAncillaryBuffer::default();
                    sendmsg(socket, &parts[..before], &mut nothing, flags)
                })
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl AsyncRead for FileSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

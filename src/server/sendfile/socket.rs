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

use super::windows::{View, Windows};

/// How much a connection sends before others have their turn, in bytes. A fast client would never make it wait.
pub(super) const TURN: usize = 4 * 1024 * 1024;

/// The socket of a connection.
#[derive(Debug)]
pub(in crate::server) struct FileSocket {
    socket: TcpStream,
    windows: Arc<Windows>,
    /// How much was sent since others had their turn, in bytes.
    pub(super) sent: usize,
}

impl FileSocket {
    /// A socket that sends windows as files.
    pub(in crate::server) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            windows: Arc::default(),
            sent: 0,
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
        if self.sent >= TURN {
            self.sent = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let sent = ready!(self.poll_attempt(context, |socket| {
            let mut offset = view.offset;
            match sendfile(socket, &view.file, Some(&mut offset), view.length) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => Ok(None),
                sent => sent.map(Some),
            }
        }))?;
        if sent == Some(0) {
            // It was cut since its bytes were promised.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.sent += sent.unwrap_or(0);
        Poll::Ready(Ok(sent))
    }

    /// Makes an attempt whenever the socket takes something, until it comes to something.
    fn poll_attempt<T>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl Fn(&TcpStream) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match self.socket.poll_write_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    self.sent = 0;
                    return Poll::Pending;
                }
            }
            let socket = &self.socket;
            let attempted = socket.try_io(Interest::WRITABLE, || Ok(attempt(socket)?));
            match attempted.as_ref().map_err(io::Error::kind) {
                Err(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                _ => return Poll::Ready(attempted),
            }
        }
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

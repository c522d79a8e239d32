//! A connection as the kernel sees it: when everything is handed over, and how it closes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What an answer knows of the connection that it goes out on.
#[derive(Debug)]
pub struct Line {
    /// The number of the connection, counted from one.
    pub number: usize,
    /// How often everything was handed to the kernel.
    flushes: watch::Sender<usize>,
    /// Whether several answers go out at once, as on HTTP/2.
    is_shared: AtomicBool,
    is_reset: AtomicBool,
}

impl Line {
    /// A connection on which one answer follows the other.
    pub fn new(number: usize) -> Self {
        Self {
            number,
            flushes: watch::Sender::new(0),
            is_shared: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
        }
    }

    /// Notes that many answers share the connection, so that none can tell when it is flushed.
    pub fn share(&self) {
        self.is_shared.store(true, Ordering::SeqCst);
    }

    /// Waits until everything that the answer gave so far is with the kernel.
    ///
    /// To be called by a body while it is polled: the server flushes whenever a body has nothing to give, and only
    /// when all is written does the flush come through here.
    pub async fn flushed(&self) {
        if !self.is_shared.load(Ordering::SeqCst) {
            let changed = self.flushes.subscribe().changed().await;
            changed.expect("the sender lives as long as `self`");
        }
    }

    /// Lets the connection end with a reset.
    pub fn reset_when_closed(&self) {
        self.is_reset.store(true, Ordering::SeqCst);
    }
}

/// A socket that reports to its [`Line`]. Under TLS it lies below the encryption.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    line: Arc<Line>,
}

impl Wire {
    /// Wraps an accepted socket.
    pub fn new(socket: TcpStream, line: Arc<Line>) -> Self {
        Self { socket, line }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.line.is_reset.load(Ordering::SeqCst) {
            self.socket.set_zero_linger().ok();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if flushed.is_ready() {
            self.line.flushes.send_modify(|count| *count += 1);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

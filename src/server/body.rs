//! The body of a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::content::{Content, Reads};
use super::request_log::RequestLog;
use super::sendfile::Windows;
use crate::answer::{self, BodyError};

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
        Self {
            source: Source::Content(Box::new(Content::new(pieces, length, reads))),
            log: None,
        }
    }

    /// Sends files through the windows of a connection, if it has any.
    pub(super) fn through(mut self, windows: Option<Arc<Windows>>) -> Self {
        if let (Source::Content(content), Some(windows)) = (&mut self.source, windows) {
            content.through(windows);
        }
        self
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
            Source::Content(content) => content.left() == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Content(content) => content
                .left()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

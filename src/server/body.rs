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
    pub fn logged(mut self, mut log: RequestLog) -> Self {
        if self.is_end_stream() {
            log.ended();
        }
        self.log = Some(log);
        self
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

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // The connection drops what it cannot send on. That is not always the client's doing.
        if let (Source::Content(content), Some(log)) = (&self.source, &mut self.log)
            && let Some(fault) = content.take_fault()
        {
            log.cut(&fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::StreamExt;
    use futures_util::stream;
    use http::StatusCode;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::runtime::Tasks;
    use crate::server::metrics::Metrics;
    use crate::server::request_log::tests::begun;

    #[test]
    fn a_file_that_cannot_be_sent_is_not_told_as_a_client_that_left() {
        for (fault, status) in [(Some(io::ErrorKind::UnexpectedEof), 200), (None, 499)] {
            let mut registry = Registry::default();
            let mut log = begun(Metrics::register(&mut registry));
            log.answered(StatusCode::OK, None);
            let windows = Arc::new(Windows::new());
            let reads = Arc::new(Reads::new(Tasks::new()));
            let body = ResponseBody::content(stream::pending().boxed(), Some(9), reads);
            let body = body.through(Some(windows.clone())).logged(log);
            if let Some(fault) = fault {
                let told = windows.fail(fault.into());
                assert_eq!(told.kind(), fault, "what the connection hears");
            }
            drop(body);
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let counted = format!(r#"status="{status}""#);
            assert!(text.contains(&counted), "{text}");
        }
    }
}

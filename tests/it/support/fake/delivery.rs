//! How a body goes out: in pieces, with stops at exact places, to its end or not.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};

use super::super::image::noise;
use super::answer::Answer;
use super::gate::Gate;
use super::log::Recorder;
use super::request::Progress;
use super::wire::Line;

/// What the server sends as a body.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The most that is handed out at once.
const PIECE: u64 = 64 * 1024;

/// How a body is sent.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Whether nothing is sent at all, not even a status.
    pub is_refused: bool,
    /// How the client knows where it ends.
    pub framing: Framing,
    /// Whether noise follows when the body is sent.
    pub is_endless: bool,
    /// What happens on the way.
    pub steps: Vec<Step>,
}

/// How the client knows where the body ends.
#[derive(Debug, Default)]
pub enum Framing {
    /// By its true length.
    #[default]
    Exact,
    /// By a length that may be a lie.
    Declared(u64),
    /// By the last chunk.
    Chunked,
}

/// Something that happens when this many bytes of a body have been sent.
#[derive(Clone, Debug)]
pub struct Step {
    at: u64,
    /// The distance to the next time, if it happens again.
    every: Option<u64>,
    act: Act,
}

/// What happens at a step.
#[derive(Clone, Debug)]
pub enum Act {
    /// The body waits here.
    Pause(Gate),
    /// The connection is closed.
    End,
    /// The connection is reset.
    Cut,
}

impl Step {
    /// Happens at one place.
    pub fn once(at: u64, act: Act) -> Self {
        Self {
            at,
            every: None,
            act,
        }
    }

    /// Happens at the start and then after each piece of this size.
    pub fn each(every: u64, act: Act) -> Self {
        Self {
            at: 0,
            every: Some(every),
            act,
        }
    }
}

/// The entry of a request in the log: counts what is sent, and tells how it ended, also when the client leaves.
#[derive(Debug)]
pub struct Report {
    recorder: Arc<Recorder>,
    number: usize,
    ending: Progress,
}

impl Report {
    /// Starts to report on a request.
    pub fn on(recorder: Arc<Recorder>, number: usize) -> Self {
        Self {
            recorder,
            number,
            ending: Progress::Broken,
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.recorder.ended(self.number, self.ending);
    }
}

impl Answer {
    /// Makes the answer a response that is sent as its delivery says.
    pub fn into_response(
        mut self,
        method: &Method,
        line: Arc<Line>,
        mut report: Report,
    ) -> Response<Body> {
        let length = self.body.len() as u64;
        let has_length = self.status != StatusCode::NOT_MODIFIED;
        let declared = match self.delivery.framing {
            Framing::Exact if has_length => Some(length),
            Framing::Declared(length) => Some(length),
            Framing::Exact | Framing::Chunked => None,
        };
        if let Some(declared) = declared {
            self.set(header::CONTENT_LENGTH, &declared.to_string());
        }
        report.recorder.answered(report.number, self.status);
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let has_body = method != Method::HEAD && has_length;
        if !has_body || declared == Some(0) {
            report.ending = Progress::Complete;
            return response.map(|()| Empty::new().map_err(|never| match never {}).boxed_unsync());
        }
        self.body
            .truncate(usize::try_from(declared.unwrap_or(length)).unwrap());
        let sending = Sending {
            body: self.body,
            position: 0,
            declared,
            is_endless: self.delivery.is_endless,
            steps: self.delivery.steps,
            line,
            report,
        };
        response.map(|()| {
            BodyExt::boxed_unsync(StreamBody::new(stream::unfold(sending, Sending::next)))
        })
    }
}

/// A body that is being sent.
struct Sending {
    /// What is left of it.
    body: Bytes,
    position: u64,
    declared: Option<u64>,
    is_endless: bool,
    steps: Vec<Step>,
    line: Arc<Line>,
    report: Report,
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Self)> {
        while let Some(act) = self.take_due_step() {
            self.line.flushed().await;
            match act {
                Act::Pause(gate) => gate.pass().await,
                Act::End => return Some((Err(broken_off()), self)),
                Act::Cut => {
                    self.line.reset_when_closed();
                    return Some((Err(broken_off()), self));
                }
            }
        }
        let next_step = self.steps.iter().map(|step| step.at - self.position).min();
        let at_most = PIECE.min(next_step.unwrap_or(PIECE));
        let piece = if self.body.is_empty() && self.is_endless {
            noise(self.position, usize::try_from(at_most).unwrap())
        } else {
            let at_most = at_most.min(self.body.len() as u64);
            self.body.split_to(usize::try_from(at_most).unwrap())
        };
        if piece.is_empty() {
            return self.finish().await;
        }
        self.position += piece.len() as u64;
        self.report
            .recorder
            .sent(self.report.number, piece.len() as u64);
        if self.declared == Some(self.position) {
            self.report.ending = Progress::Complete;
        }
        Some((Ok(Frame::data(piece)), self))
    }

    /// Ends the body. One that is shorter than it was said to be takes the connection with it, once all of it is out.
    async fn finish(mut self) -> Option<(io::Result<Frame<Bytes>>, Self)> {
        if self
            .declared
            .is_some_and(|declared| declared != self.position)
        {
            self.line.flushed().await;
            return Some((Err(broken_off()), self));
        }
        self.report.ending = Progress::Complete;
        None
    }

    fn take_due_step(&mut self) -> Option<Act> {
        let due = self
            .steps
            .iter()
            .position(|step| step.at <= self.position)?;
        let Some(every) = self.steps[due].every else {
            return Some(self.steps.remove(due).act);
        };
        let is_over = self.body.is_empty() && !self.is_endless;
        self.steps[due].at += every;
        (!is_over).then(|| self.steps[due].act.clone())
    }
}

fn broken_off() -> io::Error {
    io::Error::other("the body ends here")
}

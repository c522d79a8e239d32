//! What a fault does to an answer.

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use larder::oci::ContentRange;
use serde_json::Value;

use super::super::image::noise;
use super::State;
use super::answer::Answer;
use super::delivery::{Act, Framing, Step};
use super::gate::Gate;
use super::request::Request;

/// One thing that goes wrong. [`Fault`](super::Fault) says what each means.
#[derive(Clone, Debug)]
pub enum Effect {
    Status(StatusCode),
    RefuseToken(&'static str),
    Redirect(StatusCode, String),
    StallBeforeHeaders,
    HangUp,
    IgnoreRange,
    Header(HeaderName, HeaderValue),
    WithoutHeader(HeaderName),
    UnquotedEtag,
    WrongContentRange,
    Length(u64),
    Chunked,
    Body(Bytes),
    Edit(fn(&mut Value)),
    WrongByte(u64),
    ShortBy(usize),
    LongBy(usize),
    Endless,
    StallAfter(u64),
    Drip(u64),
    EndAfter(u64),
    CutAfter(u64),
}

impl Effect {
    /// Returns whether the answer that would have been given does not matter.
    pub fn replaces(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::RefuseToken(_)
                | Self::Redirect(..)
                | Self::StallBeforeHeaders
                | Self::HangUp
                | Self::IgnoreRange
        )
    }

    /// Bends an answer, or replaces it.
    pub async fn apply(&self, answer: &mut Answer, request: &Request, state: &State, gate: &Gate) {
        match self {
            Self::Status(status) => *answer = Answer::error_of(*status, "this is a fault"),
            Self::RefuseToken(error) => *answer = state.access.challenge(request, Some(error)),
            Self::Redirect(status, target) => *answer = redirect(*status, target, request),
            Self::StallBeforeHeaders => gate.pass().await,
            Self::HangUp => answer.delivery.is_refused = true,
            Self::IgnoreRange => {
                let mut whole = request.clone();
                whole.headers.remove(header::RANGE);
                *answer = state.answer(&whole);
            }
            Self::Header(name, value) => {
                answer.headers.insert(name, value.clone());
            }
            Self::WithoutHeader(name) => {
                answer.headers.remove(name);
            }
            Self::UnquotedEtag => replace(answer, header::ETAG, |tag| tag.replace('"', "")),
            Self::WrongContentRange => replace(answer, header::CONTENT_RANGE, |range| {
                let range = ContentRange::parse(range).unwrap();
                let (first, last) = (range.start() + 1, range.end() - 1);
                format!("bytes {first}-{last}/{}", range.total())
            }),
            Self::Length(length) => answer.delivery.framing = Framing::Declared(*length),
            Self::Chunked => answer.delivery.framing = Framing::Chunked,
            Self::Body(bytes) => {
                answer.body = bytes.clone();
                answer.start = 0;
            }
            Self::Edit(change) => {
                let mut document = serde_json::from_slice(&answer.body).unwrap();
                change(&mut document);
                answer.body = document.to_string().into();
            }
            Self::WrongByte(place) => flip(answer, *place),
            Self::ShortBy(bytes) => {
                let length = answer.body.len().saturating_sub(*bytes);
                answer.body.truncate(length);
            }
            Self::LongBy(bytes) => {
                let mut body = BytesMut::from(&answer.body[..]);
                body.extend_from_slice(&noise(0, *bytes));
                answer.body = body.freeze();
            }
            Self::Endless => {
                answer.delivery.framing = Framing::Chunked;
                answer.delivery.is_endless = true;
            }
            Self::StallAfter(at) => answer.add(Step::once(*at, Act::Pause(gate.clone()))),
            Self::Drip(every) => answer.add(Step::each(*every, Act::Pause(gate.clone()))),
            Self::EndAfter(at) => answer.add(Step::once(*at, Act::End)),
            Self::CutAfter(at) => answer.add(Step::once(*at, Act::Cut)),
        }
    }
}

fn redirect(status: StatusCode, target: &str, request: &Request) -> Answer {
    let reference = request.reference.as_deref().unwrap_or_default();
    let repository = request.repository.as_deref().unwrap_or_default();
    let location = target
        .replace("{digest}", reference)
        .replace("{repository}", repository)
        .replace("{path}", &request.path);
    let mut answer = Answer::new(status, Bytes::new());
    answer.set(header::LOCATION, &location);
    answer
}

fn replace(answer: &mut Answer, name: HeaderName, change: impl FnOnce(&str) -> String) {
    if let Some(value) = answer.headers.get(&name) {
        let changed = change(value.to_str().unwrap());
        answer.set(name, &changed);
    }
}

/// Flips a bit at a place of the content, if the answer sends that place.
fn flip(answer: &mut Answer, place: u64) {
    let index = place.checked_sub(answer.start);
    let index = index.and_then(|index| usize::try_from(index).ok());
    if let Some(index) = index.filter(|index| *index < answer.body.len()) {
        let mut body = BytesMut::from(&answer.body[..]);
        body[index] ^= 1;
        answer.body = body.freeze();
    }
}

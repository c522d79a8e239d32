//! The transfer of one blob, which goes on by itself after a break.
//!
//! It asks for the rest at the address where it began, since where that led may be a signed URL that has run out. The
//! rest has to be of a blob of the same size; a registry that sends the whole again is read up to where we were.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};

use super::answer::Body;
use super::blob::{self, Opening};
use super::budget::Permit;
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::registry::TransferRange;
use super::request::{AsWhom, Ask};
use super::retry::random;
use crate::oci::{Digest, RepositoryName};
use crate::telemetry::with_causes;

/// A blob, or a part of one, on its way here. Dropping it closes its connection.
#[derive(Debug)]
pub struct BlobTransfer {
    source: Source,
    state: State,
    position: u64,
    end: Option<u64>,
    total: Option<u64>,
    tag: Option<HeaderValue>,
    resumes: u32,
    /// Where the last break was, and how often in a row it was there.
    stuck: (u64, u32),
}

/// Where a blob comes from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) repository: RepositoryName,
    pub(super) as_whom: AsWhom,
    pub(super) digest: Digest,
    /// Held for as long as bytes may come.
    pub(super) _permit: Permit,
}

#[derive(Debug)]
enum State {
    /// Bytes come, after some that are not wanted.
    Flowing { body: Body, skip: u64 },
    /// The connection is gone, or no longer of use.
    Broken(UpstreamError),
    /// Nothing is open: the next bytes are asked for first.
    Closed,
    /// Everything came.
    Done,
}

impl BlobTransfer {
    /// How many tries in a row may bring nothing.
    const MAX_FRUITLESS: u32 = 3;
    /// How many times a transfer goes on at all: enough for a large blob from a server that cuts every 100 MB.
    const MAX_RESUMES: u32 = 256;
    /// How long to wait for the end of a body whose bytes are all here, so that its connection can be used again.
    const END_TIME: Duration = Duration::from_secs(1);

    /// Goes on with what was opened at a byte.
    pub(super) fn new(source: Source, opening: Opening, range: TransferRange) -> Self {
        let TransferRange { start, end } = range;
        Self {
            source,
            state: State::Flowing {
                body: opening.body,
                skip: opening.skip,
            },
            position: start,
            end,
            total: opening.total,
            tag: opening.tag,
            resumes: 0,
            stuck: (start, 0),
        }
    }

    /// Returns the size of the whole blob, when the registry or the caller has said it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns which byte of the blob comes next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns how often the transfer broke and went on.
    pub fn resumes(&self) -> u32 {
        self.resumes
    }

    /// Goes on elsewhere in the blob, with the place in the budget that it has.
    ///
    /// What was open is closed, unless it is at its end; the next bytes are asked for by [`BlobTransfer::next`].
    pub fn jump(&mut self, range: TransferRange) {
        self.position = range.start;
        self.end = range.end;
        self.stuck = (range.start, 0);
        self.state = State::Closed;
    }

    /// Returns whether the registry sends bytes before the ones that were asked for: it does not do ranges.
    pub fn is_skipping(&self) -> bool {
        matches!(self.state, State::Flowing { skip, .. } if skip > 0)
    }

    /// Returns the next bytes, `None` after the last. Dropping the future loses no bytes: call it again.
    ///
    /// # Errors
    /// [`UpstreamError`] when the transfer broke and could not go on, or brought more than the blob has.
    pub async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            let is_complete = self.last().is_some_and(|last| self.position >= last);
            match &mut self.state {
                State::Done => return Ok(None),
                State::Broken(_) => self.resume().await?,
                State::Closed if is_complete => self.state = State::Done,
                State::Closed => self.reopen().await?,
                State::Flowing { .. } if is_complete => self.finish().await,
                State::Flowing { body, .. } => match body.next().await {
                    Ok(Some(piece)) => match self.take(piece) {
                        Ok(Some(wanted)) => return Ok(Some(wanted)),
                        Ok(None) => {}
                        Err(error) => self.state = State::Broken(error),
                    },
                    Ok(None) => self.ended(),
                    Err(error) => self.state = State::Broken(error),
                },
            }
        }
    }

    /// Returns the byte after the last one that is wanted, when it is known.
    fn last(&self) -> Option<u64> {
        match (self.end, self.total) {
            (Some(end), Some(total)) => Some(end.min(total)),
            (end, total) => end.or(total),
        }
    }

    /// Takes what is wanted of a piece of the body.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, UpstreamError> {
        let State::Flowing { body, skip } = &mut self.state else {
            return Ok(None);
        };
        let host = body.host().clone();
        let length = piece.len() as u64;
        let skipped = length.min(*skip);
        *skip -= skipped;
        // What is skipped or kept is part of a piece, whose length is a usize.
        let split = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        drop(piece.split_to(split(skipped)));
        let come = self.position.saturating_add(piece.len() as u64);
        if let Some(total) = self.total.filter(|total| come > *total) {
            return Err(too_long(&host, total));
        }
        if let Some(end) = self.end.filter(|end| come > *end) {
            piece.truncate(split(end - self.position));
        }
        self.position += piece.len() as u64;
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// Notes that the body is at its end, before the last byte that is wanted if that is known.
    fn ended(&mut self) {
        let State::Flowing { body, skip } = &self.state else {
            return;
        };
        self.state = if self.last().is_none() && *skip == 0 {
            self.total = Some(self.position);
            State::Done
        } else {
            let fault = format!("the body ended at byte {}", self.position);
            State::Broken(UpstreamError::unreachable(body.host(), fault))
        };
    }

    /// Lets the body end, where that is near, and makes sure that nothing comes after the blob.
    async fn finish(&mut self) {
        if let State::Flowing { body, .. } = &mut self.state
            && self.total == Some(self.position)
            && !body.is_at_end()
            && let Ok(Ok(Some(_))) = tokio::time::timeout(Self::END_TIME, body.next()).await
        {
            self.state = State::Broken(too_long(body.host(), self.position));
        } else {
            self.state = State::Done;
        }
    }

    /// Asks for what comes next, after a jump.
    async fn reopen(&mut self) -> Result<(), UpstreamError> {
        let limits = self.source.endpoint.limits();
        let opening = limits.retry.run(|| self.source.rest(self)).await?;
        self.total = self.total.or(opening.total);
        self.state = State::Flowing {
            body: opening.body,
            skip: opening.skip,
        };
        Ok(())
    }

    /// Asks for the rest.
    async fn resume(&mut self) -> Result<(), UpstreamError> {
        let State::Broken(failure) = &self.state else {
            return Ok(());
        };
        let (at, times) = self.stuck;
        let fruitless = if self.position > at { 0 } else { times + 1 };
        let is_hopeless = fruitless >= Self::MAX_FRUITLESS || self.resumes >= Self::MAX_RESUMES;
        if is_hopeless || !failure.is_passing() {
            return Err(failure.clone());
        }
        let limits = self.source.endpoint.limits();
        let wait = limits.retry.wait(fruitless, random());
        tracing::debug!(
            error = with_causes(failure),
            content.digest = %self.source.digest,
            position_bytes = self.position,
            wait_ms = wait.as_millis(),
            "going on with a blob"
        );
        tokio::time::sleep(wait).await;
        let opened = limits.retry.run(|| self.source.rest(self)).await;
        self.stuck = (self.position, fruitless);
        self.resumes += 1;
        self.state = match opened {
            Ok(opening) => {
                self.source.endpoint.count_resumed();
                self.total = self.total.or(opening.total);
                State::Flowing {
                    body: opening.body,
                    skip: opening.skip,
                }
            }
            Err(error) => State::Broken(error),
        };
        Ok(())
    }
}

impl Source {
    /// Opens the rest of a transfer.
    async fn rest(&self, transfer: &BlobTransfer) -> Result<Opening, UpstreamError> {
        let start = transfer.position;
        let ask = Ask::blob(Method::GET, &self.repository, &self.digest)
            .by(self.as_whom)
            .with_range(start, transfer.end)
            .if_still(transfer.tag.as_ref());
        blob::open(&self.endpoint, &ask, start, transfer.total)
            .await?
            .ok_or_else(|| {
                let host = self.endpoint.url().site().name();
                UpstreamError::protocol(host, "does not have the rest of a blob")
            })
    }
}

fn too_long(host: &Arc<str>, total: u64) -> UpstreamError {
    UpstreamError::protocol(host, format!("sends more than the {total} bytes of a blob"))
}

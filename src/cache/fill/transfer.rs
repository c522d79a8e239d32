//! Which bytes are fetched next: the first gap, then the next, while segments come in for readers far ahead.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::ahead::{self, Segment};
use super::ingest::Batch;
use super::{Fill, FillError};
use crate::store::spool::{Intervals, Spool};
use crate::telemetry::with_causes;
use crate::upstream::{BlobTransfer, TransferRange, Upstream};

/// How often it is looked at whether somebody still reads.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how many looks without a reader a fill can be given up: clients that fetch in parts come back within this.
const LOOKS_WITHOUT_READER: u32 = 10;
/// A content smaller than this is finished, whoever reads it, in bytes.
const FINISH_BELOW: u64 = 2 * 1024 * 1024 * 1024;
/// The longest content that is taken of a registry that does not say how long it is, in bytes.
pub(in crate::cache) const UNANNOUNCED_LIMIT: u64 = 16 * 1024 * 1024 * 1024;
/// In which steps room is asked for when the size is not known, in bytes.
const RESERVE_STEP: u64 = 64 * 1024 * 1024;

/// The transfer of one fill.
pub struct Transfer {
    fill: Arc<Fill>,
    upstream: Arc<Upstream>,
    asked: mpsc::Receiver<u64>,
    queue: mpsc::Sender<Batch>,
    /// What was fetched, whether or not it is written yet.
    taken: Intervals,
    /// What segments are fetching.
    claims: Vec<Range<u64>>,
    segments: FuturesUnordered<BoxFuture<'static, Segment>>,
    /// Whether the registry has given what it was asked for far ahead.
    wants_segments: bool,
    total: Option<u64>,
    reserved: u64,
    look: Interval,
    looks_without_reader: u32,
    stopping: CancellationToken,
}

enum Event {
    /// A reader stands at this byte and has nothing to read.
    Asked(u64),
    /// A segment came to its end.
    Segment(Segment),
    /// Time to look for readers.
    Look,
    /// What is fetched is not taken any more.
    Closed,
    /// The program stops.
    Stopping,
}

impl Transfer {
    /// Prepares the transfer of a fill whose progress is published. Must be called within the runtime.
    pub fn new(
        fill: Arc<Fill>,
        upstream: Arc<Upstream>,
        asked: mpsc::Receiver<u64>,
        queue: mpsc::Sender<Batch>,
        stopping: CancellationToken,
    ) -> Self {
        let (taken, total) = {
            let progress = fill.progress.borrow();
            (progress.written.clone(), progress.total)
        };
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            fill,
            upstream,
            asked,
            queue,
            taken,
            claims: Vec::new(),
            segments: FuturesUnordered::new(),
            wants_segments: true,
            total,
            reserved: 0,
            look,
            looks_without_reader: 0,
            stopping,
        }
    }

    /// Fetches all that is missing, beginning with the transfer of the first gap. `None`: nothing is missing.
    ///
    /// # Errors
    /// [`FillError`] when the content cannot be had, nobody wants it any more, or the program stops.
    pub async fn run(
        mut self,
        spool: Arc<Spool>,
        first: Option<BlobTransfer>,
    ) -> Result<(), FillError> {
        let Some(mut transfer) = first else {
            return Ok(());
        };
        let mut is_first = true;
        while let Some(from) = self.next_gap().await? {
            if !is_first {
                // With the place in the registry's budget that it has: a fill never waits behind itself.
                transfer.jump(TransferRange {
                    start: from,
                    end: self.boundary(from),
                });
            }
            is_first = false;
            self.carry(from, &mut transfer, &spool).await?;
        }
        Ok(())
    }

    /// Returns where the next gap begins; `None` when all is here. Waits for segments when they are all that is missing.
    async fn next_gap(&mut self) -> Result<Option<u64>, FillError> {
        loop {
            if let Some(from) = self.gap() {
                return Ok(Some(from));
            }
            if self.claims.is_empty() {
                return Ok(None);
            }
            let event = self.event().await;
            self.handle(event, self.total.unwrap_or_default())?;
        }
    }

    /// Returns the first byte that is neither here nor on its way.
    fn gap(&self) -> Option<u64> {
        let mut known = self.taken.clone();
        self.claims
            .iter()
            .for_each(|claim| known.insert(claim.clone()));
        let first = known.covered_until(0);
        self.total
            .is_none_or(|total| first < total)
            .then_some(first)
    }

    /// Returns the first byte at or behind `position` that is here or on its way.
    fn boundary(&self, position: u64) -> Option<u64> {
        let known = self.taken.iter().chain(self.claims.iter().cloned());
        known
            .filter(|range| range.end > position)
            .map(|range| range.start.max(position))
            .min()
    }

    /// Takes in what a transfer brings, from `from` to the next byte that is here already.
    async fn carry(
        &mut self,
        from: u64,
        transfer: &mut BlobTransfer,
        spool: &Spool,
    ) -> Result<(), FillError> {
        let mut position = from;
        // As a stream, a frame in the making survives the other branch of the select below.
        let frames = stream::unfold(transfer, |transfer| async move {
            let frame = transfer.next().await.transpose()?;
            Some((frame, transfer))
        });
        let mut frames = std::pin::pin!(frames);
        while self.boundary(position) != Some(position) && self.total != Some(position) {
            tokio::select! {
                frame = frames.next() => match frame {
                    Some(bytes) => position = self.take_in(position, bytes?, spool).await?,
                    None => return self.ended(from, position),
                },
                event = self.event() => self.handle(event, position)?,
            }
        }
        Ok(())
    }

    async fn take_in(
        &mut self,
        position: u64,
        mut bytes: Bytes,
        spool: &Spool,
    ) -> Result<u64, FillError> {
        if let Some(boundary) = self.boundary(position) {
            bytes.truncate(usize::try_from(boundary - position).unwrap_or(usize::MAX));
        }
        let end = position + bytes.len() as u64;
        match self.total {
            Some(total) if end > total => {
                return Err(FillError::WrongSize {
                    expected: total,
                    found: end,
                });
            }
            Some(_) => {}
            None => self.make_room(end, spool).await?,
        }
        if bytes.is_empty() {
            return Ok(position);
        }
        self.taken.insert(position..end);
        // The queue is closed when the ingest has failed; its error is the one that is told.
        let sent = self
            .queue
            .send(Batch {
                offset: position,
                bytes,
            })
            .await;
        sent.map_err(|_| FillError::Stopping)?;
        Ok(end)
    }

    /// Asks for room step by step while the size is not known.
    async fn make_room(&mut self, end: u64, spool: &Spool) -> Result<(), FillError> {
        if end > UNANNOUNCED_LIMIT {
            return Err(FillError::WrongSize {
                expected: UNANNOUNCED_LIMIT,
                found: end,
            });
        }
        if end > self.reserved {
            self.reserved = end + RESERVE_STEP;
            spool.reserve(self.reserved).await?;
        }
        Ok(())
    }

    /// The transfer ended at `position`. That is the size, if it was not known before; else there is another gap, which a
    /// segment left that broke off.
    fn ended(&mut self, from: u64, position: u64) -> Result<(), FillError> {
        match self.total {
            Some(_) if position > from => Ok(()),
            Some(expected) => Err(FillError::WrongSize {
                expected,
                found: position,
            }),
            None => {
                self.total = Some(position);
                self.fill
                    .progress
                    .send_modify(|progress| progress.total = Some(position));
                Ok(())
            }
        }
    }

    /// Waits for something besides the next frame. Nothing is lost when the future is dropped.
    async fn event(&mut self) -> Event {
        tokio::select! {
            Some(wanted) = self.asked.recv() => Event::Asked(wanted),
            Some(segment) = self.segments.next() => Event::Segment(segment),
            _ = self.look.tick() => Event::Look,
            () = self.queue.closed() => Event::Closed,
            () = self.stopping.cancelled() => Event::Stopping,
        }
    }

    fn handle(&mut self, event: Event, position: u64) -> Result<(), FillError> {
        match event {
            Event::Asked(wanted) => self.begin_segment(wanted, position),
            Event::Segment(segment) => self.end_segment(segment),
            Event::Look => return self.look_for_readers(),
            // The ingest has failed; its error is the one that is told.
            Event::Closed | Event::Stopping => return Err(FillError::Stopping),
        }
        Ok(())
    }

    /// Takes over what came of a segment. One that failed is the last of this fill: the transfer fills the gap, and the
    /// registry is not asked again and again for what it does not give.
    fn end_segment(&mut self, segment: Segment) {
        self.claims.retain(|claim| *claim != segment.claim);
        self.wants_segments &= segment.came == segment.claim;
        if !segment.came.is_empty() {
            self.taken.insert(segment.came);
        }
        if let Some(error) = segment.error {
            tracing::debug!(
                error = with_causes(&error),
                "a segment broke off; the transfer fills the gap"
            );
        }
    }

    fn begin_segment(&mut self, wanted: u64, position: u64) {
        let Some(total) = self.total else { return };
        if !self.wants_segments || self.claims.len() >= ahead::AT_A_TIME {
            return;
        }
        let Some(claim) = ahead::segment(wanted, position, total, self.boundary(wanted)) else {
            return;
        };
        self.claims.push(claim.clone());
        let (upstream, queue) = (self.upstream.clone(), self.queue.clone());
        let fill = self.fill.clone();
        let fetch = async move {
            let range = TransferRange {
                start: claim.start,
                end: Some(claim.end),
            };
            let transfer = upstream
                .get_blob_ahead(fill.view().sought(), &fill.digest(), range, total)
                .await;
            ahead::fetch(claim, transfer, queue).await
        };
        self.segments.push(fetch.boxed());
    }

    fn look_for_readers(&mut self) -> Result<(), FillError> {
        if self.fill.readers() > 0 {
            self.looks_without_reader = 0;
            return Ok(());
        }
        self.looks_without_reader += 1;
        let is_left = self.looks_without_reader > LOOKS_WITHOUT_READER;
        if is_left && !is_worth_finishing(self.total, self.taken.total()) {
            return Err(FillError::Abandoned);
        }
        Ok(())
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("taken", &self.taken)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// Decides whether a fill that nobody reads goes on: when the content is small, or more than a tenth is here.
fn is_worth_finishing(total: Option<u64>, taken: u64) -> bool {
    let total = total.unwrap_or(taken);
    total < FINISH_BELOW || taken > total / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_or_well_begun_fills_are_finished() {
        const GIB: u64 = 1024 * 1024 * 1024;
        for (total, taken, worth) in [
            (Some(2 * GIB - 1), 0, true),
            (Some(2 * GIB), 0, false),
            (Some(10 * GIB), GIB, false),
            (Some(10 * GIB), GIB + 1, true),
            (None, GIB, true),
            (None, 3 * GIB, true),
        ] {
            assert_eq!(is_worth_finishing(total, taken), worth, "{total:?} {taken}");
        }
    }
}

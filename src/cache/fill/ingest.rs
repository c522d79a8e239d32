//! The way in: what was fetched goes into the spool, is published, and goes through the hash, in this order and on the
//! blocking pool.
//!
//! The hash follows the beginning of the content. Bytes that come in order are hashed as they pass; others, from segments
//! or from an earlier life of the spool, are read back when the hash reaches them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Fill, FillError};
use crate::oci::Verifier;
use crate::runtime::Tasks;
use crate::store::spool::Spool;

/// How many batches wait for the disk before the transfer waits too. With the registry's frames of at most 512 KiB this
/// bounds the memory of a fill to a few MiB.
pub const QUEUE: usize = 8;

/// After how many bytes the written intervals are put beside the spool: what a crash costs at most.
const PERSIST_EVERY: u64 = 16 * 1024 * 1024;

/// How much is read back at once, in bytes.
const READ_BACK: usize = 1024 * 1024;

/// How much is read back in one job: a thread of the pool is not held longer, and a stop is noticed in between.
const READ_BACK_LIMIT: u64 = 64 * 1024 * 1024;

/// Bytes and where they belong.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The offset of the first byte in the content.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// The spool and the running hash.
#[derive(Debug)]
pub struct Ingest {
    fill: Arc<Fill>,
    spool: Arc<Spool>,
    verifier: Verifier,
    unpersisted: u64,
}

impl Ingest {
    /// Begins to fill a spool, which may hold bytes already.
    pub fn new(fill: Arc<Fill>, spool: Arc<Spool>) -> Self {
        let verifier = Verifier::new(fill.digest());
        Self {
            fill,
            spool,
            verifier,
            unpersisted: 0,
        }
    }

    /// Takes batches until their senders are gone, then hashes what can be hashed and hands itself back.
    ///
    /// # Errors
    /// [`FillError`] when the spool could not be written or read. The senders find the queue closed then.
    pub async fn run(
        mut self,
        tasks: Tasks,
        mut queue: mpsc::Receiver<Batch>,
    ) -> Result<Self, FillError> {
        let mut batches = Vec::with_capacity(QUEUE);
        let stopping = tasks.stopping();
        loop {
            let is_open = if self.is_behind() {
                // The hash has something to do, whether or not more comes meanwhile.
                while batches.len() < QUEUE
                    && let Ok(batch) = queue.try_recv()
                {
                    batches.push(batch);
                }
                true
            } else {
                queue.recv_many(&mut batches, QUEUE).await > 0
            };
            let work = std::mem::take(&mut batches);
            let job = tasks.spawn_blocking(move || self.absorb(&work).map(|()| self));
            self = job.await.map_err(|_| FillError::Stopping)??;
            if !is_open && !self.is_behind() {
                return Ok(self);
            }
            if stopping.is_cancelled() && queue.is_closed() {
                return Err(FillError::Stopping);
            }
        }
    }

    /// Returns the hash, which has seen everything from the beginning to [`Verifier::position`].
    pub fn into_verifier(self) -> Verifier {
        self.verifier
    }

    fn absorb(&mut self, batches: &[Batch]) -> Result<(), FillError> {
        for batch in batches {
            self.spool.write_at(batch.offset, &batch.bytes)?;
            let length = batch.bytes.len() as u64;
            self.fill
                .publish_written(batch.offset..batch.offset + length);
            self.unpersisted += length;
        }
        for batch in batches {
            if batch.offset == self.verifier.position() {
                self.verifier.update(&batch.bytes);
            }
        }
        self.read_back()?;
        if self.unpersisted >= PERSIST_EVERY {
            self.unpersisted = 0;
            persist(&self.fill, &self.spool)?;
        }
        Ok(())
    }

    /// Hashes what is written behind the position of the hash.
    fn read_back(&mut self) -> Result<(), FillError> {
        let written = self.written_behind(self.verifier.position());
        let until = written.end.min(written.start + READ_BACK_LIMIT);
        if written.is_empty() {
            return Ok(());
        }
        let mut buffer = vec![0; READ_BACK];
        let mut position = written.start;
        while position < until {
            let length =
                usize::try_from(until - position).map_or(READ_BACK, |left| left.min(READ_BACK));
            let Some(part) = buffer.get_mut(..length) else {
                break;
            };
            self.spool.read_at(position, part)?;
            self.verifier.update(part);
            position += length as u64;
        }
        Ok(())
    }

    /// Tells whether there is something in the spool that the hash has not reached.
    fn is_behind(&self) -> bool {
        !self.written_behind(self.verifier.position()).is_empty()
    }

    fn written_behind(&self, position: u64) -> Range<u64> {
        let end = self.fill.progress.borrow().written.covered_until(position);
        position..end
    }
}

/// Puts beside the spool what is written, so that a later fill can go on from there.
///
/// # Errors
/// [`FillError`] when the side file could not be written.
pub fn persist(fill: &Fill, spool: &Spool) -> Result<(), FillError> {
    let (written, total) = {
        let progress = fill.progress.borrow();
        (progress.written.clone(), progress.total)
    };
    Ok(spool.persist(&written, total)?)
}

//! Makes room: decides how much has to go, and removes what was used least lately and nobody is reading.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::Settings;
use super::metrics::Metrics;
use super::room::Room;
use super::usage::{Kept, Usage};
use crate::oci::{Algorithm, Digest};
use crate::runtime::{Live, Tasks};
use crate::store::{BlobStore, LeaseTable, Space, SpaceFloor, StoreError};
use crate::telemetry::with_causes;

/// How often is looked whether something has to go, and uses are written down, when nothing comes.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How long is gathered what comes before it is looked at: it comes in numbers.
const GATHER: Duration = Duration::from_millis(250);
/// How often all blobs are compared with what is written down of them.
const COMPARE_EVERY: Duration = Duration::from_hours(24);
/// How many blobs that cannot be removed end an attempt: the disk is in trouble.
const FAILURES: usize = 16;

/// What is needed to make room.
#[derive(Debug)]
pub struct Parts {
    /// The store itself, with nothing that takes notes before it.
    pub blobs: Arc<dyn BlobStore>,
    /// Who reads what of it.
    pub leases: LeaseTable,
    /// What was used when.
    pub usage: Arc<Usage>,
    /// How much has to stay free.
    pub floor: SpaceFloor,
    /// How much is kept.
    pub settings: Live<Settings>,
    /// What is counted.
    pub metrics: Metrics,
    /// All tasks.
    pub tasks: Tasks,
}

/// Makes room.
#[derive(Debug)]
pub struct Evictor {
    parts: Parts,
    /// Whether less went than had to, the last time.
    was_short: bool,
    /// What went the last time.
    gone: Vec<Digest>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

impl Evictor {
    /// Begins with what is written down.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            was_short: false,
            gone: Vec::new(),
        }
    }

    /// Makes room whenever it is needed, until the tasks are told to stop. `space` looks at the file system.
    pub async fn run<F>(mut self, space: impl Fn() -> F)
    where
        F: Future<Output = Result<Space, StoreError>>,
    {
        let stopping = self.parts.tasks.stopping();
        let work = async {
            self.count().await;
            // After the first look whether something has to go, which does not wait for it.
            let mut compared = None;
            loop {
                let lacking = match compared {
                    None => 0,
                    Some(_) => self.occasion().await,
                };
                self.write_down().await;
                match space().await {
                    Ok(space) => self.make_room(space, lacking).await,
                    Err(error) => tracing::warn!(
                        error = with_causes(&error),
                        "could not find out how much room there is"
                    ),
                }
                if compared.is_none_or(|at: Instant| at.elapsed() >= COMPARE_EVERY) {
                    compared = Some(Instant::now());
                    self.compared().await;
                }
            }
        };
        stopping.run_until_cancelled(work).await;
        self.parts.usage.write_down().await;
    }

    /// Counts what is kept. What went wrong before, such as records that were lost, is put right thereby.
    async fn count(&self) {
        if let Err(error) = self.parts.usage.count().await {
            tracing::warn!(
                error = with_causes(&error),
                "could not count what is kept: nothing goes until that is known"
            );
        }
    }

    /// Finds what came or went while nobody took notes.
    async fn compared(&self) {
        let compared = self.compare().await;
        self.count().await;
        if let Err(error) = compared {
            tracing::warn!(
                error = with_causes(&error),
                "could not look at all blobs: how much is kept may be somewhat wrong"
            );
        }
    }

    /// Waits for something that may make it necessary that something goes. Returns how many bytes were lacking. When all
    /// that there is could not make enough room, it is not gone through again for each blob that comes.
    pub(super) async fn occasion(&self) -> u64 {
        if self.was_short {
            tokio::time::sleep(LOOK_EVERY).await;
            return 0;
        }
        tokio::select! {
            lacking = self.parts.floor.lacking() => {
                tokio::time::sleep(GATHER).await;
                lacking
            }
            () = self.parts.usage.arrival.notified() => {
                tokio::time::sleep(GATHER).await;
                0
            }
            () = tokio::time::sleep(LOOK_EVERY) => 0,
        }
    }

    /// Writes down what was used. Who found a blob while it was removed has taken a note of it only afterwards, and it would
    /// be counted though it is gone.
    pub(super) async fn write_down(&mut self) {
        let Parts { blobs, usage, .. } = &self.parts;
        for digest in std::mem::take(&mut self.gone) {
            if usage.is_in_use(&digest) && matches!(blobs.size(&digest).await, Ok(None)) {
                usage.disregard(&digest);
            }
        }
        usage.write_down().await;
    }

    /// Removes as much as has to go.
    pub(super) async fn make_room(&mut self, space: Space, lacking: u64) {
        if self.parts.usage.kept().is_none() {
            self.count().await;
        }
        let Some(Kept { bytes: kept, .. }) = self.parts.usage.kept() else {
            return;
        };
        let settings = self.parts.settings.now();
        let room = Room {
            kept,
            max: settings.max_size.unwrap_or(Room::usual(space.total)),
            total: space.total,
            free: space.free,
            floor: self.parts.floor.bytes(),
            lacking,
        };
        let excess = room.excess();
        if excess == 0 {
            self.was_short = false;
            return;
        }
        let evicted = self.evict(excess).await;
        // What was refused meanwhile lacked what is there now.
        self.parts.floor.had_room_made();
        if evicted.blobs > 0 {
            tracing::info!(
                blobs = evicted.blobs,
                size_bytes = evicted.bytes,
                kept_bytes = kept - evicted.bytes.min(kept),
                max_bytes = room.max,
                free_bytes = room.free,
                "made room: what was used least lately is gone"
            );
        }
        let is_short = evicted.bytes < excess;
        if is_short && !self.was_short {
            tracing::warn!(
                lacking_bytes = excess - evicted.bytes,
                "could not make enough room: the rest is being read, was used this minute, or cannot be removed"
            );
        }
        self.was_short = is_short;
    }

    /// Removes so many bytes, if so many can go.
    async fn evict(&mut self, excess: u64) -> Evicted {
        let Parts {
            blobs,
            leases,
            usage,
            metrics,
            ..
        } = &self.parts;
        let gone = &mut self.gone;
        let (mut evicted, mut failures) = (Evicted::default(), 0);
        let mut entries = usage.oldest_first();
        while evicted.bytes < excess && failures < FAILURES {
            let entry = match entries.next().await {
                None => break,
                Some(Ok(entry)) => entry,
                Some(Err(error)) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "could not read what was used when"
                    );
                    break;
                }
            };
            if leases.is_leased(&entry.digest) || usage.is_in_use(&entry.digest) {
                continue;
            }
            let removed = match blobs.remove(&entry.digest).await {
                Ok(()) => usage.evicted(&entry.digest).await,
                Err(error) => Err(error),
            };
            gone.push(entry.digest);
            match removed {
                Ok(()) => {
                    metrics.evicted(entry.size);
                    evicted.blobs += 1;
                    evicted.bytes += entry.size;
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        content.digest = %entry.digest,
                        error = with_causes(&error),
                        "could not remove a blob to make room"
                    );
                }
            }
        }
        evicted
    }

    /// Compares all blobs with what is written down of them.
    pub(super) async fn compare(&self) -> Result<(), StoreError> {
        let mut left: HashSet<String> = beginnings().collect();
        let (mut beginning, mut found) = (String::new(), HashMap::new());
        let mut listed = self.parts.blobs.list();
        while let Some(blob) = listed.next().await {
            let blob = blob?;
            let its = beginning_of(&blob.digest);
            if its != beginning {
                self.compare_those(&beginning, &found).await?;
                found.clear();
                left.remove(&its);
                beginning = its;
            }
            found.insert(blob.digest, blob.size);
        }
        self.compare_those(&beginning, &found).await?;
        for beginning in left {
            self.compare_those(&beginning, &HashMap::new()).await?;
        }
        Ok(())
    }

    /// Compares the blobs with this beginning. In what is listed, they stand together.
    async fn compare_those(
        &self,
        beginning: &str,
        found: &HashMap<Digest, u64>,
    ) -> Result<(), StoreError> {
        let Parts { blobs, usage, .. } = &self.parts;
        if beginning.is_empty() {
            return Ok(());
        }
        let known = usage.known_with(beginning).await?;
        for (digest, size) in found.iter().filter(|(digest, _)| !known.contains(*digest)) {
            usage.used(*digest, *size);
        }
        for digest in known.iter().filter(|digest| !found.contains_key(*digest)) {
            // It may have come since it was listed.
            if blobs.size(digest).await?.is_none() {
                usage.left(digest).await?;
            }
        }
        usage.write_down().await;
        Ok(())
    }
}

/// Returns all beginnings of digests.
fn beginnings() -> impl Iterator<Item = String> {
    let algorithms = Algorithm::ALL.into_iter();
    algorithms.flat_map(|algorithm| {
        (0..=u8::MAX).map(move |first| format!("{}:{first:02x}", algorithm.name()))
    })
}

/// Returns the beginning of a digest that those have in common which are listed together, as in `sha256:0a`.
fn beginning_of(digest: &Digest) -> String {
    let mut beginning = digest.to_string();
    beginning.truncate(digest.algorithm().name().len() + ":0a".len());
    beginning
}

//! When each blob was used last, and how much all of them have together.
//!
//! Two records a blob: `blob <digest>` has its size and its age class, `use <age class> <size> <digest>` says the same in
//! an order in which what may go first comes first. The class is the hour of the last use; what is small gets a good time
//! more, since it makes no room and a manifest costs a pull to fetch again. Uses are gathered in memory and written in
//! one go; what a crash loses makes a blob look older than it is by minutes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::Notify;

use crate::oci::Digest;
use crate::runtime::Clock;
use crate::store::{Change, Durability, Record, RecordKey, RecordStore, StoreError};
use crate::telemetry::with_causes;

/// What is small, in bytes: manifests and configurations are, and layers that matter are not.
const SMALL: u64 = 64 * 1024;
/// How many hours longer what is small counts as used.
const SMALL_GRACE: u32 = 30 * 24;
/// How many uses are gathered at most. What is not noted then is noted at its next use, and what came is found when all
/// blobs are looked at.
const GATHERED: usize = 100_000;
/// How many blobs are written down in one go.
const BATCH: usize = 256;

/// The first part of the keys that say of a blob when it was used.
const BLOB: &str = "blob";
/// The first part of the keys that say what was used when.
const USE: &str = "use";

/// When what was used.
#[derive(Debug)]
pub struct Usage {
    records: Arc<dyn RecordStore>,
    clock: Clock,
    /// Sizes of what was used since it was written down last.
    gathered: Mutex<HashMap<Digest, u64>>,
    /// What all blobs have together, once they were counted.
    kept: Mutex<Option<Kept>>,
    /// Something came.
    pub(super) arrival: Notify,
}

/// What all blobs have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many there are.
    pub blobs: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// A blob, and when it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// The hour since 1970 of its last use, and a grace for what is small.
    class: u32,
}

impl Entry {
    /// Returns the key that says when it was used.
    fn blob_key(&self) -> RecordKey {
        RecordKey::new(&[BLOB, &self.digest.to_string()])
    }

    /// Returns the key by which it is found in the order of use.
    fn use_key(&self) -> RecordKey {
        let (class, size) = (format!("{:08x}", self.class), format!("{:016x}", self.size));
        RecordKey::new(&[USE, &class, &size, &self.digest.to_string()])
    }

    /// Reads a key of the order of use.
    fn of_use(key: &RecordKey) -> Option<Self> {
        let mut parts = key.parts().skip(1);
        Some(Self {
            class: u32::from_str_radix(parts.next()?, 16).ok()?,
            size: u64::from_str_radix(parts.next()?, 16).ok()?,
            digest: parts.next()?.parse().ok()?,
        })
    }

    /// Reads what is written of a blob.
    fn of_blob(digest: Digest, record: &Record) -> Option<Self> {
        let (class, size) = std::str::from_utf8(&record.value).ok()?.split_once(' ')?;
        Some(Self {
            digest,
            class: class.parse().ok()?,
            size: size.parse().ok()?,
        })
    }

    fn value(&self) -> String {
        format!("{} {}", self.class, self.size)
    }
}

impl Usage {
    /// Works with these records, which may be lost.
    pub fn new(records: Arc<dyn RecordStore>, clock: Clock) -> Self {
        Self {
            records,
            clock,
            gathered: Mutex::default(),
            kept: Mutex::default(),
            arrival: Notify::new(),
        }
    }

    /// Returns what all blobs have together; `None` as long as they are not counted.
    pub fn kept(&self) -> Option<Kept> {
        *lock(&self.kept)
    }

    /// Takes a note that a blob was used, which is this large.
    pub(super) fn used(&self, digest: Digest, size: u64) {
        let mut gathered = lock(&self.gathered);
        if gathered.len() < GATHERED {
            gathered.insert(digest, size);
        }
    }

    /// Takes a note that a blob came.
    pub(super) fn arrived(&self, digest: Digest, size: u64) {
        self.used(digest, size);
        self.arrival.notify_one();
    }

    /// Tells whether a blob was used since uses were written down last.
    pub(super) fn is_in_use(&self, digest: &Digest) -> bool {
        lock(&self.gathered).contains_key(digest)
    }

    /// Takes a note that a blob was removed that was not in use. When it came again meanwhile, or was found there a moment
    /// before, that note stays.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written down; it is found when all blobs are looked at.
    pub(super) async fn evicted(&self, digest: &Digest) -> Result<(), StoreError> {
        self.forget(digest).await
    }

    /// Takes back the note that a blob was used: it is not there.
    pub(super) fn disregard(&self, digest: &Digest) {
        lock(&self.gathered).remove(digest);
    }

    /// Takes a note that a blob is gone.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written down; it is found when all blobs are looked at.
    pub(super) async fn left(&self, digest: &Digest) -> Result<(), StoreError> {
        lock(&self.gathered).remove(digest);
        self.forget(digest).await
    }

    /// Writes down what was used.
    pub(super) async fn write_down(&self) {
        let gathered = std::mem::take(&mut *lock(&self.gathered));
        let gathered: Vec<(Digest, u64)> = gathered.into_iter().collect();
        for (index, batch) in gathered.chunks(BATCH).enumerate() {
            if let Err(error) = self.write_batch(batch).await {
                self.gather_again(&gathered[index * BATCH..]);
                return tell(&error);
            }
        }
    }

    /// Takes back what could not be written down.
    fn gather_again(&self, left: &[(Digest, u64)]) {
        let mut gathered = lock(&self.gathered);
        let room = GATHERED.saturating_sub(gathered.len());
        for (digest, size) in left.iter().take(room) {
            gathered.entry(*digest).or_insert(*size);
        }
    }

    async fn write_batch(&self, batch: &[(Digest, u64)]) -> Result<(), StoreError> {
        let (mut changes, mut came) = (Vec::new(), Kept::default());
        for &(digest, size) in batch {
            let now = self.entry(digest, size);
            let before = self.known(digest).await?;
            if before == Some(now) {
                continue;
            }
            match before {
                Some(before) => changes.push(Change::remove(before.use_key())),
                None => came.add(now.size),
            }
            changes.push(Change::put(now.use_key(), ""));
            changes.push(Change::put(now.blob_key(), now.value()));
        }
        if !changes.is_empty() {
            self.records.commit(changes, Durability::Eventual).await?;
        }
        if let Some(kept) = &mut *lock(&self.kept) {
            kept.blobs += came.blobs;
            kept.bytes += came.bytes;
        }
        Ok(())
    }

    /// Takes out what is written of a blob.
    async fn forget(&self, digest: &Digest) -> Result<(), StoreError> {
        let Some(known) = self.known(*digest).await? else {
            return Ok(());
        };
        let changes = vec![
            Change::remove(known.use_key()),
            Change::remove(known.blob_key()),
        ];
        self.records.commit(changes, Durability::Eventual).await?;
        if let Some(kept) = &mut *lock(&self.kept) {
            kept.blobs = kept.blobs.saturating_sub(1);
            kept.bytes = kept.bytes.saturating_sub(known.size);
        }
        Ok(())
    }

    async fn known(&self, digest: Digest) -> Result<Option<Entry>, StoreError> {
        let key = RecordKey::new(&[BLOB, &digest.to_string()]);
        let record = self.records.read(&key).await?;
        Ok(record.and_then(|record| Entry::of_blob(digest, &record)))
    }

    /// Makes the entry of a blob that is used now.
    fn entry(&self, digest: Digest, size: u64) -> Entry {
        let hour = u32::try_from(self.clock.now().as_millis() / 3_600_000).unwrap_or(u32::MAX);
        let grace = if size <= SMALL { SMALL_GRACE } else { 0 };
        Entry {
            digest,
            size,
            class: hour.saturating_add(grace),
        }
    }

    /// Returns all blobs, those first that may go first.
    pub(super) fn oldest_first(&self) -> BoxStream<'static, Result<Entry, StoreError>> {
        let keys = self.records.list(&RecordKey::prefix(&[USE]), None);
        let entries = keys.filter_map(async |key| match key {
            Ok(key) => Entry::of_use(&key).map(Ok),
            Err(error) => Some(Err(error)),
        });
        entries.boxed()
    }

    /// Counts what is written down, while nothing else is.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn count(&self) -> Result<Kept, StoreError> {
        let mut kept = Kept::default();
        let mut entries = self.oldest_first();
        while let Some(entry) = entries.next().await {
            kept.add(entry?.size);
        }
        *lock(&self.kept) = Some(kept);
        Ok(kept)
    }

    /// Returns the blobs that are written down of which the digests begin like this, as in `sha256:0a`.
    pub(super) async fn known_with(&self, beginning: &str) -> Result<HashSet<Digest>, StoreError> {
        let prefix = RecordKey::new(&[BLOB, beginning]);
        let mut keys = self.records.list(&prefix, None);
        let mut known = HashSet::new();
        while let Some(key) = keys.next().await {
            let key = key?;
            let digest = key.parts().nth(1);
            known.extend(digest.and_then(|digest| digest.parse::<Digest>().ok()));
        }
        Ok(known)
    }
}

impl Kept {
    fn add(&mut self, bytes: u64) {
        self.blobs += 1;
        self.bytes += bytes;
    }
}

/// Each change is complete by itself, so that what a panic left is sound.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is not written down is noticed at the next use, or when all blobs are looked at.
fn tell(error: &StoreError) {
    tracing::warn!(
        error = with_causes(error),
        "could not write down which blobs were used"
    );
}

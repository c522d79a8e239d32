//! What a file looked like when its content was last known to be right.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::store::records::{Change, RecordKey};
use crate::store::{Durability, RecordStore};
use crate::telemetry::with_causes;

/// The marks of a file that change when somebody writes to it, or puts another in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stamp {
    pub(super) size: u64,
    pub(super) inode: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Of the file's own record too: names, owner, mode.
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The stamps of all blobs: the latest used in memory, all of them in records.
#[derive(Debug)]
pub(super) struct Stamps {
    memory: Cache<Digest, Stamp>,
    records: Arc<dyn RecordStore>,
}

impl Stamps {
    /// About 5 MB of memory when full.
    const MEMORY_LIMIT: u64 = 16 * 1024;

    pub(super) fn new(records: Arc<dyn RecordStore>) -> Self {
        Self {
            memory: Cache::new(Self::MEMORY_LIMIT),
            records,
        }
    }

    /// Tells whether memory has this very stamp.
    pub(super) fn is_remembered(&self, digest: &Digest, stamp: Stamp) -> bool {
        self.memory.get(digest) == Some(stamp)
    }

    pub(super) fn remember(&self, digest: Digest, stamp: Stamp) {
        self.memory.insert(digest, stamp);
    }

    /// Tells whether the records have this very stamp, and remembers it then. Records that cannot be read have none.
    pub(super) async fn is_recorded(&self, digest: &Digest, stamp: Stamp) -> bool {
        let recorded = match self.records.read(&Self::key(digest)).await {
            Ok(record) => record.and_then(|record| serde_json::from_slice(&record.value).ok()),
            Err(error) => {
                tracing::warn!(
                    content.digest = %digest,
                    error = with_causes(&error),
                    "could not read the stamp of a blob"
                );
                None
            }
        };
        let is_recorded = recorded == Some(stamp);
        if is_recorded {
            self.remember(*digest, stamp);
        }
        is_recorded
    }

    /// Records a stamp. Without it the blob is hashed again by the next process, so a failure is only told in the log.
    pub(super) async fn record(&self, digest: &Digest, stamp: Stamp, durability: Durability) {
        let json = serde_json::to_vec(&stamp).expect("numbers can be written as JSON");
        let change = Change::put(Self::key(digest), json);
        self.commit(digest, change, durability).await;
    }

    /// Forgets the stamp of a blob that is not there any more.
    pub(super) async fn forget(&self, digest: &Digest) {
        self.memory.invalidate(digest);
        let change = Change::remove(Self::key(digest));
        self.commit(digest, change, Durability::Eventual).await;
    }

    async fn commit(&self, digest: &Digest, change: Change, durability: Durability) {
        if let Err(error) = self.records.commit(vec![change], durability).await {
            tracing::warn!(
                content.digest = %digest,
                error = with_causes(&error),
                "could not record the stamp of a blob"
            );
        }
    }

    fn key(digest: &Digest) -> RecordKey {
        RecordKey::new(&["stamp", &digest.to_string()])
    }
}

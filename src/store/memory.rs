//! A store in memory, for tests and for what need not last.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::blocking::blocking;
use super::content::{OpenBlob, Opened, Piece, StoredBlob};
use super::error::StoreError;
use super::records::{Change, Edit, Expect, Record, RecordKey, Version};
use super::spool::VerifiedSpool;
use super::{BlobStore, Durability, RecordStore};
use crate::oci::{ByteRange, ContentRange, Digest};
use crate::runtime::Tasks;

/// Blobs in memory.
#[derive(Debug)]
pub struct MemoryBlobs {
    blobs: Mutex<BTreeMap<Digest, Bytes>>,
    tasks: Tasks,
}

impl MemoryBlobs {
    /// Starts with no blob.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            blobs: Mutex::default(),
            tasks,
        }
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<Digest, Bytes>> {
        self.blobs.lock().expect("nothing panics while it looks up")
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn open(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<OpenBlob>, StoreError> {
        let Some(bytes) = self.blobs().get(digest).cloned() else {
            return Ok(None);
        };
        let total = bytes.len() as u64;
        let range = range.map_or(Ok(ContentRange::whole(total)), |range| range.resolve(total));
        let opened = match range {
            Ok(range) => {
                let position =
                    |at| usize::try_from(at).expect("the range is one of bytes in memory");
                let part = bytes.slice(position(range.start())..position(range.end()));
                let pieces = (!part.is_empty()).then_some(Ok(Piece::Bytes(part)));
                Opened::Range(range, stream::iter(pieces).boxed())
            }
            Err(unsatisfiable) => Opened::Unsatisfiable(unsatisfiable),
        };
        Ok(Some(OpenBlob { total, opened }))
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let size = self.blobs().get(digest).map(Bytes::len);
        Ok(size.map(|size| size as u64))
    }

    async fn adopt(&self, spool: VerifiedSpool, _: Durability) -> Result<(), StoreError> {
        let content = spool.content();
        let read = move || {
            let mut bytes = vec![0; usize::try_from(content.size()).unwrap_or(usize::MAX)];
            let read = spool.file().read_exact_at(&mut bytes, 0);
            let describe = |error| StoreError::io("read the spool", spool.path(), error);
            read.map_err(describe).map(|()| Bytes::from(bytes))
        };
        let bytes = blocking(&self.tasks, read).await?;
        self.blobs().insert(content.digest(), bytes);
        Ok(())
    }

    async fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        self.blobs().remove(digest);
        Ok(())
    }

    fn list(&self) -> BoxStream<'static, Result<StoredBlob, StoreError>> {
        let blobs = self.blobs();
        let listed = blobs.iter().map(|(digest, bytes)| StoredBlob {
            digest: *digest,
            size: bytes.len() as u64,
        });
        stream::iter(listed.map(Ok).collect::<Vec<_>>()).boxed()
    }
}

/// Records in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    records: BTreeMap<RecordKey, Record>,
    last_version: u64,
}

impl MemoryRecords {
    /// Starts with no record.
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().expect("nothing panics while it looks up")
    }
}

impl Records {
    fn is_as_expected(&self, change: &Change) -> bool {
        let found = self.records.get(&change.key);
        match change.expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::Unchanged(version) => found.is_some_and(|record| record.version == version),
        }
    }

    fn make(&mut self, change: Change) {
        match change.edit {
            Edit::Put(value) => {
                self.last_version += 1;
                let version = Version(self.last_version);
                self.records.insert(change.key, Record { version, value });
            }
            Edit::Remove => {
                self.records.remove(&change.key);
            }
        }
    }
}

#[async_trait]
impl RecordStore for MemoryRecords {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.records().records.get(key).cloned())
    }

    async fn commit(&self, changes: Vec<Change>, _: Durability) -> Result<(), StoreError> {
        let mut records = self.records();
        let conflict = changes
            .iter()
            .find(|change| !records.is_as_expected(change));
        if let Some(Change { key, .. }) = conflict {
            return Err(StoreError::Conflict { key: key.clone() });
        }
        changes.into_iter().for_each(|change| records.make(change));
        Ok(())
    }

    fn list(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
    ) -> BoxStream<'static, Result<RecordKey, StoreError>> {
        let records = self.records();
        let from_prefix = records.records.range(prefix..).map(|(key, _)| key);
        let listed = from_prefix
            .take_while(|key| key.as_str().starts_with(prefix.as_str()))
            .filter(|key| after.is_none_or(|after| *key > after))
            .cloned();
        stream::iter(listed.map(Ok).collect::<Vec<_>>()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn it_conforms() {
        let tasks = Tasks::new();
        let blobs = Arc::new(MemoryBlobs::new(tasks.clone()));
        let folder = tempfile::tempdir().unwrap();
        conformance::blobs(blobs, &conformance::spools(folder.path(), tasks)).await;
        conformance::records(Arc::new(MemoryRecords::new())).await;
    }
}

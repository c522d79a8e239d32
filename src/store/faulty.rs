//! Stores that fail when they are told to, for tests of what the other rooms do then.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::oneshot;

use super::content::{OpenBlob, StoredBlob};
use super::error::StoreError;
use super::records::{Change, Record, RecordKey};
use super::spool::VerifiedSpool;
use super::{BlobStore, Durability, RecordStore};
use crate::oci::{ByteRange, Digest};

/// What can be asked of a blob store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobOperation {
    /// [`BlobStore::open`].
    Open,
    /// [`BlobStore::size`].
    Size,
    /// [`BlobStore::adopt`].
    Adopt,
    /// [`BlobStore::remove`].
    Remove,
    /// [`BlobStore::list`], which gives the failure as its only item.
    List,
}

/// What can be asked of a record store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOperation {
    /// [`RecordStore::read`].
    Read,
    /// [`RecordStore::commit`].
    Commit,
    /// [`RecordStore::list`], which gives the failure as its only item.
    List,
}

/// A blob store before another one.
#[derive(Debug)]
pub struct FaultyBlobs {
    store: Arc<dyn BlobStore>,
    faults: Faults<BlobOperation>,
    hold: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

/// A call that waits in front of a store.
#[derive(Debug)]
pub struct HeldCall {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl HeldCall {
    /// Returns when the call has come.
    pub async fn reached(&mut self) {
        // The other side is gone only when the store is, and then nothing comes.
        (&mut self.reached).await.ok();
    }

    /// Lets it go on.
    pub fn release(self) {
        self.release.send(()).ok();
    }
}

impl FaultyBlobs {
    /// Does what the other store does, until told otherwise.
    pub fn new(store: Arc<dyn BlobStore>) -> Self {
        Self {
            store,
            faults: Faults::default(),
            hold: Mutex::default(),
        }
    }

    /// Holds the next call of [`BlobStore::size`] until it is released or the [`HeldCall`] is dropped.
    pub fn hold_next_size(&self) -> HeldCall {
        let (reach, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        *self.hold.lock().expect("nothing panics while it is set") = Some((reach, released));
        HeldCall { reached, release }
    }

    /// Makes the next calls of an operation fail, instead of what it was told before. The other store does not see
    /// them.
    pub fn fail_next(&self, operation: BlobOperation, calls: usize, error: StoreError) {
        self.faults.set(operation, calls, error);
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for FaultyBlobs {
    async fn open(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<OpenBlob>, StoreError> {
        self.faults.check(BlobOperation::Open)?;
        self.store.open(digest, range).await
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let hold = self
            .hold
            .lock()
            .expect("nothing panics while it is set")
            .take();
        if let Some((reach, released)) = hold {
            reach.send(()).ok();
            released.await.ok();
        }
        self.faults.check(BlobOperation::Size)?;
        self.store.size(digest).await
    }

    async fn adopt(&self, spool: VerifiedSpool, durability: Durability) -> Result<(), StoreError> {
        self.faults.check(BlobOperation::Adopt)?;
        self.store.adopt(spool, durability).await
    }

    async fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        self.faults.check(BlobOperation::Remove)?;
        self.store.remove(digest).await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredBlob, StoreError>> {
        match self.faults.check(BlobOperation::List) {
            Ok(()) => self.store.list(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

/// A record store before another one.
#[derive(Debug)]
pub struct FaultyRecords {
    store: Arc<dyn RecordStore>,
    faults: Faults<RecordOperation>,
}

impl FaultyRecords {
    /// Does what the other store does, until told otherwise.
    pub fn new(store: Arc<dyn RecordStore>) -> Self {
        Self {
            store,
            faults: Faults::default(),
        }
    }

    /// Makes the next calls of an operation fail, instead of what it was told before. The other store does not see
    /// them.
    pub fn fail_next(&self, operation: RecordOperation, calls: usize, error: StoreError) {
        self.faults.set(operation, calls, error);
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RecordStore for FaultyRecords {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.faults.check(RecordOperation::Read)?;
        self.store.read(key).await
    }

    async fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<(), StoreError> {
        self.faults.check(RecordOperation::Commit)?;
        self.store.commit(changes, durability).await
    }

    fn list(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
    ) -> BoxStream<'static, Result<RecordKey, StoreError>> {
        match self.faults.check(RecordOperation::List) {
            Ok(()) => self.store.list(prefix, after),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

/// What is going to fail: one entry at most for each operation.
#[derive(Debug)]
struct Faults<O>(Mutex<Vec<(O, usize, StoreError)>>);

impl<O> Default for Faults<O> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<O: Copy + PartialEq> Faults<O> {
    fn set(&self, operation: O, calls: usize, error: StoreError) {
        let mut faults = self.0.lock().expect("nothing panics while it counts");
        faults.retain(|(other, ..)| *other != operation);
        faults.push((operation, calls, error));
    }

    fn check(&self, operation: O) -> Result<(), StoreError> {
        let mut faults = self.0.lock().expect("nothing panics while it counts");
        let fault = faults.iter_mut().find(|(other, ..)| *other == operation);
        match fault {
            Some((_, calls, error)) if *calls > 0 => {
                *calls -= 1;
                Err(error.clone())
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Tasks;
    use crate::store::conformance;
    use crate::store::memory::{MemoryBlobs, MemoryRecords};

    const FULL: StoreError = StoreError::NoSpace {
        needed_bytes: 1,
        free_bytes: 0,
        floor_bytes: 0,
    };

    #[tokio::test]
    async fn without_a_fault_it_conforms() {
        let (tasks, folder) = (Tasks::new(), tempfile::tempdir().unwrap());
        let blobs = Arc::new(MemoryBlobs::new(tasks.clone()));
        let spools = conformance::spools(folder.path(), tasks);
        conformance::blobs(Arc::new(FaultyBlobs::new(blobs)), &spools).await;
        let records = Arc::new(MemoryRecords::new());
        conformance::records(Arc::new(FaultyRecords::new(records))).await;
    }

    #[tokio::test]
    async fn the_calls_that_were_named_fail_and_no_others() {
        let blobs = FaultyBlobs::new(Arc::new(MemoryBlobs::new(Tasks::new())));
        let digest = Digest::Sha256([0; 32]);
        blobs.fail_next(BlobOperation::Open, 2, FULL);
        for is_faulty in [true, true, false] {
            assert!(blobs.size(&digest).await.is_ok());
            assert_eq!(blobs.open(&digest, None).await.is_err(), is_faulty);
        }
        blobs.fail_next(BlobOperation::List, 1, FULL);
        let listed: Vec<_> = blobs.list().collect().await;
        assert!(matches!(listed[..], [Err(StoreError::NoSpace { .. })]));

        let records = FaultyRecords::new(Arc::new(MemoryRecords::new()));
        let key = RecordKey::new(&["a"]);
        let put = || vec![Change::put(key.clone(), "1")];
        records.fail_next(RecordOperation::Commit, 1, FULL);
        assert!(records.commit(put(), Durability::Durable).await.is_err());
        assert_eq!(records.read(&key).await.unwrap(), None);
        assert!(records.commit(put(), Durability::Durable).await.is_ok());
    }
}

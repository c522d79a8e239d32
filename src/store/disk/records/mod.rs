//! Records on disk: any number of readers, one writer that groups commits.
//!
//! A commit waits in a queue. Whoever finds nobody writing starts the writer, which takes all that waits into one
//! transaction, answers, and goes on until the queue is empty. So nothing runs while nothing is written, and a stop
//! has nothing to stop. An eventual commit is visible at once and synced with the next durable one, or by itself
//! after [`SYNC_DELAY`].

mod file;
#[cfg(test)]
mod medium;
mod snapshot;
mod table;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::file::{Loss, RecordFile};
use super::layout::Layout;
use super::lock::FolderLock;
use crate::runtime::Tasks;
use crate::store::blocking::blocking;
use crate::store::error::StoreError;
use crate::store::records::{Change, Record, RecordKey};
use crate::store::{Durability, RecordStore};
use crate::telemetry::with_causes;

/// How long a loss of power may reach back for eventual commits.
const SYNC_DELAY: Duration = Duration::from_secs(1);

/// How many commits may wait: more callers than this wait before they are in the queue.
const QUEUE_LIMIT: usize = 1024;

/// How many commits make one transaction, so that the first of them does not wait for all.
const BATCH_LIMIT: usize = 256;

/// How many keys are listed by one transaction.
const PAGE: usize = 512;

/// Records in one redb file. Clones share it.
#[derive(Clone, Debug)]
pub struct DiskRecords(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: RecordFile,
    tasks: Tasks,
    queue: Mutex<Queue>,
    room: Arc<Semaphore>,
    /// The folder stays ours as long as its records are in use.
    _lock: Arc<FolderLock>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    is_writing: bool,
    is_sync_planned: bool,
}

/// A commit whose caller waits for the answer.
#[derive(Debug)]
struct Waiting {
    changes: Vec<Change>,
    durability: Durability,
    answer: oneshot::Sender<Result<(), StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl DiskRecords {
    /// Opens records that may be lost. A file that is damaged is put aside. Blocking.
    pub(super) fn open_cache(
        path: PathBuf,
        tasks: Tasks,
        lock: Arc<FolderLock>,
    ) -> Result<Self, StoreError> {
        let opener = Box::new(file::open_file);
        let file = RecordFile::open(path, opener, Loss::Bearable)?;
        Ok(Self::new(file, tasks, lock))
    }

    /// Opens the records that cannot, and takes the snapshot of what they were now. Blocking.
    pub(super) fn open_hosted(
        layout: &Layout,
        tasks: Tasks,
        lock: Arc<FolderLock>,
    ) -> Result<Self, StoreError> {
        let file = snapshot::open(layout, Box::new(file::open_file))?;
        Ok(Self::new(file, tasks, lock))
    }

    fn new(file: RecordFile, tasks: Tasks, lock: Arc<FolderLock>) -> Self {
        Self(Arc::new(Shared {
            file,
            tasks,
            queue: Mutex::default(),
            room: Arc::new(Semaphore::new(QUEUE_LIMIT)),
            _lock: lock,
        }))
    }

    /// Returns the first keys of a listing.
    async fn page(
        &self,
        prefix: RecordKey,
        after: Option<RecordKey>,
    ) -> Result<Vec<RecordKey>, StoreError> {
        let shared = Arc::clone(&self.0);
        let list = move || {
            let list = |database: &_| table::keys(database, &prefix, after.as_ref(), PAGE);
            shared.file.attempt("list", list)
        };
        blocking(&self.0.tasks, list).await
    }
}

#[async_trait]
impl RecordStore for DiskRecords {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        // Mostly microseconds, but what has fallen out of the page cache takes as long as the disk does.
        let (shared, key) = (Arc::clone(&self.0), key.clone());
        let read = move || {
            shared
                .file
                .attempt("read", |database| table::read(database, &key))
        };
        blocking(&self.0.tasks, read).await
    }

    async fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<(), StoreError> {
        let room = Arc::clone(&self.0.room).acquire_owned().await;
        let (answer, answered) = oneshot::channel();
        Shared::enqueue(
            &self.0,
            Waiting {
                changes,
                durability,
                answer,
                _room: room.expect("the semaphore is never closed"),
            },
        );
        match answered.await {
            Ok(result) => result,
            // The runtime goes away, and whoever waits goes with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Reads some keys at a time: records that come or go meanwhile may or may not be among them.
    fn list(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
    ) -> BoxStream<'static, Result<RecordKey, StoreError>> {
        let (records, prefix) = (self.clone(), prefix.clone());
        let pages = stream::unfold(Some(after.cloned()), move |from| {
            let (records, prefix) = (records.clone(), prefix.clone());
            async move {
                match records.page(prefix, from?).await {
                    Ok(keys) => {
                        let is_last = keys.len() < PAGE;
                        let next = keys.last().filter(|_| !is_last).cloned();
                        let keys = keys.into_iter().map(Ok).collect::<Vec<_>>();
                        Some((keys, next.map(Some)))
                    }
                    Err(error) => Some((vec![Err(error)], None)),
                }
            }
        });
        pages.flat_map(stream::iter).boxed()
    }
}

impl Shared {
    fn enqueue(shared: &Arc<Self>, waiting: Waiting) {
        let mut queue = shared.queue();
        queue.waiting.push_back(waiting);
        if !queue.is_writing {
            queue.is_writing = true;
            let writer = Arc::clone(shared);
            drop(shared.tasks.spawn_blocking(move || writer.write()));
        }
    }

    /// Writes until nothing waits.
    fn write(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let is_durable = |waiting: &Waiting| waiting.durability == Durability::Durable;
            let durability = if batch.iter().any(is_durable) {
                Durability::Durable
            } else {
                Durability::Eventual
            };
            let conflicts = self.file.commit("commit to", |database, last| {
                let commits = batch.iter().map(|waiting| &waiting.changes[..]);
                table::commit(database, commits, durability, last)
            });
            if conflicts.is_ok() && durability == Durability::Eventual {
                Self::sync_soon(&self);
            }
            let mut conflicts = conflicts.map(Vec::into_iter);
            for waiting in batch {
                let result = match &mut conflicts {
                    Ok(conflicts) => match conflicts.next().flatten() {
                        None => Ok(()),
                        Some(key) => Err(StoreError::Conflict { key }),
                    },
                    Err(error) => Err(error.clone()),
                };
                // A caller who has left did not undo what it began.
                waiting.answer.send(result).ok();
            }
        }
    }

    /// Takes what waits. Returns `None`, and lets the next caller start a writer, when nothing does.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        let count = queue.waiting.len().min(BATCH_LIMIT);
        queue.is_writing = count > 0;
        queue
            .is_writing
            .then(|| queue.waiting.drain(..count).collect())
    }

    /// Makes eventual commits durable in a while, or at once when the program stops.
    fn sync_soon(shared: &Arc<Self>) {
        let is_planned = std::mem::replace(&mut shared.queue().is_sync_planned, true);
        if is_planned {
            return;
        }
        let shared = Arc::clone(shared);
        let (tasks, stopping) = (shared.tasks.clone(), shared.tasks.stopping());
        let sync = async move {
            let waited = tokio::time::timeout(SYNC_DELAY, stopping.cancelled());
            waited.await.ok();
            let tasks = shared.tasks.clone();
            blocking(&tasks, move || shared.sync()).await;
        };
        drop(tasks.spawn("record sync", sync));
    }

    fn sync(&self) {
        // What is committed from now on plans its own.
        self.queue().is_sync_planned = false;
        if let Err(error) = self.file.attempt("sync", table::sync) {
            tracing::warn!(
                error = with_causes(&error),
                "could not sync the latest records: a loss of power would lose them"
            );
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it queues")
    }
}

#[cfg(test)]
mod tests;

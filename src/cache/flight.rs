//! Work that several requests want at once is done once.
//!
//! What is in the air belongs to the table and to the task that does the work, never to the request that asked first: a
//! client that leaves changes nothing for the others. The entry goes when the [`Landing`] is dropped, however the work
//! ends.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use crate::runtime::Tasks;

/// What is in the air, by key.
pub struct Flights<K, V> {
    entries: Arc<Mutex<HashMap<K, V>>>,
}

/// Whether a request began the work or came to it.
#[derive(Debug)]
pub enum Boarding<K: Eq + Hash, V> {
    /// It was in the air already.
    Joined(V),
    /// It is ours to do. The landing goes to the task that does it.
    Started(V, Landing<K, V>),
}

/// Takes an entry out of the table when it is dropped.
pub struct Landing<K: Eq + Hash, V> {
    key: Option<K>,
    entries: Arc<Mutex<HashMap<K, V>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// Joins what is in the air under a key, or puts there what `make` gives. `make` runs under the table's lock.
    pub fn board(&self, key: &K, make: impl FnOnce() -> V) -> Boarding<K, V> {
        let mut entries = lock(&self.entries);
        if let Some(found) = entries.get(key) {
            return Boarding::Joined(found.clone());
        }
        let value = make();
        entries.insert(key.clone(), value.clone());
        Boarding::Started(
            value,
            Landing {
                key: Some(key.clone()),
                entries: self.entries.clone(),
            },
        )
    }

    /// Returns what is in the air under a key.
    pub fn find(&self, key: &K) -> Option<V> {
        lock(&self.entries).get(key).cloned()
    }

    /// Returns how much is in the air.
    pub fn count(&self) -> usize {
        lock(&self.entries).len()
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("count", &lock(&self.entries).len())
            .finish()
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Landing<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Landing").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = lock(&self.entries).remove(&key);
            // Dropped after the lock is released: a value may have a drop of its own.
            drop(removed);
        }
    }
}

/// Nothing panics under the lock, so that a poisoned one is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A result in the making, which any number of requests can wait for.
pub type Pending<T> = watch::Receiver<Option<T>>;

/// Flights whose value is the result of a future.
pub struct SharedWork<K, T> {
    flights: Flights<K, Flying<T>>,
    tasks: Tasks,
}

/// Work that is under way.
struct Flying<T> {
    pending: Pending<T>,
    began: Instant,
}

impl<T> Clone for Flying<T> {
    fn clone(&self) -> Self {
        Self {
            pending: self.pending.clone(),
            began: self.began,
        }
    }
}

impl<K, T> SharedWork<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Makes a table whose work runs as tasks of this kind.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            flights: Flights::default(),
            tasks,
        }
    }

    /// Waits for the result under a key, from work that is under way or that `work` begins. Dropping this future does
    /// not stop the work.
    ///
    /// Returns `None` when the work ended without a result, which only a panic or the end of the program does.
    pub async fn run<F>(
        &self,
        name: &'static str,
        key: &K,
        work: impl FnOnce() -> F,
    ) -> Option<(T, Role)>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (mut pending, role) = self.begin(name, key, work);
        let result = pending.wait_for(Option::is_some).await.ok()?.clone();
        result.map(|result| (result, role))
    }

    /// Returns for how long the work under a key has been under way; zero when it is not.
    pub fn elapsed(&self, key: &K) -> Duration {
        let flying = self.flights.find(key);
        flying.map_or(Duration::ZERO, |flying| flying.began.elapsed())
    }

    /// Sees to it that the work under a key is under way, and waits for nothing.
    pub fn begin<F>(
        &self,
        name: &'static str,
        key: &K,
        work: impl FnOnce() -> F,
    ) -> (Pending<T>, Role)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, receiver) = watch::channel(None);
        let take_off = || Flying {
            pending: receiver,
            began: Instant::now(),
        };
        match self.flights.board(key, take_off) {
            Boarding::Joined(flying) => (flying.pending, Role::Joined),
            Boarding::Started(Flying { pending, .. }, landing) => {
                // What it tells is told under the request that began it, whoever joins.
                let work = work().in_current_span();
                let stopping = self.tasks.stopping();
                drop(self.tasks.spawn(name, async move {
                    let Some(result) = stopping.run_until_cancelled(work).await else {
                        return;
                    };
                    // Landed before it is told: whoever hears of the result and asks again begins anew.
                    drop(landing);
                    sender.send_replace(Some(result));
                }));
                (pending, Role::Began)
            }
        }
    }
}

impl<K, T> fmt::Debug for SharedWork<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flights.fmt(f)
    }
}

/// Who began the work that a result comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This request.
    Began,
    /// Another one.
    Joined,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn many_waiters_share_one_run_and_its_result() {
        let work = Arc::new(SharedWork::<u8, usize>::new(Tasks::new()));
        let runs = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Notify::new());
        let wait = |_| {
            let (work, runs, gate) = (work.clone(), runs.clone(), gate.clone());
            async move {
                work.run("test", &1, || async move {
                    gate.notified().await;
                    runs.fetch_add(1, Ordering::SeqCst)
                })
                .await
            }
        };
        let waiters = futures_util::future::join_all((0..20).map(wait));
        let release = async { gate.notify_one() };
        let (results, ()) = tokio::join!(waiters, release);
        assert_eq!(
            results
                .iter()
                .filter(|r| **r == Some((0, Role::Began)))
                .count(),
            1
        );
        assert_eq!(
            results
                .iter()
                .filter(|r| **r == Some((0, Role::Joined)))
                .count(),
            19
        );
        assert_eq!((runs.load(Ordering::SeqCst), work.flights.count()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_late_learns_how_late() {
        let work = SharedWork::<u8, ()>::new(Tasks::new());
        assert_eq!(work.elapsed(&1), Duration::ZERO);
        let gate = Arc::new(Notify::new());
        let opened = gate.clone();
        let (mut pending, _) = work.begin("test", &1, || async move { opened.notified().await });
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(work.elapsed(&1), Duration::from_secs(5));
        assert_eq!(work.elapsed(&2), Duration::ZERO);
        gate.notify_one();
        pending.wait_for(Option::is_some).await.unwrap();
        assert_eq!(work.elapsed(&1), Duration::ZERO);
    }

    #[tokio::test]
    async fn work_survives_the_request_that_began_it() {
        let work = Arc::new(SharedWork::<u8, &str>::new(Tasks::new()));
        let gate = Arc::new(Notify::new());
        let inner = gate.clone();
        let first = work.run("test", &1, || async move {
            inner.notified().await;
            "done"
        });
        // The request leaves after its first poll.
        assert!(futures_util::FutureExt::now_or_never(first).is_none());
        gate.notify_one();
        let joined = work.run("test", &1, || async { "a second run" }).await;
        assert_eq!(joined, Some(("done", Role::Joined)));
    }

    #[tokio::test]
    async fn a_landing_clears_the_table_however_the_work_ends() {
        let work = SharedWork::<u8, ()>::new(Tasks::new());
        let ended = work
            .run("test", &1, || async { panic!("the work fails") })
            .await;
        assert_eq!(ended, None);
        assert_eq!(work.flights.count(), 0);
    }
}

//! Tasks with a name, a count and an end: everything that is spawned is spawned here, and a stop waits for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The tasks of one larder. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    running: Running,
}

/// How many tasks are running, by their names, which are those in the code.
#[derive(Clone, Debug, Default)]
struct Running(Arc<Mutex<BTreeMap<&'static str, Arc<AtomicUsize>>>>);

/// Counts a task while it lives.
struct Counted(Arc<AtomicUsize>);

impl Tasks {
    /// The name of all work on the pool for what blocks, which waits for a place there as well.
    const BLOCKING: &str = "blocking";

    /// Starts with no task.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a future to its end, whoever waits for it. It is not cancelled when the handle is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns"
    )]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let span = tracing::debug_span!("task", task.name = name);
        let counted = self.running.begin(name);
        let future = async move {
            let _counted = counted;
            future.await
        };
        tokio::spawn(self.tracker.track_future(future.instrument(span)))
    }

    /// Runs blocking work on the pool for it.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let counted = self.running.begin(Self::BLOCKING);
        self.tracker.spawn_blocking(move || {
            let _counted = counted;
            work()
        })
    }

    /// Returns a token that is cancelled when the program begins to stop. Long tasks watch it and come to an end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Returns how many tasks are running.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Returns how many tasks of each name are running; of those that ran before, 0.
    pub fn by_name(&self) -> Vec<(&'static str, usize)> {
        let running = self.running.locked();
        let counts = running.iter();
        counts
            .map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
            .collect()
    }

    /// Tells all tasks to stop.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Tells all tasks to stop and waits for them, at most this long. Returns how many were still running then.
    pub async fn drain(&self, at_most: Duration) -> usize {
        self.stop();
        self.tracker.close();
        match tokio::time::timeout(at_most, self.tracker.wait()).await {
            Ok(()) => 0,
            Err(_) => self.count(),
        }
    }
}

impl Running {
    fn begin(&self, name: &'static str) -> Counted {
        let count = self.locked().entry(name).or_default().clone();
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }

    /// Each change is complete by itself, so that what a panic left is sound.
    fn locked(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<AtomicUsize>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_are_counted_by_name_until_they_end_or_are_dropped() {
        let tasks = Tasks::new();
        let idle = tasks.spawn("idle", std::future::pending::<()>());
        let other = tasks.spawn("idle", std::future::pending::<()>());
        tasks.spawn("short", async {}).await.unwrap();
        tasks.spawn_blocking(|| {}).await.unwrap();
        assert_eq!(
            tasks.by_name(),
            [("blocking", 0), ("idle", 2), ("short", 0)]
        );
        idle.abort();
        idle.await.unwrap_err();
        assert_eq!(
            tasks.by_name(),
            [("blocking", 0), ("idle", 1), ("short", 0)]
        );
        other.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_tasks_and_tells_what_is_left() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        let polite = tasks.spawn("polite", async move { stopping.cancelled().await });
        assert_eq!(tasks.drain(Duration::from_secs(1)).await, 0);
        polite.await.unwrap();

        let tasks = Tasks::new();
        let stubborn = tasks.spawn("stubborn", std::future::pending::<()>());
        assert_eq!(tasks.drain(Duration::from_secs(1)).await, 1);
        stubborn.abort();
    }
}

//! Tasks with a name, a count and an end: everything that is spawned is spawned here, and a stop waits for it.

use std::future::Future;
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
}

impl Tasks {
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
        tokio::spawn(self.tracker.track_future(future.instrument(span)))
    }

    /// Runs blocking work on the pool for it.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.tracker.spawn_blocking(work)
    }

    /// Returns a token that is cancelled when the program begins to stop. Long tasks watch it and come to an end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Returns how many tasks are running.
    pub fn count(&self) -> usize {
        self.tracker.len()
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

#[cfg(test)]
mod tests {
    use super::*;

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

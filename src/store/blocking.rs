//! File work, which blocks, on the threads that may block.

use tokio::task::JoinHandle;

use crate::runtime::Tasks;

/// Runs file work on the pool for it and waits for the result. The work goes on when the future is dropped.
pub(super) async fn blocking<T: Send + 'static>(
    tasks: &Tasks,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    result(tasks.spawn_blocking(work)).await
}

/// Waits for the result of a task. A panic there is one here.
pub(super) async fn result<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away before the work began, and whoever waits goes with it.
            Err(_) => std::future::pending().await,
        },
    }
}

//! File work, which blocks, on the threads that may block.

use crate::runtime::Tasks;

/// Runs file work on the pool for it and waits for the result. The work goes on when the future is dropped.
pub(super) async fn blocking<T: Send + 'static>(
    tasks: &Tasks,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tasks.spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away before the work began, and whoever waits goes with it.
            Err(_) => std::future::pending().await,
        },
    }
}

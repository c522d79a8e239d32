//! Where hyper's own tasks run: counted and drained as all others.

use std::future::Future;

use super::tasks::Tasks;

/// Runs the tasks that hyper spawns for its connections.
#[derive(Clone, Debug)]
pub struct HyperExecutor(Tasks);

impl HyperExecutor {
    /// Runs them among these tasks.
    pub fn new(tasks: Tasks) -> Self {
        Self(tasks)
    }
}

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn("hyper", future));
    }
}

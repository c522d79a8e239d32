//! How much is asked of one upstream at once.
//!
//! Blob transfers are limited apart from everything, and far below it: however many large blobs are on their way, most of
//! the room is free for manifests, which so never wait behind them. Within each limit the longest wait goes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::UpstreamError;
use super::settings::Limits;
use crate::oci::UpstreamName;

/// The requests that may be under way to one upstream.
#[derive(Debug)]
pub(super) struct Budget {
    upstream: UpstreamName,
    requests: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    turn: Duration,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A manifest, or a question: small and awaited.
    Question,
    /// The bytes of a blob: large and long.
    Transfer,
    /// To transfer a part of a blob ahead of another transfer: a favour, which is done at once or not at all.
    Ahead,
}

/// The right to have one request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _request: OwnedSemaphorePermit,
    _transfer: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Makes the budget of an upstream.
    pub(super) fn new(upstream: UpstreamName, limits: &Limits) -> Self {
        Self {
            upstream,
            requests: Arc::new(Semaphore::new(limits.requests)),
            transfers: Arc::new(Semaphore::new(limits.transfers)),
            turn: limits.turn,
        }
    }

    /// Waits for the turn of a request.
    ///
    /// # Errors
    /// [`UpstreamError::Overloaded`] when it does not come in time.
    pub(super) async fn admit(&self, work: Work) -> Result<Permit, UpstreamError> {
        let acquire = |semaphore: &Arc<Semaphore>| {
            let acquiring = semaphore.clone().acquire_owned();
            async { acquiring.await.expect("nobody closes the budget") }
        };
        let overloaded = || UpstreamError::Overloaded {
            upstream: self.upstream.clone(),
        };
        let turn = async {
            let transfer = match work {
                Work::Question => None,
                Work::Transfer => Some(acquire(&self.transfers).await),
                Work::Ahead => {
                    let free = |semaphore: &Arc<Semaphore>| semaphore.clone().try_acquire_owned();
                    return match (free(&self.transfers), free(&self.requests)) {
                        (Ok(transfer), Ok(request)) => Ok(Permit {
                            _request: request,
                            _transfer: Some(transfer),
                        }),
                        _ => Err(overloaded()),
                    };
                }
            };
            Ok(Permit {
                _request: acquire(&self.requests).await,
                _transfer: transfer,
            })
        };
        let admitted = tokio::time::timeout(self.turn, turn).await;
        admitted.unwrap_or_else(|_| Err(overloaded()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(requests: usize, transfers: usize) -> Budget {
        let limits = Limits {
            requests,
            transfers,
            ..Limits::default()
        };
        Budget::new("r.io".parse().unwrap(), &limits)
    }

    #[tokio::test(start_paused = true)]
    async fn transfers_leave_room_for_questions() {
        let budget = budget(3, 2);
        let first = budget.admit(Work::Transfer).await.unwrap();
        let _second = budget.admit(Work::Transfer).await.unwrap();
        let third = budget.admit(Work::Transfer).await;
        assert!(matches!(third, Err(UpstreamError::Overloaded { .. })));
        let question = budget.admit(Work::Question).await.unwrap();
        assert!(budget.admit(Work::Question).await.is_err());
        drop(question);
        drop(first);
        budget.admit(Work::Transfer).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_ahead_never_waits() {
        let budget = budget(3, 1);
        let started = tokio::time::Instant::now();
        let first = budget.admit(Work::Ahead).await.unwrap();
        assert!(budget.admit(Work::Ahead).await.is_err());
        assert_eq!(started.elapsed(), Duration::ZERO);
        drop(first);
        budget.admit(Work::Transfer).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_takes_nothing() {
        let budget = budget(1, 1);
        let question = budget.admit(Work::Question).await.unwrap();
        assert!(budget.admit(Work::Transfer).await.is_err());
        drop(question);
        budget.admit(Work::Transfer).await.unwrap();
    }
}

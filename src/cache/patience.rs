//! How long a client waits for a registry: for an answer that is not here, and for the word on one that is.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::error::CacheError;

/// How long a client waits for the first sign of what is not here. What was begun goes on, and the next request finds it:
/// clients go elsewhere after a while, some with each thing that they want.
pub(super) const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What a client has left of it. All that it waits for counts, and not only what it waits for last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    began: Instant,
}

impl Patience {
    /// Begins to wait.
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Returns how long a client still waits that could be answered without the registry's word after `answer_within`.
    /// Others have been waiting for the same word for `asked_for`.
    pub(super) fn left(self, answer_within: Duration, asked_for: Duration) -> Duration {
        answer_within.saturating_sub(self.began.elapsed().max(asked_for))
    }

    /// Gives up on an answer when the client has waited for too long in all.
    pub(super) async fn within<T>(
        self,
        work: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        let left = FIRST_ANSWER.saturating_sub(self.began.elapsed());
        timeout(left, work)
            .await
            .unwrap_or(Err(CacheError::TooSlow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_waits_for_what_is_left_of_its_time() {
        let seconds = Duration::from_secs;
        let patience = Patience::begin();
        // Others have been waiting for the same word already.
        for (asked_for, left) in [(0, 5), (3, 2), (9, 0)] {
            assert_eq!(patience.left(seconds(5), seconds(asked_for)), seconds(left));
        }
        // It has been waiting for another word itself.
        tokio::time::advance(seconds(4)).await;
        assert_eq!(patience.left(seconds(5), seconds(3)), seconds(1));
        let began = Instant::now();
        let never = patience.within(std::future::pending::<Result<(), CacheError>>());
        assert!(matches!(never.await, Err(CacheError::TooSlow)));
        assert_eq!(began.elapsed(), FIRST_ANSWER - seconds(4));
    }
}

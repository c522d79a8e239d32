//! When to try again what failed, and how long a registry asks us to wait.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::error::UpstreamError;
use crate::runtime::Timestamp;
use crate::telemetry::with_causes;

/// Waits between tries: each twice as long as the one before, with jitter so that many clients do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The first wait at its longest.
    first: Duration,
    /// How long all tries and waits may take together.
    patience: Duration,
}

impl Schedule {
    /// The longest wait; later ones do not grow.
    const LONGEST: Duration = Duration::from_secs(4);

    /// Begins with this wait, and goes on until `patience` is over.
    pub const fn new(first: Duration, patience: Duration) -> Self {
        Self { first, patience }
    }

    /// Never tries again.
    pub const fn once() -> Self {
        Self::new(Duration::ZERO, Duration::ZERO)
    }

    /// Returns how long to wait after the failure of a try, the first of which is number 0. The wait is between half of
    /// its full length and all of it, as `random` says.
    pub fn wait(&self, tries: u32, random: u64) -> Duration {
        let full = self
            .first
            .saturating_mul(1 << tries.min(16))
            .min(Self::LONGEST);
        let share = random % 1001;
        full / 2 + (full / 2).mul_f64(f64::from(u16::try_from(share).unwrap_or(1000)) / 1000.0)
    }

    /// Returns how long to wait before another try, or `None` when it would come too late for whoever waits.
    pub fn next(&self, tries: u32, elapsed: Duration, random: u64) -> Option<Duration> {
        let wait = self.wait(tries, random);
        (elapsed + wait < self.patience).then_some(wait)
    }

    /// Tries until it works, fails for good, or the patience is over; the last failure is returned.
    pub(super) async fn run<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, UpstreamError>
    where
        F: Future<Output = Result<T, UpstreamError>>,
    {
        let started = Instant::now();
        let mut tries = 0;
        let mut before = None;
        loop {
            let failure = match attempt().await {
                Ok(done) => return Ok(done),
                // Our own tries made the host rest: what they failed of says more.
                Err(resting @ UpstreamError::Resting { .. }) => {
                    return Err(before.unwrap_or(resting));
                }
                Err(failure) if !failure.is_passing() => return Err(failure),
                Err(failure) => failure,
            };
            let Some(wait) = self.next(tries, started.elapsed(), random()) else {
                return Err(failure);
            };
            tracing::debug!(
                error = with_causes(&failure),
                tries = tries + 1,
                wait_ms = wait.as_millis(),
                "trying again"
            );
            tokio::time::sleep(wait).await;
            tries += 1;
            before = Some(failure);
        }
    }
}

impl Default for Schedule {
    /// Waits of about 0.5, 1, 2 and 4 s, within 8 s: a client that waits for its first byte gives up after 15 to 30 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(8))
    }
}

/// Returns a number that is hard to foresee: enough for jitter, nothing more.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// How long to leave a registry alone that does not say.
const UNSAID: Duration = Duration::from_secs(60);

/// Reads a `Retry-After`: seconds or a date, clamped to a second and an hour.
pub(super) fn retry_after(value: Option<&str>, now: Timestamp) -> Duration {
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(3600));
    let Some(value) = value.map(str::trim) else {
        return UNSAID;
    };
    let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let asked = if is_number {
        Some(value.parse().map_or(most, Duration::from_secs))
    } else {
        httpdate::parse_http_date(value).ok().map(|date| {
            let millis = date
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis();
            Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)).since(now)
        })
    };
    asked.unwrap_or(UNSAID).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let schedule = Schedule::default();
        for (tries, shortest, longest) in [
            (0, 250, 500),
            (1, 500, 1000),
            (2, 1000, 2000),
            (3, 2000, 4000),
            (9, 2000, 4000),
        ] {
            assert_eq!(schedule.wait(tries, 0), Duration::from_millis(shortest));
            assert_eq!(schedule.wait(tries, 1000), Duration::from_millis(longest));
        }
        assert_eq!(schedule.next(0, Duration::from_millis(7600), 1000), None);
        assert_eq!(Schedule::once().next(0, Duration::ZERO, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_kept_longer_than_the_patience() {
        let host: Arc<str> = "r.io".into();
        let started = Instant::now();
        let mut tries = 0;
        let failed = Schedule::default()
            .run(|| {
                tries += 1;
                std::future::ready(Err::<(), _>(UpstreamError::unreachable(&host, "gone")))
            })
            .await;
        assert!(matches!(failed, Err(UpstreamError::Unreachable { .. })));
        assert!((4..=6).contains(&tries), "{tries} tries");
        assert!(started.elapsed() <= Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_not_tried_again() {
        let host: Arc<str> = "r.io".into();
        let mut tries = 0;
        let failed = Schedule::default()
            .run(|| {
                tries += 1;
                std::future::ready(Err::<(), _>(UpstreamError::protocol(&host, "lied")))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(tries, 1);
    }

    #[test]
    fn forms_of_retry_after() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110.
        let now = Timestamp::from_millis(784_111_777_000);
        for (value, seconds) in [
            (None, 60),
            (Some("120"), 120),
            (Some(" 7 "), 7),
            (Some("0"), 1),
            (Some("86400"), 3600),
            (Some("99999999999999999999999"), 3600),
            (Some("Sun, 06 Nov 1994 08:50:37 GMT"), 60),
            (Some("Sun, 06 Nov 1994 08:49:00 GMT"), 1),
            (Some("Mon, 07 Nov 1994 08:50:37 GMT"), 3600),
            (Some("soon"), 60),
            (Some("-5"), 60),
            (Some(""), 60),
        ] {
            assert_eq!(
                retry_after(value, now),
                Duration::from_secs(seconds),
                "{value:?}"
            );
        }
    }
}

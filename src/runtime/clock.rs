//! The wall clock, in one place. Decisions take `now` as an argument; timers use tokio's time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment of wall-clock time: milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last second of the year 9999: later ones cannot be written.
    const LAST_WRITTEN: u64 = 253_402_300_799_000;

    /// Returns the moment that lies this many milliseconds after the start of 1970.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the start of 1970.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the time from an earlier moment to this one; zero when the clock was set back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// As people and programs write it (RFC 3339, UTC): `2026-11-21T14:05:27Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = UNIX_EPOCH + Duration::from_millis(self.0.min(Self::LAST_WRITTEN));
        humantime::format_rfc3339_seconds(moment).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = humantime::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let since = humantime::parse_rfc3339(text)?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Tells the time; in tests it can be set.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Set(Arc<AtomicU64>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn set_to(now: Timestamp) -> Self {
        Self(Source::Set(Arc::new(AtomicU64::new(now.0))))
    }

    /// Returns the current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Set(millis) => Timestamp(millis.load(Ordering::Relaxed)),
        }
    }

    /// Moves a clock made by [`Clock::set_to`] forward, in all of its clones. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Set(millis) = &self.0 {
            millis.fetch_add(
                u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.now(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_and_read_again() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_790_000_000_999, "2026-09-21T14:13:20Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
        }
        let read = "2026-09-21T14:13:20Z".parse();
        assert_eq!(read, Ok(Timestamp(1_790_000_000_000)));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_set_clock_moves_in_all_clones() {
        let clock = Clock::set_to(Timestamp::from_millis(5));
        let clone = clock.clone();
        clock.advance(Duration::from_secs(1));
        assert_eq!(clone.now(), Timestamp::from_millis(1005));
        assert_eq!(
            clone.now().since(Timestamp::from_millis(5)),
            Duration::from_secs(1)
        );
        assert_eq!(Timestamp::from_millis(5).since(clone.now()), Duration::ZERO);
    }
}

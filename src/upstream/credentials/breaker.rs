//! When a login that was refused may be shown again: registries lock accounts that keep coming with a wrong password.
//!
//! A pure state machine over instants. Two refusals in a row suspend the login, each time for longer; then one use is let
//! through, and what becomes of it decides for all.

use std::time::Duration;

use tokio::time::Instant;

/// Whether a login may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It may. So often in a row it was refused.
    Closed {
        /// Below [`Breaker::REFUSALS`].
        refusals: u32,
    },
    /// It may not until then, and has been suspended so often in a row.
    Open {
        /// The first time counts as 1.
        times: u32,
        /// When one use is let through.
        until: Instant,
    },
    /// One use was let through, and nothing was heard of it yet.
    Trying {
        /// As above.
        times: u32,
        /// When another use is let through, if nothing is heard until then.
        until: Instant,
    },
}

impl Breaker {
    /// So many refusals in a row suspend a login. One may be a mistake of the registry.
    const REFUSALS: u32 = 2;
    /// For how long the first time.
    const FIRST: Duration = Duration::from_secs(60);
    /// For how long at most. Locks of accounts usually end within that time.
    const LONGEST: Duration = Duration::from_secs(15 * 60);
    /// How long to wait for what becomes of a trial: longer than a token and its tries may take.
    const TRIAL: Duration = Duration::from_secs(60);

    /// Returns whether the login may be used now, or until when not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Instant> {
        match *self {
            Self::Closed { .. } => Ok(()),
            Self::Open { until, .. } | Self::Trying { until, .. } if now < until => Err(until),
            Self::Open { times, .. } | Self::Trying { times, .. } => {
                *self = Self::Trying {
                    times,
                    until: now + Self::TRIAL,
                };
                Ok(())
            }
        }
    }

    /// Takes down a refusal. Returns for how long the login is suspended by it, if it is.
    pub(super) fn refused(&mut self, now: Instant) -> Option<Duration> {
        let times = match self {
            Self::Closed { refusals } => {
                *refusals += 1;
                if *refusals < Self::REFUSALS {
                    return None;
                }
                1
            }
            // Who comes late with a refusal from before adds nothing.
            Self::Open { .. } => return None,
            Self::Trying { times, .. } => times.saturating_add(1),
        };
        let length = Self::FIRST.saturating_mul(1 << (times - 1).min(8));
        let length = length.min(Self::LONGEST);
        *self = Self::Open {
            times,
            until: now + length,
        };
        Some(length)
    }

    /// Takes down that the login was accepted. Returns whether it was suspended before.
    pub(super) fn accepted(&mut self) -> bool {
        let was_suspended = self.is_suspended();
        *self = Self::default();
        was_suspended
    }

    /// Returns whether the login was suspended, and not accepted since.
    pub(super) fn is_suspended(self) -> bool {
        match self {
            Self::Closed { .. } => false,
            Self::Open { .. } | Self::Trying { .. } => true,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { refusals: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Event {
        Admitted,
        /// Until this second.
        NotAdmitted(u64),
        Refused,
        /// For so many seconds.
        Suspended(u64),
        Accepted,
    }

    use Event::{Accepted, Admitted, NotAdmitted, Refused, Suspended};

    /// What happens at which second.
    const TABLES: [&[(u64, Event)]; 4] = [
        &[
            (0, Admitted),
            (0, Admitted),
            (1, Refused),
            (2, Admitted),
            (2, Suspended(60)),
            // From the one that was admitted along with it.
            (3, Refused),
            (61, NotAdmitted(62)),
            (62, Admitted),
            // The others wait for the first.
            (63, NotAdmitted(122)),
            (64, Suspended(120)),
            (183, NotAdmitted(184)),
            (184, Admitted),
            (185, Accepted),
            (186, Admitted),
            (187, Refused),
            (188, Suspended(60)),
        ],
        // In a row means: none was accepted between them.
        &[
            (0, Refused),
            (1, Accepted),
            (2, Refused),
            (3, Suspended(60)),
        ],
        // Nothing is heard of a trial.
        &[
            (0, Refused),
            (0, Suspended(60)),
            (60, Admitted),
            (119, NotAdmitted(120)),
            (120, Admitted),
            (121, NotAdmitted(180)),
        ],
        // Longer each time, up to a limit.
        &[
            (0, Refused),
            (0, Suspended(60)),
            (60, Admitted),
            (60, Suspended(120)),
            (180, Admitted),
            (180, Suspended(240)),
            (420, Admitted),
            (420, Suspended(480)),
            (900, Admitted),
            (900, Suspended(900)),
            (1800, Admitted),
            (1800, Suspended(900)),
            (2699, NotAdmitted(2700)),
        ],
    ];

    #[test]
    fn what_follows_what() {
        let start = Instant::now();
        for (number, table) in TABLES.into_iter().enumerate() {
            let mut breaker = Breaker::default();
            for (second, event) in table {
                let now = start + Duration::from_secs(*second);
                let told = format!("table {number}, second {second}: {event:?}");
                match event {
                    Admitted => assert_eq!(breaker.admit(now), Ok(()), "{told}"),
                    NotAdmitted(until) => {
                        let until = start + Duration::from_secs(*until);
                        assert_eq!(breaker.admit(now), Err(until), "{told}");
                    }
                    Refused => assert_eq!(breaker.refused(now), None, "{told}"),
                    Suspended(seconds) => {
                        let length = Duration::from_secs(*seconds);
                        assert_eq!(breaker.refused(now), Some(length), "{told}");
                        assert!(breaker.is_suspended(), "{told}");
                    }
                    Accepted => {
                        breaker.accepted();
                        assert!(!breaker.is_suspended(), "{told}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_login_that_is_refused_for_ever_is_shown_once_in_a_quarter_of_an_hour() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let end = now + Duration::from_secs(86_400);
        let mut shown = 0;
        while now < end {
            match breaker.admit(now) {
                Ok(()) => {
                    shown += 1;
                    let _suspended = breaker.refused(now);
                }
                Err(until) => now = until,
            }
        }
        assert!((90..=105).contains(&shown), "{shown}");
    }
}

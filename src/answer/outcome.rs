//! Where an answer came from: one value for the log, the metric and the `Cache-Status` header.

use std::fmt;

/// How the cache came by an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    /// It was here, and fresh. The registry was not asked.
    Hit,
    /// It was fetched from the registry.
    Miss,
    /// It is being fetched for somebody else as well.
    Joined,
    /// It was here, and the registry confirmed it just now.
    Revalidated,
    /// It was here, and could not be confirmed.
    Stale(StaleReason),
    /// It was here, and not fresh any more; larder is offline for the registry. Or it was not here.
    Offline,
    /// The registry said a short while ago that it has no such thing.
    Negative,
    /// It was handed through and not kept.
    Passed(PassReason),
}

/// Why an answer could not be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StaleReason {
    /// The registry could not be reached, or answered with a failure of its own.
    Unreachable,
    /// The registry asked us to slow down.
    RateLimited,
    /// The registry refused us (401, 403).
    Denied,
    /// The registry says that there is no such thing any more (404).
    NotFound,
    /// The registry takes its time; it is still being asked.
    Slow,
}

/// Why an answer was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassReason {
    /// There is no room for it on the disk.
    NoSpace,
}

impl StaleReason {
    /// Returns the name of the reason: the end of the outcome's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Slow => "slow",
        }
    }
}

impl CacheOutcome {
    /// Returns the name of the outcome, the same in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Joined => "joined",
            Self::Revalidated => "revalidated",
            Self::Stale(StaleReason::Unreachable) => "stale_unreachable",
            Self::Stale(StaleReason::RateLimited) => "stale_rate_limited",
            Self::Stale(StaleReason::Denied) => "stale_denied",
            Self::Stale(StaleReason::NotFound) => "stale_not_found",
            Self::Stale(StaleReason::Slow) => "stale_slow",
            Self::Offline => "offline",
            Self::Negative => "negative",
            Self::Passed(PassReason::NoSpace) => "passed_no_space",
        }
    }

    /// Returns whether a registry was waited for.
    pub fn has_asked(self) -> bool {
        match self {
            Self::Miss | Self::Joined | Self::Revalidated | Self::Stale(_) | Self::Passed(_) => {
                true
            }
            Self::Hit | Self::Offline | Self::Negative => false,
        }
    }

    /// Returns the value of the `Cache-Status` header (RFC 9211).
    pub fn cache_status(self) -> &'static str {
        match self {
            Self::Hit => "larder; hit",
            Self::Miss => "larder; fwd=miss; stored",
            Self::Joined => "larder; fwd=miss; collapsed",
            Self::Revalidated => "larder; fwd=stale; detail=revalidated",
            Self::Stale(StaleReason::Unreachable) => "larder; hit; detail=stale_unreachable",
            Self::Stale(StaleReason::RateLimited) => "larder; hit; detail=stale_rate_limited",
            Self::Stale(StaleReason::Denied) => "larder; hit; detail=stale_denied",
            Self::Stale(StaleReason::NotFound) => "larder; hit; detail=stale_not_found",
            Self::Stale(StaleReason::Slow) => "larder; hit; detail=stale_slow",
            Self::Offline => "larder; hit; detail=offline",
            Self::Negative => "larder; hit; detail=negative",
            Self::Passed(PassReason::NoSpace) => "larder; fwd=miss; detail=passed_no_space",
        }
    }
}

impl CacheOutcome {
    /// Returns the value of the `Cache-Status` header of an error.
    pub fn cache_status_of_error(self) -> &'static str {
        match self {
            // It was not here, and nothing was forwarded.
            Self::Offline => "larder; detail=offline",
            // The registry's word was not stored as content is.
            Self::Miss => "larder; fwd=miss",
            Self::Hit
            | Self::Joined
            | Self::Revalidated
            | Self::Stale(_)
            | Self::Negative
            | Self::Passed(_) => self.cache_status(),
        }
    }
}

impl fmt::Display for CacheOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

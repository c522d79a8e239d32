//! How long a tag is believed. Pure: record, setting and time in, decision out.

use std::time::Duration;

use crate::oci::{UpstreamName, UpstreamPattern};
use crate::runtime::Timestamp;

/// How long a tag is served without asking the registry again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As long as this after the registry last confirmed it.
    For(Duration),
    /// Not at all: each request asks, together with the others of that moment.
    Always,
    /// For ever, once it is known.
    Immutable,
}

impl Default for Freshness {
    fn default() -> Self {
        Self::For(Duration::from_mins(10))
    }
}

/// The settings of all tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What holds where nothing else is said.
    pub freshness: Freshness,
    /// What holds for the tags of some upstreams; the first that matches counts.
    pub per_upstream: Vec<(UpstreamPattern, Freshness)>,
}

impl Settings {
    /// Returns what holds for the tags of an upstream.
    pub fn of(&self, upstream: &UpstreamName) -> Freshness {
        let own = self
            .per_upstream
            .iter()
            .find(|(pattern, _)| pattern.matches(upstream));
        own.map_or(self.freshness, |(_, freshness)| *freshness)
    }
}

/// What to do about a tag that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve it.
    Fresh,
    /// Ask the registry first.
    Check,
}

/// Decides about a tag that the registry last confirmed at `confirmed`.
pub fn decide(confirmed: Timestamp, freshness: Freshness, now: Timestamp) -> Decision {
    match freshness {
        Freshness::Immutable => Decision::Fresh,
        Freshness::Always => Decision::Check,
        // A confirmation in the future means that the clock was set back: it says nothing.
        Freshness::For(_) if confirmed > now => Decision::Check,
        Freshness::For(period) if now.since(confirmed) < period => Decision::Fresh,
        Freshness::For(_) => Decision::Check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        let at = Timestamp::from_millis;
        let ten = Freshness::For(Duration::from_secs(10));
        for (confirmed, freshness, now, decision) in [
            (at(0), ten, at(0), Decision::Fresh),
            (at(0), ten, at(9_999), Decision::Fresh),
            (at(0), ten, at(10_000), Decision::Check),
            (at(5_000), ten, at(4_000), Decision::Check),
            (at(0), Freshness::Always, at(0), Decision::Check),
            (at(0), Freshness::Immutable, at(u64::MAX), Decision::Fresh),
            (at(5_000), Freshness::Immutable, at(0), Decision::Fresh),
            (
                at(0),
                Freshness::For(Duration::ZERO),
                at(0),
                Decision::Check,
            ),
        ] {
            assert_eq!(
                decide(confirmed, freshness, now),
                decision,
                "{confirmed:?} {freshness:?} {now:?}"
            );
        }
    }

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let settings = Settings {
            freshness: Freshness::Always,
            per_upstream: vec![
                ("quay.io".parse().unwrap(), Freshness::Immutable),
                ("*.quay.io.example".parse().unwrap(), Freshness::default()),
            ],
        };
        assert_eq!(
            settings.of(&"quay.io".parse().unwrap()),
            Freshness::Immutable
        );
        assert_eq!(settings.of(&"ghcr.io".parse().unwrap()), Freshness::Always);
        assert_eq!(
            settings.of(&"a.quay.io.example".parse().unwrap()),
            Freshness::default()
        );
    }
}

//! What a registry said it does not have, for a short while: signatures and referrers are asked for again and again
//! where there are none. Only a registry's own 404 comes here.

use std::time::Duration;

use moka::sync::Cache;

use super::error::CacheError;
use super::sight::View;
use crate::oci::{Digest, Reference, VariantClass};
use crate::runtime::Timestamp;

/// How long a missing tag stays missing: it may be pushed any moment.
const TAG_PERIOD: Duration = Duration::from_secs(15);
/// How long missing content stays missing.
const DIGEST_PERIOD: Duration = Duration::from_secs(30);
/// How many absences are remembered.
const CAPACITY: u64 = 10_000;

/// What was missing, to whom it was: what a registry does not show to one login it may show to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Absent {
    /// A manifest, for one class of clients: a registry may have nothing that an old client reads.
    Manifest(View, Reference, VariantClass),
    /// A blob.
    Blob(View, Digest),
    /// All tags of a repository.
    Tags(View),
}

impl Absent {
    fn period(&self) -> Duration {
        match self {
            Self::Manifest(_, Reference::Tag(_), _) | Self::Tags(_) => TAG_PERIOD,
            Self::Manifest(_, Reference::Digest(_), _) | Self::Blob(..) => DIGEST_PERIOD,
        }
    }
}

/// How many manifests are remembered that a registry has, and that are not taken.
const REFUSED: u64 = 1_000;

/// Remembers absences, and what is as good as absent. They are never written down.
#[derive(Clone, Debug)]
pub struct NegativeMemory {
    absent: Cache<Absent, Timestamp>,
    refused: Cache<Absent, CacheError>,
}

impl Default for NegativeMemory {
    fn default() -> Self {
        Self {
            absent: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(DIGEST_PERIOD)
                .build(),
            refused: Cache::builder()
                .max_capacity(REFUSED)
                .time_to_live(TAG_PERIOD)
                .build(),
        }
    }
}

impl NegativeMemory {
    /// Remembers that the registry does not have this, as of now.
    pub fn remember(&self, absent: Absent, now: Timestamp) {
        self.absent.insert(absent, now);
    }

    /// Returns whether the registry said so a short while ago.
    pub fn is_absent(&self, absent: &Absent, now: Timestamp) -> bool {
        self.absent
            .get(absent)
            .is_some_and(|since| now.since(since) < absent.period())
    }

    /// Remembers that the registry has this in a form that is not taken: each GET for it would be counted as a pull, and
    /// bring the same.
    pub fn refuse(&self, manifest: Absent, error: &CacheError) {
        self.refused.insert(manifest, error.clone());
    }

    /// Returns why this was not taken a short while ago.
    pub fn refused(&self, manifest: &Absent) -> Option<CacheError> {
        self.refused.get(manifest)
    }

    /// Forgets an absence: the thing was seen.
    pub fn forget(&self, absent: &Absent) {
        self.absent.invalidate(absent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addressing::Origin;
    use crate::upstream::LoginIdentity;

    #[test]
    fn tags_are_missing_for_a_shorter_time_than_digests() {
        let view = View::public(Origin {
            upstream: "a.io".parse().unwrap(),
            repository: "r".parse().unwrap(),
        });
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let class = VariantClass::Index;
        let memory = NegativeMemory::default();
        let start = Timestamp::from_millis(1_000);
        let after = |seconds: u64| Timestamp::from_millis(1_000 + seconds * 1_000);
        for (absent, period) in [
            (
                Absent::Manifest(view.clone(), "1".parse().unwrap(), class),
                15,
            ),
            (
                Absent::Manifest(view.clone(), Reference::Digest(digest), class),
                30,
            ),
            (Absent::Blob(view.clone(), digest), 30),
            (Absent::Tags(view.clone()), 15),
        ] {
            assert!(!memory.is_absent(&absent, start));
            memory.remember(absent.clone(), start);
            assert!(memory.is_absent(&absent, after(period - 1)));
            assert!(!memory.is_absent(&absent, after(period)));
            memory.forget(&absent);
            assert!(!memory.is_absent(&absent, start));
        }
    }
    #[test]
    fn what_one_login_misses_another_may_see() {
        let origin = Origin {
            upstream: "a.io".parse().unwrap(),
            repository: "r".parse().unwrap(),
        };
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let view = |login: &str| View::private(origin.clone(), LoginIdentity::new(login));
        let (memory, now) = (NegativeMemory::default(), Timestamp::from_millis(1_000));
        memory.remember(Absent::Blob(view("user a"), digest), now);
        for (view, is_absent) in [
            (view("user a"), true),
            (view("user b"), false),
            (View::public(origin.clone()), false),
        ] {
            let found = memory.is_absent(&Absent::Blob(view.clone(), digest), now);
            assert_eq!(found, is_absent, "{view:?}");
        }
    }
}

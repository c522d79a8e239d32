//! What the troubles of registries cost those who pull: the old answers that went out, and what could not be had. It is
//! for the operator, and lasts until larder stops.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::CacheError;
use crate::addressing::Origin;
use crate::answer::{CacheOutcome, StaleReason};
use crate::oci::{Reference, RepositoryName, UpstreamName};
use crate::runtime::Timestamp;
use crate::telemetry::with_causes;
use crate::upstream::UpstreamError;

/// Of how many registries there is an account. Those of patterns are named by clients; the one that was added to longest
/// ago makes way.
const ACCOUNTS: usize = 256;
/// How many things that could not be had are remembered of one registry. The one that was last missed longest ago makes
/// way.
const LACKING: usize = 100;

/// What was wanted of a repository.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// A manifest.
    Manifest(&'a Reference),
    /// A blob: which one says little to people.
    Blob,
    /// The list of its tags.
    Tags,
    /// What refers to one of its manifests.
    Referrers,
}

/// What the troubles of one registry cost so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// How many old answers went out, by reason; reasons without any are left out.
    pub stale: Vec<(StaleReason, u64)>,
    /// What could not be had, the latest first.
    pub lacking: Vec<Lacking>,
}

/// Something that could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// What, as people name it: `library/alpine:3.20`.
    pub image: String,
    /// How many requests there were for it.
    pub requests: u64,
    /// When the first one was.
    pub first: Timestamp,
    /// When the last one was.
    pub last: Timestamp,
    /// Why it could not be had, the last time.
    pub reason: String,
}

/// The accounts of all registries.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<UpstreamName, Entries>>);

#[derive(Debug, Default)]
struct Entries {
    stale: HashMap<StaleReason, u64>,
    lacking: HashMap<String, Lacking>,
    added: Timestamp,
}

impl Ledger {
    /// Takes down what became of a request.
    pub fn note(
        &self,
        origin: &Origin,
        wanted: Wanted<'_>,
        came: Result<CacheOutcome, &CacheError>,
        now: Timestamp,
    ) {
        match came {
            Ok(CacheOutcome::Stale(reason)) => self.add(&origin.upstream, now, |entries| {
                *entries.stale.entry(reason).or_default() += 1;
            }),
            Ok(_) => {}
            Err(error) if is_trouble(error) => {
                let image = image(&origin.repository, wanted);
                let reason = cause(error);
                self.add(&origin.upstream, now, |entries| {
                    entries.lack(image, reason, now);
                });
            }
            Err(_) => {}
        }
    }

    /// Returns the account of a registry.
    pub fn account(&self, upstream: &UpstreamName) -> Account {
        let accounts = self.locked();
        let Some(entries) = accounts.get(upstream) else {
            return Account::default();
        };
        let mut stale: Vec<(StaleReason, u64)> = entries
            .stale
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .collect();
        stale.sort_by_key(|(reason, _)| CacheOutcome::Stale(*reason).name());
        let mut lacking: Vec<Lacking> = entries.lacking.values().cloned().collect();
        lacking.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.image.cmp(&b.image)));
        Account { stale, lacking }
    }

    fn add(&self, upstream: &UpstreamName, now: Timestamp, change: impl FnOnce(&mut Entries)) {
        let mut accounts = self.locked();
        if !accounts.contains_key(upstream) && accounts.len() >= ACCOUNTS {
            let oldest = accounts.iter().min_by_key(|(_, entries)| entries.added);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                accounts.remove(&oldest);
            }
        }
        let entries = accounts.entry(upstream.clone()).or_default();
        entries.added = now;
        change(entries);
    }

    /// Each change is complete by itself, so that what a panic left is sound.
    fn locked(&self) -> MutexGuard<'_, HashMap<UpstreamName, Entries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn lack(&mut self, image: String, reason: String, now: Timestamp) {
        if let Some(known) = self.lacking.get_mut(&image) {
            known.requests += 1;
            known.last = now;
            known.reason = reason;
            return;
        }
        if self.lacking.len() >= LACKING {
            let oldest = self.lacking.values().min_by_key(|lacking| lacking.last);
            if let Some(oldest) = oldest.map(|lacking| lacking.image.clone()) {
                self.lacking.remove(&oldest);
            }
        }
        let lacking = Lacking {
            image: image.clone(),
            requests: 1,
            first: now,
            last: now,
            reason,
        };
        self.lacking.insert(image, lacking);
    }
}

/// Tells whether something could not be had because of the registry's troubles or its operator's will, rather than
/// because it is not there or not for this client.
fn is_trouble(error: &CacheError) -> bool {
    match error {
        // Who is refused cannot tell absent from private.
        CacheError::Upstream(UpstreamError::Refused { .. }) => false,
        CacheError::Upstream(_)
        | CacheError::WrongContent(_)
        | CacheError::WrongSize { .. }
        | CacheError::BadManifest(_)
        | CacheError::TooSlow => true,
        CacheError::ManifestUnknown(_)
        | CacheError::BlobUnknown(_)
        | CacheError::NoTags(_)
        | CacheError::NotListed(_)
        | CacheError::Schema1
        | CacheError::Private(_)
        | CacheError::NotConfigured(_)
        | CacheError::Unsatisfiable(_)
        | CacheError::Store(_)
        | CacheError::Stopping => false,
    }
}

/// Says why something could not be had, in words that are true for longer than a moment.
fn cause(error: &CacheError) -> String {
    match error {
        CacheError::Upstream(UpstreamError::Resting { host, source, .. }) => match source {
            Some(source) => with_causes(source),
            None => format!("{host} failed again and again"),
        },
        CacheError::Upstream(UpstreamError::RateLimited { host, limit, .. }) => {
            format!("{host} allowed no more {limit}")
        }
        error => with_causes(error),
    }
}

fn image(repository: &RepositoryName, wanted: Wanted<'_>) -> String {
    struct Image<'a>(&'a RepositoryName, Wanted<'a>);
    impl fmt::Display for Image<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let Self(repository, wanted) = self;
            match wanted {
                Wanted::Manifest(Reference::Tag(tag)) => write!(f, "{repository}:{tag}"),
                Wanted::Manifest(Reference::Digest(digest)) => write!(f, "{repository}@{digest}"),
                Wanted::Blob => write!(f, "{repository} (layers)"),
                Wanted::Tags => write!(f, "{repository} (list of tags)"),
                Wanted::Referrers => write!(f, "{repository} (referrers)"),
            }
        }
    }
    Image(repository, wanted).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::error::Word;

    fn origin(repository: &str) -> Origin {
        Origin {
            upstream: "r.io".parse().unwrap(),
            repository: repository.parse().unwrap(),
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn old_answers_are_counted_by_reason() {
        let ledger = Ledger::default();
        let tag: Reference = "1".parse().unwrap();
        for (outcome, times) in [
            (CacheOutcome::Stale(StaleReason::Unreachable), 2),
            (CacheOutcome::Stale(StaleReason::Denied), 1),
            (CacheOutcome::Hit, 3),
        ] {
            for _ in 0..times {
                ledger.note(&origin("app"), Wanted::Manifest(&tag), Ok(outcome), at(1));
            }
        }
        let account = ledger.account(&origin("app").upstream);
        let counted = [(StaleReason::Denied, 1), (StaleReason::Unreachable, 2)];
        assert_eq!(
            (account.stale.as_slice(), account.lacking.len()),
            (&counted[..], 0)
        );
        let other = ledger.account(&"other.io".parse().unwrap());
        assert_eq!(other, Account::default());
    }

    #[test]
    fn what_people_lack_is_named_once_the_latest_first() {
        let ledger = Ledger::default();
        let tag: Reference = "1".parse().unwrap();
        for (repository, time) in [("a", 1), ("b", 2), ("a", 3)] {
            let wanted = Wanted::Manifest(&tag);
            ledger.note(
                &origin(repository),
                wanted,
                Err(&CacheError::TooSlow),
                at(time),
            );
        }
        let gone = CacheError::ManifestUnknown(Word::Given);
        ledger.note(&origin("c"), Wanted::Manifest(&tag), Err(&gone), at(4));
        ledger.note(&origin("b"), Wanted::Blob, Err(&CacheError::TooSlow), at(5));
        let lacking = ledger.account(&origin("a").upstream).lacking;
        let named: Vec<_> = lacking
            .iter()
            .map(|lacking| {
                (
                    lacking.image.as_str(),
                    lacking.requests,
                    lacking.first,
                    lacking.last,
                )
            })
            .collect();
        let expected = [
            ("b (layers)", 1, at(5), at(5)),
            ("a:1", 2, at(1), at(3)),
            ("b:1", 1, at(2), at(2)),
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn names_from_clients_take_no_more_than_their_room() {
        let ledger = Ledger::default();
        for number in 0..LACKING + 50 {
            let (origin, tag) = (origin("app"), format!("t{number}").parse().unwrap());
            let time = at(number.try_into().unwrap());
            ledger.note(
                &origin,
                Wanted::Manifest(&tag),
                Err(&CacheError::TooSlow),
                time,
            );
        }
        let lacking = ledger.account(&origin("app").upstream).lacking;
        assert_eq!(lacking.len(), LACKING);
        assert_eq!(lacking[0].image, "app:t149");
        assert_eq!(lacking[LACKING - 1].image, "app:t50");
        for number in 0..ACCOUNTS + 50 {
            let origin = Origin {
                upstream: format!("r{number}.io").parse().unwrap(),
                repository: "app".parse().unwrap(),
            };
            let time = at(1_000 + u64::try_from(number).unwrap());
            ledger.note(&origin, Wanted::Blob, Err(&CacheError::TooSlow), time);
        }
        assert_eq!(ledger.locked().len(), ACCOUNTS);
        for (upstream, is_known) in [("r.io", false), ("r49.io", false), ("r50.io", true)] {
            let account = ledger.account(&upstream.parse().unwrap());
            assert_eq!(account != Account::default(), is_known, "{upstream}");
        }
    }
}

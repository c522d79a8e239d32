//! What registries said of their repositories, in the records, and what they did not say of late, in memory.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::decision::{Finding, Lately, NO_WORD_COUNTS, Reach, counts};
use crate::cache::remembered::Remembered;
use crate::cache::sight::{View, Visibility};
use crate::oci::{Digest, Reference};
use crate::runtime::{Clock, Timestamp};
use crate::store::{RecordStore, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{Openness, Sample, UpstreamError};

/// How many repositories are kept in memory; about 300 bytes each.
const IN_MEMORY: u64 = 20_000;
/// How many things are remembered that were not there for somebody without a login. Names of things come from clients.
const UNSAID: u64 = 10_000;

/// What a request is for: what the registry is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    Manifest(Reference),
    Blob(Digest),
    Tags,
}

impl Thing {
    pub(super) fn new(sample: Sample<'_>) -> Self {
        match sample {
            Sample::Manifest(reference) => Self::Manifest(reference.clone()),
            Sample::Blob(digest) => Self::Blob(*digest),
            Sample::Tags => Self::Tags,
        }
    }

    pub(super) fn sample(&self) -> Sample<'_> {
        match self {
            Self::Manifest(reference) => Sample::Manifest(reference),
            Self::Blob(digest) => Sample::Blob(digest),
            Self::Tags => Sample::Tags,
        }
    }
}

/// What registries said, and what they did not say of late. Views in it are those with the login.
#[derive(Debug)]
pub(super) struct Memory {
    findings: Remembered<Finding>,
    unsaid: moka::sync::Cache<(View, Thing), Timestamp>,
    failed: moka::sync::Cache<View, Timestamp>,
    /// Held while a finding is changed by what it was.
    changing: Mutex<()>,
    pub(super) clock: Clock,
}

impl Memory {
    /// Starts with what the records say.
    pub(super) fn new(records: Arc<dyn RecordStore>, clock: Clock) -> Self {
        Self {
            findings: Remembered::new(records, IN_MEMORY),
            unsaid: moka::sync::Cache::builder()
                .max_capacity(UNSAID)
                .time_to_live(NO_WORD_COUNTS)
                .build(),
            failed: moka::sync::Cache::builder()
                .max_capacity(UNSAID)
                .time_to_live(NO_WORD_COUNTS)
                .build(),
            changing: Mutex::new(()),
            clock,
        }
    }

    /// Returns what is known of a repository.
    pub(super) async fn finding(&self, view: &View) -> Result<Finding, StoreError> {
        let found = self.findings.read(&view.visibility_key()).await?;
        Ok(found.map_or_else(Finding::default, |found| *found))
    }

    /// Returns what came of asking in the last minute.
    pub(super) fn lately(&self, view: &View, thing: &Thing) -> Lately {
        let now = self.clock.now();
        let is_recent = |at| counts(at, NO_WORD_COUNTS, now);
        if self
            .unsaid
            .get(&(view.clone(), thing.clone()))
            .is_some_and(is_recent)
        {
            Lately::Unsaid
        } else if self.failed.get(view).is_some_and(is_recent) {
            Lately::Failed
        } else {
            Lately::Nothing
        }
    }

    /// Takes down what came of asking, on behalf of somebody who may see this much.
    pub(super) async fn note(
        &self,
        view: &View,
        thing: &Thing,
        answer: &Result<Openness, UpstreamError>,
        reach: Reach,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        match answer {
            Ok(Openness::Unsaid) => {
                self.failed.invalidate(view);
                self.unsaid.insert((view.clone(), thing.clone()), now);
            }
            Ok(Openness::Open | Openness::Closed) => self.failed.invalidate(view),
            Err(error) => {
                tracing::debug!(repository.name = %view, error = with_causes(error), "could not find out whether a repository is public");
                self.failed.insert(view.clone(), now);
            }
        }
        match answer {
            Ok(openness) => self.change(view, *openness, reach, now).await,
            Err(_) => Ok(()),
        }
    }

    async fn change(
        &self,
        view: &View,
        openness: Openness,
        reach: Reach,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let before = self.finding(view).await?;
        let after = before.hearing(openness, now);
        if after == before {
            return Ok(());
        }
        if let (Some(old), Some(new)) = (before.last(), after.last())
            && old != new
        {
            tracing::info!(repository.name = %view, repository.visibility = ?new, "a repository has changed");
        }
        let key = view.visibility_key();
        // Names come from clients. Those to whom a repository is refused leave no record of it.
        let is_refused = after.last() != Some(Visibility::Public) && reach == Reach::PublicOnly;
        if is_refused && before.last().is_none() {
            self.findings.hold(key, after).await;
            return Ok(());
        }
        // What cannot be written down is in memory all the same.
        if let Err(error) = self.findings.write(key, after).await {
            tracing::warn!(repository.name = %view, error = with_causes(&error), "could not write down whether a repository is public");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addressing::Origin;
    use crate::store::RecordKey;
    use crate::store::memory::MemoryRecords;
    use crate::upstream::LoginIdentity;

    #[tokio::test]
    async fn those_who_are_refused_leave_no_record() {
        for (openness, reach, is_recorded) in [
            (Openness::Open, Reach::PublicOnly, true),
            (Openness::Closed, Reach::PublicOnly, false),
            (Openness::Unsaid, Reach::PublicOnly, false),
            (Openness::Open, Reach::All, true),
            (Openness::Closed, Reach::All, true),
            (Openness::Unsaid, Reach::All, true),
        ] {
            let records = Arc::new(MemoryRecords::default());
            let clock = Clock::set_to(Timestamp::from_millis(1_000));
            let memory = Memory::new(records.clone(), clock);
            let origin = Origin {
                upstream: "a.io".parse().unwrap(),
                repository: "app".parse().unwrap(),
            };
            let view = View::private(origin, LoginIdentity::new("user acme"));
            let thing = Thing::Manifest("1".parse().unwrap());
            let answer = Ok(openness);
            memory.note(&view, &thing, &answer, reach).await.unwrap();
            let found = memory.finding(&view).await.unwrap();
            assert_ne!(found, Finding::default(), "{openness:?} {reach:?}");
            let key: RecordKey = view.visibility_key();
            let record = records.read(&key).await.unwrap();
            assert_eq!(record.is_some(), is_recorded, "{openness:?} {reach:?}");
        }
    }
}

//! What registries said of their repositories, in the records, and what they did not say of late, in memory.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::decision::{Finding, Lately, NO_WORD_COUNTS, Said, counts};
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
}

impl Thing {
    pub(super) fn new(sample: Sample<'_>) -> Self {
        match sample {
            Sample::Manifest(reference) => Self::Manifest(reference.clone()),
            Sample::Blob(digest) => Self::Blob(*digest),
        }
    }

    pub(super) fn sample(&self) -> Sample<'_> {
        match self {
            Self::Manifest(reference) => Sample::Manifest(reference),
            Self::Blob(digest) => Sample::Blob(digest),
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

    /// Takes down what came of asking.
    pub(super) async fn note(
        &self,
        view: &View,
        thing: &Thing,
        answer: &Result<Openness, UpstreamError>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let visibility = match answer {
            Ok(Openness::Open) => Visibility::Public,
            Ok(Openness::Closed) => Visibility::Private,
            Ok(Openness::Unsaid) => {
                self.unsaid.insert((view.clone(), thing.clone()), now);
                return self.doubt(view, now).await;
            }
            Err(error) => {
                tracing::debug!(repository.name = %view, error = with_causes(error), "could not find out whether a repository is public");
                self.failed.insert(view.clone(), now);
                return Ok(());
            }
        };
        self.failed.invalidate(view);
        let _changing = self.changing.lock().await;
        let before = self.finding(view).await?.last();
        if before != Some(visibility) {
            tracing::info!(repository.name = %view, ?visibility, "found out whether a repository is public");
        }
        let said = Some(Said {
            visibility,
            at: now,
        });
        self.write(view, Finding { said, unsaid: None }).await;
        Ok(())
    }

    /// Takes down that the registry had nothing to show; seldom, as names of things come from clients.
    async fn doubt(&self, view: &View, now: Timestamp) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let finding = self.finding(view).await?;
        let is_known = finding
            .unsaid
            .is_some_and(|at| counts(at, NO_WORD_COUNTS, now));
        if finding.fresh(now).is_none() && !is_known {
            let unsaid = Some(now);
            self.write(view, Finding { unsaid, ..finding }).await;
        }
        Ok(())
    }

    /// What cannot be written down is in memory all the same.
    async fn write(&self, view: &View, finding: Finding) {
        if let Err(error) = self.findings.write(view.visibility_key(), finding).await {
            tracing::warn!(repository.name = %view, error = with_causes(&error), "could not write down whether a repository is public");
        }
    }
}

//! A list as it is written down, and the writing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::error::CacheError;
use crate::cache::freshness::decision::{Denial, Failure, Known};
use crate::cache::remembered::Remembered;
use crate::cache::tag::failure_of;
use crate::runtime::Timestamp;
use crate::store::RecordKey;
use crate::telemetry::with_causes;

/// A list as its registry gave it last, and what it has said since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept<T> {
    /// When it gave it, or confirmed it.
    pub(super) confirmed: Timestamp,
    /// What it has said against it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    denial: Option<Denial>,
    /// The list.
    pub(super) list: T,
    /// Where it is kept: what was read from a record is in one.
    #[serde(skip)]
    keeping: Keeping,
}

impl<T> Kept<T> {
    pub(super) fn known(&self, key: &RecordKey) -> Known {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Known {
            confirmed: self.confirmed,
            denial: self.denial,
            seed: hasher.finish(),
        }
    }
}

/// A list that a registry gave, and where it is kept.
#[derive(Debug)]
pub(super) struct Given<T> {
    pub(super) list: T,
    pub(super) keeping: Keeping,
}

/// Where a list is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keeping {
    /// In memory and as a record.
    #[default]
    Recorded,
    /// In memory alone: anybody can make such lists, in any number, by asking for what is not there.
    InMemory,
}

/// Takes down a list that the registry gave now.
pub(super) async fn keep<T>(
    records: &Remembered<Kept<T>>,
    key: RecordKey,
    given: Given<T>,
    now: Timestamp,
) -> Arc<Kept<T>>
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let kept = Kept {
        confirmed: now,
        denial: None,
        list: given.list,
        keeping: given.keeping,
    };
    write(records, key, kept.clone()).await;
    Arc::new(kept)
}

/// Takes down that the registry said something against a list. The list stays: its owner may want it to outlast that.
pub(super) async fn deny<T>(
    records: &Remembered<Kept<T>>,
    key: RecordKey,
    before: Option<Arc<Kept<T>>>,
    error: &CacheError,
) where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    if let (Some(before), Some(Failure::Said(denial))) = (before, failure_of(error))
        && before.denial != Some(denial)
    {
        let denied = Kept {
            denial: Some(denial),
            ..Kept::clone(&before)
        };
        write(records, key, denied).await;
    }
}

async fn write<T>(records: &Remembered<Kept<T>>, key: RecordKey, kept: Kept<T>)
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    if kept.keeping == Keeping::InMemory {
        records.hold(key, kept).await;
    } else if let Err(error) = records.write(key.clone(), kept).await {
        tracing::warn!(record.key = %key, error = with_causes(&error), "could not write down a list");
    }
}

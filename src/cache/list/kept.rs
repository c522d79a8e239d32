//! Lists as their registries gave them, for as long as they count: what lists of tags and of referrers have in common.
//!
//! A list is asked for once for all who want it, is kept in memory and as a record, and what goes out when the registry
//! does not confirm it [`decision`] says, as of a tag.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::record::{Given, Kept, deny, keep};
use crate::answer::{CacheOutcome, StaleReason};
use crate::cache::backing::Backing;
use crate::cache::error::{CacheError, Word};
use crate::cache::flight::{Role, SharedWork};
use crate::cache::freshness::decision::{self, Demand, Denial, Failure, Known, Plan, Verdict};
use crate::cache::freshness::{Policy, Subject};
use crate::cache::negative::Absent;
use crate::cache::patience::Patience;
use crate::cache::remembered::{EXPANSION, Remembered};
use crate::cache::sight::View;
use crate::cache::tag::failure_of;
use crate::runtime::Timestamp;
use crate::store::{RecordKey, StoreError};
use crate::telemetry::with_causes;

/// How long a registry may take for all pages of a list. Each page has limits of its own; without this one, who takes its
/// time for each of thousands keeps everybody from asking anew for days.
const FETCH: Duration = Duration::from_mins(5);

/// Returns how many bytes of memory there have to be for a list of this size, with its key and what else is recorded.
pub(super) const fn room_for(list_size: usize) -> u64 {
    const BESIDE: usize = 64 << 10;
    ((list_size + BESIDE) * EXPANSION) as u64
}

/// How many lists of one kind are on their way at once: each may be large, and is put together in memory. Others wait.
const AT_ONCE: usize = 16;

/// Which list is wanted, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) view: &'a View,
    pub(super) key: &'a RecordKey,
    pub(super) subject: Subject<'a>,
    pub(super) demand: Demand,
    /// How long the client waits.
    pub(super) patience: Patience,
    /// What is remembered of it when the registry has none.
    pub(super) absent: Option<&'a Absent>,
}

/// A list to answer with.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// What the registry says, as fresh as it has to be.
    Current(Arc<Kept<T>>, CacheOutcome),
    /// What it said this long ago, which it has not confirmed.
    Old(Arc<Kept<T>>, CacheOutcome, Duration),
}

/// Why there is no list to answer with.
#[derive(Debug)]
pub(super) enum Lack {
    /// The one that is here does not go out any more.
    Withheld(CacheError),
    /// None is here, and none came.
    Nothing(CacheError),
    /// None is here, and nobody may be asked.
    Offline(CacheError),
}

impl From<Lack> for CacheError {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Withheld(error) | Lack::Nothing(error) | Lack::Offline(error) => error,
        }
    }
}

impl From<CacheError> for Lack {
    fn from(error: CacheError) -> Self {
        Self::Withheld(error)
    }
}

impl From<StoreError> for Lack {
    fn from(error: StoreError) -> Self {
        Self::Withheld(error.into())
    }
}

/// What asking for a list comes to, for all who wait for it.
type Asked<T> = Result<Arc<Kept<T>>, CacheError>;

/// Lists of one kind.
pub(super) struct KeptLists<T> {
    backing: Arc<Backing>,
    records: Arc<Remembered<Kept<T>>>,
    asks: SharedWork<RecordKey, Asked<T>>,
    /// Places for lists that are on their way.
    places: Arc<Semaphore>,
}

impl<T> KeptLists<T>
where
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Keeps lists in the records of the cache, and so many bytes of them in memory.
    pub(super) fn new(backing: Arc<Backing>, memory_bytes: u64) -> Self {
        Self {
            records: Arc::new(Remembered::in_bytes(
                backing.records.clone(),
                backing.tasks.clone(),
                memory_bytes,
            )),
            asks: SharedWork::new(backing.tasks.clone()),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            backing,
        }
    }

    /// Finds a list, by asking the registry with `fetch` where that has to be. `instead` finds out whether something else
    /// can go out where none is here: then nobody waits longer than for the check of one that is.
    pub(super) async fn find<F>(
        &self,
        wanted: Wanted<'_>,
        fetch: impl FnOnce() -> F + Send + 'static,
        instead: impl Future<Output = bool> + Send,
    ) -> Result<Found<T>, Lack>
    where
        F: Future<Output = Result<Given<T>, CacheError>> + Send + 'static,
    {
        let kept = self.records.read(wanted.key).await?;
        let known = kept.as_ref().map(|kept| kept.known(wanted.key));
        let policy = self.backing.policy(wanted.view, wanted.subject);
        let reach = self.backing.reach(wanted.view)?;
        let now = self.backing.clock.now();
        let plan = decision::plan(known.as_ref(), &policy, wanted.demand, reach, now);
        match (kept, plan) {
            (Some(kept), Plan::Serve) => Ok(Found::Current(kept, CacheOutcome::Hit)),
            (Some(kept), Plan::ServeOffline) => {
                let age = now.since(kept.confirmed);
                Ok(Found::Old(kept, CacheOutcome::Offline, age))
            }
            (Some(kept), Plan::Check | Plan::Fetch | Plan::Lack) => {
                let asking = self.ask(wanted, Some(kept.confirmed), fetch);
                self.checked(wanted, kept, &policy, asking).await
            }
            (None, Plan::Lack) => {
                let upstream = &wanted.view.origin.upstream;
                Err(Lack::Offline(CacheError::offline(upstream)))
            }
            (None, Plan::Serve | Plan::ServeOffline | Plan::Check | Plan::Fetch) => {
                let asking = self.ask(wanted, None, fetch);
                let has_other = wanted.demand == Demand::Usual
                    && without(wanted.view, &policy, &CacheError::TooSlow, now).is_some()
                    && instead.await;
                let asked = if has_other {
                    self.briefly(wanted, &policy, asking).await
                } else {
                    wanted.patience.within(asking).await
                };
                match asked {
                    Ok((kept, Role::Began)) => Ok(Found::Current(kept, CacheOutcome::Miss)),
                    Ok((kept, Role::Joined)) => Ok(Found::Current(kept, CacheOutcome::Joined)),
                    Err(error) => Err(Lack::Nothing(error)),
                }
            }
        }
    }

    /// A list that is here and not fresh any more: the registry is asked, and the old one goes out if it cannot be.
    async fn checked(
        &self,
        wanted: Wanted<'_>,
        kept: Arc<Kept<T>>,
        policy: &Policy,
        asking: impl Future<Output = Result<(Arc<Kept<T>>, Role), CacheError>>,
    ) -> Result<Found<T>, Lack> {
        let known = kept.known(wanted.key);
        let outlives = |failure: &CacheError| {
            let failure = failure_of(failure)?;
            match decision::after(&known, failure, policy, self.backing.clock.now()) {
                Verdict::Stale(reason) => Some(reason),
                Verdict::Fail => None,
            }
        };
        let asked = match (wanted.demand, outlives(&CacheError::TooSlow)) {
            (Demand::Usual, Some(_)) => self.briefly(wanted, policy, asking).await,
            (Demand::Usual | Demand::Now, _) => wanted.patience.within(asking).await,
        };
        let failure = match asked {
            Ok((now, _)) if now.list == kept.list => {
                return Ok(Found::Current(now, CacheOutcome::Revalidated));
            }
            Ok((now, _)) => return Ok(Found::Current(now, CacheOutcome::Miss)),
            Err(failure) => failure,
        };
        let Some(reason) = outlives(&failure) else {
            return Err(Lack::Withheld(failure));
        };
        tracing::warn!(
            repository.name = %wanted.view, error = with_causes(&failure),
            "serving a list as it was before: it could not be checked"
        );
        let age = self.backing.clock.now().since(kept.confirmed);
        Ok(Found::Old(kept, CacheOutcome::Stale(reason), age))
    }

    /// Waits for the registry as long as somebody does who can be answered without it. Who comes when it has been asked for
    /// a while already waits for the rest.
    async fn briefly<A>(
        &self,
        wanted: Wanted<'_>,
        policy: &Policy,
        asking: impl Future<Output = Result<A, CacheError>>,
    ) -> Result<A, CacheError> {
        let asked_for = self.asks.elapsed(wanted.key);
        let left = wanted.patience.left(policy.answer_within, asked_for);
        timeout(left, asking)
            .await
            .unwrap_or(Err(CacheError::TooSlow))
    }

    /// Asks the registry for a list, once for all who want it now. `seen` is when the one that is here was confirmed.
    async fn ask<F>(
        &self,
        wanted: Wanted<'_>,
        seen: Option<Timestamp>,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(Arc<Kept<T>>, Role), CacheError>
    where
        F: Future<Output = Result<Given<T>, CacheError>> + Send + 'static,
    {
        let (backing, absent) = (&self.backing, wanted.absent.cloned());
        if let Some(absent) = &absent
            && wanted.demand == Demand::Usual
            && backing.negative.is_absent(absent, backing.clock.now())
        {
            return Err(CacheError::NoTags(Word::Remembered));
        }
        let (backing, records, key) = (backing.clone(), self.records.clone(), wanted.key.clone());
        let places = self.places.clone();
        let work = move || async move {
            // Another request may have asked between our look and our start.
            let before = records.read(&key).await?;
            if let Some(now) = &before
                && Some(now.confirmed) > seen
            {
                return Ok(now.clone());
            }
            let fetched = whole(async {
                // Nobody closes it.
                let _place = places.acquire().await.map_err(|_| CacheError::Stopping)?;
                fetch().await
            });
            match fetched.await {
                Ok(given) => {
                    if let Some(absent) = &absent {
                        backing.negative.forget(absent);
                    }
                    Ok(keep(&records, key, given, backing.clock.now()).await)
                }
                Err(error) => {
                    if let (CacheError::NoTags(_), Some(absent)) = (&error, absent) {
                        backing.negative.remember(absent, backing.clock.now());
                    }
                    deny(&records, key, before, &error).await;
                    Err(error)
                }
            }
        };
        let asked = self.asks.run("ask_list", wanted.key, work).await;
        let (asked, role) = asked.ok_or(CacheError::Stopping)?;
        Ok((asked?, role))
    }
}

/// Ends asking for a list that has no end.
async fn whole<T>(fetching: impl Future<Output = Result<T, CacheError>>) -> Result<T, CacheError> {
    timeout(FETCH, fetching)
        .await
        .unwrap_or(Err(CacheError::TooSlow))
}

/// Returns why something goes out in place of a list that never was here, `None` when nothing does.
///
/// A registry that says no of a list says it of the list alone, where anybody may read the repository: some have none.
pub(super) fn without(
    view: &View,
    policy: &Policy,
    error: &CacheError,
    now: Timestamp,
) -> Option<StaleReason> {
    use crate::cache::sight::Visibility::{Private, Public};

    match (failure_of(error)?, view.visibility()) {
        (Failure::Said(Denial::NotFound), Public) => Some(StaleReason::NotFound),
        (Failure::Said(Denial::Denied), Public) => Some(StaleReason::Denied),
        (Failure::Said(_), Private) => None,
        (failure @ (Failure::Unreachable | Failure::Slow | Failure::RateLimited), _) => {
            // As if it had been confirmed just now.
            let known = Known {
                confirmed: now,
                denial: None,
                seed: 0,
            };
            match decision::after(&known, failure, policy, now) {
                Verdict::Stale(reason) => Some(reason),
                Verdict::Fail => None,
            }
        }
    }
}

impl<T> fmt::Debug for KeptLists<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLists")
            .field("asks", &self.asks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn asking_for_a_list_ends() {
        let error = whole::<()>(std::future::pending()).await.unwrap_err();
        assert!(matches!(error, CacheError::TooSlow), "{error}");
    }
}

//! Answers about tags: believed for a while, then checked, and served as they were when they cannot be.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Manifests, Want, answer, within};
use crate::answer::{CacheOutcome, ManifestAnswer};
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::cache::fetch::{Fetcher, Manifest};
use crate::cache::freshness::decision::{self, Demand, Denial, Failure, Plan, Verdict};
use crate::cache::freshness::{Policy, StaleLimit, Subject};
use crate::cache::sight::{LinkKind, View};
use crate::cache::tag::{TagName, TagRecord, Tags, failure_of};
use crate::oci::{Reference, VariantClass};
use crate::telemetry::with_causes;

/// What the registry says about a tag that is known.
#[derive(Clone, Debug)]
pub(super) enum Checked {
    /// It still points where it did.
    Same(TagRecord),
    /// It points to this manifest now, which is here.
    Moved(TagRecord, Bytes),
}

impl Manifests {
    pub(super) async fn by_tag(
        &self,
        name: &TagName,
        want: Want,
        demand: Demand,
    ) -> Result<ManifestAnswer, CacheError> {
        let record = self.tags.find(name).await?;
        let known = record.as_ref().map(|record| record.known());
        let policy = self.backing.policy(&name.view, Subject::Tag(&name.tag));
        let reach = self.backing.reach(&name.view)?;
        let now = self.backing.clock.now();
        let plan = decision::plan(known.as_ref(), &policy, demand, reach, now);
        let (Some(record), outcome) = (record, outcome_of(plan)) else {
            return self.unknown_tag(name, want, demand).await;
        };
        match outcome {
            Some(outcome) => self.pointed_at(name, &record, want, outcome).await,
            None => self.checked_tag(name, &record, &policy, want).await,
        }
    }

    /// A tag that nobody asked for yet: fetched, and remembered, once for all who want it now.
    async fn unknown_tag(
        &self,
        name: &TagName,
        want: Want,
        demand: Demand,
    ) -> Result<ManifestAnswer, CacheError> {
        if demand == Demand::Usual {
            self.believe_absence(&name.view, &Reference::Tag(name.tag.clone()), name.class)?;
        }
        let (backing, fetcher, tags) = (
            self.backing.clone(),
            self.fetcher.clone(),
            self.tags.clone(),
        );
        let asked = name.clone();
        let work = move || async move {
            let found = first(&backing, &fetcher, &tags, &asked, want).await?;
            if found.outcome == CacheOutcome::Miss {
                tags.remember(&asked, TagRecord::new(&found.head, backing.clock.now()))
                    .await;
            }
            Ok(found)
        };
        let key = (name.clone(), want);
        let found = within(async {
            self.firsts
                .run("first_tag", &key, work)
                .await
                .ok_or(CacheError::Stopping)?
                .0
        });
        found.await
    }

    /// Answers with what a tag points at. The bytes are fetched by digest if only the head was known.
    async fn pointed_at(
        &self,
        name: &TagName,
        record: &TagRecord,
        want: Want,
        outcome: CacheOutcome,
    ) -> Result<ManifestAnswer, CacheError> {
        if want == Want::Head {
            // What the bytes have shown, if they are here, counts more than what was said without them.
            let link = self
                .backing
                .links
                .find(&name.view, LinkKind::Manifest, &record.digest)
                .await?;
            let shown = link.and_then(|link| link.manifest(&record.digest));
            return Ok(answer(
                shown.unwrap_or_else(|| record.head()),
                None,
                outcome,
            ));
        }
        let found = self
            .by_digest(&name.view, &record.digest, Want::Bytes)
            .await?;
        let outcome = if found.outcome == CacheOutcome::Hit {
            outcome
        } else {
            found.outcome
        };
        Ok(ManifestAnswer { outcome, ..found })
    }

    /// A tag that is known and no longer fresh: the registry is asked, and the old answer goes out if it cannot be.
    async fn checked_tag(
        &self,
        name: &TagName,
        record: &Arc<TagRecord>,
        policy: &Policy,
        want: Want,
    ) -> Result<ManifestAnswer, CacheError> {
        let known = record.known();
        let is_servable = self.is_servable(&name.view, record, want).await?;
        let outlives = |failure: &CacheError| {
            let failure = failure_of(failure).filter(|_| is_servable)?;
            match decision::after(&known, failure, policy, self.backing.clock.now()) {
                Verdict::Stale(reason) => Some(reason),
                Verdict::Fail => None,
            }
        };
        let asking = self.check(name, record);
        let asked = match outlives(&CacheError::TooSlow) {
            Some(_) => timeout(policy.answer_within, asking)
                .await
                .unwrap_or(Err(CacheError::TooSlow)),
            None => within(asking).await,
        };
        let failure = match asked {
            Ok(Checked::Same(record)) => {
                return self
                    .pointed_at(name, &record, want, CacheOutcome::Revalidated)
                    .await;
            }
            Ok(Checked::Moved(record, bytes)) => {
                return Ok(answer(record.head(), Some(bytes), CacheOutcome::Miss));
            }
            Err(failure) => failure,
        };
        let Some(reason) = outlives(&failure) else {
            return Err(failure);
        };
        tracing::warn!(
            repository.name = %name.view, tag = %name.tag, content.digest = %record.digest, error = with_causes(&failure),
            "serving what the tag pointed at before: it could not be checked"
        );
        let stale = self
            .pointed_at(name, record, want, CacheOutcome::Stale(reason))
            .await?;
        Ok(ManifestAnswer {
            age: Some(self.backing.clock.now().since(record.confirmed)),
            ..stale
        })
    }

    async fn is_servable(
        &self,
        view: &View,
        record: &TagRecord,
        want: Want,
    ) -> Result<bool, CacheError> {
        let claimed = Some(&record.media_type);
        Ok(want == Want::Head
            || self
                .fetcher
                .kept(view, &record.digest, claimed)
                .await?
                .is_some())
    }

    /// Asks the registry about a tag, once for all who want to know now.
    async fn check(&self, name: &TagName, record: &Arc<TagRecord>) -> Result<Checked, CacheError> {
        let (backing, fetcher, tags) = (
            self.backing.clone(),
            self.fetcher.clone(),
            self.tags.clone(),
        );
        let (asked, record) = (name.clone(), record.clone());
        let work = move || async move {
            // Another request may have asked between our look and our start.
            if let Some(now) = tags.find(&asked).await?
                && now.confirmed > record.confirmed
            {
                return Ok(Checked::Same(TagRecord::clone(&now)));
            }
            let checked = ask(&fetcher, &asked, &record, &backing).await;
            match &checked {
                Ok(Checked::Same(record)) => tags.remember(&asked, record.clone()).await,
                Ok(Checked::Moved(now, _)) => tags.moved(&asked, &record, now.clone()).await,
                Err(error) => deny(&backing, &tags, &asked, &record, error).await,
            }
            checked
        };
        self.checks
            .run("check_tag", name, work)
            .await
            .ok_or(CacheError::Stopping)?
            .0
    }
}

/// Asks by HEAD, which costs no quota; where HEAD says nothing or says that there is no such tag, by a GET for what is
/// not here yet. A tag moves only when the manifest that it points to is here: until then the old one can still be
/// served.
async fn ask(
    fetcher: &Fetcher,
    name: &TagName,
    record: &TagRecord,
    backing: &Backing,
) -> Result<Checked, CacheError> {
    let reference = Reference::Tag(name.tag.clone());
    let by_tag = || fetcher.renew(&name.view, &reference, name.class, &record.digest);
    let found = match fetcher.head(&name.view, &reference, name.class).await? {
        Some(head) if head.digest == record.digest => None,
        // By that digest, so that a tag that moves again meanwhile changes nothing. When the registry does not have it
        // yet, or no more, only the tag itself can tell.
        Some(head) => {
            let digest = Reference::Digest(head.digest);
            match fetcher.get(&name.view, &digest, VariantClass::Index).await {
                Err(CacheError::ManifestUnknown(_)) => by_tag().await?,
                found => Some(found?),
            }
        }
        None => by_tag().await?,
    };
    let time = backing.clock.now();
    let Some(found) = found else {
        return Ok(Checked::Same(record.confirmed(time)));
    };
    let now = TagRecord::new(&found.head, time);
    Ok(if now.digest == record.digest {
        let since = record.since;
        Checked::Same(TagRecord { since, ..now })
    } else {
        Checked::Moved(now, found.bytes)
    })
}

/// Writes down that the registry said something against a tag: it is forgotten, unless its owner wants it to outlast that.
async fn deny(
    backing: &Backing,
    tags: &Tags,
    name: &TagName,
    record: &TagRecord,
    error: &CacheError,
) {
    let Some(Failure::Said(denial)) = failure_of(error) else {
        return;
    };
    let policy = backing.policy(&name.view, Subject::Tag(&name.tag));
    let is_over = denial == Denial::NotFound && policy.stale_on_not_found == StaleLimit::NEVER;
    if is_over {
        tags.forget(name, record).await;
    } else if record.denial != Some(denial) {
        let denial = Some(denial);
        tags.remember(
            name,
            TagRecord {
                denial,
                ..record.clone()
            },
        )
        .await;
    }
}

/// Returns where an answer comes from that needs no word of the registry.
fn outcome_of(plan: Plan) -> Option<CacheOutcome> {
    match plan {
        Plan::Serve => Some(CacheOutcome::Hit),
        Plan::ServeOffline => Some(CacheOutcome::Offline),
        Plan::Check | Plan::Fetch | Plan::Lack => None,
    }
}

/// Answers for a tag that is not known, unless another request has come to know it meanwhile.
async fn first(
    backing: &Backing,
    fetcher: &Fetcher,
    tags: &Tags,
    name: &TagName,
    want: Want,
) -> Result<ManifestAnswer, CacheError> {
    if let Some(record) = tags.find(name).await? {
        if want == Want::Head {
            return Ok(answer(record.head(), None, CacheOutcome::Hit));
        }
        let claimed = Some(&record.media_type);
        if let Some(found) = fetcher.kept(&name.view, &record.digest, claimed).await? {
            let is_seen = backing
                .links
                .find(&name.view, LinkKind::Manifest, &record.digest)
                .await?
                .is_some();
            if is_seen {
                return Ok(answer(found.head, Some(found.bytes), CacheOutcome::Hit));
            }
        }
    }
    let reference = Reference::Tag(name.tag.clone());
    if want == Want::Head
        && let Some(head) = fetcher.head(&name.view, &reference, name.class).await?
    {
        return Ok(answer(head, None, CacheOutcome::Miss));
    }
    let Manifest { head, bytes } = fetcher.get(&name.view, &reference, name.class).await?;
    Ok(answer(head, Some(bytes), CacheOutcome::Miss))
}

//! Answers about tags: believed for a while, then checked, and served as they were when they cannot be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Manifests, Want, answer, within};
use crate::answer::{CacheOutcome, ManifestAnswer};
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::cache::fetch::{Fetcher, Manifest};
use crate::cache::freshness::decision::{self, Demand, Denial, Failure, Plan, Reach, Verdict};
use crate::cache::freshness::{Policy, StaleLimit, Subject};
use crate::cache::sight::{LinkKind, View};
use crate::cache::tag::{TagName, TagRecord, Tags, failure_of};
use crate::oci::{Reference, VariantClass};
use crate::telemetry::with_causes;
use crate::upstream::UpstreamError;

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
        match (plan, record) {
            (Plan::Serve, Some(record)) => {
                let hit = CacheOutcome::Hit;
                match self.pointed_at(name, &record, want, hit).await {
                    // Only its head came, and the manifest is gone since: where the tag points now, the tag tells.
                    Err(CacheError::ManifestUnknown(_)) => {
                        let asking = (want, demand);
                        self.checked_tag(name, &record, &policy, asking).await
                    }
                    answer => answer,
                }
            }
            (Plan::ServeOffline, Some(record)) => self.offline(name, &record, want).await,
            (Plan::Check, Some(record)) => {
                let asking = (want, demand);
                self.checked_tag(name, &record, &policy, asking).await
            }
            (Plan::Lack, _) => Err(lacking(name)),
            (Plan::Fetch, _) | (Plan::Serve | Plan::ServeOffline | Plan::Check, None) => {
                self.unknown_tag(name, want, demand).await
            }
        }
    }

    /// Answers with what a tag pointed at when the registry was last asked: nobody may ask it now.
    async fn offline(
        &self,
        name: &TagName,
        record: &TagRecord,
        want: Want,
    ) -> Result<ManifestAnswer, CacheError> {
        let age = self.backing.clock.now().since(record.confirmed);
        let found = self.pointed_at(name, record, want, CacheOutcome::Offline);
        Ok(ManifestAnswer {
            age: Some(age),
            ..found.await?
        })
    }

    /// Answers a client that reads no index with what the tag was for others, when the registry cannot be asked what it
    /// is for such clients.
    pub(super) async fn as_index(
        &self,
        name: TagName,
        want: Want,
        failure: CacheError,
    ) -> Result<ManifestAnswer, CacheError> {
        let name = TagName {
            class: VariantClass::Index,
            ..name
        };
        let Some(record) = self.tags.find(&name).await? else {
            return Err(failure);
        };
        let policy = self.backing.policy(&name.view, Subject::Tag(&name.tag));
        match self.backing.reach(&name.view)? {
            Reach::Offline => self.offline(&name, &record, want).await,
            Reach::Online => {
                self.outlasting(&name, &record, &policy, want, failure)
                    .await
            }
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
            let found = first(&backing, &fetcher, &tags, &asked, want).await;
            match &found {
                Ok(found) if found.outcome == CacheOutcome::Miss => {
                    let now = TagRecord::new(&found.head, backing.clock.now());
                    tags.seen(&asked, now).await;
                }
                Ok(_) => {}
                Err(error) => deny_others(&tags, &asked, error).await,
            }
            found
        };
        let key = (name.clone(), want);
        let found = async {
            let found = self.firsts.run("first_tag", &key, work).await;
            found.ok_or(CacheError::Stopping)?.0
        };
        match self.patience_without(&key, demand).await? {
            Some(patience) => timeout(patience, found)
                .await
                .unwrap_or(Err(CacheError::TooSlow)),
            None => within(found).await,
        }
    }

    /// Returns how long a client waits that reads no index and can be answered from the index that others got, when
    /// nothing is known of what the tag is for such clients.
    async fn patience_without(
        &self,
        key: &(TagName, Want),
        demand: Demand,
    ) -> Result<Option<Duration>, CacheError> {
        let (name, want) = key;
        if name.class == VariantClass::Index {
            return Ok(None);
        }
        let name = TagName {
            class: VariantClass::Index,
            ..name.clone()
        };
        let Some(record) = self.tags.find(&name).await? else {
            return Ok(None);
        };
        let policy = self.backing.policy(&name.view, Subject::Tag(&name.tag));
        let waits = self.waits(&name, &record, &policy, (*want, demand)).await?;
        let asked_for = self.firsts.elapsed(key);
        Ok((!waits).then(|| policy.answer_within.saturating_sub(asked_for)))
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

    /// A tag that is known and has to be asked for: the old answer goes out if the registry does not confirm it.
    async fn checked_tag(
        &self,
        name: &TagName,
        record: &Arc<TagRecord>,
        policy: &Policy,
        (want, demand): (Want, Demand),
    ) -> Result<ManifestAnswer, CacheError> {
        let asked = match self.patience(name, record, policy, (want, demand)).await? {
            Some(patience) => timeout(patience, self.check(name, record, demand))
                .await
                .unwrap_or(Err(CacheError::TooSlow)),
            None => within(self.check(name, record, demand)).await,
        };
        match asked {
            Ok(Checked::Same(record)) => {
                let revalidated = CacheOutcome::Revalidated;
                self.pointed_at(name, &record, want, revalidated).await
            }
            Ok(Checked::Moved(record, bytes)) => {
                Ok(answer(record.head(), Some(bytes), CacheOutcome::Miss))
            }
            Err(failure) => self.outlasting(name, record, policy, want, failure).await,
        }
    }

    /// Returns how long a client waits for the registry's word that could be answered without it; `None` when it could
    /// not, or wants that word. Who comes when the registry has been asked for a while already waits for the rest.
    async fn patience(
        &self,
        name: &TagName,
        record: &TagRecord,
        policy: &Policy,
        (want, demand): (Want, Demand),
    ) -> Result<Option<Duration>, CacheError> {
        let waits = self.waits(name, record, policy, (want, demand)).await?;
        let asked_for = self.checks.elapsed(name);
        Ok((!waits).then(|| policy.answer_within.saturating_sub(asked_for)))
    }

    /// Tells whether a client waits for the registry's word for as long as that takes.
    async fn waits(
        &self,
        name: &TagName,
        record: &TagRecord,
        policy: &Policy,
        (want, demand): (Want, Demand),
    ) -> Result<bool, CacheError> {
        let now = self.backing.clock.now();
        let verdict = decision::after(&record.known(), Failure::Slow, policy, now);
        Ok(demand == Demand::Now
            || verdict == Verdict::Fail
            || !self.is_servable(&name.view, record, want).await?)
    }

    /// Answers with what a tag pointed at before, if that goes out after this failure.
    async fn outlasting(
        &self,
        name: &TagName,
        record: &TagRecord,
        policy: &Policy,
        want: Want,
        failure: CacheError,
    ) -> Result<ManifestAnswer, CacheError> {
        let now = self.backing.clock.now();
        let verdict = failure_of(&failure)
            .map(|failure| decision::after(&record.known(), failure, policy, now));
        let Some(Verdict::Stale(reason)) = verdict else {
            return Err(failure);
        };
        if !self.is_servable(&name.view, record, want).await? {
            return Err(failure);
        }
        tracing::warn!(
            repository.name = %name.view, tag = %name.tag, content.digest = %record.digest, error = with_causes(&failure),
            "serving what the tag pointed at before: it could not be checked"
        );
        let found = self.pointed_at(name, record, want, CacheOutcome::Stale(reason));
        let age = Some(now.since(record.confirmed));
        Ok(ManifestAnswer {
            age,
            ..found.await?
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
    async fn check(
        &self,
        name: &TagName,
        record: &Arc<TagRecord>,
        demand: Demand,
    ) -> Result<Checked, CacheError> {
        // A tag that outlasts its absence is asked for no more often than one that was never there.
        if demand == Demand::Usual && record.denial == Some(Denial::NotFound) {
            self.believe_absence(&name.view, &Reference::Tag(name.tag.clone()), name.class)?;
        }
        let (backing, fetcher, tags) = (
            self.backing.clone(),
            self.fetcher.clone(),
            self.tags.clone(),
        );
        let (asked, record) = (name.clone(), record.clone());
        let work = move || async move {
            // Another request may have asked between our look and our start, and have found that it is gone.
            let found = tags.find(&asked).await?;
            if let Some(now) = &found
                && now.confirmed > record.confirmed
            {
                return Ok(Checked::Same(TagRecord::clone(now)));
            }
            let checked = ask(&fetcher, &asked, &record, &backing).await;
            match &checked {
                Ok(Checked::Same(now) | Checked::Moved(now, _)) => {
                    tags.seen(&asked, now.clone()).await;
                }
                Err(error) => {
                    if let Some(record) = found {
                        deny(&backing, &tags, &asked, &record, error).await;
                    }
                    deny_others(&tags, &asked, error).await;
                }
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
        Checked::Same(now)
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

/// Writes down that the registry refuses a tag to clients of another class as well: it knows us, not our clients.
async fn deny_others(tags: &Tags, name: &TagName, error: &CacheError) {
    if failure_of(error) != Some(Failure::Said(Denial::Denied)) {
        return;
    }
    for class in [VariantClass::Index, VariantClass::Manifest] {
        let name = TagName {
            class,
            ..name.clone()
        };
        // Without its record nothing goes out.
        if let Ok(Some(record)) = tags.find(&name).await
            && record.denial != Some(Denial::Denied)
        {
            let denied = TagRecord {
                denial: Some(Denial::Denied),
                ..TagRecord::clone(&record)
            };
            tags.remember(&name, denied).await;
        }
    }
}

/// Says that a tag is not here, and that nobody may be asked.
fn lacking(name: &TagName) -> CacheError {
    let upstream = name.view.origin.upstream.as_str().into();
    CacheError::Upstream(UpstreamError::Offline { upstream })
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

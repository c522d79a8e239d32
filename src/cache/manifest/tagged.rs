//! Answers about tags: believed for a while, then checked, and served as they were when they cannot be.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::check::{Checked, deny_others, first};
use super::{Asked, Manifests, Want, answer};
use crate::answer::{CacheOutcome, ManifestAnswer};
use crate::cache::error::CacheError;
use crate::cache::freshness::decision::{self, Demand, Failure, Plan, Reach, Verdict};
use crate::cache::freshness::{Policy, Subject};
use crate::cache::sight::{LinkKind, View};
use crate::cache::tag::{TagName, TagRecord, failure_of};
use crate::oci::{Reference, VariantClass};
use crate::telemetry::with_causes;

impl Manifests {
    pub(super) async fn by_tag(
        &self,
        name: &TagName,
        asked: Asked,
    ) -> Result<ManifestAnswer, CacheError> {
        let want = asked.want;
        let record = self.tags.find(name).await?;
        let known = record.as_ref().map(|record| record.known());
        let policy = self.backing.policy(&name.view, Subject::Tag(&name.tag));
        let reach = self.backing.reach(&name.view)?;
        let now = self.backing.clock.now();
        let plan = decision::plan(known.as_ref(), &policy, asked.demand, reach, now);
        match (plan, record) {
            (Plan::Serve, Some(record)) => {
                let hit = CacheOutcome::Hit;
                match self.pointed_at(name, &record, want, hit).await {
                    // Only its head came, and the manifest is gone since: where the tag points now, the tag tells.
                    Err(CacheError::ManifestUnknown(_)) => {
                        self.checked_tag(name, &record, &policy, asked).await
                    }
                    answer => answer,
                }
            }
            (Plan::ServeOffline, Some(record)) => self.offline(name, &record, want).await,
            (Plan::Check, Some(record)) => self.checked_tag(name, &record, &policy, asked).await,
            (Plan::Lack, _) => Err(CacheError::offline(&name.view.origin.upstream)),
            (Plan::Fetch, _) | (Plan::Serve | Plan::ServeOffline | Plan::Check, None) => {
                self.unknown_tag(name, asked).await
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
        asked: Asked,
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
            Reach::Offline => self.by_tag(&name, asked).await,
            Reach::Online => {
                self.outlasting(&name, &record, &policy, asked.want, failure)
                    .await
            }
        }
    }

    /// A tag that nobody asked for yet: fetched, and remembered, once for all who want it now.
    async fn unknown_tag(
        &self,
        name: &TagName,
        asked: Asked,
    ) -> Result<ManifestAnswer, CacheError> {
        if asked.demand == Demand::Usual {
            self.believe_absence(&name.view, &Reference::Tag(name.tag.clone()), name.class)?;
        }
        let (backing, fetcher, tags) = (
            self.backing.clone(),
            self.fetcher.clone(),
            self.tags.clone(),
        );
        let (unknown, want) = (name.clone(), asked.want);
        let work = move || async move {
            let found = first(&backing, &fetcher, &tags, &unknown, want).await;
            match &found {
                Ok(found) if found.outcome == CacheOutcome::Miss => {
                    let now = TagRecord::new(&found.head, backing.clock.now());
                    tags.seen(&unknown, now).await;
                }
                Ok(_) => {}
                Err(error) => deny_others(&tags, &unknown, error).await,
            }
            found
        };
        let key = (name.clone(), want);
        let found = async {
            let found = self.firsts.run("first_tag", &key, work).await;
            found.ok_or(CacheError::Stopping)?.0
        };
        match self.patience_without(&key, asked).await? {
            Some(patience) => timeout(patience, found)
                .await
                .unwrap_or(Err(CacheError::TooSlow)),
            None => asked.patience.within(found).await,
        }
    }

    /// Returns how long a client waits that reads no index and can be answered from the index that others got, when
    /// nothing is known of what the tag is for such clients.
    async fn patience_without(
        &self,
        key: &(TagName, Want),
        asked: Asked,
    ) -> Result<Option<Duration>, CacheError> {
        let (name, _) = key;
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
        let waits = self.waits(&name, &record, &policy, asked).await?;
        let asked_for = self.firsts.elapsed(key);
        Ok((!waits).then(|| asked.patience.left(policy.answer_within, asked_for)))
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
        asked: Asked,
    ) -> Result<ManifestAnswer, CacheError> {
        let want = asked.want;
        let checking = self.check(name, record, asked.demand);
        let checked = match self.patience(name, record, policy, asked).await? {
            Some(patience) => timeout(patience, checking)
                .await
                .unwrap_or(Err(CacheError::TooSlow)),
            None => asked.patience.within(checking).await,
        };
        match checked {
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
        asked: Asked,
    ) -> Result<Option<Duration>, CacheError> {
        let waits = self.waits(name, record, policy, asked).await?;
        let asked_for = self.checks.elapsed(name);
        Ok((!waits).then(|| asked.patience.left(policy.answer_within, asked_for)))
    }

    /// Tells whether a client waits for the registry's word for as long as that takes.
    async fn waits(
        &self,
        name: &TagName,
        record: &TagRecord,
        policy: &Policy,
        asked: Asked,
    ) -> Result<bool, CacheError> {
        let now = self.backing.clock.now();
        let verdict = decision::after(&record.known(), Failure::Slow, policy, now);
        Ok(asked.demand == Demand::Now
            || verdict == Verdict::Fail
            || !self.is_servable(&name.view, record, asked.want).await?)
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
}

//! Answers about tags: believed for a while, then checked, and served as they were when they cannot be.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Manifests, Want, answer, within};
use crate::answer::{CacheOutcome, ManifestAnswer};
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::cache::fetch::{Fetcher, Manifest};
use crate::cache::freshness::{self, Decision};
use crate::cache::sight::{LinkKind, View};
use crate::cache::tag::{ANSWER_WITHIN, TagName, TagRecord, Tags, stale_reason};
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
    ) -> Result<ManifestAnswer, CacheError> {
        let Some(record) = self.tags.find(name).await? else {
            return self.unknown_tag(name, want).await;
        };
        let freshness = self.freshness.of(&name.view.origin.upstream);
        match freshness::decide(record.confirmed, freshness, self.backing.clock.now()) {
            Decision::Fresh => {
                self.pointed_at(name, &record, want, CacheOutcome::Hit)
                    .await
            }
            Decision::Check => self.checked_tag(name, &record, want).await,
        }
    }

    /// A tag that nobody asked for yet: fetched, and remembered, once for all who want it now.
    async fn unknown_tag(&self, name: &TagName, want: Want) -> Result<ManifestAnswer, CacheError> {
        self.believe_absence(&name.view, &Reference::Tag(name.tag.clone()), name.class)?;
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
        want: Want,
    ) -> Result<ManifestAnswer, CacheError> {
        let asked = match timeout(ANSWER_WITHIN, self.check(name, record)).await {
            Ok(checked) => checked,
            Err(_) if self.is_servable(&name.view, record, want).await? => Err(CacheError::TooSlow),
            Err(_) => within(self.check(name, record)).await,
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
        let age = self.backing.clock.now().since(record.confirmed);
        let Some(reason) = stale_reason(&failure, name.view.visibility(), age) else {
            return Err(failure);
        };
        if !self.is_servable(&name.view, record, want).await? {
            return Err(failure);
        }
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
                Ok(Checked::Same(record) | Checked::Moved(record, _)) => {
                    tags.remember(&asked, record.clone()).await
                }
                Err(CacheError::ManifestUnknown(_)) => tags.forget(&asked).await,
                Err(_) => {}
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
    let Some(found) = found else {
        return Ok(Checked::Same(TagRecord {
            confirmed: backing.clock.now(),
            ..record.clone()
        }));
    };
    let now = TagRecord::new(&found.head, backing.clock.now());
    Ok(if now.digest == record.digest {
        Checked::Same(now)
    } else {
        Checked::Moved(now, found.bytes)
    })
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

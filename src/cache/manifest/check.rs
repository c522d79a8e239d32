//! Asking the registry about a tag: once for all who want to know, and taking down what it says.

use std::sync::Arc;

use bytes::Bytes;

use super::{Manifests, Want, answer};
use crate::answer::{CacheOutcome, ManifestAnswer};
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::cache::fetch::{Fetcher, Manifest};
use crate::cache::freshness::decision::{Demand, Denial, Failure};
use crate::cache::freshness::{StaleLimit, Subject};
use crate::cache::sight::LinkKind;
use crate::cache::tag::{TagName, TagRecord, Tags, failure_of};
use crate::oci::{Reference, VariantClass};

/// What the registry says about a tag that is known.
#[derive(Clone, Debug)]
pub(super) enum Checked {
    /// It still points where it did.
    Same(TagRecord),
    /// It points to this manifest now, which is here.
    Moved(TagRecord, Bytes),
}

impl Manifests {
    /// Asks the registry about a tag, once for all who want to know now.
    pub(super) async fn check(
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
pub(super) async fn deny_others(tags: &Tags, name: &TagName, error: &CacheError) {
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

/// Answers for a tag that is not known, unless another request has come to know it meanwhile.
pub(super) async fn first(
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

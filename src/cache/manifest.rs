//! Answers about manifests: by digest, which never change, and by tag, which are believed for a while.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::backing::Backing;
use super::error::{CacheError, Word};
use super::fetch::{Fetcher, Manifest};
use super::flight::SharedWork;
use super::freshness::{self, Decision};
use super::negative::Absent;
use super::sight::{Link, LinkKind, View};
use super::tag::{ANSWER_WITHIN, TagName, TagRecord, Tags, stale_reason};
use crate::addressing::{Grant, Origin};
use crate::answer::{CacheOutcome, ManifestAnswer, ManifestHead};
use crate::oci::{Accept, Digest, ManifestView, Reference, VariantClass};
use crate::telemetry::with_causes;

/// How long a client waits for a manifest that is not here.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The manifests of all registries.
#[derive(Debug)]
pub struct Manifests {
    backing: Arc<Backing>,
    fetcher: Arc<Fetcher>,
    tags: Arc<Tags>,
    freshness: freshness::Settings,
    firsts: SharedWork<(TagName, Want), Result<ManifestAnswer, CacheError>>,
    checks: SharedWork<TagName, Result<Checked, CacheError>>,
}

/// What the registry says about a tag that is known.
#[derive(Clone, Debug)]
enum Checked {
    /// It still points where it did.
    Same(TagRecord),
    /// It points to this manifest now, which is here.
    Moved(TagRecord, Bytes),
}

/// How much of a manifest is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Want {
    Bytes,
    Head,
}

impl Manifests {
    /// Starts with nothing in memory.
    pub fn new(backing: Arc<Backing>, freshness: freshness::Settings) -> Self {
        Self {
            fetcher: Arc::new(Fetcher::new(backing.clone())),
            tags: Arc::new(Tags::new(&backing)),
            firsts: SharedWork::new(backing.tasks.clone()),
            checks: SharedWork::new(backing.tasks.clone()),
            freshness,
            backing,
        }
    }

    /// Answers a GET.
    ///
    /// # Errors
    /// [`CacheError`]: the registry has no such manifest, or could not be asked, or sent something else.
    pub async fn get(
        &self,
        grant: &Grant<Origin>,
        reference: &Reference,
        accept: &Accept,
    ) -> Result<ManifestAnswer, CacheError> {
        self.answer(grant, reference, accept, Want::Bytes).await
    }

    /// Answers a HEAD. A tag that is not known costs one HEAD at the registry.
    ///
    /// # Errors
    /// As [`Manifests::get`].
    pub async fn head(
        &self,
        grant: &Grant<Origin>,
        reference: &Reference,
        accept: &Accept,
    ) -> Result<ManifestAnswer, CacheError> {
        let answer = self.answer(grant, reference, accept, Want::Head).await?;
        Ok(ManifestAnswer {
            bytes: None,
            ..answer
        })
    }

    async fn answer(
        &self,
        grant: &Grant<Origin>,
        reference: &Reference,
        accept: &Accept,
        want: Want,
    ) -> Result<ManifestAnswer, CacheError> {
        let view = View::shared(grant.target().clone());
        let class = accept.class();
        let answer = match (reference, class) {
            (_, VariantClass::Schema1) => return Err(CacheError::Schema1),
            (Reference::Digest(digest), VariantClass::Index | VariantClass::Manifest) => {
                return self.by_digest(&view, digest, want).await;
            }
            (Reference::Tag(tag), VariantClass::Index | VariantClass::Manifest) => {
                let name = TagName {
                    view: view.clone(),
                    tag: tag.clone(),
                    class,
                };
                self.by_tag(&name, want).await?
            }
        };
        let reads_it = class == VariantClass::Index || !answer.head.media_type.is_index();
        if reads_it {
            Ok(answer)
        } else {
            self.default_platform(&view, answer, accept, want).await
        }
    }

    /// For a client that reads no index, answers with the index's manifest for linux/amd64, if it reads that.
    async fn default_platform(
        &self,
        view: &View,
        index: ManifestAnswer,
        accept: &Accept,
        want: Want,
    ) -> Result<ManifestAnswer, CacheError> {
        let bytes = match &index.bytes {
            Some(bytes) => Some(bytes.clone()),
            None => {
                self.by_digest(view, &index.head.digest, Want::Bytes)
                    .await?
                    .bytes
            }
        };
        let parsed = ManifestView::parse(&bytes.unwrap_or_default(), Some(&index.head.media_type))?;
        let child = parsed.default_platform().filter(|child| {
            child
                .media_type
                .as_ref()
                .is_some_and(|media_type| accept.takes(media_type))
        });
        match child {
            Some(child) => {
                let child = self.by_digest(view, &child.digest, want).await?;
                // How fresh the answer is, the index says; that the child had to be fetched, the child.
                let outcome = if child.outcome == CacheOutcome::Hit {
                    index.outcome
                } else {
                    child.outcome
                };
                Ok(ManifestAnswer {
                    outcome,
                    age: index.age,
                    ..child
                })
            }
            None => Ok(index),
        }
    }

    async fn by_digest(
        &self,
        view: &View,
        digest: &Digest,
        want: Want,
    ) -> Result<ManifestAnswer, CacheError> {
        let reference = Reference::Digest(*digest);
        let link = self
            .backing
            .links
            .find(view, LinkKind::Manifest, digest)
            .await?;
        match link {
            Some(link) => {
                if let Some(answer) = self.linked(view, digest, &link, want).await? {
                    return Ok(answer);
                }
            }
            None => {
                self.believe_absence(view, &reference, VariantClass::Index)?;
                // Bytes that another repository brought here cost this one a question, never a transfer.
                let is_here = self.fetcher.is_kept(digest).await?;
                if (is_here || want == Want::Head)
                    && let Some(head) =
                        within(self.fetcher.head(view, &reference, VariantClass::Index)).await?
                {
                    if want == Want::Head {
                        let outcome = if is_here {
                            CacheOutcome::Hit
                        } else {
                            CacheOutcome::Miss
                        };
                        return Ok(answer(head, None, outcome));
                    }
                    if let Some(found) = self
                        .fetcher
                        .kept(view, digest, Some(&head.media_type))
                        .await?
                    {
                        return Ok(answer(found.head, Some(found.bytes), CacheOutcome::Hit));
                    }
                }
            }
        }
        let Manifest { head, bytes } =
            within(self.fetcher.get(view, &reference, VariantClass::Index)).await?;
        Ok(answer(head, Some(bytes), CacheOutcome::Miss))
    }

    /// Answers with a manifest that the repository's registry answered for before, if enough of it is here.
    async fn linked(
        &self,
        view: &View,
        digest: &Digest,
        link: &Link,
        want: Want,
    ) -> Result<Option<ManifestAnswer>, CacheError> {
        Ok(match want {
            Want::Head => link
                .manifest(digest)
                .map(|head| answer(head, None, CacheOutcome::Hit)),
            Want::Bytes => {
                let found = self
                    .fetcher
                    .kept(view, digest, link.media_type.as_ref())
                    .await?;
                found.map(|found| answer(found.head, Some(found.bytes), CacheOutcome::Hit))
            }
        })
    }

    fn believe_absence(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<(), CacheError> {
        let absent = Absent::Manifest(view.origin.clone(), reference.clone(), class);
        if self
            .backing
            .negative
            .is_absent(&absent, self.backing.clock.now())
        {
            return Err(CacheError::ManifestUnknown(Word::Remembered));
        }
        Ok(())
    }

    async fn by_tag(&self, name: &TagName, want: Want) -> Result<ManifestAnswer, CacheError> {
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
        let Some(reason) = stale_reason(&failure, age) else {
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

/// Asks by HEAD, which costs no quota; by GET where HEAD says nothing or says that there is no such tag. A tag moves only
/// when the manifest that it points to is here: until then the old one can still be served.
async fn ask(
    fetcher: &Fetcher,
    name: &TagName,
    record: &TagRecord,
    backing: &Backing,
) -> Result<Checked, CacheError> {
    let reference = Reference::Tag(name.tag.clone());
    let by_tag = || fetcher.get(&name.view, &reference, name.class);
    let found = match fetcher.head(&name.view, &reference, name.class).await? {
        Some(head) if head.digest == record.digest => {
            return Ok(Checked::Same(TagRecord {
                confirmed: backing.clock.now(),
                ..record.clone()
            }));
        }
        // By that digest, so that a tag that moves again meanwhile changes nothing. When the registry does not have it
        // yet, or no more, only the tag itself can tell.
        Some(head) => {
            let digest = Reference::Digest(head.digest);
            match fetcher.get(&name.view, &digest, VariantClass::Index).await {
                Err(CacheError::ManifestUnknown(_)) => by_tag().await?,
                found => found?,
            }
        }
        None => by_tag().await?,
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

fn answer(head: ManifestHead, bytes: Option<Bytes>, outcome: CacheOutcome) -> ManifestAnswer {
    ManifestAnswer {
        head,
        bytes,
        outcome,
        age: None,
    }
}

/// Gives up on an answer that takes too long. What was begun goes on, and the next request finds it.
async fn within<T>(work: impl Future<Output = Result<T, CacheError>>) -> Result<T, CacheError> {
    timeout(FIRST_ANSWER, work)
        .await
        .unwrap_or(Err(CacheError::TooSlow))
}

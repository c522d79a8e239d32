//! Answers about manifests: by digest, which never change, and by tag, which are believed for a while.

mod check;
mod tagged;

use std::sync::Arc;

use bytes::Bytes;

use self::check::Checked;
use super::backing::Backing;
use super::error::{CacheError, Word};
use super::fetch::{Fetcher, Manifest};
use super::flight::SharedWork;
use super::freshness::decision::Demand;
use super::ledger::Wanted;
use super::negative::Absent;
use super::patience::Patience;
use super::sight::{Link, LinkKind, View};
use super::tag::{TagHistory, TagName, Tags};
use crate::addressing::{Grant, Origin};
use crate::answer::{CacheOutcome, ManifestAnswer, ManifestHead};
use crate::oci::{Accept, Digest, ManifestView, Reference, Tag, VariantClass};
use crate::upstream::Sample;

/// The manifests of all registries.
#[derive(Debug)]
pub struct Manifests {
    backing: Arc<Backing>,
    fetcher: Arc<Fetcher>,
    tags: Arc<Tags>,
    firsts: SharedWork<(TagName, Want), Result<ManifestAnswer, CacheError>>,
    checks: SharedWork<TagName, Result<Checked, CacheError>>,
}

/// How much of a manifest is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Want {
    Bytes,
    Head,
}

/// What a client asks for, and how long it waits.
#[derive(Clone, Copy, Debug)]
struct Asked {
    want: Want,
    demand: Demand,
    patience: Patience,
}

impl Asked {
    fn now(want: Want, demand: Demand) -> Self {
        Self {
            want,
            demand,
            patience: Patience::begin(),
        }
    }
}

impl Manifests {
    /// Starts with nothing in memory.
    pub fn new(backing: Arc<Backing>) -> Self {
        Self {
            fetcher: Arc::new(Fetcher::new(backing.clone())),
            tags: Arc::new(Tags::new(&backing)),
            firsts: SharedWork::new(backing.tasks.clone()),
            checks: SharedWork::new(backing.tasks.clone()),
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
        demand: Demand,
    ) -> Result<ManifestAnswer, CacheError> {
        let asked = Asked::now(Want::Bytes, demand);
        self.noted(grant, reference, accept, asked).await
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
        demand: Demand,
    ) -> Result<ManifestAnswer, CacheError> {
        let asked = Asked::now(Want::Head, demand);
        let answer = self.noted(grant, reference, accept, asked).await?;
        Ok(ManifestAnswer {
            bytes: None,
            ..answer
        })
    }

    /// Has the registry asked now what a tag points at, for its operator: no client gets this answer, or lacks it.
    ///
    /// # Errors
    /// As [`Manifests::get`].
    pub async fn refresh(
        &self,
        grant: &Grant<Origin>,
        tag: &Tag,
        accept: &Accept,
    ) -> Result<ManifestAnswer, CacheError> {
        let reference = Reference::Tag(tag.clone());
        let asked = Asked::now(Want::Head, Demand::Now);
        Box::pin(self.answer(grant, &reference, accept, asked)).await
    }

    /// Returns where a tag pointed, for each class of clients that asked for it, as nobody and with the login that is
    /// configured. The registry is not asked.
    ///
    /// # Errors
    /// [`CacheError`] when the records could not be read.
    pub async fn history(&self, origin: &Origin, tag: &Tag) -> Result<Vec<TagHistory>, CacheError> {
        let upstream = self.backing.upstream(&origin.upstream)?;
        let login = Box::pin(upstream.login(&origin.repository)).await;
        let private = login.map(|login| View::private(origin.clone(), login));
        let mut histories = Vec::new();
        for view in [Some(View::public(origin.clone())), private]
            .into_iter()
            .flatten()
        {
            for class in [VariantClass::Index, VariantClass::Manifest] {
                let name = TagName {
                    view: view.clone(),
                    tag: tag.clone(),
                    class,
                };
                histories.extend(self.tags.moves(&name).await?);
            }
        }
        Ok(histories)
    }

    async fn noted(
        &self,
        grant: &Grant<Origin>,
        reference: &Reference,
        accept: &Accept,
        asked: Asked,
    ) -> Result<ManifestAnswer, CacheError> {
        let outcome = |answer: &ManifestAnswer| answer.outcome;
        let work = self.answer(grant, reference, accept, asked);
        self.backing
            .noted(
                grant.target(),
                Wanted::Manifest(reference),
                outcome,
                Box::pin(work),
            )
            .await
    }

    async fn answer(
        &self,
        grant: &Grant<Origin>,
        reference: &Reference,
        accept: &Accept,
        asked: Asked,
    ) -> Result<ManifestAnswer, CacheError> {
        let want = asked.want;
        let sample = Sample::Manifest(reference);
        let view = self.backing.view(grant, sample).await?;
        let class = accept.class();
        let tag = match (reference, class) {
            (_, VariantClass::Schema1) => return Err(CacheError::Schema1),
            (Reference::Digest(digest), VariantClass::Index | VariantClass::Manifest) => {
                return self.by_digest(&view, digest, want).await;
            }
            (Reference::Tag(tag), VariantClass::Index | VariantClass::Manifest) => tag.clone(),
        };
        let name = TagName {
            view: view.clone(),
            tag,
            class,
        };
        let answer = match self.by_tag(&name, asked).await {
            Err(failure) if class == VariantClass::Manifest => {
                self.as_index(name, asked, failure).await?
            }
            answer => answer?,
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
        let patience = Patience::begin();
        let reference = Reference::Digest(*digest);
        let find = || self.backing.links.find(view, LinkKind::Manifest, digest);
        let (mut link, mut is_here) = (find().await?, false);
        if link.is_none() {
            self.believe_absence(view, &reference, VariantClass::Index)?;
            is_here = self.fetcher.is_kept(digest).await?;
            if is_here {
                // Perhaps a request of this repository brought it since we looked: links are there before bytes.
                link = find().await?;
            }
        }
        match link {
            Some(link) => {
                if let Some(answer) = self.linked(view, digest, &link, want).await? {
                    return Ok(answer);
                }
            }
            None => {
                // Bytes that another repository brought here cost this one a question, never a transfer.
                if (is_here || want == Want::Head)
                    && let Some(head) = patience
                        .within(self.fetcher.head(view, &reference, VariantClass::Index))
                        .await?
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
        let Manifest { head, bytes } = patience
            .within(self.fetcher.get(view, &reference, VariantClass::Index))
            .await?;
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
        let absent = Absent::Manifest(view.clone(), reference.clone(), class);
        if self
            .backing
            .negative
            .is_absent(&absent, self.backing.clock.now())
        {
            return Err(CacheError::ManifestUnknown(Word::Remembered));
        }
        Ok(())
    }
}

fn answer(head: ManifestHead, bytes: Option<Bytes>, outcome: CacheOutcome) -> ManifestAnswer {
    ManifestAnswer {
        head,
        bytes,
        outcome,
        age: None,
    }
}

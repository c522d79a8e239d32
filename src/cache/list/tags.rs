//! The tags of a repository: what its registry lists, and what is known of them here while it does not.

use std::sync::Arc;

use futures_util::StreamExt;
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kept::{Found, KeptLists, Lack, Wanted, room_for, without};
use super::record::{Given, Keeping};
use crate::addressing::{Grant, Origin};
use crate::answer::{CacheOutcome, TagsAnswer};
use crate::cache::backing::Backing;
use crate::cache::error::{CacheError, Word};
use crate::cache::freshness::Subject;
use crate::cache::freshness::decision::{self, Demand, Failure, Verdict};
use crate::cache::negative::Absent;
use crate::cache::patience::Patience;
use crate::cache::sight::{View, Visibility};
use crate::cache::tag::TagRecord;
use crate::oci::Tag;
use crate::store::{RecordKey, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{Sample, UpstreamError};

/// The most bytes that all tags of a repository may have, as they are recorded: as much as one page may, which some
/// registries send them in. That is three hundred and sixty thousand tags of twenty letters. A list of more is an error,
/// never a part of it.
const MAX_TAGS_SIZE: usize = 8 << 20;
/// What is recorded beside the letters of a tag: quotes and a comma.
const BESIDE_A_TAG: usize = 3;
/// How many bytes of lists of tags are kept in memory: one of the largest, or four hundred of a thousand tags.
const IN_MEMORY: u64 = 40 << 20;
const _: () = assert!(IN_MEMORY >= room_for(MAX_TAGS_SIZE));
/// The most tags of a repository that are looked for among what is here. Each one was pulled through larder.
const MAX_KNOWN: usize = 50_000;
/// From how many tags on putting them in order is no work to be done between two requests.
const MANY: usize = 5_000;

/// All tags of a repository, each once, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TagList(Arc<[Tag]>);

impl Serialize for TagList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Tag::as_str))
    }
}

impl<'de> Deserialize<'de> for TagList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let tags = texts.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(in_order(tags))
    }
}

/// The lists of tags of all repositories.
#[derive(Debug)]
pub(super) struct TagLists {
    backing: Arc<Backing>,
    lists: KeptLists<TagList>,
}

impl TagLists {
    /// Starts with what the records say.
    pub(super) fn new(backing: Arc<Backing>) -> Self {
        Self {
            lists: KeptLists::new(backing.clone(), IN_MEMORY),
            backing,
        }
    }

    /// Answers with the tags of a repository.
    pub(super) async fn answer(
        &self,
        grant: &Grant<Origin>,
        demand: Demand,
    ) -> Result<TagsAnswer, CacheError> {
        let patience = Patience::begin();
        let view = self.backing.view(grant, Sample::Tags).await?;
        let (key, absent) = (view.tag_list_key(), Absent::Tags(view.clone()));
        let wanted = Wanted {
            view: &view,
            key: &key,
            subject: Subject::Tags,
            demand,
            patience,
            absent: Some(&absent),
        };
        let (backing, asked) = (self.backing.clone(), view.clone());
        let fetch = move || fetch(backing, asked);
        let any_known = async { !self.known(&view, 1).await.is_empty() };
        match self.lists.find(wanted, fetch, any_known).await {
            Ok(Found::Current(kept, outcome)) => Ok(TagsAnswer {
                tags: kept.list.0.clone(),
                outcome,
                age: None,
            }),
            // What was pulled since is there as well.
            Ok(Found::Old(kept, outcome, age)) => {
                let known = self.known(&view, MAX_KNOWN).await;
                Ok(TagsAnswer {
                    tags: self.with(&kept.list, known).await?.0,
                    outcome,
                    age: Some(age),
                })
            }
            Err(lack) => self.known_alone(&view, lack).await,
        }
    }

    /// Answers without a list of the registry, with the tags that are known here, if that may be and there are any.
    async fn known_alone(&self, view: &View, lack: Lack) -> Result<TagsAnswer, CacheError> {
        let policy = self.backing.policy(view, Subject::Tags);
        let now = self.backing.clock.now();
        let (outcome, error) = match lack {
            Lack::Withheld(error) => return Err(error),
            Lack::Offline(error) => (Some(CacheOutcome::Offline), error),
            Lack::Nothing(error) => {
                let reason = without(view, &policy, &error, now);
                (reason.map(CacheOutcome::Stale), error)
            }
        };
        let Some(outcome) = outcome else {
            return Err(error);
        };
        let known = self.known(view, MAX_KNOWN).await;
        if known.is_empty() {
            return Err(error);
        }
        tracing::warn!(
            repository.name = %view, error = with_causes(&error),
            "listing the tags that are here: the registry did not list its own"
        );
        Ok(TagsAnswer {
            tags: in_order(known).0,
            outcome,
            age: None,
        })
    }

    /// Returns a list with these tags, which are in order, in their places.
    async fn with(&self, list: &TagList, known: Vec<Tag>) -> Result<TagList, CacheError> {
        let is_new = |tag: &Tag| list.0.binary_search(tag).is_err();
        let new: Vec<Tag> = known.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(list.clone());
        }
        let all = list.0.iter().cloned().chain(new).collect();
        ordered(&self.backing, all).await
    }

    /// Returns at most so many tags of which there are records, in order. When these cannot be read, that is logged: what
    /// else is known goes out all the same.
    async fn known(&self, view: &View, at_most: usize) -> Vec<Tag> {
        let mut keys = self.backing.records.list(&view.tags_prefix(), None);
        let mut tags: Vec<Tag> = Vec::new();
        while let Some(key) = keys.next().await {
            let known = match key {
                Ok(key) => self.known_by(view, &key, tags.last()).await,
                Err(error) => Err(error),
            };
            match known {
                Ok(tag) => tags.extend(tag),
                Err(error) => {
                    tracing::warn!(repository.name = %view, error = with_causes(&error), "could not look for the tags that are here");
                    break;
                }
            }
            if tags.len() >= at_most {
                break;
            }
        }
        if tags.len() >= MAX_KNOWN {
            tracing::warn!(repository.name = %view, tags = MAX_KNOWN, "more tags are here than are listed");
        }
        tags
    }

    /// Returns the tag of a record, unless it is the one before: a tag has a record for each class of clients. What a login
    /// was refused is not named to those who have it.
    async fn known_by(
        &self,
        view: &View,
        key: &RecordKey,
        before: Option<&Tag>,
    ) -> Result<Option<Tag>, StoreError> {
        let part = key.parts().nth(TAG_PART).map(str::parse::<Tag>);
        let Some(Ok(tag)) = part else {
            return Ok(None);
        };
        if before == Some(&tag) {
            return Ok(None);
        }
        if view.visibility() == Visibility::Public {
            return Ok(Some(tag));
        }
        let record = self.backing.records.read(key).await?;
        let record = record.and_then(|record| serde_json::from_slice(&record.value).ok());
        let policy = self.backing.policy(view, Subject::Tag(&tag));
        let now = self.backing.clock.now();
        let goes_out = |record: TagRecord| {
            let verdict = decision::after(&record.known(), Failure::Unreachable, &policy, now);
            verdict != Verdict::Fail
        };
        Ok(record.is_some_and(goes_out).then_some(tag))
    }
}

/// Which part of the key of a tag's record is the tag.
const TAG_PART: usize = 5;

/// Asks a registry for all tags of a repository, a page after the other.
async fn fetch(backing: Arc<Backing>, view: View) -> Result<Given<TagList>, CacheError> {
    let upstream = backing.upstream(&view.origin.upstream)?;
    let (mut tags, mut size, mut next) = (Vec::new(), 0, None);
    loop {
        let asking = upstream.tags(view.sought(), next.as_ref());
        let page = match Box::pin(asking).await {
            Ok(Some(page)) => page,
            Ok(None) => return Err(CacheError::NoTags(Word::Given)),
            Err(error) if is_no_question(&error) => return Err(CacheError::NoTags(Word::Given)),
            Err(error) => return Err(error.into()),
        };
        size += page
            .tags
            .iter()
            .map(|tag| tag.as_str().len() + BESIDE_A_TAG)
            .sum::<usize>();
        if size > MAX_TAGS_SIZE {
            let error = UpstreamError::TooLarge {
                host: view.origin.upstream.as_str().into(),
                what: "tags",
                limit_bytes: MAX_TAGS_SIZE as u64,
            };
            return Err(error.into());
        }
        tags.extend(page.tags);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let list = ordered(&backing, tags).await?;
    Ok(Given {
        list,
        keeping: Keeping::Recorded,
    })
}

/// Tells whether a registry does not list tags at all.
fn is_no_question(error: &UpstreamError) -> bool {
    matches!(
        error,
        UpstreamError::Refused {
            status: StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
            ..
        }
    )
}

/// Puts tags in order; many of them where it keeps nobody from anything.
async fn ordered(backing: &Backing, tags: Vec<Tag>) -> Result<TagList, CacheError> {
    if tags.len() < MANY {
        return Ok(in_order(tags));
    }
    let ordering = backing.tasks.spawn_blocking(move || in_order(tags));
    ordering.await.map_err(|_| CacheError::Stopping)
}

fn in_order(mut tags: Vec<Tag>) -> TagList {
    tags.sort_unstable();
    tags.dedup();
    TagList(tags.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_in_order_and_has_each_tag_once() {
        let text = r#"["b","B","a-1","a","a_1","b","-x","a.1"]"#;
        let list: TagList = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&list).unwrap();
        assert_eq!(written, r#"["B","a","a-1","a.1","a_1","b"]"#);
    }
}

//! What tags point at, and asking the registry whether they still do.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::backing::Backing;
use super::error::CacheError;
use super::freshness::decision::{Denial, Failure, Known};
use super::history::{History, Move};
use super::remembered::Remembered;
use super::sight::{View, Visibility};
use crate::answer::ManifestHead;
use crate::oci::{Digest, MediaType, Tag, VariantClass};
use crate::runtime::Timestamp;
use crate::store::StoreError;
use crate::telemetry::with_causes;
use crate::upstream::UpstreamError;

/// How many tag records are kept in memory; about 400 bytes each.
const IN_MEMORY: u64 = 20_000;

/// What a tag points at, for one class of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// The manifest.
    pub digest: Digest,
    /// Its type.
    pub media_type: MediaType,
    /// Its size, in bytes.
    pub size: u64,
    /// When the registry last said so.
    pub confirmed: Timestamp,
    /// Since when it says so, as far as it was seen.
    #[serde(default)]
    pub since: Timestamp,
    /// What it has said against it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
}

impl TagRecord {
    /// Records what the registry says now.
    pub fn new(head: &ManifestHead, now: Timestamp) -> Self {
        let ManifestHead {
            digest,
            media_type,
            size,
        } = head.clone();
        Self {
            digest,
            media_type,
            size,
            confirmed: now,
            since: now,
            denial: None,
        }
    }

    /// Returns the record after the registry confirmed it.
    #[must_use]
    pub fn confirmed(&self, now: Timestamp) -> Self {
        Self {
            confirmed: now,
            since: self.first_seen(),
            denial: None,
            ..self.clone()
        }
    }

    /// Returns since when it points there, as far as it was seen.
    fn first_seen(&self) -> Timestamp {
        // A record of before there were histories does not say.
        if self.since == Timestamp::default() {
            self.confirmed
        } else {
            self.since
        }
    }

    /// Returns what its freshness is decided by.
    pub fn known(&self) -> Known {
        let mut seed = [0; 8];
        seed.copy_from_slice(&self.digest.bytes()[..8]);
        Known {
            confirmed: self.confirmed,
            denial: self.denial,
            seed: u64::from_le_bytes(seed),
        }
    }

    /// Returns the time during which it pointed there, as a part of its history.
    pub fn as_move(&self) -> Move {
        Move {
            digest: self.digest,
            first_seen: self.first_seen(),
            last_seen: self.confirmed,
        }
    }

    /// Returns what is known of the manifest.
    pub fn head(&self) -> ManifestHead {
        ManifestHead {
            digest: self.digest,
            media_type: self.media_type.clone(),
            size: self.size,
        }
    }
}

/// One tag of one repository, for one class of clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagName {
    /// The repository.
    pub view: View,
    /// The tag.
    pub tag: Tag,
    /// What the client can read.
    pub class: VariantClass,
}

/// Where a tag pointed, for one class of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagHistory {
    /// For which clients.
    pub class: VariantClass,
    /// Whether it was seen as anybody may see it, or with a login.
    pub visibility: Visibility,
    /// Its moves, the oldest first.
    pub moves: Vec<Move>,
    /// Whether the last move is where it points now. Otherwise the registry said that there is no such tag any more.
    pub is_present: bool,
}

/// The tags of all repositories.
#[derive(Debug)]
pub struct Tags {
    records: Remembered<TagRecord>,
    histories: Remembered<History>,
}

/// How many histories are kept in memory: they are read when a tag moves, and when somebody asks for them.
const HISTORIES: u64 = 100;

impl Tags {
    /// Keeps tags in the records of the cache.
    pub fn new(backing: &Backing) -> Self {
        Self {
            records: Remembered::new(backing.records.clone(), IN_MEMORY),
            histories: Remembered::new(backing.records.clone(), HISTORIES),
        }
    }

    /// Returns what is known of a tag.
    ///
    /// # Errors
    /// [`StoreError`] when the records could not be read.
    pub async fn find(&self, name: &TagName) -> Result<Option<Arc<TagRecord>>, StoreError> {
        self.records
            .read(&name.view.tag_key(&name.tag, name.class))
            .await
    }

    /// Returns where a tag pointed and points, `None` when nothing is known of that.
    ///
    /// # Errors
    /// [`StoreError`] when the records could not be read.
    pub async fn moves(&self, name: &TagName) -> Result<Option<TagHistory>, StoreError> {
        let (before, present) = (self.history(name).await?, self.find(name).await?);
        if before.is_none() && present.is_none() {
            return Ok(None);
        }
        let mut moves = before.map_or_else(Vec::new, |before| before.moves().to_vec());
        moves.extend(present.as_ref().map(|present| present.as_move()));
        Ok(Some(TagHistory {
            class: name.class,
            visibility: name.view.visibility(),
            moves,
            is_present: present.is_some_and(|present| present.denial != Some(Denial::NotFound)),
        }))
    }

    /// Returns where a tag pointed before.
    ///
    /// # Errors
    /// [`StoreError`] when the records could not be read.
    pub async fn history(&self, name: &TagName) -> Result<Option<Arc<History>>, StoreError> {
        self.histories
            .read(&name.view.history_key(&name.tag, name.class))
            .await
    }

    /// Remembers what the registry said. What cannot be written down is logged: the answer at hand is right all the same.
    pub async fn remember(&self, name: &TagName, record: TagRecord) {
        let key = name.view.tag_key(&name.tag, name.class);
        if let Err(error) = self.records.write(key, record).await {
            tracing::warn!(repository.name = %name.view, tag = %name.tag, error = with_causes(&error), "could not write down a tag");
        }
    }

    /// Remembers where a tag points now, and where it pointed before if that was elsewhere. What is known at this moment
    /// counts: several requests may have found the same.
    pub async fn seen(&self, name: &TagName, now: TagRecord) {
        let before = match self.find(name).await {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(repository.name = %name.view, tag = %name.tag, error = with_causes(&error), "could not find out where a tag pointed");
                None
            }
        };
        let since = match before {
            Some(before) if before.digest == now.digest => before.first_seen(),
            Some(before) => {
                self.ended(name, &before).await;
                now.confirmed
            }
            None => now.confirmed,
        };
        self.remember(name, TagRecord { since, ..now }).await;
    }

    /// Forgets a tag, which the registry no longer has, but not where it pointed.
    pub async fn forget(&self, name: &TagName, before: &TagRecord) {
        self.ended(name, before).await;
        let key = name.view.tag_key(&name.tag, name.class);
        if let Err(error) = self.records.remove(key).await {
            tracing::warn!(repository.name = %name.view, tag = %name.tag, error = with_causes(&error), "could not remove a tag");
        }
    }

    /// Writes down that a tag points no longer where it did.
    async fn ended(&self, name: &TagName, before: &TagRecord) {
        let written = async {
            let history = self.history(name).await?.unwrap_or_default();
            let key = name.view.history_key(&name.tag, name.class);
            let history = history.with(before.as_move());
            self.histories.write(key, history).await
        };
        if let Err(error) = written.await {
            tracing::warn!(repository.name = %name.view, tag = %name.tag, error = with_causes(&error), "could not write down where a tag pointed");
        }
    }
}

/// Returns in which way a failure did not confirm what is known, or `None` when it says nothing of it.
pub fn failure_of(error: &CacheError) -> Option<Failure> {
    match error {
        CacheError::Upstream(UpstreamError::RateLimited { .. }) => Some(Failure::RateLimited),
        CacheError::Upstream(
            UpstreamError::Refused {
                status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
                ..
            }
            | UpstreamError::LoginRefused { .. },
        ) => Some(Failure::Said(Denial::Denied)),
        CacheError::Upstream(_)
        | CacheError::WrongContent(_)
        | CacheError::WrongSize { .. }
        | CacheError::BadManifest(_) => Some(Failure::Unreachable),
        CacheError::TooSlow => Some(Failure::Slow),
        CacheError::ManifestUnknown(_) | CacheError::NoTags(_) => {
            Some(Failure::Said(Denial::NotFound))
        }
        CacheError::Private(_)
        | CacheError::NotConfigured(_)
        | CacheError::BlobUnknown(_)
        | CacheError::NotListed(_)
        | CacheError::Schema1
        | CacheError::Unsatisfiable(_)
        | CacheError::Store(_)
        | CacheError::Stopping => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::error::Word;
    use crate::upstream::{LoginIdentity, LoginProblem, RateLimit};

    #[test]
    fn what_a_failure_says_of_what_is_known() {
        let host = || "r.io".into();
        let refused = |status| UpstreamError::Refused {
            host: host(),
            status,
            message: None,
            login: None,
        };
        let (unauthorized, forbidden) = (StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN);
        let useless = UpstreamError::LoginRefused {
            host: host(),
            login: LoginIdentity::new("user acme"),
            problem: LoginProblem::Unreadable("gone".into()),
        };
        let limited = UpstreamError::RateLimited {
            host: host(),
            limit: RateLimit::Pulls,
            retry_after: Duration::from_secs(1),
        };
        let broken = UpstreamError::Unavailable {
            host: host(),
            status: StatusCode::BAD_GATEWAY,
        };
        let resting = UpstreamError::Resting {
            host: host(),
            retry_after: Duration::from_secs(1),
            source: None,
        };
        let denied = Some(Failure::Said(Denial::Denied));
        for (error, failure) in [
            (CacheError::Upstream(refused(unauthorized)), denied),
            (CacheError::Upstream(refused(forbidden)), denied),
            // A word against the question, not against what is known.
            (
                CacheError::Upstream(refused(StatusCode::BAD_REQUEST)),
                Some(Failure::Unreachable),
            ),
            (CacheError::Upstream(useless), denied),
            (CacheError::Upstream(limited), Some(Failure::RateLimited)),
            (CacheError::Upstream(broken), Some(Failure::Unreachable)),
            (CacheError::Upstream(resting), Some(Failure::Unreachable)),
            (CacheError::TooSlow, Some(Failure::Slow)),
            (
                CacheError::ManifestUnknown(Word::Given),
                Some(Failure::Said(Denial::NotFound)),
            ),
            (CacheError::Stopping, None),
            (CacheError::Schema1, None),
        ] {
            assert_eq!(failure_of(&error), failure, "{error}");
        }
    }

    #[test]
    fn a_record_of_before_there_were_histories_knows_when_it_was_confirmed_first() {
        let json = format!(
            r#"{{"digest":"sha256:{}","media_type":"{}","size":1,"confirmed":1000}}"#,
            "0".repeat(64),
            MediaType::OCI_MANIFEST
        );
        let old: TagRecord = serde_json::from_str(&json).unwrap();
        let at = Timestamp::from_millis;
        let seen = old.confirmed(at(2_000)).confirmed(at(3_000)).as_move();
        assert_eq!((seen.first_seen, seen.last_seen), (at(1_000), at(3_000)));
    }
}

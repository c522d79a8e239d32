//! What tags point at, and asking the registry whether they still do.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backing::Backing;
use super::error::CacheError;
use super::remembered::Remembered;
use super::sight::{View, Visibility};
use crate::answer::{ManifestHead, StaleReason};
use crate::oci::{Digest, MediaType, Tag, VariantClass};
use crate::runtime::Timestamp;
use crate::store::StoreError;
use crate::telemetry::with_causes;
use crate::upstream::UpstreamError;

/// How long a client that could be served from the cache waits for the registry's word. Asking goes on behind it.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);

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

/// The tags of all repositories.
#[derive(Debug)]
pub struct Tags(Remembered<TagRecord>);

impl Tags {
    /// Keeps tags in the records of the cache.
    pub fn new(backing: &Backing) -> Self {
        Self(Remembered::new(backing.records.clone(), IN_MEMORY))
    }

    /// Returns what is known of a tag.
    ///
    /// # Errors
    /// [`StoreError`] when the records could not be read.
    pub async fn find(&self, name: &TagName) -> Result<Option<Arc<TagRecord>>, StoreError> {
        self.0.read(&name.view.tag_key(&name.tag, name.class)).await
    }

    /// Remembers what the registry said. What cannot be written down is logged: the answer at hand is right all the same.
    pub async fn remember(&self, name: &TagName, record: TagRecord) {
        if let Err(error) = self
            .0
            .write(name.view.tag_key(&name.tag, name.class), record)
            .await
        {
            tracing::warn!(repository.name = %name.view, tag = %name.tag, error = with_causes(&error), "could not write down a tag");
        }
    }

    /// Forgets a tag: the registry no longer has it.
    pub async fn forget(&self, name: &TagName) {
        if let Err(error) = self
            .0
            .remove(name.view.tag_key(&name.tag, name.class))
            .await
        {
            tracing::warn!(repository.name = %name.view, tag = %name.tag, error = with_causes(&error), "could not remove a tag");
        }
    }
}

/// For how long after its last confirmation a public tag is served while the registry refuses us. One of a private
/// repository is not: whoever lost a login is to lose what it opened.
const DENIED_GRACE: Duration = Duration::from_hours(24);

/// Returns why an old answer goes out after this failure to ask, or `None` when the failure is the answer. The registry
/// last confirmed the tag `age` ago.
pub fn stale_reason(
    error: &CacheError,
    visibility: Visibility,
    age: Duration,
) -> Option<StaleReason> {
    match error {
        CacheError::Upstream(UpstreamError::RateLimited { .. }) => Some(StaleReason::RateLimited),
        CacheError::Upstream(
            UpstreamError::Refused { .. } | UpstreamError::LoginRefused { .. },
        ) => match visibility {
            Visibility::Public => (age < DENIED_GRACE).then_some(StaleReason::Denied),
            Visibility::Private => None,
        },
        CacheError::Upstream(_)
        | CacheError::WrongContent(_)
        | CacheError::WrongSize { .. }
        | CacheError::BadManifest(_) => Some(StaleReason::Unreachable),
        CacheError::TooSlow => Some(StaleReason::Slow),
        CacheError::ManifestUnknown(_)
        | CacheError::Private(_)
        | CacheError::NotConfigured(_)
        | CacheError::BlobUnknown(_)
        | CacheError::Schema1
        | CacheError::Unsatisfiable(_)
        | CacheError::Store(_)
        | CacheError::Stopping => None,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::cache::error::Word;
    use crate::upstream::{LoginIdentity, LoginProblem, RateLimit};

    #[test]
    fn when_an_old_answer_goes_out() {
        use Visibility::{Private, Public};
        let host = || "r.io".into();
        let refused = CacheError::Upstream(UpstreamError::Refused {
            host: host(),
            status: StatusCode::FORBIDDEN,
            message: None,
            login: None,
        });
        let useless = CacheError::Upstream(UpstreamError::LoginRefused {
            host: host(),
            login: LoginIdentity::new("user acme"),
            problem: LoginProblem::Unreadable("gone".into()),
        });
        let limited = CacheError::Upstream(UpstreamError::RateLimited {
            host: host(),
            limit: RateLimit::Pulls,
            retry_after: Duration::from_secs(1),
        });
        let broken = CacheError::Upstream(UpstreamError::Unavailable {
            host: host(),
            status: StatusCode::BAD_GATEWAY,
        });
        let gone = CacheError::ManifestUnknown(Word::Given);
        let (short, day) = (Duration::ZERO, DENIED_GRACE);
        let almost = day.saturating_sub(Duration::from_millis(1));
        for (error, visibility, age, reason) in [
            (&refused, Public, short, Some(StaleReason::Denied)),
            (&refused, Public, almost, Some(StaleReason::Denied)),
            (&refused, Public, day, None),
            (&refused, Private, short, None),
            (&useless, Public, short, Some(StaleReason::Denied)),
            (&useless, Private, short, None),
            (&limited, Public, day, Some(StaleReason::RateLimited)),
            (&limited, Private, day, Some(StaleReason::RateLimited)),
            (&broken, Public, day, Some(StaleReason::Unreachable)),
            (&broken, Private, day, Some(StaleReason::Unreachable)),
            (&CacheError::TooSlow, Private, day, Some(StaleReason::Slow)),
            (&gone, Public, short, None),
            (&gone, Private, short, None),
        ] {
            let found = stale_reason(error, visibility, age);
            assert_eq!(found, reason, "{error} {visibility:?} {age:?}");
        }
    }
}

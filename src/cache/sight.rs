//! Bytes are shared, sight is not: through which repositories some content may be read.
//!
//! A link says that a repository has some content. Only that repository's own registry makes one, by a 200 to a request
//! for this repository; a digest that is here because of another repository opens nothing.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::remembered::Remembered;
use crate::addressing::Origin;
use crate::answer::ManifestHead;
use crate::oci::{Digest, MediaType, Tag, VariantClass};
use crate::runtime::Timestamp;
use crate::store::{RecordKey, RecordStore, StoreError};
use crate::telemetry::with_causes;

/// For whom something was fetched. Part of every record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// For everyone who may use larder.
    Shared,
}

impl Sight {
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
        }
    }
}

/// With which login at the registry something was fetched. Part of every record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialIdentity {
    /// With none.
    Anonymous,
}

impl CredentialIdentity {
    fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
        }
    }
}

/// A repository as it is seen by someone: what all record keys begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The repository.
    pub origin: Origin,
    /// For whom.
    pub sight: Sight,
    /// With which login.
    pub identity: CredentialIdentity,
}

impl View {
    /// The view that everyone shares, without a login.
    pub fn shared(origin: Origin) -> Self {
        Self {
            origin,
            sight: Sight::Shared,
            identity: CredentialIdentity::Anonymous,
        }
    }

    fn key(&self, kind: &str, rest: &[&str]) -> RecordKey {
        let Origin {
            upstream,
            repository,
        } = &self.origin;
        let mut parts = vec![
            kind,
            self.sight.name(),
            self.identity.name(),
            upstream.as_str(),
            repository.as_str(),
        ];
        parts.extend_from_slice(rest);
        RecordKey::new(&parts)
    }

    /// Returns where the record of a tag is, for one class of clients.
    pub fn tag_key(&self, tag: &Tag, class: VariantClass) -> RecordKey {
        self.key("tag", &[tag.as_str(), class.name()])
    }

    fn link_key(&self, kind: LinkKind, digest: &Digest) -> RecordKey {
        self.key("link", &[kind.name(), &digest.to_string()])
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

/// What a repository has a digest as. A layer is never served as a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// As a manifest.
    Manifest,
    /// As a blob.
    Blob,
}

impl LinkKind {
    fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Blob => "blob",
        }
    }
}

/// What a registry said when it answered for some content of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// When it said so last.
    pub seen: Timestamp,
    /// The size, in bytes, if it said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The media type, for manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
}

impl Link {
    /// Returns what the registry said of a manifest.
    pub fn manifest(&self, digest: &Digest) -> Option<ManifestHead> {
        let (media_type, size) = (self.media_type.clone()?, self.size?);
        Some(ManifestHead {
            digest: *digest,
            media_type,
            size,
        })
    }
}

/// The links of all repositories.
#[derive(Debug)]
pub struct Links(Remembered<Link>);

/// How many links are kept in memory; about 400 bytes each.
const IN_MEMORY: u64 = 20_000;

impl Links {
    /// Keeps links in these records.
    pub fn new(records: Arc<dyn RecordStore>) -> Self {
        Self(Remembered::new(records, IN_MEMORY))
    }

    /// Returns what is known of some content of a repository.
    ///
    /// # Errors
    /// [`StoreError`] when the records could not be read.
    pub async fn find(
        &self,
        view: &View,
        kind: LinkKind,
        digest: &Digest,
    ) -> Result<Option<Arc<Link>>, StoreError> {
        self.0.read(&view.link_key(kind, digest)).await
    }

    /// Remembers that the registry answered for some content of a repository. What cannot be written down is logged:
    /// the answer at hand is right all the same.
    pub async fn remember(&self, view: &View, kind: LinkKind, digest: &Digest, link: Link) {
        if let Err(error) = self.0.write(view.link_key(kind, digest), link).await {
            tracing::warn!(repository.name = %view, content.digest = %digest, error = with_causes(&error), "could not write down a link");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_repositories_kinds_and_classes_apart() {
        let view = |upstream: &str, repository: &str| {
            let (upstream, repository) = (upstream.parse().unwrap(), repository.parse().unwrap());
            View::shared(Origin {
                upstream,
                repository,
            })
        };
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let tag: Tag = "1".parse().unwrap();
        let keys = [
            view("a.io", "b/c").link_key(LinkKind::Blob, &digest),
            view("a.io", "b/c").link_key(LinkKind::Manifest, &digest),
            view("a.io", "b").link_key(LinkKind::Blob, &digest),
            view("b.io", "b/c").link_key(LinkKind::Blob, &digest),
            view("a.io", "b/c").tag_key(&tag, VariantClass::Index),
            view("a.io", "b/c").tag_key(&tag, VariantClass::Manifest),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(
            keys[0].to_string(),
            format!("link shared anonymous a.io b/c blob {digest}")
        );
    }
}

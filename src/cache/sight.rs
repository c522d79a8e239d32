//! Bytes are shared, sight is not: through which repositories some content may be read.
//!
//! A link says that a repository has some content. Only that repository's own registry makes one, by a 200 to a request
//! for this repository; a digest that is here because of another repository opens nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::remembered::Remembered;
use crate::addressing::Origin;
use crate::answer::ManifestHead;
use crate::oci::{Algorithm, Digest, Measurer, MediaType, Tag, VariantClass};
use crate::runtime::Timestamp;
use crate::store::{RecordKey, RecordStore, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{AsWhom, LoginIdentity, Sought};

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

/// By whose rights at the registry something was seen. Part of every record key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CredentialIdentity {
    /// By those that everyone has.
    Anonymous,
    /// By those of a login. What it has seen is not seen with another one, nor without.
    Login(LoginIdentity),
}

/// How many hexadecimal digits stand for a login in keys.
const LOGIN_DIGITS: usize = 16;

impl CredentialIdentity {
    /// Names it in keys and nowhere else. Of a login's name, which may be any text, a hash stands there; no digits spell "anonymous".
    pub(super) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Anonymous => "anonymous".into(),
            Self::Login(login) => {
                let hash = Measurer::measure(Algorithm::Sha256, login.as_str().as_bytes());
                let mut digits = hash.digest().hex();
                digits.truncate(LOGIN_DIGITS);
                digits.into()
            }
        }
    }
}

/// Who may read a repository at its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Anybody.
    Public,
    /// Whoever has a login for it.
    Private,
}

/// A repository as it is seen by someone: what all record keys begin with. Those who answer clients get theirs from
/// [`super::visibility`], which has decided that this client may look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The repository.
    pub origin: Origin,
    /// For whom.
    pub sight: Sight,
    /// By whose rights.
    pub identity: CredentialIdentity,
    /// As whom the registry is asked.
    as_whom: AsWhom,
}

impl View {
    /// The view that everyone has, of a repository that anybody may read.
    pub(super) fn public(origin: Origin) -> Self {
        Self {
            origin,
            sight: Sight::Shared,
            identity: CredentialIdentity::Anonymous,
            as_whom: AsWhom::Configured,
        }
    }

    /// The same of a repository that there was no login for, or that is not known to be public any more. A login that is
    /// there, or comes meanwhile, adds nothing to it.
    pub(super) fn without_login(origin: Origin) -> Self {
        Self {
            as_whom: AsWhom::Anonymous,
            ..Self::public(origin)
        }
    }

    /// The view of a repository that takes this login.
    pub(super) fn private(origin: Origin, login: LoginIdentity) -> Self {
        Self {
            origin,
            sight: Sight::Shared,
            identity: CredentialIdentity::Login(login),
            as_whom: AsWhom::Configured,
        }
    }

    /// Returns what to ask the registry for, and as whom.
    pub fn sought(&self) -> Sought<'_> {
        Sought {
            repository: &self.origin.repository,
            as_whom: self.as_whom,
        }
    }

    /// Returns who may read at the registry what is seen here.
    pub fn visibility(&self) -> Visibility {
        match self.identity {
            CredentialIdentity::Anonymous => Visibility::Public,
            CredentialIdentity::Login(_) => Visibility::Private,
        }
    }

    fn key(&self, kind: &str, rest: &[&str]) -> RecordKey {
        let Origin {
            upstream,
            repository,
        } = &self.origin;
        let identity = self.identity.name();
        let mut parts = vec![
            kind,
            self.sight.name(),
            &identity,
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

    /// Returns what the keys of all its tags begin with. The tag comes next.
    pub(super) fn tags_prefix(&self) -> RecordKey {
        let identity = self.identity.name();
        RecordKey::prefix(&[
            "tag",
            self.sight.name(),
            &identity,
            self.origin.upstream.as_str(),
            self.origin.repository.as_str(),
        ])
    }

    /// Returns where the list of its tags is.
    pub(super) fn tag_list_key(&self) -> RecordKey {
        self.key("list", &["tags"])
    }

    /// Returns where the list is of what refers to a manifest of it.
    pub(super) fn referrers_key(&self, subject: &Digest) -> RecordKey {
        self.key("list", &["referrers", &subject.text()])
    }

    /// Returns where it is recorded where a tag pointed before.
    pub(super) fn history_key(&self, tag: &Tag, class: VariantClass) -> RecordKey {
        self.key("history", &[tag.as_str(), class.name()])
    }

    /// Returns where it is recorded whether the repository is public, found out by somebody with this view's login.
    pub(super) fn visibility_key(&self) -> RecordKey {
        self.key("visibility", &[])
    }

    fn link_key(&self, kind: LinkKind, digest: &Digest) -> RecordKey {
        self.key("link", &[kind.name(), &digest.text()])
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
    fn keys_tell_repositories_logins_kinds_and_classes_apart() {
        let origin = |upstream: &str, repository: &str| Origin {
            upstream: upstream.parse().unwrap(),
            repository: repository.parse().unwrap(),
        };
        let view = |upstream: &str, repository: &str| View::public(origin(upstream, repository));
        let login = |name: &str| View::private(origin("a.io", "b/c"), LoginIdentity::new(name));
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let tag: Tag = "1".parse().unwrap();
        let keys = [
            view("a.io", "b/c").link_key(LinkKind::Blob, &digest),
            view("a.io", "b/c").link_key(LinkKind::Manifest, &digest),
            view("a.io", "b").link_key(LinkKind::Blob, &digest),
            view("b.io", "b/c").link_key(LinkKind::Blob, &digest),
            view("a.io", "b/c").tag_key(&tag, VariantClass::Index),
            view("a.io", "b/c").tag_key(&tag, VariantClass::Manifest),
            view("a.io", "b/c").history_key(&tag, VariantClass::Index),
            view("a.io", "b/c").visibility_key(),
            login("user acme").link_key(LinkKind::Blob, &digest),
            login("user acm").link_key(LinkKind::Blob, &digest),
            login("anonymous").link_key(LinkKind::Blob, &digest),
            login("\u{1f}").link_key(LinkKind::Blob, &digest),
            login("user acme").visibility_key(),
            view("a.io", "b/c").tag_list_key(),
            view("a.io", "b").tag_list_key(),
            view("a.io", "b/c").referrers_key(&digest),
            login("user acme").tag_list_key(),
            login("user acme").referrers_key(&digest),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(
            keys[0].to_string(),
            format!("link shared anonymous a.io b/c blob {digest}")
        );
        // Whatever the name of a login is, it adds no part to the key.
        for key in &keys[8..11] {
            assert_eq!(key.parts().count(), 7, "{key}");
        }
        assert_eq!(
            keys[8].to_string(),
            format!("link shared 514fb1b64d61a33b a.io b/c blob {digest}")
        );
    }
}

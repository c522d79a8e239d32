//! What is asked of a registry, before it is known where: method, path, headers.

use http::header::{ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH, IF_RANGE, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};

use super::metrics::Kind;
use crate::oci::{Digest, MediaType, Reference, RepositoryName, VariantClass};

/// How we introduce ourselves.
pub(super) const AGENT: &str = concat!("larder/", env!("CARGO_PKG_VERSION"));

/// Who a question comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AsWhom {
    /// With the login that is configured for the repository, if there is one.
    Configured,
    /// Without one.
    Anonymous,
}

/// A repository, and as whom it is asked for something. What is to be seen by everybody because there is no login, is
/// asked for as nobody: a login that is there by then would see more.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// The repository.
    pub repository: &'a RepositoryName,
    /// As whom.
    pub as_whom: AsWhom,
}

impl<'a> From<&'a RepositoryName> for Sought<'a> {
    fn from(repository: &'a RepositoryName) -> Self {
        Self {
            repository,
            as_whom: AsWhom::Configured,
        }
    }
}

/// One question to a registry. It stays the same through redirects and retries.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// What is asked for, below `/v2/`.
    pub(super) path: String,
    pub(super) repository: RepositoryName,
    pub(super) as_whom: AsWhom,
    /// What it is for.
    pub(super) kind: Kind,
    /// All headers but `Authorization`, which depends on who is asked.
    pub(super) headers: HeaderMap,
}

impl Ask {
    /// Asks for a manifest, in the kinds that a class of clients reads.
    pub(super) fn manifest(
        method: Method,
        repository: &RepositoryName,
        reference: &Reference,
        class: VariantClass,
    ) -> Self {
        let path = format!("{repository}/manifests/{reference}");
        let kind = if method == Method::GET {
            Kind::Pull
        } else {
            Kind::Head
        };
        Self::new(kind, method, path, repository, &accept(class))
    }

    /// Asks for a blob.
    pub(super) fn blob(method: Method, repository: &RepositoryName, digest: &Digest) -> Self {
        let path = format!("{repository}/blobs/{digest}");
        Self::new(Kind::Blob, method, path, repository, "*/*")
    }

    /// Asks for a list of a repository: its path below the repository, with what selects a page of it.
    pub(super) fn list(repository: &RepositoryName, list: &str, query: &str, accept: &str) -> Self {
        let path = if query.is_empty() {
            format!("{repository}/{list}")
        } else {
            format!("{repository}/{list}?{query}")
        };
        Self::new(Kind::List, Method::GET, path, repository, accept)
    }

    fn new(
        kind: Kind,
        method: Method,
        path: String,
        repository: &RepositoryName,
        accept: &str,
    ) -> Self {
        let mut headers = base_headers(accept);
        // Digests are of the bytes as they are kept: nothing may be packed on the way.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Self {
            method,
            path,
            repository: repository.clone(),
            as_whom: AsWhom::Configured,
            kind,
            headers,
        }
    }

    /// Asks as somebody else.
    pub(super) fn by(mut self, whom: AsWhom) -> Self {
        self.as_whom = whom;
        self
    }

    /// Asks for a part only, unless that is the whole: from a byte to the one before `end`.
    pub(super) fn with_range(mut self, start: u64, end: Option<u64>) -> Self {
        let value = match end {
            None if start == 0 => return self,
            None => format!("bytes={start}-"),
            Some(end) => format!("bytes={start}-{}", end.saturating_sub(1)),
        };
        self.headers.insert(RANGE, header(&value));
        self
    }

    /// Wants the content only if it does not have this digest.
    pub(super) fn unless(mut self, known: &Digest) -> Self {
        let tag = header(&format!("\"{known}\""));
        self.headers.insert(IF_NONE_MATCH, tag);
        self
    }

    /// Returns whether 304 is an answer to it.
    pub(super) fn is_conditional(&self) -> bool {
        self.headers.contains_key(IF_NONE_MATCH)
    }

    /// Wants the part only of the content that this entity tag is of.
    pub(super) fn if_still(mut self, tag: Option<&HeaderValue>) -> Self {
        if let Some(tag) = tag {
            self.headers.insert(IF_RANGE, tag.clone());
        }
        self
    }
}

/// Returns the headers of every request.
pub(super) fn base_headers(accept: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, header(accept));
    headers
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("our own headers are printable")
}

/// Returns the `Accept` of a class, on one line, as not every registry reads more.
fn accept(class: VariantClass) -> String {
    let kinds: &[&str] = match class {
        VariantClass::Index => &[
            MediaType::OCI_INDEX,
            MediaType::OCI_MANIFEST,
            MediaType::DOCKER_LIST,
            MediaType::DOCKER_MANIFEST,
            MediaType::OCI_ARTIFACT,
            "*/*",
        ],
        VariantClass::Manifest => &[MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST],
        VariantClass::Schema1 => &[MediaType::DOCKER_SCHEMA1_SIGNED, MediaType::DOCKER_SCHEMA1],
    };
    kinds.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Accept;

    #[test]
    fn a_class_asks_for_what_it_reads() {
        for class in [
            VariantClass::Index,
            VariantClass::Manifest,
            VariantClass::Schema1,
        ] {
            let asked = Accept::parse([accept(class).as_str()]);
            assert_eq!(asked.class(), class);
            let takes_lists = asked.takes(&MediaType::known(MediaType::DOCKER_LIST));
            assert_eq!(takes_lists, class == VariantClass::Index);
        }
        assert!(accept(VariantClass::Index).ends_with(", */*"));
    }

    #[test]
    fn ranges_as_they_are_asked() {
        let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let blob = Ask::blob(Method::GET, &"a/b".parse().unwrap(), &digest);
        assert_eq!(blob.path, format!("a/b/blobs/{digest}"));
        assert_eq!(blob.headers[ACCEPT_ENCODING], "identity");
        assert_eq!(blob.headers[USER_AGENT], AGENT);
        for (start, end, range) in [
            (0, None, None),
            (5, None, Some("bytes=5-")),
            (0, Some(1), Some("bytes=0-0")),
            (5, Some(10), Some("bytes=5-9")),
        ] {
            let ask = blob.clone().with_range(start, end);
            let found = ask.headers.get(RANGE).map(|value| value.to_str().unwrap());
            assert_eq!(found, range);
        }
    }
}

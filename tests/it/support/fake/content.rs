//! What a fake registry holds, and the handle by which a test changes it while the registry runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use larder::oci::{Algorithm, Digest, ErrorCode, Measurer};

use super::State;
use super::answer::{Answer, negotiate};
use super::referrers::referrers;
use super::request::{Kind, Request};

/// The repositories of a registry, and what it serves as a content network.
#[derive(Debug, Default)]
pub struct Content {
    shelves: BTreeMap<String, Shelf>,
    storage: HashMap<Digest, Bytes>,
}

/// What a registry does that others do not.
#[derive(Debug, Default)]
pub struct Abilities {
    /// Whether it looks at what clients accept.
    pub negotiates: bool,
    /// Whether it has the referrers API.
    pub has_referrers: bool,
    /// How many tags it gives at once to those who do not say how many they want.
    pub tags_per_page: Option<usize>,
}

/// What one repository holds.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Who may read it.
    pub readers: Readers,
    /// Blobs by digest.
    pub blobs: HashMap<Digest, Bytes>,
    /// Manifests by digest.
    pub manifests: HashMap<Digest, Manifest>,
    /// What each tag names; the manifest may be gone.
    pub tags: BTreeMap<String, Digest>,
}

/// Who may read a repository, where logins are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Anybody.
    #[default]
    Everybody,
    /// All known users.
    Users,
    /// These users.
    Named(Vec<String>),
}

/// A manifest and the type that it is served with.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The type, right or wrong.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Bytes,
}

impl Content {
    /// Adds content that is served under `/storage/` only.
    pub fn store(&mut self, bytes: Bytes) -> Digest {
        let digest = digest_of(Algorithm::Sha256, &bytes);
        self.storage.insert(digest, bytes);
        digest
    }

    /// Returns whether there is such a repository.
    pub fn has(&self, repository: &str) -> bool {
        self.shelves.contains_key(repository)
    }

    /// Returns whether there is such a repository, and this user, or anybody, may read it.
    pub fn shows(&self, repository: &str, user: Option<&str>) -> bool {
        let shelf = self.shelves.get(repository);
        shelf.is_some_and(|shelf| match &shelf.readers {
            Readers::Everybody => true,
            Readers::Users => user.is_some(),
            Readers::Named(names) => user.is_some_and(|user| names.iter().any(|name| name == user)),
        })
    }

    /// Answers a request for content.
    pub fn answer(&self, request: &Request, abilities: &Abilities) -> Answer {
        let digest = request.digest();
        let name = request.repository.as_deref().unwrap_or_default();
        let shelf = self.shelves.get(name);
        match request.kind {
            Kind::Ping => Some(Answer::json(StatusCode::OK, "{}")),
            Kind::ManifestHead | Kind::ManifestGet => shelf.and_then(|shelf| {
                let (digest, manifest) = shelf.manifest(request, abilities.negotiates)?;
                Some(Answer::manifest(request, &digest, manifest))
            }),
            Kind::BlobHead | Kind::BlobGet => digest.and_then(|digest| {
                let bytes = shelf?.blobs.get(&digest)?;
                Some(Answer::blob(request, &digest, bytes.clone()))
            }),
            Kind::Tags => shelf.map(|shelf| Answer::tags(request, shelf, abilities.tags_per_page)),
            Kind::Referrers => shelf
                .filter(|_| abilities.has_referrers)
                .map(|shelf| referrers(request, shelf)),
            Kind::Token | Kind::Storage | Kind::Other => None,
        }
        .unwrap_or_else(|| missing(request))
    }

    /// Answers as a content network or an object store, which knows nothing of registries.
    pub fn serve_stored(&self, request: &Request) -> Answer {
        if request.authorization().is_some() {
            // What S3 says to a presigned URL that comes with a token.
            return Answer::of_storage(StatusCode::BAD_REQUEST, "InvalidArgument");
        }
        let digest = request.digest();
        let found = digest.and_then(|digest| Some((digest, self.stored(&digest)?)));
        match found {
            Some((digest, bytes)) => Answer::blob(request, &digest, bytes.clone()).plain(),
            None => Answer::of_storage(StatusCode::NOT_FOUND, "NoSuchKey"),
        }
    }

    fn stored(&self, digest: &Digest) -> Option<&Bytes> {
        let shelved = || {
            self.shelves
                .values()
                .find_map(|shelf| shelf.blobs.get(digest))
        };
        self.storage.get(digest).or_else(shelved)
    }
}

impl Shelf {
    fn manifest(&self, request: &Request, negotiates: bool) -> Option<(Digest, &Manifest)> {
        match request.digest() {
            Some(digest) => Some((digest, self.manifests.get(&digest)?)),
            None => {
                let tagged = *self.tags.get(request.reference.as_ref()?)?;
                if negotiates {
                    negotiate(request, self, tagged)
                } else {
                    Some((tagged, self.manifests.get(&tagged)?))
                }
            }
        }
    }
}

/// What a registry says about something that it does not have.
fn missing(request: &Request) -> Answer {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    let (status, code) = match request.kind {
        Kind::Other if !is_read => (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported),
        Kind::ManifestHead | Kind::ManifestGet => {
            (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
        }
        Kind::BlobHead | Kind::BlobGet | Kind::Storage => {
            (StatusCode::NOT_FOUND, ErrorCode::BlobUnknown)
        }
        Kind::Ping | Kind::Token | Kind::Tags | Kind::Referrers | Kind::Other => {
            (StatusCode::NOT_FOUND, ErrorCode::NameUnknown)
        }
    };
    Answer::error(status, code, "there is no such thing here")
}

fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    Measurer::measure(algorithm, bytes).digest()
}

/// One repository of a fake registry. Changes are seen by the next request.
#[derive(Clone, Debug)]
pub struct Repository {
    state: Arc<State>,
    name: String,
}

impl Repository {
    pub(super) fn new(state: &Arc<State>, name: &str) -> Self {
        Self {
            state: Arc::clone(state),
            name: name.into(),
        }
    }

    /// Puts a blob here and returns its digest.
    pub fn blob(&self, bytes: impl Into<Bytes>) -> Digest {
        self.blob_by(Algorithm::Sha256, bytes)
    }

    /// Puts a blob here, addressed by this algorithm.
    pub fn blob_by(&self, algorithm: Algorithm, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = digest_of(algorithm, &bytes);
        self.change(|shelf| shelf.blobs.insert(digest, bytes));
        digest
    }

    /// Puts a manifest here and returns its digest.
    pub fn manifest(&self, media_type: &str, bytes: impl Into<Bytes>) -> Digest {
        self.manifest_by(Algorithm::Sha256, media_type, bytes)
    }

    /// Puts a manifest here, addressed by this algorithm.
    pub fn manifest_by(
        &self,
        algorithm: Algorithm,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        let manifest = Manifest {
            media_type: media_type.into(),
            bytes: bytes.into(),
        };
        let digest = digest_of(algorithm, &manifest.bytes);
        self.change(|shelf| shelf.manifests.insert(digest, manifest));
        digest
    }

    /// Lets a tag name a manifest, whatever it named before.
    pub fn tag(&self, tag: &str, digest: Digest) {
        self.change(|shelf| shelf.tags.insert(tag.into(), digest));
    }

    /// Takes a tag away; the manifest stays.
    pub fn remove_tag(&self, tag: &str) {
        self.change(|shelf| shelf.tags.remove(tag));
    }

    /// Takes a manifest away; tags that name it are 404 from then on.
    pub fn remove_manifest(&self, digest: &Digest) {
        self.change(|shelf| shelf.manifests.remove(digest));
    }

    /// Takes a blob away.
    pub fn remove_blob(&self, digest: &Digest) {
        self.change(|shelf| shelf.blobs.remove(digest));
    }

    /// Takes the whole repository away.
    pub fn remove(&self) {
        self.state
            .content
            .lock()
            .unwrap()
            .shelves
            .remove(&self.name);
    }

    /// Shows the repository to known users only, from now on.
    pub fn make_private(&self) {
        self.change(|shelf| shelf.readers = Readers::Users);
    }

    /// Shows the repository to these users only, from now on.
    pub fn make_private_to(&self, users: &[&str]) {
        let names = users.iter().map(|user| (*user).into()).collect();
        self.change(|shelf| shelf.readers = Readers::Named(names));
    }

    /// Shows the repository to everybody, from now on.
    pub fn make_public(&self) {
        self.change(|shelf| shelf.readers = Readers::Everybody);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shelf) -> T) {
        let mut content = self.state.content.lock().unwrap();
        change(content.shelves.entry(self.name.clone()).or_default());
    }
}

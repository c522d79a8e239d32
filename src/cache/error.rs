//! Why the cache has no answer. "The registry has no such thing" and "the registry could not be asked" never mix.

use std::sync::Arc;

use thiserror::Error;

use super::fill::FillError;
use crate::answer::CacheOutcome;
use crate::oci::{ManifestError, Mismatch, Unsatisfiable, UpstreamName};
use crate::store::StoreError;
use crate::upstream::UpstreamError;

/// A failure to answer. Clones share their cause: one failure reaches everybody who waits for it.
#[derive(Clone, Debug, Error)]
pub enum CacheError {
    /// The registry said that it has no such manifest.
    #[error("the registry has no such manifest")]
    ManifestUnknown(Word),
    /// The registry said that it has no such blob.
    #[error("the registry has no such blob")]
    BlobUnknown(Word),
    /// The registry said that it has no such repository, or lists no tags of it.
    #[error("the registry lists no tags: it has no such repository, or does not list its tags")]
    NoTags(Word),
    /// Of the repositories here, more than this many in a row are not for this client.
    #[error(
        "more than {0} repositories in a row are not for everyone: ask on the machine of larder"
    )]
    NotListed(usize),
    /// There is a manifest, of a kind that is not supported.
    #[error("only a schema 1 manifest would answer this, and those are not supported")]
    Schema1,
    /// Whether there is such content, this client is not told: the repository is private, and it may not look.
    #[error(
        "the repository is not public, and larder gives such content to clients on its own machine only, unless \
         share = \"everyone\" is set in the [[upstream]] with name = \"{0}\""
    )]
    Private(UpstreamName),
    /// The registry could not be asked, or did not answer as it should.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The registry is not configured any more.
    #[error("the registry {0} is not configured here")]
    NotConfigured(UpstreamName),
    /// What the registry sent is not what its digest names.
    #[error("the registry sent wrong content: {0}")]
    WrongContent(Arc<Mismatch>),
    /// What the registry sent has another size than announced.
    #[error("the registry sent content of {found} bytes where {expected} were announced")]
    WrongSize {
        /// The size that was announced.
        expected: u64,
        /// The size that it was at least.
        found: u64,
    },
    /// What the registry sent as a manifest is none.
    #[error("the registry sent a manifest that is not taken: {0}")]
    BadManifest(Arc<ManifestError>),
    /// The registry has not answered yet. What was begun goes on.
    #[error("the registry takes too long to answer; it is still being asked")]
    TooSlow,
    /// The blob has no byte in the range.
    #[error(transparent)]
    Unsatisfiable(#[from] Unsatisfiable),
    /// What is kept could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// larder is stopping.
    #[error("larder is stopping")]
    Stopping,
}

/// When a registry said that it does not have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Just now.
    Given,
    /// A short while ago.
    Remembered,
}

impl CacheError {
    /// Says that nobody may be asked for something that is not here.
    pub(super) fn offline(upstream: &UpstreamName) -> Self {
        let upstream = upstream.as_str().into();
        Self::Upstream(UpstreamError::Offline { upstream })
    }

    /// Returns where this answer came from, when it is an answer of the registry.
    pub fn outcome(&self) -> Option<CacheOutcome> {
        match self {
            Self::ManifestUnknown(word) | Self::BlobUnknown(word) | Self::NoTags(word) => {
                Some(match word {
                    Word::Given => CacheOutcome::Miss,
                    Word::Remembered => CacheOutcome::Negative,
                })
            }
            Self::Upstream(UpstreamError::Offline { .. }) => Some(CacheOutcome::Offline),
            Self::NotListed(_)
            | Self::Schema1
            | Self::Private(_)
            | Self::NotConfigured(_)
            | Self::Upstream(_)
            | Self::WrongContent(_)
            | Self::WrongSize { .. }
            | Self::BadManifest(_)
            | Self::TooSlow
            | Self::Unsatisfiable(_)
            | Self::Store(_)
            | Self::Stopping => None,
        }
    }
}

impl CacheError {
    /// Returns whether a registry was waited for.
    pub fn has_asked(&self) -> bool {
        match self {
            Self::ManifestUnknown(word) | Self::BlobUnknown(word) | Self::NoTags(word) => {
                *word == Word::Given
            }
            Self::Upstream(UpstreamError::Offline { .. }) => false,
            Self::Upstream(_)
            | Self::WrongContent(_)
            | Self::WrongSize { .. }
            | Self::BadManifest(_)
            | Self::TooSlow => true,
            Self::NotListed(_)
            | Self::Schema1
            | Self::Private(_)
            | Self::NotConfigured(_)
            | Self::Unsatisfiable(_)
            | Self::Store(_)
            | Self::Stopping => false,
        }
    }
}

impl From<Box<Mismatch>> for CacheError {
    fn from(mismatch: Box<Mismatch>) -> Self {
        Self::WrongContent(Arc::from(mismatch))
    }
}

impl From<ManifestError> for CacheError {
    fn from(error: ManifestError) -> Self {
        Self::BadManifest(Arc::new(error))
    }
}

impl From<FillError> for CacheError {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Unknown => Self::BlobUnknown(Word::Given),
            FillError::NotConfigured(name) => Self::NotConfigured(name),
            FillError::Upstream(error) => Self::Upstream(error),
            FillError::Mismatch(mismatch) => Self::WrongContent(mismatch),
            FillError::WrongSize { expected, found } => Self::WrongSize { expected, found },
            FillError::NoSpace(error) | FillError::Store(error) => Self::Store(error),
            FillError::Abandoned | FillError::Kept => Self::TooSlow,
            FillError::Stopping => Self::Stopping,
        }
    }
}

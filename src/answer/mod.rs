//! What a room below the server answers with: content, and where it came from. Knows nothing of HTTP.

pub mod outcome;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use thiserror::Error;

pub use outcome::{CacheOutcome, PassReason, StaleReason};

use crate::oci::{ContentRange, Digest, MediaType, Referrer, Tag};
use crate::store::{Piece, StoreError};

/// What is known of a manifest without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its address.
    pub digest: Digest,
    /// The type to serve it with.
    pub media_type: MediaType,
    /// Its size, in bytes.
    pub size: u64,
}

/// An answer about a manifest.
#[derive(Clone, Debug)]
pub struct ManifestAnswer {
    /// What it is.
    pub head: ManifestHead,
    /// Its bytes as received; `None` when only the head was asked for.
    pub bytes: Option<Bytes>,
    /// Where the answer came from.
    pub outcome: CacheOutcome,
    /// How long ago the registry last confirmed it, when that is longer than the owner of the tag asked for.
    pub age: Option<Duration>,
}

/// An answer about a blob.
pub struct BlobAnswer {
    /// Its address.
    pub digest: Digest,
    /// Its size, in bytes; `None` while nobody knows it.
    pub size: Option<u64>,
    /// The part that was asked for; `None` for the whole.
    pub range: Option<ContentRange>,
    /// Its bytes; `None` when only the head was asked for.
    pub body: Option<Body>,
    /// Where the answer came from.
    pub outcome: CacheOutcome,
}

impl fmt::Debug for BlobAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobAnswer")
            .field("digest", &self.digest)
            .field("size", &self.size)
            .field("range", &self.range)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// An answer about the tags of a repository.
#[derive(Clone, Debug)]
pub struct TagsAnswer {
    /// All tags, each once, in the order of their bytes.
    pub tags: Arc<[Tag]>,
    /// Where the answer came from.
    pub outcome: CacheOutcome,
    /// How long ago the registry last confirmed it, when that is longer than the owner asked for.
    pub age: Option<Duration>,
}

/// An answer about what refers to a manifest.
#[derive(Clone, Debug)]
pub struct ReferrersAnswer {
    /// All of it, each once, in the order of the registry.
    pub referrers: Arc<[Referrer]>,
    /// Where the answer came from.
    pub outcome: CacheOutcome,
    /// How long ago the registry last confirmed it, when that is longer than the owner asked for.
    pub age: Option<Duration>,
}

/// The bytes of an answer, as pieces. An error cuts the answer short: whoever reads it must be able to tell.
pub type Body = BoxStream<'static, Result<Piece, BodyError>>;

/// Why a body ended before its end.
#[derive(Clone, Debug, Error)]
pub enum BodyError {
    /// What is kept could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content could not be fetched to its end, or was not what its digest names.
    #[error("the content could not be fetched to its end")]
    Cut(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

//! Answers pulls of other registries' content: from what is kept, from what is on its way, or by fetching it.
//!
//! It decides what is fresh and who may read what; it does not know HTTP, neither towards clients nor towards
//! registries.

pub mod backing;
pub mod blob;
pub mod error;
pub mod fetch;
pub mod fill;
pub mod flight;
pub mod freshness;
pub mod manifest;
pub mod negative;
pub mod pass;
pub mod remembered;
pub mod sight;
pub mod tag;

use std::sync::Arc;

use crate::oci::{RepositoryPattern, UpstreamPattern};

pub use backing::Parts;
pub use blob::Blobs;
pub use error::{CacheError, Word};
pub use manifest::Manifests;

use self::backing::Backing;

/// What the configuration says of the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long tags are believed.
    pub tags: freshness::Settings,
    /// Which private content goes to everyone. What is not named here goes to clients on this machine alone.
    pub share: Vec<ShareRule>,
}

/// Private repositories whose content goes to everyone who may use larder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRule {
    /// At which registries.
    pub upstreams: UpstreamPattern,
    /// Which repositories.
    pub repositories: RepositoryPattern,
}

/// The cache of all registries.
#[derive(Debug)]
pub struct Cache {
    /// Manifests, by tag and by digest.
    pub manifests: Manifests,
    /// Blobs.
    pub blobs: Blobs,
}

impl Cache {
    /// Puts the cache together.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let backing = Arc::new(Backing::new(parts));
        Self {
            manifests: Manifests::new(backing.clone(), settings.tags),
            blobs: Blobs::new(backing),
        }
    }
}

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
pub mod history;
pub mod ledger;
pub mod list;
pub mod manifest;
pub mod metrics;
pub mod negative;
pub mod pass;
mod patience;
pub mod remembered;
pub mod share;
pub mod sight;
pub mod tag;
pub mod visibility;

use std::sync::Arc;

pub use backing::Parts;
pub use blob::Blobs;
pub use error::{CacheError, Word};
pub use freshness::decision::Demand;
pub use list::{CatalogPage, Lists};
pub use manifest::Manifests;
pub use metrics::Metrics;
pub use share::{Audience, ShareRule, ShareRules};

use self::backing::Backing;
use self::ledger::Account;
use crate::oci::UpstreamName;
use crate::upstream::Upstreams;

/// What the configuration says of the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long tags are believed.
    pub tags: freshness::Settings,
    /// To whom private content goes.
    pub share: ShareRules,
}

/// The cache of all registries.
#[derive(Debug)]
pub struct Cache {
    /// Manifests, by tag and by digest.
    pub manifests: Manifests,
    /// Blobs.
    pub blobs: Blobs,
    /// Lists of tags, of referrers and of repositories.
    pub lists: Lists,
    backing: Arc<Backing>,
}

impl Cache {
    /// Puts the cache together.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let backing = Arc::new(Backing::new(parts, settings));
        Self {
            manifests: Manifests::new(backing.clone()),
            blobs: Blobs::new(backing.clone()),
            lists: Lists::new(backing.clone()),
            backing,
        }
    }

    /// Goes by other settings, from the next request on.
    pub fn apply(&self, settings: Settings) {
        let Settings { tags, share } = settings;
        self.backing.contract.replace(tags);
        self.backing.visibilities.share_by(share);
    }

    /// Returns the registries that content comes from.
    pub fn upstreams(&self) -> &Upstreams {
        &self.backing.upstreams
    }

    /// Returns what the troubles of a registry cost so far.
    pub fn account(&self, upstream: &UpstreamName) -> Account {
        self.backing.ledger.account(upstream)
    }
}

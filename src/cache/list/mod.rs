//! Lists: the tags of a repository, what refers to a manifest, and which repositories are here.

mod catalog;
mod kept;
mod record;
mod referrers;
mod tags;

use std::sync::Arc;

pub use self::catalog::CatalogPage;

use self::referrers::ReferrerLists;
use self::tags::TagLists;
use super::backing::Backing;
use super::error::CacheError;
use super::freshness::decision::Demand;
use super::ledger::Wanted;
use crate::addressing::{Caller, Grant, Origin};
use crate::answer::{ReferrersAnswer, TagsAnswer};
use crate::oci::Digest;

/// The lists of all registries.
#[derive(Debug)]
pub struct Lists {
    backing: Arc<Backing>,
    tags: TagLists,
    referrers: ReferrerLists,
}

impl Lists {
    /// Starts with what the records say.
    pub fn new(backing: Arc<Backing>) -> Self {
        Self {
            tags: TagLists::new(backing.clone()),
            referrers: ReferrerLists::new(backing.clone()),
            backing,
        }
    }

    /// Returns the tags of a repository: as its registry lists them, and with those that are known here besides while it
    /// does not answer.
    ///
    /// # Errors
    /// [`CacheError`]: the registry lists none, or could not be asked, and none is known here.
    pub async fn tags(
        &self,
        grant: &Grant<Origin>,
        demand: Demand,
    ) -> Result<TagsAnswer, CacheError> {
        let outcome = |answer: &TagsAnswer| answer.outcome;
        let work = Box::pin(self.tags.answer(grant, demand));
        self.backing
            .noted(grant.target(), Wanted::Tags, outcome, work)
            .await
    }

    /// Returns what refers to a manifest: nothing, where nothing is known.
    ///
    /// # Errors
    /// [`CacheError`]: the registry could not be asked, and what it said before does not go out.
    pub async fn referrers(
        &self,
        grant: &Grant<Origin>,
        subject: &Digest,
        demand: Demand,
    ) -> Result<ReferrersAnswer, CacheError> {
        let outcome = |answer: &ReferrersAnswer| answer.outcome;
        let work = Box::pin(self.referrers.answer(grant, subject, demand));
        self.backing
            .noted(grant.target(), Wanted::Referrers, outcome, work)
            .await
    }

    /// Returns the names of repositories that are here, as `registry/repository` and in the order of their bytes: at
    /// most `limit` of those behind `after`. Nobody is asked for it. Callers on other machines see what they could pull.
    ///
    /// # Errors
    /// [`CacheError`] when the records could not be read, or what this caller may see is too far apart.
    pub async fn catalog(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: usize,
    ) -> Result<CatalogPage, CacheError> {
        catalog::page(&self.backing, caller, after, limit).await
    }
}

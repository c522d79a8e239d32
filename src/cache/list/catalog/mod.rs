//! Which repositories are here: read off the keys of records, a repository at a time, and nobody is asked.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::addressing::{Caller, Origin};
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::store::{RecordKey, RecordStore, StoreError};

/// The kinds of records that a repository has which was pulled from.
const KINDS: [&str; 2] = ["tag", "link"];
/// How many parts of a key come before the repository: kind, sight, identity, upstream.
const PARTS_BEFORE: usize = 4;
/// Comes after all that a key can have in its place.
const LAST: &str = "\u{10ffff}";
/// The most kinds, identities and registries, each with each, that repositories are looked for in.
const MAX_SECTIONS: usize = 1_000;
/// How many keys of one repository are read before the store is asked for the next repository: it hands out pages, and
/// most repositories have fewer keys than a page.
const NEAR: usize = 256;
/// The most repositories that are passed over in one request because they are not for the caller.
const MAX_HIDDEN: usize = 10_000;

/// Some of the repositories that are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogPage {
    /// Their names, as `registry/repository`, in the order of their bytes.
    pub names: Vec<String>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

/// A part of the records in which repositories come in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    /// Kind, sight, identity and upstream.
    parts: [String; PARTS_BEFORE],
}

impl Section {
    fn of(key: &RecordKey) -> Option<Self> {
        let mut parts = key.parts().map(str::to_owned);
        let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        Some(Self { parts })
    }

    fn key(&self, rest: &[&str]) -> RecordKey {
        RecordKey::new(&self.with(rest))
    }

    fn with<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let own = self.parts.iter().map(String::as_str);
        own.chain(rest.iter().copied()).collect()
    }

    fn identity(&self) -> &str {
        &self.parts[2]
    }

    fn upstream(&self) -> &str {
        &self.parts[3]
    }
}

/// Returns at most `limit` names behind `after`.
pub(super) async fn page(
    backing: &Backing,
    caller: &Caller,
    after: Option<&str>,
    limit: usize,
) -> Result<CatalogPage, CacheError> {
    let mut found = Search {
        backing,
        caller,
        limit,
        names: Vec::new(),
        hidden: 0,
    };
    for (registry, sections) in by_registry(&*backing.records).await? {
        let behind = match after {
            Some(after) => match after.strip_prefix(&registry) {
                Some(repository) => Some(repository),
                // All names of this registry come before.
                None if *registry < *after => continue,
                None => None,
            },
            None => None,
        };
        found.look_in(&registry, sections, behind).await?;
        if found.is_over() {
            break;
        }
    }
    cut(found.names, found.hidden, limit)
}

/// Makes a page of what was found, with so many passed over.
fn cut(mut names: Vec<String>, hidden: usize, limit: usize) -> Result<CatalogPage, CacheError> {
    if names.is_empty() && hidden > MAX_HIDDEN {
        // Where to go on would be the name of one that is not for this caller.
        return Err(CacheError::NotListed(MAX_HIDDEN));
    }
    let has_more = names.len() > limit || hidden > MAX_HIDDEN;
    names.truncate(limit);
    Ok(CatalogPage { names, has_more })
}

/// A search for a page of names.
struct Search<'a> {
    backing: &'a Backing,
    caller: &'a Caller,
    limit: usize,
    /// What was found: one more than the limit says that there is more.
    names: Vec<String>,
    hidden: usize,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.limit == 0 || self.names.len() > self.limit || self.hidden > MAX_HIDDEN
    }

    /// Goes through the repositories of one registry, in order.
    async fn look_in(
        &mut self,
        registry: &str,
        sections: Vec<Section>,
        behind: Option<&str>,
    ) -> Result<(), CacheError> {
        let mut walks = Vec::new();
        for section in sections {
            let mut walk = Walk::begin(&*self.backing.records, section, behind);
            walk.go_on().await?;
            walks.push(walk);
        }
        while !self.is_over() {
            let Some(repository) = walks.iter().filter_map(|walk| walk.at.clone()).min() else {
                break;
            };
            let mut is_shown = false;
            for walk in &mut walks {
                if walk.at.as_deref() != Some(&repository) {
                    continue;
                }
                is_shown = is_shown || self.shows(&walk.section, &repository).await?;
                walk.go_on().await?;
            }
            if is_shown {
                self.names.push(format!("{registry}{repository}"));
            } else {
                self.hidden += 1;
            }
        }
        Ok(())
    }

    async fn shows(&self, section: &Section, repository: &str) -> Result<bool, CacheError> {
        let (Ok(upstream), Ok(repository)) = (section.upstream().parse(), repository.parse())
        else {
            return Ok(false);
        };
        let origin = Origin {
            upstream,
            repository,
        };
        let identity = section.identity();
        Ok(self.backing.shows(self.caller, &origin, identity).await?)
    }
}

/// Goes through one section from repository to repository.
struct Walk<'a> {
    records: &'a dyn RecordStore,
    section: Section,
    keys: BoxStream<'static, Result<RecordKey, StoreError>>,
    /// The repository that it has come to, `None` at the end.
    at: Option<String>,
}

impl<'a> Walk<'a> {
    fn begin(records: &'a dyn RecordStore, section: Section, behind: Option<&str>) -> Self {
        Self {
            keys: keys(records, &section, behind),
            records,
            section,
            at: None,
        }
    }

    /// Goes to the next repository.
    async fn go_on(&mut self) -> Result<(), StoreError> {
        let mut passed = 0;
        loop {
            let Some(key) = self.keys.next().await.transpose()? else {
                self.at = None;
                return Ok(());
            };
            let repository = key.parts().nth(PARTS_BEFORE);
            if repository != self.at.as_deref() {
                self.at = repository.map(str::to_owned);
                return Ok(());
            }
            passed += 1;
            if passed == NEAR {
                self.keys = keys(self.records, &self.section, self.at.as_deref());
            }
        }
    }
}

/// Returns the keys of a section that are of repositories behind this one.
fn keys(
    records: &dyn RecordStore,
    section: &Section,
    behind: Option<&str>,
) -> BoxStream<'static, Result<RecordKey, StoreError>> {
    let after = behind.map(|repository| section.key(&[repository, LAST]));
    records.list(&RecordKey::prefix(&section.with(&[])), after.as_ref())
}

/// Returns the sections of each registry, by what the names of its repositories begin with: in this order, so do these.
async fn by_registry(
    records: &dyn RecordStore,
) -> Result<BTreeMap<String, Vec<Section>>, StoreError> {
    let mut registries: BTreeMap<String, Vec<Section>> = BTreeMap::new();
    let mut count = 0;
    for kind in KINDS {
        let mut after: Option<RecordKey> = None;
        while let Some(key) = records
            .list(&RecordKey::prefix(&[kind]), after.as_ref())
            .next()
            .await
        {
            let Some(section) = Section::of(&key?) else {
                break;
            };
            count += 1;
            if count > MAX_SECTIONS {
                tracing::warn!(sections = MAX_SECTIONS, "not all repositories are listed");
                return Ok(registries);
            }
            after = Some(section.key(&[LAST]));
            let registry = format!("{}/", section.upstream());
            registries.entry(registry).or_default().push(section);
        }
    }
    Ok(registries)
}

#[cfg(test)]
mod tests;

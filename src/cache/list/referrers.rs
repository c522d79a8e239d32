//! What refers to a manifest: signatures, lists of parts and the like. One list serves all who want some of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kept::{Found, KeptLists, Wanted, room_for};
use super::record::{Given, Keeping};
use crate::addressing::{Grant, Origin};
use crate::answer::ReferrersAnswer;
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::cache::freshness::Subject;
use crate::cache::freshness::decision::Demand;
use crate::cache::patience::Patience;
use crate::cache::sight::{LinkKind, View};
use crate::oci::{Digest, Reference, Referrer};
use crate::upstream::Sample;
use crate::upstream::listing::MAX_REFERRERS_SIZE;

/// How many bytes of lists of referrers are kept in memory: one of the largest. Most are empty.
const IN_MEMORY: u64 = 40 << 20;
const _: () = assert!(IN_MEMORY >= room_for(MAX_REFERRERS_SIZE));

/// All that refers to a manifest, each once, in the order of the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Referrer>", into = "Vec<Referrer>")]
struct ReferrerList(Arc<[Referrer]>);

impl From<Vec<Referrer>> for ReferrerList {
    fn from(listed: Vec<Referrer>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let once = |referrer: &Referrer| seen.insert(referrer.digest);
        Self(listed.into_iter().filter(once).collect())
    }
}

impl From<ReferrerList> for Vec<Referrer> {
    fn from(list: ReferrerList) -> Self {
        list.0.to_vec()
    }
}

/// The lists of referrers of all manifests.
#[derive(Debug)]
pub(super) struct ReferrerLists {
    backing: Arc<Backing>,
    lists: KeptLists<ReferrerList>,
}

impl ReferrerLists {
    /// Starts with what the records say.
    pub(super) fn new(backing: Arc<Backing>) -> Self {
        Self {
            lists: KeptLists::new(backing.clone(), IN_MEMORY),
            backing,
        }
    }

    /// Answers with what refers to a manifest.
    pub(super) async fn answer(
        &self,
        grant: &Grant<Origin>,
        subject: &Digest,
        demand: Demand,
    ) -> Result<ReferrersAnswer, CacheError> {
        let patience = Patience::begin();
        let reference = Reference::Digest(*subject);
        let view = self
            .backing
            .view(grant, Sample::Manifest(&reference))
            .await?;
        let key = view.referrers_key(subject);
        let wanted = Wanted {
            view: &view,
            key: &key,
            subject: Subject::Referrers(subject),
            demand,
            patience,
            absent: None,
        };
        let (backing, asked, digest) = (self.backing.clone(), view.clone(), *subject);
        let fetch = move || fetch(backing, asked, digest);
        let nothing = std::future::ready(false);
        let (kept, outcome, age) = match self.lists.find(wanted, fetch, nothing).await? {
            Found::Current(kept, outcome) => (kept, outcome, None),
            Found::Old(kept, outcome, age) => (kept, outcome, Some(age)),
        };
        Ok(ReferrersAnswer {
            referrers: kept.list.0.clone(),
            outcome,
            age,
        })
    }
}

/// Asks a registry for all that refers to a manifest.
async fn fetch(
    backing: Arc<Backing>,
    view: View,
    subject: Digest,
) -> Result<Given<ReferrerList>, CacheError> {
    let upstream = backing.upstream(&view.origin.upstream)?;
    let listed = Box::pin(upstream.referrers(view.sought(), &subject)).await?;
    let keeping = if listed.is_empty() {
        // Whatever digest a client thinks of has no referrers. That of a manifest which is here is worth a record.
        let link = backing.links.find(&view, LinkKind::Manifest, &subject);
        match link.await? {
            Some(_) => Keeping::Recorded,
            None => Keeping::InMemory,
        }
    } else {
        Keeping::Recorded
    };
    Ok(Given {
        list: listed.into(),
        keeping,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_twice_is_there_once_and_in_its_place() {
        let entry = |byte: char, size: u8| {
            let digest = byte.to_string().repeat(64);
            format!(r#"{{"digest":"sha256:{digest}","size":{size}}}"#)
        };
        let text = format!("[{},{},{}]", entry('b', 1), entry('a', 2), entry('b', 3));
        let list: ReferrerList = serde_json::from_str(&text).unwrap();
        let sizes: Vec<u64> = list.0.iter().map(|referrer| referrer.size).collect();
        assert_eq!(sizes, [1, 2]);
    }
}

//! Walking over repositories, on records in memory.

use std::sync::Arc;

use super::*;
use crate::store::memory::MemoryRecords;
use crate::store::{Change, Durability};

async fn records(keys: &[&[&str]]) -> Arc<dyn RecordStore> {
    let records = MemoryRecords::new();
    let changes = keys
        .iter()
        .map(|parts| Change::put(RecordKey::new(parts), ""));
    let changes = changes.collect();
    records.commit(changes, Durability::Eventual).await.unwrap();
    Arc::new(records)
}

async fn walked(records: &dyn RecordStore, section: &Section, behind: Option<&str>) -> Vec<String> {
    let mut walk = Walk::begin(records, section.clone(), behind);
    let mut found = Vec::new();
    loop {
        walk.go_on().await.unwrap();
        match &walk.at {
            Some(repository) => found.push(repository.clone()),
            None => return found,
        }
    }
}

#[tokio::test]
async fn registries_come_in_the_order_of_the_names_of_their_repositories() {
    let records = records(&[
        &["history", "shared", "anonymous", "h.io", "x", "1"],
        &["link", "shared", "anonymous", "a.io", "x", "blob", "d"],
        &["link", "shared", "0123", "a.io", "x", "blob", "d"],
        &["tag", "shared", "anonymous", "a.io", "x", "1", "index"],
        &["tag", "shared", "anonymous", "a.io", "y", "1", "index"],
        &["tag", "shared", "anonymous", "a.io-b", "x", "1", "index"],
        &["tag", "shared", "anonymous", "a.io:5000", "x", "1", "index"],
        &["visibility", "shared", "0123", "v.io", "x"],
    ])
    .await;
    let found = by_registry(&*records).await.unwrap();
    let found: Vec<(&str, usize)> = found
        .iter()
        .map(|(registry, sections)| (registry.as_str(), sections.len()))
        .collect();
    assert_eq!(found, [("a.io-b/", 1), ("a.io/", 3), ("a.io:5000/", 1)]);
}

#[tokio::test]
async fn a_walk_goes_from_repository_to_repository_however_many_keys_one_has() {
    let part = |name: &'static str| ["tag", "shared", "anonymous", "a.io", name];
    let mut keys: Vec<RecordKey> = Vec::new();
    for name in ["a", "a-b", "a/b", "b"] {
        for tag in 0..3 * NEAR {
            let tag = format!("{tag:05}");
            let parts: Vec<&str> = part(name).into_iter().chain([tag.as_str()]).collect();
            keys.push(RecordKey::new(&parts));
        }
    }
    let keys: Vec<Vec<&str>> = keys.iter().map(|key| key.parts().collect()).collect();
    let keys: Vec<&[&str]> = keys.iter().map(Vec::as_slice).collect();
    let records = records(&keys).await;
    let section = Section {
        parts: ["tag", "shared", "anonymous", "a.io"].map(str::to_owned),
    };
    for (behind, expected) in [
        (None, &["a", "a-b", "a/b", "b"][..]),
        (Some("a"), &["a-b", "a/b", "b"]),
        (Some("a."), &["a/b", "b"]),
        (Some("a/b"), &["b"]),
        (Some("b"), &[]),
        (Some(""), &["a", "a-b", "a/b", "b"]),
    ] {
        let found = walked(&*records, &section, behind).await;
        assert_eq!(found, expected, "{behind:?}");
    }
}

#[test]
fn a_page_that_has_too_much_hidden_before_its_end_goes_on_behind_what_it_shows() {
    let names = |count: usize| -> Vec<String> { (0..count).map(|name| name.to_string()).collect() };
    for (found, hidden, limit, shown, has_more) in [
        (2, 0, 2, 2, false),
        (3, 0, 2, 2, true),
        (0, MAX_HIDDEN, 2, 0, false),
        (1, MAX_HIDDEN + 1, 2, 1, true),
        (0, 0, 0, 0, false),
    ] {
        let page = cut(names(found), hidden, limit).unwrap();
        assert_eq!((page.names.len(), page.has_more), (shown, has_more));
    }
    // The last one looked at is not for the caller, and there is none before it.
    let error = cut(Vec::new(), MAX_HIDDEN + 1, 2).unwrap_err();
    assert!(
        matches!(error, CacheError::NotListed(MAX_HIDDEN)),
        "{error}"
    );
}

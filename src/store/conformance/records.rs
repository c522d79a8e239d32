//! What every record store has to do.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::store::error::StoreError;
use crate::store::records::{Change, Expect, Record, RecordKey, Version};
use crate::store::{Durability, RecordStore};

/// Checks a record store that is empty.
pub(in crate::store) async fn records(store: Arc<dyn RecordStore>) {
    records_are_put_and_removed(&*store).await;
    expectations_are_checked(&*store).await;
    a_commit_is_made_as_a_whole_or_not_at_all(&*store).await;
    versions_never_come_back(&*store).await;
    one_of_many_swaps_wins(&store).await;
    keys_are_listed_in_order(&*store).await;
}

fn key(name: &str) -> RecordKey {
    RecordKey::new(&["conformance", name])
}

async fn put(store: &dyn RecordStore, key: &RecordKey, value: &'static str) -> Version {
    let put = Change::put(key.clone(), value);
    store.commit(vec![put], Durability::Eventual).await.unwrap();
    version(store, key).await
}

async fn version(store: &dyn RecordStore, key: &RecordKey) -> Version {
    store.read(key).await.unwrap().unwrap().version
}

async fn value(store: &dyn RecordStore, key: &RecordKey) -> Option<Bytes> {
    let record: Option<Record> = store.read(key).await.unwrap();
    record.map(|record| record.value)
}

async fn records_are_put_and_removed(store: &dyn RecordStore) {
    let key = key("simple");
    for durability in [Durability::Durable, Durability::Eventual] {
        assert_eq!(value(store, &key).await, None);
        for text in ["one", "", "two"] {
            let put = Change::put(key.clone(), text);
            store.commit(vec![put], durability).await.unwrap();
            assert_eq!(value(store, &key).await.unwrap(), text);
        }
        for _ in 0..2 {
            let remove = Change::remove(key.clone());
            store.commit(vec![remove], durability).await.unwrap();
            assert_eq!(value(store, &key).await, None);
        }
    }
    store.commit(Vec::new(), Durability::Durable).await.unwrap();
}

async fn expectations_are_checked(store: &dyn RecordStore) {
    let (there, absent) = (key("there"), key("absent"));
    let old = put(store, &there, "old").await;
    let now = put(store, &there, "now").await;
    assert_ne!(old, now);
    for (key, expect, is_fine) in [
        (&there, Expect::Absent, false),
        (&there, Expect::Unchanged(old), false),
        (&absent, Expect::Unchanged(now), false),
        (&there, Expect::Unchanged(now), true),
        (&there, Expect::Anything, true),
        (&absent, Expect::Absent, true),
        (&absent, Expect::Absent, false),
    ] {
        let before = value(store, key).await;
        let put = Change::put(key.clone(), "new").expecting(expect);
        match store.commit(vec![put], Durability::Eventual).await {
            Ok(()) if is_fine => assert_eq!(value(store, key).await.unwrap(), "new"),
            Err(StoreError::Conflict { key: named }) if !is_fine => {
                assert_eq!(&named, key);
                assert_eq!(value(store, key).await, before);
            }
            result => panic!("{key} {expect:?}: {result:?}"),
        }
    }
    let remove = |expect| vec![Change::remove(there.clone()).expecting(expect)];
    let refused = store.commit(remove(Expect::Unchanged(old)), Durability::Durable);
    assert!(refused.await.is_err());
    let unchanged = Expect::Unchanged(version(store, &there).await);
    let removed = store.commit(remove(unchanged), Durability::Durable);
    removed.await.unwrap();
    assert_eq!(value(store, &there).await, None);
}

async fn a_commit_is_made_as_a_whole_or_not_at_all(store: &dyn RecordStore) {
    let keys = ["a", "b", "c"].map(key);
    put(store, &keys[1], "before").await;
    let puts = |expect| {
        let mut changes: Vec<_> = keys
            .iter()
            .map(|key| Change::put(key.clone(), "after"))
            .collect();
        changes[1] = changes[1].clone().expecting(expect);
        changes
    };
    for durability in [Durability::Durable, Durability::Eventual] {
        let refused = store.commit(puts(Expect::Absent), durability).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(&refused, StoreError::Conflict { key } if *key == keys[1]),
            "{refused}"
        );
        assert_eq!(value(store, &keys[0]).await, None);
        assert_eq!(value(store, &keys[1]).await.unwrap(), "before");
        assert_eq!(value(store, &keys[2]).await, None);
    }
    let unchanged = Expect::Unchanged(version(store, &keys[1]).await);
    let made = store.commit(puts(unchanged), Durability::Durable);
    made.await.unwrap();
    for key in &keys {
        assert_eq!(value(store, key).await.unwrap(), "after");
    }
}

async fn versions_never_come_back(store: &dyn RecordStore) {
    let key = key("versions");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(put(store, &key, "same").await);
        seen.push(put(store, &key, "same").await);
        let remove = vec![Change::remove(key.clone())];
        store.commit(remove, Durability::Eventual).await.unwrap();
    }
    let count = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), count);
    assert!(seen.is_sorted());
}

/// Many read a counter and put the next number, each as often as it takes: no number is lost.
async fn one_of_many_swaps_wins(store: &Arc<dyn RecordStore>) {
    let key = key("counter");
    put(&**store, &key, "0").await;
    let start = store.read(&key).await.unwrap().unwrap();
    let swaps = (0..8).map(|number: u32| {
        let swap = Change::put(key.clone(), number.to_string());
        let swap = swap.expecting(Expect::Unchanged(start.version));
        store.commit(vec![swap], Durability::Eventual)
    });
    let results = futures_util::future::join_all(swaps).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let winner = results.iter().position(Result::is_ok).unwrap();
    assert_eq!(value(&**store, &key).await.unwrap(), winner.to_string());

    put(&**store, &key, "0").await;
    let counts = (0..8).map(|_| async {
        loop {
            let record = store.read(&key).await.unwrap().unwrap();
            let number: u32 = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
            let next = Change::put(key.clone(), (number + 1).to_string());
            let next = next.expecting(Expect::Unchanged(record.version));
            match store.commit(vec![next], Durability::Eventual).await {
                Ok(()) => break,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    futures_util::future::join_all(counts).await;
    assert_eq!(value(&**store, &key).await.unwrap(), "8");
}

async fn keys_are_listed_in_order(store: &dyn RecordStore) {
    let parts = ["", "a", "a-b", "a0", "aa", "b", "é"];
    let keys: Vec<_> = parts
        .iter()
        .map(|part| RecordKey::new(&["list", part]))
        .collect();
    let mut changes: Vec<_> = keys
        .iter()
        .map(|key| Change::put(key.clone(), "x"))
        .collect();
    // Neighbours that do not have the prefix.
    changes.push(Change::put(RecordKey::new(&["lisp", "z"]), "x"));
    changes.push(Change::put(RecordKey::new(&["list"]), "x"));
    changes.push(Change::put(RecordKey::new(&["list0", "a"]), "x"));
    changes.reverse();
    store.commit(changes, Durability::Eventual).await.unwrap();

    let prefix = RecordKey::prefix(&["list"]);
    assert_eq!(listed(store, &prefix, None).await, keys);
    for (index, after) in keys.iter().enumerate() {
        let rest = &keys[index + 1..];
        assert_eq!(listed(store, &prefix, Some(after)).await, rest);
    }
    let between = RecordKey::new(&["list", "a-c"]);
    assert_eq!(listed(store, &prefix, Some(&between)).await, keys[3..]);
    let before = RecordKey::new(&["lisp"]);
    assert_eq!(listed(store, &prefix, Some(&before)).await, keys);
    let past = RecordKey::new(&["m"]);
    assert_eq!(listed(store, &prefix, Some(&past)).await, []);

    // More than any store reads at once.
    let many: Vec<_> = (0..1300)
        .map(|number| RecordKey::new(&["many", &format!("{number:04}")]))
        .collect();
    let puts = many.iter().map(|key| Change::put(key.clone(), "x"));
    let put = store.commit(puts.collect(), Durability::Eventual);
    put.await.unwrap();
    let prefix = RecordKey::prefix(&["many"]);
    assert_eq!(listed(store, &prefix, None).await, many);
    let first: Vec<_> = store.list(&prefix, None).take(2).collect().await;
    assert_eq!(first.len(), 2);
}

async fn listed(
    store: &dyn RecordStore,
    prefix: &RecordKey,
    after: Option<&RecordKey>,
) -> Vec<RecordKey> {
    store.list(prefix, after).try_collect().await.unwrap()
}

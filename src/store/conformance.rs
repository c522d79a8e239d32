//! What every store has to do, as one suite that all of them run. A mistake found in one of them adds a check here.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use super::content::{ContentReader, Opened, Piece, StoredBlob};
use super::error::StoreError;
use super::records::{Change, Expect, Record, RecordKey, Version};
use super::space::SpaceFloor;
use super::spool::{SpoolArea, VerifiedSpool};
use super::{BlobStore, Durability, RecordStore};
use crate::oci::{Algorithm, ByteRange, ContentRange, Digest, Measurer};
use crate::runtime::{Clock, Tasks};

/// Makes a place for the spools of a test.
pub(super) fn spools(folder: &Path, tasks: Tasks) -> SpoolArea {
    SpoolArea::open(folder, SpaceFloor::new(0), tasks, Clock::system()).unwrap()
}

/// Spools some bytes.
pub(super) async fn spool(spools: &SpoolArea, algorithm: Algorithm, bytes: &[u8]) -> VerifiedSpool {
    let content = Measurer::measure(algorithm, bytes);
    let written = spools.write(content, Bytes::copy_from_slice(bytes)).await;
    written.unwrap()
}

/// Makes some bytes a blob and returns its digest.
pub(super) async fn keep(store: &dyn BlobStore, spools: &SpoolArea, bytes: &[u8]) -> Digest {
    let spool = spool(spools, Algorithm::Sha256, bytes).await;
    let digest = spool.content().digest();
    store.adopt(spool, Durability::Eventual).await.unwrap();
    digest
}

/// Reads a content to its end.
pub(super) async fn read(reader: ContentReader) -> Vec<u8> {
    let pieces: Vec<Piece> = reader.try_collect().await.unwrap();
    let mut content = Vec::new();
    for piece in pieces {
        let length = piece.length();
        let before = content.len() as u64;
        match piece {
            Piece::Bytes(bytes) => content.extend(bytes),
            Piece::File(slice) => {
                let mut bytes = vec![0; usize::try_from(slice.length).unwrap()];
                let read = slice.file.read_exact_at(&mut bytes, slice.offset);
                read.unwrap();
                content.extend(bytes);
            }
        }
        assert_eq!(content.len() as u64 - before, length);
    }
    content
}

/// Reads a whole blob, `None` when it is not kept.
pub(super) async fn whole(store: &dyn BlobStore, digest: &Digest) -> Option<Vec<u8>> {
    let blob = store.open(digest, None).await.unwrap()?;
    let Opened::Range(range, reader) = blob.opened else {
        panic!("the whole of a blob is always there");
    };
    assert_eq!(range, ContentRange::whole(blob.total));
    let bytes = read(reader).await;
    assert_eq!(bytes.len() as u64, blob.total);
    Some(bytes)
}

/// Checks a blob store that is empty.
pub(super) async fn blobs(store: Arc<dyn BlobStore>, spools: &SpoolArea) {
    what_is_not_kept_is_not_there(&*store).await;
    content_of_both_algorithms_is_kept(&*store, spools).await;
    ranges_are_opened(&*store, spools).await;
    adopting_again_changes_nothing(&*store, spools).await;
    a_reader_goes_on_after_the_blob_is_removed(&*store, spools).await;
    many_adopt_the_same(&store, spools).await;
    what_is_kept_is_listed(&*store, spools).await;
}

async fn what_is_not_kept_is_not_there(store: &dyn BlobStore) {
    for digest in [Digest::Sha256([0; 32]), Digest::Sha512([0; 64])] {
        assert!(store.open(&digest, None).await.unwrap().is_none());
        assert_eq!(store.size(&digest).await.unwrap(), None);
        store.remove(&digest).await.unwrap();
    }
    assert_eq!(list(store).await, []);
}

async fn content_of_both_algorithms_is_kept(store: &dyn BlobStore, spools: &SpoolArea) {
    for algorithm in Algorithm::ALL {
        for bytes in [&b"some content"[..], b""] {
            for durability in [Durability::Durable, Durability::Eventual] {
                let spool = spool(spools, algorithm, bytes).await;
                let digest = spool.content().digest();
                store.adopt(spool, durability).await.unwrap();
                assert_eq!(whole(store, &digest).await.unwrap(), bytes);
                let size = store.size(&digest).await.unwrap();
                assert_eq!(size, Some(bytes.len() as u64));
                store.remove(&digest).await.unwrap();
                assert_eq!(whole(store, &digest).await, None);
                assert_eq!(store.size(&digest).await.unwrap(), None);
            }
        }
    }
}

async fn ranges_are_opened(store: &dyn BlobStore, spools: &SpoolArea) {
    let bytes: Vec<u8> = (0..=255).collect();
    let digest = keep(store, spools, &bytes).await;
    let empty = keep(store, spools, b"").await;
    let bounded = |first, last| ByteRange::Bounded { first, last };
    let from = |first| ByteRange::From { first };
    let suffix = |length| ByteRange::Suffix { length };
    for (digest, total, range, expected) in [
        (&digest, 256, bounded(0, 0), Some(0..1)),
        (&digest, 256, bounded(100, 199), Some(100..200)),
        (&digest, 256, bounded(200, 999), Some(200..256)),
        (&digest, 256, from(0), Some(0..256)),
        (&digest, 256, from(255), Some(255..256)),
        (&digest, 256, suffix(1), Some(255..256)),
        (&digest, 256, suffix(999), Some(0..256)),
        (&digest, 256, from(256), None),
        (&digest, 256, bounded(256, 300), None),
        (&digest, 256, ByteRange::NOWHERE, None),
        (&empty, 0, from(0), None),
        (&empty, 0, bounded(0, 0), None),
        (&empty, 0, suffix(1), None),
    ] {
        let blob = store.open(digest, Some(range)).await.unwrap().unwrap();
        assert_eq!(blob.total, total, "{range:?}");
        match (blob.opened, expected) {
            (Opened::Range(found, reader), Some(expected)) => {
                let header = format!("bytes {}-{}/{total}", expected.start, expected.end - 1);
                assert_eq!(found.to_string(), header);
                assert_eq!(read(reader).await, bytes[expected], "{range:?}");
            }
            (Opened::Unsatisfiable(reason), None) => assert_eq!(reason.total, total),
            (opened, _) => panic!("{range:?} gave {opened:?}"),
        }
    }
}

async fn adopting_again_changes_nothing(store: &dyn BlobStore, spools: &SpoolArea) {
    let first = keep(store, spools, b"twice").await;
    let blob = store.open(&first, None).await.unwrap().unwrap();
    assert_eq!(keep(store, spools, b"twice").await, first);
    assert_eq!(whole(store, &first).await.unwrap(), b"twice");
    let Opened::Range(_, reader) = blob.opened else {
        panic!("the whole of a blob is always there");
    };
    assert_eq!(read(reader).await, b"twice");
}

async fn a_reader_goes_on_after_the_blob_is_removed(store: &dyn BlobStore, spools: &SpoolArea) {
    let digest = keep(store, spools, b"removed").await;
    let blob = store.open(&digest, None).await.unwrap().unwrap();
    store.remove(&digest).await.unwrap();
    assert!(store.open(&digest, None).await.unwrap().is_none());
    let Opened::Range(_, reader) = blob.opened else {
        panic!("the whole of a blob is always there");
    };
    assert_eq!(read(reader).await, b"removed");
    keep(store, spools, b"removed").await;
    assert_eq!(whole(store, &digest).await.unwrap(), b"removed");
}

async fn many_adopt_the_same(store: &Arc<dyn BlobStore>, spools: &SpoolArea) {
    let adoptions = (0..8).map(|_| async {
        let digest = keep(&**store, spools, b"by many").await;
        whole(&**store, &digest).await.unwrap()
    });
    for bytes in futures_util::future::join_all(adoptions).await {
        assert_eq!(bytes, b"by many");
    }
}

async fn what_is_kept_is_listed(store: &dyn BlobStore, spools: &SpoolArea) {
    for blob in list(store).await {
        store.remove(&blob.digest).await.unwrap();
    }
    assert_eq!(list(store).await, []);
    let mut expected = Vec::new();
    for number in 0..20_u8 {
        let bytes = vec![number; usize::from(number)];
        let algorithm = Algorithm::ALL[usize::from(number % 2)];
        let spool = spool(spools, algorithm, &bytes).await;
        expected.push(StoredBlob {
            digest: spool.content().digest(),
            size: bytes.len() as u64,
        });
        store.adopt(spool, Durability::Eventual).await.unwrap();
    }
    expected.sort_by_key(|blob| blob.digest);
    assert_eq!(list(store).await, expected);
}

async fn list(store: &dyn BlobStore) -> Vec<StoredBlob> {
    let mut listed: Vec<_> = store.list().try_collect().await.unwrap();
    listed.sort_by_key(|blob| blob.digest);
    listed
}

/// Checks a record store that is empty.
pub(super) async fn records(store: Arc<dyn RecordStore>) {
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

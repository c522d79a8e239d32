//! What every blob store has to do.

use std::sync::Arc;

use futures_util::TryStreamExt;

use super::{keep, read, spool, whole};
use crate::oci::{Algorithm, ByteRange, Digest};
use crate::store::content::{Opened, StoredBlob};
use crate::store::spool::SpoolArea;
use crate::store::{BlobStore, Durability};

/// Checks a blob store that is empty.
pub(in crate::store) async fn blobs(store: Arc<dyn BlobStore>, spools: &SpoolArea) {
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

//! What the two kinds of record file promise, beyond what every store does.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use futures_util::future::join_all;
use futures_util::{FutureExt, TryStreamExt};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use redb::Database;
use tempfile::TempDir;
use tokio::time::Instant;

use super::medium::{Backend, Medium};
use super::*;
use crate::store::records::Expect;

/// Each takes some milliseconds.
const CASES: u32 = 24;

/// The part of a database file that says where everything is.
const HEAD: usize = 4096;

struct Fixture {
    folder: TempDir,
    tasks: Tasks,
    medium: Medium,
    records: DiskRecords,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tasks, medium) = (Tasks::new(), Medium::default());
        let backend = medium.clone();
        let opener = move |path: &Path| {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path)?;
            let medium = backend.clone();
            // Without a cache, so that every read shows what the file has.
            Database::builder()
                .set_cache_size(0)
                .create_with_backend(Backend { file, medium })
        };
        let layout = Layout::new(folder.path());
        let lock = Arc::new(FolderLock::take(&layout).unwrap());
        let path = layout.cache_records();
        let file = RecordFile::open(path, Box::new(opener), Loss::Bearable).unwrap();
        let records = DiskRecords::new(file, tasks.clone(), lock);
        Self {
            folder,
            tasks,
            medium,
            records,
        }
    }

    fn layout(&self) -> Layout {
        Layout::new(self.folder.path())
    }

    async fn put(&self, name: &str, durability: Durability) -> Result<(), StoreError> {
        put(&self.records, name, durability).await
    }

    async fn read(&self, name: &str) -> Option<Record> {
        self.records.read(&key(name)).await.unwrap()
    }
}

fn key(name: &str) -> RecordKey {
    RecordKey::new(&[name])
}

async fn put(records: &DiskRecords, name: &str, durability: Durability) -> Result<(), StoreError> {
    let change = Change::put(key(name), name.to_owned());
    records.commit(vec![change], durability).await
}

#[tokio::test(start_paused = true)]
async fn an_eventual_commit_is_visible_at_once_and_synced_in_a_while() {
    let fixture = Fixture::new();
    let (start, before) = (Instant::now(), fixture.medium.syncs());
    for name in ["a", "b"] {
        fixture.put(name, Durability::Eventual).await.unwrap();
        assert_eq!(fixture.read(name).await.unwrap().value, name);
    }
    assert_eq!(fixture.medium.syncs(), before);
    let synced = async {
        while fixture.medium.syncs() == before {
            fixture.medium.synced().await;
        }
    };
    let limit = SYNC_DELAY + Duration::from_millis(10);
    tokio::time::timeout(limit, synced).await.unwrap();
    assert!(start.elapsed() >= SYNC_DELAY);
}

#[tokio::test(start_paused = true)]
async fn a_stop_syncs_what_was_committed() {
    let fixture = Fixture::new();
    let (start, before) = (Instant::now(), fixture.medium.syncs());
    fixture.put("a", Durability::Eventual).await.unwrap();
    assert_eq!(fixture.tasks.drain(Duration::from_secs(60)).await, 0);
    assert!(fixture.medium.syncs() > before);
    assert!(start.elapsed() < SYNC_DELAY);
    // What comes after the stop is not left behind.
    let before = fixture.medium.syncs();
    fixture.put("b", Durability::Eventual).await.unwrap();
    assert_eq!(fixture.tasks.drain(Duration::from_secs(60)).await, 0);
    assert!(fixture.medium.syncs() > before);
}

#[tokio::test]
async fn a_durable_commit_is_synced_and_those_that_wait_share_one_transaction() {
    let fixture = Fixture::new();
    let before = fixture.medium.syncs();
    fixture.put("alone", Durability::Durable).await.unwrap();
    let of_one = fixture.medium.syncs() - before;
    assert!(of_one > 0);

    let before = fixture.medium.syncs();
    let (has_begun, go) = fixture.medium.hold_next_sync();
    let first = Change::put(key("first"), "x");
    let mut first = fixture.records.commit(vec![first], Durability::Durable);
    assert!(first.as_mut().now_or_never().is_none());
    has_begun.recv_timeout(Duration::from_secs(60)).unwrap();
    let mut waiting: Vec<_> = (0..100)
        .map(|number| {
            let change = Change::put(key(&number.to_string()), "x");
            // The last two want the same: only one can have it.
            let change = match number {
                98 | 99 => Change::put(key("contested"), "x").expecting(Expect::Absent),
                _ => change,
            };
            fixture.records.commit(vec![change], Durability::Durable)
        })
        .collect();
    for commit in &mut waiting {
        assert!(commit.as_mut().now_or_never().is_none());
    }
    go.send(()).unwrap();
    first.await.unwrap();
    let results = join_all(waiting).await;
    assert_eq!(fixture.medium.syncs() - before, 2 * of_one);
    assert!(results[..99].iter().all(Result::is_ok));
    assert!(matches!(results[99], Err(StoreError::Conflict { .. })));
    for number in 0..98 {
        assert!(fixture.read(&number.to_string()).await.is_some());
    }
}

#[tokio::test]
async fn a_commit_goes_on_when_its_caller_leaves() {
    let fixture = Fixture::new();
    let (has_begun, go) = fixture.medium.hold_next_sync();
    let change = Change::put(key("left"), "x");
    let mut left = fixture.records.commit(vec![change], Durability::Durable);
    assert!(left.as_mut().now_or_never().is_none());
    has_begun.recv_timeout(Duration::from_secs(60)).unwrap();
    drop(left);
    go.send(()).unwrap();
    fixture.put("next", Durability::Eventual).await.unwrap();
    assert!(fixture.read("left").await.is_some());
}

#[tokio::test]
async fn after_a_failure_of_the_medium_the_file_is_opened_again() {
    let fixture = Fixture::new();
    fixture.put("before", Durability::Durable).await.unwrap();
    let before = fixture.read("before").await.unwrap();
    for durability in [Durability::Durable, Durability::Eventual] {
        fixture.medium.set_broken(true);
        // An eventual commit may still find room in memory; a durable one cannot.
        let broken = fixture.put("broken", Durability::Durable).await;
        assert!(matches!(broken, Err(StoreError::Records { .. })));
        fixture.medium.set_broken(false);
        fixture.put("after", durability).await.unwrap();
        assert_eq!(fixture.read("before").await.unwrap(), before);
        assert_eq!(fixture.read("broken").await, None);
        let after = fixture.read("after").await.unwrap();
        assert_eq!(after.value, "after");
        assert!(after.version > before.version);
    }
}

#[tokio::test]
async fn versions_do_not_come_back_when_a_failure_takes_records_along() {
    let fixture = Fixture::new();
    fixture.put("kept", Durability::Durable).await.unwrap();
    fixture.put("lost", Durability::Eventual).await.unwrap();
    let lost = fixture.read("lost").await.unwrap();
    fixture.medium.set_broken(true);
    let broken = fixture.put("broken", Durability::Durable).await;
    assert!(broken.is_err());
    fixture.medium.set_broken(false);
    fixture.put("lost", Durability::Durable).await.unwrap();
    assert!(fixture.read("lost").await.unwrap().version > lost.version);
}

#[tokio::test]
async fn a_cache_that_is_damaged_while_it_is_in_use_is_begun_anew() {
    let fixture = Fixture::new();
    fixture.put("a", Durability::Durable).await.unwrap();
    let path = fixture.layout().cache_records();
    let size = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0xa5; size], 0).unwrap();
    assert_eq!(fixture.read("a").await, None);
    fixture.put("b", Durability::Durable).await.unwrap();
    assert!(fixture.read("b").await.is_some());
    assert!(path.with_added_extension("damaged").exists());
}

fn open_cache(layout: &Layout) -> Result<DiskRecords, StoreError> {
    DiskRecords::open_cache(layout.cache_records(), Tasks::new(), lock(layout)?)
}

fn open_hosted(layout: &Layout) -> Result<DiskRecords, StoreError> {
    DiskRecords::open_hosted(layout, Tasks::new(), lock(layout)?)
}

/// Takes the lock of a folder. A program that another test starts has a copy of every open file until it runs, and so of
/// a lock that was given back meanwhile: it is waited for.
fn lock(layout: &Layout) -> Result<Arc<FolderLock>, StoreError> {
    let began = std::time::Instant::now();
    loop {
        match FolderLock::take(layout) {
            Err(StoreError::InUse { .. }) if began.elapsed() < Duration::from_secs(30) => {
                std::thread::yield_now();
            }
            taken => return taken.map(Arc::new),
        }
    }
}

/// Waits for what is under way, and gives the folder back.
async fn stop(records: DiskRecords) {
    assert_eq!(records.0.tasks.drain(Duration::from_secs(60)).await, 0);
}

#[tokio::test]
async fn a_damaged_cache_is_put_aside_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let path = layout.cache_records();
    drop(open_cache(&layout).unwrap());
    let sound = fs::read(&path).unwrap();
    for damaged in [
        b"not a database".to_vec(),
        vec![0; sound.len()],
        sound[..sound.len() / 2].to_vec(),
        sound[..100].to_vec(),
    ] {
        fs::write(&path, &damaged).unwrap();
        let records = open_cache(&layout).unwrap();
        put(&records, "a", Durability::Durable).await.unwrap();
        assert!(records.read(&key("a")).await.unwrap().is_some());
        let aside = path.with_added_extension("damaged");
        assert_eq!(fs::read(&aside).unwrap().len(), damaged.len());
        stop(records).await;
    }
}

#[tokio::test]
async fn hosted_records_that_are_damaged_stop_the_start_and_the_snapshot_brings_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let (path, snapshot) = (layout.hosted_records(), layout.hosted_snapshot());
    let records = open_hosted(&layout).unwrap();
    put(&records, "a", Durability::Durable).await.unwrap();
    stop(records).await;
    assert!(!snapshot.exists());
    let records = open_hosted(&layout).unwrap();
    assert!(snapshot.exists());
    put(&records, "b", Durability::Durable).await.unwrap();
    stop(records).await;

    let is_refused = || {
        let refused = open_hosted(&layout).unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{text}");
        for path in [&path, &snapshot] {
            assert!(text.contains(&path.display().to_string()), "{text}");
        }
    };
    fs::write(&path, "not a database").unwrap();
    is_refused();
    assert_eq!(fs::read(&path).unwrap(), b"not a database");
    // An empty file, or none, would be made anew and take the snapshot's place at the next start.
    fs::write(&path, "").unwrap();
    is_refused();
    fs::remove_file(&path).unwrap();
    is_refused();

    fs::copy(&snapshot, &path).unwrap();
    let records = open_hosted(&layout).unwrap();
    assert!(records.read(&key("a")).await.unwrap().is_some());
    assert!(records.read(&key("b")).await.unwrap().is_none());
}

#[test]
fn the_file_system_is_the_cause_when_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    fs::create_dir(layout.cache_records()).unwrap();
    let refused = open_cache(&layout).unwrap_err();
    let StoreError::Records { source, .. } = &refused else {
        panic!("{refused:?}");
    };
    let cause = source.downcast_ref::<io::Error>().expect("no I/O error");
    assert_eq!(cause.kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn a_snapshot_that_does_not_exist_is_not_recommended() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let (path, snapshot) = (layout.hosted_records(), layout.hosted_snapshot());
    fs::write(&path, "not a database").unwrap();
    let refused = open_hosted(&layout).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(!text.contains(snapshot.to_str().unwrap()), "{text}");
    assert!(text.contains("there is no copy"), "{text}");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    for (number, durability) in [Durability::Eventual, Durability::Durable]
        .into_iter()
        .enumerate()
    {
        let name = number.to_string();
        let records = open_cache(&layout).unwrap();
        put(&records, &name, durability).await.unwrap();
        let version = records.read(&key(&name)).await.unwrap().unwrap().version;
        assert_eq!(records.0.tasks.drain(Duration::from_secs(60)).await, 0);
        stop(records).await;
        let records = open_cache(&layout).unwrap();
        let found = records.read(&key(&name)).await.unwrap().unwrap();
        assert_eq!(found.version, version);
        put(&records, &name, durability).await.unwrap();
        let next = records.read(&key(&name)).await.unwrap().unwrap();
        assert!(next.version > version);
        stop(records).await;
    }
}

#[tokio::test]
async fn a_listing_that_fails_says_so_and_ends() {
    let fixture = Fixture::new();
    fixture.put("a", Durability::Durable).await.unwrap();
    fixture.medium.set_broken(true);
    // The database is closed by the first failure, and cannot be opened again.
    fixture.put("b", Durability::Durable).await.unwrap_err();
    let listed = fixture.records.list(&RecordKey::stored(""), None);
    let listed: Vec<_> = listed.collect().await;
    assert!(matches!(listed[..], [Err(StoreError::Records { .. })]));
    fixture.medium.set_broken(false);
    let listed = fixture.records.list(&RecordKey::stored(""), None);
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    assert_eq!(listed, [key("a")]);
}

/// What damage shows as depends on where it is: as an error, as a panic in the database, as missing records, or not at
/// all. Whatever it is, the cache goes on.
#[test]
fn no_damage_of_the_cache_is_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let path = layout.cache_records();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let records = open_cache(&layout).unwrap();
        let put = |number| Change::put(key(&format!("{number:0100}")), "x".repeat(100));
        let puts = (0..1000).map(put).collect();
        records.commit(puts, Durability::Durable).await.unwrap();
        stop(records).await;
    });
    let sound = fs::read(&path).unwrap();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::with_cases(CASES), rng);
    let damage = prop::collection::vec((0..sound.len(), 1..5000_usize, any::<[u8; 8]>()), 1..20);
    let cases = (damage, any::<bool>());
    let result = runner.run(&cases, |(damage, is_head_sound)| {
        let mut bytes = sound.clone();
        for (start, length, pattern) in damage {
            let end = (start + length).min(bytes.len());
            let pattern = pattern.into_iter().cycle();
            bytes[start..end]
                .iter_mut()
                .zip(pattern)
                .for_each(|(byte, with)| *byte = with);
        }
        if is_head_sound {
            bytes[..HEAD].copy_from_slice(&sound[..HEAD]);
        }
        fs::write(&path, &bytes).unwrap();
        runtime.block_on(async {
            let records = open_cache(&layout).unwrap();
            for number in (0..1000).step_by(50) {
                let key = key(&format!("{number:0100}"));
                records.read(&key).await.unwrap();
                let put = Change::put(key.clone(), "new");
                records
                    .commit(vec![put], Durability::Durable)
                    .await
                    .unwrap();
                assert_eq!(records.read(&key).await.unwrap().unwrap().value, "new");
            }
            let listed = records.list(&RecordKey::stored(""), None);
            listed.try_collect::<Vec<_>>().await.unwrap();
            stop(records).await;
        });
        Ok(())
    });
    result.unwrap();
}

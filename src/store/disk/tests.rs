//! The folder as a whole: what is in it, who may use it, and what a killed process leaves.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::oci::{Algorithm, Measurer};
use crate::store::records::{Change, RecordKey};
use crate::store::{BlobStore, Durability, Intervals, RecordStore, conformance};

async fn open(path: &Path) -> Result<DiskStore, StoreError> {
    let settings = Settings {
        path: path.to_owned(),
        min_free: Some(0),
    };
    DiskStore::open(&settings, Tasks::new(), Clock::system()).await
}

#[tokio::test]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    conformance::blobs(store.blobs.clone(), &store.spools).await;
    conformance::records(store.cache_records.clone()).await;
    conformance::records(store.hosted_records.clone()).await;
}

#[tokio::test]
async fn a_folder_is_made_where_there_is_none_and_used_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c");
    let store = open(&path).await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "private content may be in it");
    let second = open(&path).await.unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
    // Whoever holds a part of the store holds the folder.
    let blobs = store.blobs.clone();
    drop(store);
    assert!(open(&path).await.is_err());
    drop(blobs);
    open(&path).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_a_store_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [&file, &file.join("below")] {
        let refused = open(path).await.unwrap_err();
        assert!(matches!(refused, StoreError::Io { .. }), "{refused:?}");
        assert!(refused.to_string().contains(path.to_str().unwrap()));
    }
    fs::create_dir(folder.path().join("blobs-v2")).unwrap();
    let newer = open(folder.path()).await.unwrap_err();
    assert!(matches!(newer, StoreError::Newer { .. }), "{newer}");
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "what a later version wrote is left alone");
}

#[tokio::test]
async fn a_part_of_the_folder_that_cannot_be_written_is_refused_by_name() {
    // Rights do not bind a test that runs as root; something else in the place of a folder binds everybody.
    type Part = fn(&Layout) -> PathBuf;
    for part in [Layout::blobs as Part, Layout::staging] {
        let folder = tempfile::tempdir().unwrap();
        let part = part(&Layout::new(folder.path()));
        fs::write(&part, "").unwrap();
        let refused = open(folder.path()).await.unwrap_err();
        assert!(refused.to_string().contains(part.to_str().unwrap()));

        fs::remove_file(&part).unwrap();
        fs::create_dir_all(Layout::probe(&part)).unwrap();
        let refused = open(folder.path()).await.unwrap_err();
        let told = format!("could not write in the folder {}", part.display());
        assert_eq!(refused.to_string(), told);
        fs::remove_dir(Layout::probe(&part)).unwrap();
        open(folder.path()).await.unwrap();
    }
}

#[tokio::test]
async fn left_overs_of_fills_are_swept_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).await.unwrap());
    let stranger = Layout::new(folder.path()).staging().join("stranger");
    fs::write(&stranger, "x").unwrap();
    open(folder.path()).await.unwrap();
    assert!(!stranger.exists());
}

#[tokio::test(start_paused = true)]
async fn left_overs_of_fills_are_swept_while_larder_runs() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        path: folder.path().to_owned(),
        min_free: Some(0),
    };
    let (tasks, clock) = (Tasks::new(), Clock::set_to(Clock::system().now()));
    let store = DiskStore::open(&settings, tasks.clone(), clock.clone());
    let store = store.await.unwrap();
    store.keep_swept();
    let spool = |bytes| {
        let digest = Measurer::measure(Algorithm::Sha256, bytes).digest();
        store.spools.create(digest)
    };
    let (left, used) = (spool(b"left").await.unwrap(), spool(b"used").await.unwrap());
    for spool in [&left, &used] {
        spool.persist(&Intervals::default(), None).unwrap();
    }
    left.keep();
    let staged = || fs::read_dir(store.layout.staging()).unwrap().count();

    tokio::time::sleep(DiskStore::SWEEP_EVERY * 2).await;
    assert_eq!(staged(), 4, "all of it is young");
    clock.advance(SpoolArea::MAX_AGE * 2);
    tokio::time::sleep(DiskStore::SWEEP_EVERY * 2).await;
    assert_eq!(staged(), 2, "what is in use stays");
    assert_eq!(tasks.drain(Duration::from_secs(60)).await, 0);
    drop((used, store));
}

#[tokio::test]
async fn the_floor_is_the_one_that_was_set_or_the_usual_one() {
    for min_free in [None, Some(7)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            path: folder.path().to_owned(),
            min_free,
        };
        let store = DiskStore::open(&settings, Tasks::new(), Clock::system());
        let store = store.await.unwrap();
        let total = store.space().await.unwrap().total;
        let expected = min_free.unwrap_or(SpaceFloor::usual(total));
        assert_eq!(store.floor().bytes(), expected);
    }
}

#[tokio::test]
async fn blobs_and_what_is_known_of_them_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let settings = Settings {
        path: folder.path().to_owned(),
        min_free: Some(0),
    };
    let store = DiskStore::open(&settings, tasks.clone(), Clock::system());
    let store = store.await.unwrap();
    let digest = conformance::keep(&*store.blobs, &store.spools, b"kept").await;
    assert_eq!(tasks.drain(Duration::from_secs(60)).await, 0);
    drop(store);
    let store = open(folder.path()).await.unwrap();
    let kept = conformance::whole(&*store.blobs, &digest).await;
    assert_eq!(kept.unwrap(), b"kept");
    assert_eq!(store.blobs.checked(), 0);

    // The cache's records may be lost: its blobs are then found by their names.
    let tasks = store.tasks.clone();
    assert_eq!(tasks.drain(Duration::from_secs(60)).await, 0);
    drop(store);
    fs::remove_file(Layout::new(folder.path()).cache_records()).unwrap();
    let store = open(folder.path()).await.unwrap();
    let kept = conformance::whole(&*store.blobs, &digest).await;
    assert_eq!(kept.unwrap(), b"kept");
    assert_eq!(store.blobs.checked(), 1);
}

/// Names the folder of the process that is killed.
const FOLDER: &str = "LARDER_TEST_KILLED_FOLDER";

/// Says that something was acknowledged as durable.
const KEPT: &str = "kept ";

#[test]
fn nothing_that_was_durable_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let name = "store::disk::tests::the_process_that_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let kept = lines
        .map(Result::unwrap)
        .filter_map(|line| Some(line.split_once(KEPT)?.1.parse().unwrap()))
        .find(|number: &u32| *number >= 20);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = kept.expect("the process has to keep something before it ends");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(folder.path()).await.unwrap();
        for number in 0..=kept {
            let (key, bytes) = numbered(number);
            let record = store.hosted_records.read(&key).await.unwrap();
            assert_eq!(record.unwrap().value, bytes);
            let digest = Measurer::measure(Algorithm::Sha256, &bytes).digest();
            let blob = conformance::whole(&*store.blobs, &digest).await;
            assert_eq!(blob.unwrap(), bytes);
        }
        assert_eq!(store.blobs.checked(), 0, "their stamps were durable too");
        // Only what was under way can have been left over.
        let staged = fs::read_dir(store.layout.staging()).unwrap().count();
        assert_eq!(staged, 0);
    });
}

#[tokio::test]
#[ignore = "this is the process that another test starts and kills"]
async fn the_process_that_is_killed() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let store = open(Path::new(&folder)).await.unwrap();
    for number in 0..10_000 {
        let (key, bytes) = numbered(number);
        let spool = conformance::spool(&store.spools, Algorithm::Sha256, &bytes).await;
        let adopted = store.blobs.adopt(spool, Durability::Durable).await;
        adopted.unwrap();
        let put = vec![Change::put(key, bytes)];
        let put = store.hosted_records.commit(put, Durability::Durable);
        put.await.unwrap();
        println!("{KEPT}{number}");
    }
}

fn numbered(number: u32) -> (RecordKey, Vec<u8>) {
    let text = number.to_string();
    let key = RecordKey::new(&["killed", &text]);
    (key, text.repeat(1000).into_bytes())
}

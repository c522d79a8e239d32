//! What spools promise while they grow, when they are left, and when they are complete.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::oci::{Algorithm, Measurer};
use crate::runtime::{Clock, Tasks};
use crate::store::space::{Space, SpaceFloor};

struct Fixture {
    folder: TempDir,
    tasks: Tasks,
    area: SpoolArea,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tasks, area) = open(folder.path(), Clock::system());
        Self {
            folder,
            tasks,
            area,
        }
    }

    /// The same folder, as the next process finds it.
    fn restart(&mut self) {
        (self.tasks, self.area) = open(self.folder.path(), Clock::system());
    }

    /// What is in the folder, once all that was dropped is gone.
    async fn files(&self) -> Vec<String> {
        assert_eq!(self.tasks.drain(Duration::from_secs(60)).await, 0);
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn open(folder: &Path, clock: Clock) -> (Tasks, SpoolArea) {
    let tasks = Tasks::new();
    let area = SpoolArea::open(folder, SpaceFloor::new(0), tasks.clone(), clock).unwrap();
    (tasks, area)
}

fn content(bytes: &[u8]) -> VerifiedContent {
    Measurer::measure(Algorithm::Sha256, bytes)
}

fn intervals(runs: &[(u64, u64)]) -> Intervals {
    runs.to_vec().try_into().unwrap()
}

#[tokio::test]
async fn what_was_persisted_and_kept_is_resumed_after_a_restart() {
    let mut fixture = Fixture::new();
    let content = content(b"0123456789");
    let spool = fixture.area.create(content.digest()).await.unwrap();
    assert_eq!((spool.intervals(), spool.total()), Default::default());
    spool.reserve(10).await.unwrap();
    spool.write_at(0, b"012").unwrap();
    spool.write_at(7, b"78").unwrap();
    let written = intervals(&[(0, 3), (7, 9)]);
    spool.persist(&Intervals::default(), None).unwrap();
    spool.persist(&written, Some(10)).unwrap();
    spool.keep();
    fixture.files().await;

    fixture.restart();
    assert_eq!(fixture.area.sweep().await.unwrap().kept, 1);
    let spool = fixture.area.resume(&content.digest()).await.unwrap();
    let spool = spool.unwrap();
    assert_eq!((spool.intervals(), spool.total()), (written, Some(10)));
    assert_eq!(spool.digest(), content.digest());
    let mut buffer = [0; 2];
    spool.read_at(7, &mut buffer).unwrap();
    assert_eq!(&buffer, b"78");
}

#[tokio::test]
async fn a_spool_is_resumed_by_one_only() {
    let fixture = Fixture::new();
    let digest = content(b"abc").digest();
    let spool = fixture.area.create(digest).await.unwrap();
    spool.write_at(0, b"a").unwrap();
    spool.persist(&intervals(&[(0, 1)]), None).unwrap();
    assert!(fixture.area.resume(&digest).await.unwrap().is_none());
    spool.keep();
    let resumed = fixture.area.resume(&digest).await.unwrap().unwrap();
    assert!(fixture.area.resume(&digest).await.unwrap().is_none());
    let fresh = fixture.area.create(digest).await.unwrap();
    drop((resumed, fresh));
    assert!(fixture.files().await.is_empty());
    assert!(fixture.area.resume(&digest).await.unwrap().is_none());
}

#[tokio::test]
async fn the_fullest_of_several_is_resumed_and_no_byte_is_believed_that_is_not_there() {
    let fixture = Fixture::new();
    let digest = content(b"abcdef").digest();
    let mut spools = Vec::new();
    for claimed in [2, 6, 3] {
        let spool = fixture.area.create(digest).await.unwrap();
        spool.write_at(0, b"abcd").unwrap();
        spool.persist(&intervals(&[(0, claimed)]), Some(6)).unwrap();
        spools.push(spool);
    }
    spools.into_iter().for_each(Spool::keep);
    let spool = fixture.area.resume(&digest).await.unwrap().unwrap();
    assert_eq!(spool.intervals(), intervals(&[(0, 4)]));
    let past = spool.read_at(3, &mut [0; 2]).unwrap_err();
    assert!(matches!(past, StoreError::Truncated { .. }), "{past}");
}

#[tokio::test]
async fn a_spool_that_is_dropped_takes_its_files_along() {
    let fixture = Fixture::new();
    let spool = fixture.area.create(content(b"abc").digest()).await.unwrap();
    spool.write_at(0, b"abc").unwrap();
    spool.persist(&intervals(&[(0, 3)]), None).unwrap();
    let reader = spool.file();
    drop(spool);
    assert!(fixture.files().await.is_empty());
    let mut buffer = [0; 3];
    reader.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"abc");
}

#[tokio::test]
async fn a_sealed_spool_has_the_size_of_its_content_and_outlives_the_spool() {
    let fixture = Fixture::new();
    let content = content(b"abc");
    let spool = fixture.area.create(content.digest()).await.unwrap();
    spool.write_at(0, b"abc, and what came too much").unwrap();
    let sealed = spool.seal(content).unwrap();
    drop(spool);
    assert_eq!(fs::read(sealed.staged.path()).unwrap(), b"abc");
    assert_eq!(sealed.content(), content);
    drop(sealed);
    assert!(fixture.files().await.is_empty());
}

#[tokio::test]
async fn content_in_memory_becomes_a_sealed_spool() {
    let fixture = Fixture::new();
    for bytes in [&b"a manifest"[..], b""] {
        let content = content(bytes);
        let written = fixture.area.write(content, Bytes::copy_from_slice(bytes));
        let written = written.await.unwrap();
        assert_eq!(fs::read(written.staged.path()).unwrap(), bytes);
        assert_eq!(written.content(), content);
    }
}

#[tokio::test]
async fn reserving_takes_room_but_adds_no_length() {
    let fixture = Fixture::new();
    let spool = fixture.area.create(content(b"abc").digest()).await.unwrap();
    spool.reserve(1 << 20).await.unwrap();
    spool.reserve(0).await.unwrap();
    assert_eq!(spool.file().metadata().unwrap().len(), 0);
}

#[tokio::test]
async fn what_would_leave_too_little_space_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let free = Space::of(folder.path()).unwrap().free;
    let floor = SpaceFloor::new(free / 2);
    let area = SpoolArea::open(folder.path(), floor, Tasks::new(), Clock::system()).unwrap();
    let spool = area.create(content(b"abc").digest()).await.unwrap();
    let refused = spool.reserve(free - free / 4).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoSpace { .. }), "{refused:?}");
    assert_eq!(spool.file().metadata().unwrap().blocks(), 0);
    spool.reserve(1 << 20).await.unwrap();
}

#[tokio::test]
async fn a_sweep_leaves_what_is_in_use_or_can_be_resumed() {
    let mut fixture = Fixture::new();
    let names = {
        let whole = fixture.area.create(content(b"whole").digest()).await;
        let (whole, digest) = (whole.unwrap(), content(b"whole").digest());
        whole.persist(&Intervals::default(), Some(5)).unwrap();
        whole.keep();
        let mute = fixture.area.create(content(b"mute").digest()).await;
        mute.unwrap().keep();
        let kept = fixture.files().await;
        assert_eq!(kept.len(), 3);
        kept.into_iter()
            .filter(|name| name.contains(&digest.hex()))
            .collect::<Vec<_>>()
    };
    let path = |name: &str| fixture.folder.path().join(name);
    let side = fs::read_to_string(path(&names[0])).unwrap();
    let (stem, _) = names[0].rsplit_once('.').unwrap();
    let (stem, _) = stem.rsplit_once('.').unwrap();
    let broken = [
        side.replace("\"version\":1", "\"version\":2"),
        side.replace("\"total\":5", "\"total\":5,\"more\":1"),
        side.replace("\"written\":[]", "\"written\":[[0,6]]"),
        side.replace("sha256:", "sha512:"),
        side[..side.len() / 2].to_owned(),
        String::new(),
    ];
    for (number, broken) in broken.iter().enumerate() {
        assert_ne!(broken, &side);
        fs::write(path(&format!("{stem}.{}.json", number + 100)), broken).unwrap();
        fs::write(path(&format!("{stem}.{}.spool", number + 100)), "x").unwrap();
    }
    fs::write(path(&format!("{stem}.200.json")), &side).unwrap();
    fs::write(path(&format!("{stem}.201.json-new")), &side).unwrap();
    fs::write(path("notes.txt"), "x").unwrap();

    fixture.restart();
    let used = fixture
        .area
        .create(content(b"used").digest())
        .await
        .unwrap();
    let swept = fixture.area.sweep().await.unwrap();
    let removed = 2 * broken.len() + 4;
    assert_eq!(swept, Swept { kept: 2, removed });
    used.write_at(0, b"used").unwrap();
    drop(used);
    assert_eq!(fixture.files().await, names);
}

#[tokio::test]
async fn a_sweep_removes_what_is_too_old() {
    let mut fixture = Fixture::new();
    let spool = fixture.area.create(content(b"old").digest()).await.unwrap();
    spool.persist(&Intervals::default(), None).unwrap();
    spool.keep();
    fixture.files().await;
    let later = Clock::set_to(Clock::system().now());
    (fixture.tasks, fixture.area) = open(fixture.folder.path(), later.clone());
    later.advance(SpoolArea::MAX_AGE - Duration::from_secs(60));
    assert_eq!(fixture.area.sweep().await.unwrap().kept, 1);
    later.advance(Duration::from_secs(120));
    let swept = fixture.area.sweep().await.unwrap();
    assert_eq!((swept.kept, swept.removed), (0, 2));
    assert!(fixture.files().await.is_empty());
}

#[tokio::test]
#[should_panic(expected = "the content that it was made for")]
async fn a_spool_is_not_sealed_with_the_proof_of_other_content() {
    let fixture = Fixture::new();
    let spool = fixture.area.create(content(b"abc").digest()).await.unwrap();
    drop(spool.seal(content(b"abd")));
}

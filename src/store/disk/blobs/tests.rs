//! What files of blobs promise when something else touches them.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::sync::Weak;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use rustix::fs::Mode;
use tempfile::TempDir;

use super::*;
use crate::store::conformance::{keep, spools, whole};
use crate::store::faulty::{FaultyRecords, RecordOperation};
use crate::store::memory::MemoryRecords;
use crate::store::records::RecordKey;
use crate::store::spool::SpoolArea;

const CONTENT: &[u8] = b"the content of a blob";

struct Fixture {
    folder: TempDir,
    records: Arc<FaultyRecords>,
    spools: SpoolArea,
    blobs: DiskBlobs,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let records = Arc::new(FaultyRecords::new(Arc::new(MemoryRecords::new())));
        let layout = Layout::new(folder.path());
        let spools = spools(&layout.staging(), Tasks::new());
        let blobs = open_blobs(&layout, &records);
        Self {
            folder,
            records,
            spools,
            blobs,
        }
    }

    /// The same folder and records, with nothing in memory.
    fn restart(mut self) -> Self {
        let layout = Layout::new(self.folder.path());
        drop(self.blobs);
        self.blobs = open_blobs(&layout, &self.records);
        self
    }

    async fn keep(&self) -> (Digest, std::path::PathBuf) {
        let digest = keep(&self.blobs, &self.spools, CONTENT).await;
        (digest, Layout::new(self.folder.path()).blob(&digest))
    }

    async fn whole(&self, digest: &Digest) -> Option<Vec<u8>> {
        whole(&self.blobs, digest).await
    }

    /// The file of a blob that is kept open, without holding it.
    fn kept_open(&self, digest: &Digest) -> Weak<File> {
        let kept = self.blobs.0.open_files.find(digest);
        Arc::downgrade(&kept.expect("it is kept open").file)
    }

    /// Keeps a file open as one that asks for the blob does.
    fn keep_open(&self, digest: Digest, (file, stamp): (File, Stamp)) -> Weak<File> {
        let sound = Sound::new(file, stamp);
        self.blobs.0.open_files.keep(digest, &sound);
        Arc::downgrade(&sound.file)
    }
}

fn open_blobs(layout: &Layout, records: &Arc<FaultyRecords>) -> DiskBlobs {
    let lock = Arc::new(FolderLock::take(layout).unwrap());
    let records: Arc<dyn RecordStore> = records.clone();
    DiskBlobs::new(layout.clone(), Tasks::new(), records, lock)
}

fn failure() -> StoreError {
    StoreError::io("test", "/", io::ErrorKind::Other.into())
}

/// Leaves the content alone but not the stamp.
fn touch(path: &std::path::Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1))
        .unwrap();
}

#[tokio::test]
async fn a_known_file_is_not_hashed_again() {
    let fixture = Fixture::new();
    let (digest, _) = fixture.keep().await;
    let fixture = fixture.restart();
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    // From here on memory knows it.
    fixture
        .records
        .fail_next(RecordOperation::Read, usize::MAX, failure());
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert!(fixture.blobs.size(&digest).await.unwrap().is_some());
    assert_eq!(fixture.blobs.checked(), 0);
}

#[tokio::test]
async fn a_file_without_a_stamp_is_hashed_once() {
    let fixture = Fixture::new();
    fixture
        .records
        .fail_next(RecordOperation::Commit, 1, failure());
    let (digest, _) = fixture.keep().await;
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.blobs.checked(), 0);
    let fixture = fixture.restart();
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.blobs.checked(), 1);
    let fixture = fixture.restart();
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.blobs.checked(), 0);
}

#[tokio::test]
async fn records_that_cannot_be_read_cost_a_hash_and_not_the_blob() {
    let fixture = Fixture::new();
    let (digest, _) = fixture.keep().await;
    let fixture = fixture.restart();
    fixture
        .records
        .fail_next(RecordOperation::Read, usize::MAX, failure());
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.blobs.checked(), 1);
}

#[tokio::test]
async fn many_openers_of_a_file_that_differs_hash_it_once() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    touch(&path);
    let opened = join_all((0..16).map(|_| fixture.whole(&digest))).await;
    assert!(opened.iter().all(|found| found.as_deref() == Some(CONTENT)));
    assert_eq!(fixture.blobs.checked(), 1);
}

#[tokio::test]
async fn a_file_that_is_wrong_is_removed_before_a_byte_of_it_goes_out() {
    let damages: [fn(&File); 4] = [
        |file| file.write_all_at(b"T", 0).unwrap(),
        |file| file.set_len(CONTENT.len() as u64 - 1).unwrap(),
        |file| file.set_len(CONTENT.len() as u64 + 1).unwrap(),
        |file| file.set_len(0).unwrap(),
    ];
    let fixture = Fixture::new();
    for (number, damage) in damages.iter().enumerate() {
        let (digest, path) = fixture.keep().await;
        damage(&File::options().write(true).open(&path).unwrap());
        touch(&path);
        if number % 2 == 0 {
            assert!(fixture.blobs.open(&digest, None).await.unwrap().is_none());
        } else {
            assert_eq!(fixture.blobs.size(&digest).await.unwrap(), None);
        }
        assert!(!path.exists());
        assert_eq!(fixture.blobs.checked(), number as u64 + 1);
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_while_it_is_hashed_is_looked_at_anew() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    fs::write(&path, "something else").unwrap();
    let (file, stamp) = open(&path).unwrap().unwrap();
    fixture.keep().await;
    let hashed = fixture.blobs.0.hash(digest, file, stamp).unwrap();
    assert!(hashed.is_none());
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_hashed_proves_nothing() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    let (file, stamp) = open(&path).unwrap().unwrap();
    touch(&path);
    let hashed = fixture.blobs.0.hash(digest, file, stamp).unwrap();
    assert!(hashed.is_none());
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.blobs.checked(), 2);
}

#[tokio::test]
async fn adopting_replaces_a_file_that_differs() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    fs::write(&path, "something else").unwrap();
    fixture.keep().await;
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    assert_eq!(fixture.blobs.checked(), 0);
}

#[tokio::test]
async fn only_files_are_blobs() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    let elsewhere = fixture.folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    let strangers: [&dyn Fn(); 3] = [
        &|| symlink(&elsewhere, &path).unwrap(),
        &|| symlink("nowhere", &path).unwrap(),
        &|| rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap(),
    ];
    for make in strangers {
        make();
        assert!(fixture.blobs.open(&digest, None).await.unwrap().is_none());
        let listed: Vec<_> = fixture.blobs.list().try_collect().await.unwrap();
        assert_eq!(listed, []);
        fixture.keep().await;
        assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), CONTENT);
    fs::create_dir(&path).unwrap();
    assert!(fixture.blobs.open(&digest, None).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_not_named_like_a_blob_is_not_listed() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    let folder = path.parent().unwrap();
    let other = Digest::Sha256([0xee; 32]).hex();
    assert!(!digest.hex().starts_with("ee"));
    for name in ["notes.txt", &digest.hex()[1..], &other] {
        fs::write(folder.join(name), CONTENT).unwrap();
    }
    let listed: Vec<_> = fixture.blobs.list().try_collect().await.unwrap();
    let size = CONTENT.len() as u64;
    assert_eq!(listed, [StoredBlob { digest, size }]);
}

#[tokio::test]
async fn a_reader_holds_a_lease() {
    let fixture = Fixture::new();
    let (digest, _) = fixture.keep().await;
    let leases = fixture.blobs.leases().clone();
    assert!(!leases.is_leased(&digest));
    let blob = fixture.blobs.open(&digest, None).await.unwrap().unwrap();
    let Opened::Range(_, mut reader) = blob.opened else {
        panic!("the whole of a blob is always there");
    };
    assert!(leases.is_leased(&digest));
    // The lease is not over with the last piece: the bytes are on their way then.
    while reader.next().await.is_some() {}
    assert!(leases.is_leased(&digest));
    drop(reader);
    assert!(!leases.is_leased(&digest));
    let nowhere = fixture.blobs.open(&digest, Some(ByteRange::NOWHERE)).await;
    drop(nowhere.unwrap());
    assert!(!leases.is_leased(&digest));
}

#[tokio::test]
async fn removing_forgets_the_stamp() {
    let fixture = Fixture::new();
    let (digest, _) = fixture.keep().await;
    let stamps = || async {
        let all = fixture.records.list(&RecordKey::prefix(&["stamp"]), None);
        all.try_collect::<Vec<_>>().await.unwrap().len()
    };
    assert_eq!(stamps().await, 1);
    fixture.blobs.remove(&digest).await.unwrap();
    assert_eq!(stamps().await, 0);
}

#[tokio::test]
async fn the_room_of_what_is_removed_is_free_at_once() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.keep().await;
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    let first = fixture.kept_open(&digest);
    // Two may open it at the same time.
    let second = fixture.keep_open(digest, open(&path).unwrap().unwrap());
    assert_eq!((first.strong_count(), second.strong_count()), (0, 1));
    fixture.blobs.remove(&digest).await.unwrap();
    assert_eq!(second.strong_count(), 0);
    // Nor is what another file took the place of.
    let (digest, path) = fixture.keep().await;
    assert_eq!(fixture.whole(&digest).await.unwrap(), CONTENT);
    let replaced = fixture.kept_open(&digest);
    let before = fs::metadata(&path).unwrap().ino();
    touch(&path);
    fixture.keep().await;
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    assert_eq!(replaced.strong_count(), 0);
    // Who was opening it while it went keeps nothing either.
    let (digest, path) = fixture.keep().await;
    let opened = open(&path).unwrap().unwrap();
    fixture.blobs.remove(&digest).await.unwrap();
    assert_eq!(fixture.keep_open(digest, opened).strong_count(), 0);
}

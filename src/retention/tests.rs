//! What goes first, what stays, and what is known of it after a crash.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use tempfile::TempDir;

use super::*;
use crate::oci::{Algorithm, ByteRange, Digest, Measurer};
use crate::runtime::{Clock, Live, Tasks, Timestamp};
use crate::store::memory::{MemoryBlobs, MemoryRecords};
use crate::store::{
    BlobStore, Durability, LeaseTable, OpenBlob, RecordKey, RecordStore, Space, SpaceFloor,
    SpoolArea, StoreError, StoredBlob, VerifiedSpool,
};

const KIB: u64 = 1024;
const HOUR: Duration = Duration::from_secs(3600);
/// A disk that is far from full.
const ROOMY: Space = Space {
    total: 1000 << 30,
    free: 900 << 30,
};

struct Fixture {
    _folder: TempDir,
    spools: SpoolArea,
    blobs: Arc<MemoryBlobs>,
    records: Arc<MemoryRecords>,
    tracked: TrackedBlobs,
    usage: Arc<Usage>,
    leases: LeaseTable,
    settings: Live<Settings>,
    clock: Clock,
    evictor: Evictor,
}

impl Fixture {
    /// An empty store that may keep so much.
    async fn keeping(max_size: u64) -> Self {
        let tasks = Tasks::new();
        let blobs = Arc::new(MemoryBlobs::new(tasks.clone()));
        let records = Arc::new(MemoryRecords::new());
        let fixture = Self::over(blobs, records, max_size);
        fixture.usage.count().await.unwrap();
        fixture
    }

    fn over(blobs: Arc<MemoryBlobs>, records: Arc<MemoryRecords>, max_size: u64) -> Self {
        let (tasks, folder) = (Tasks::new(), tempfile::tempdir().unwrap());
        let clock = Clock::set_to(Timestamp::from_millis(1_790_000_000_000));
        let floor = SpaceFloor::new(0);
        let spools =
            SpoolArea::open(folder.path(), floor.clone(), tasks.clone(), clock.clone()).unwrap();
        let usage = Arc::new(Usage::new(records.clone(), clock.clone()));
        let settings = Live::new(Settings {
            max_size: Some(max_size),
        });
        let leases = LeaseTable::default();
        let evictor = Evictor::new(Parts {
            blobs: blobs.clone(),
            leases: leases.clone(),
            usage: usage.clone(),
            floor,
            settings: settings.clone(),
            metrics: Metrics::default(),
            tasks,
        });
        Self {
            _folder: folder,
            spools,
            tracked: TrackedBlobs::new(blobs.clone(), usage.clone()),
            blobs,
            records,
            usage,
            leases,
            settings,
            clock,
            evictor,
        }
    }

    /// Keeps a blob of so many KiB, in which only this byte is.
    async fn keep(&self, byte: u8, kib: u64) -> Digest {
        let bytes = Bytes::from(vec![byte; usize::try_from(kib * KIB).unwrap()]);
        let content = Measurer::measure(Algorithm::Sha256, &bytes);
        let digest = content.digest();
        let spool = self.spools.write(content, bytes).await.unwrap();
        self.tracked
            .adopt(spool, Durability::Eventual)
            .await
            .unwrap();
        digest
    }

    /// Reads a blob, and lets go of it.
    async fn read(&self, digest: &Digest) {
        drop(self.tracked.open(digest, None).await.unwrap().unwrap());
    }

    /// Writes down what was used, and lets an hour go by.
    async fn hour(&self) {
        self.usage.write_down().await;
        self.clock.advance(HOUR);
    }

    /// Makes room on a disk with enough of it.
    async fn make_room(&mut self) {
        self.usage.write_down().await;
        self.evictor.make_room(ROOMY, 0).await;
    }

    async fn has(&self, digest: &Digest) -> bool {
        self.blobs.size(digest).await.unwrap().is_some()
    }

    /// Returns what is written down, as it would be counted anew.
    async fn counted(&self) -> Kept {
        let anew = Usage::new(self.records.clone(), self.clock.clone());
        anew.count().await.unwrap()
    }
}

#[tokio::test]
async fn what_was_used_least_lately_goes_and_what_is_used_stays() {
    let mut fixture = Fixture::keeping(1000 * KIB).await;
    let old = fixture.keep(1, 400).await;
    fixture.hour().await;
    let middle = fixture.keep(2, 400).await;
    fixture.hour().await;
    fixture.read(&old).await;
    fixture.hour().await;
    fixture.make_room().await;
    assert!(fixture.has(&middle).await, "there is room for both");
    let new = fixture.keep(3, 400).await;
    fixture.make_room().await;
    let has = [
        fixture.has(&old).await,
        fixture.has(&middle).await,
        fixture.has(&new).await,
    ];
    assert_eq!(has, [true, false, true]);
    let kept = Kept {
        blobs: 2,
        bytes: 800 * KIB,
    };
    assert_eq!(fixture.usage.kept(), Some(kept));
    assert_eq!(fixture.counted().await, kept);
}

#[tokio::test]
async fn what_is_small_outlives_what_makes_room() {
    let mut fixture = Fixture::keeping(1000 * KIB).await;
    let small = fixture.keep(1, 8).await;
    for day in 0..40 {
        fixture.clock.advance(HOUR * 24);
        fixture.keep(100 + day, 600).await;
        fixture.make_room().await;
        let is_young = day < 28;
        assert!(fixture.has(&small).await || !is_young, "after {day} days");
    }
    assert!(!fixture.has(&small).await, "it does not stay for ever");
}

#[tokio::test]
async fn what_is_being_read_stays_until_it_is_not() {
    let mut fixture = Fixture::keeping(1000 * KIB).await;
    let read = fixture.keep(1, 600).await;
    let lease = fixture.leases.lease(read);
    fixture.hour().await;
    let used = fixture.keep(2, 600).await;
    fixture.hour().await;
    // It was used since uses were written down.
    fixture.read(&used).await;
    fixture.evictor.make_room(ROOMY, 0).await;
    assert!(fixture.has(&read).await && fixture.has(&used).await);
    drop(lease);
    fixture.evictor.make_room(ROOMY, 0).await;
    assert!(!fixture.has(&read).await && fixture.has(&used).await);
}

#[tokio::test]
async fn a_full_disk_and_what_was_not_kept_make_room_too() {
    let mut fixture = Fixture::keeping(1 << 40).await;
    let old = fixture.keep(1, 600).await;
    fixture.hour().await;
    let new = fixture.keep(2, 600).await;
    fixture.hour().await;
    fixture.evictor.make_room(ROOMY, 0).await;
    assert!(fixture.has(&old).await);
    let small = Space {
        total: 10_000 * KIB,
        free: 5_000 * KIB,
    };
    fixture.evictor.make_room(small, 100 * KIB).await;
    assert_eq!(
        (fixture.has(&old).await, fixture.has(&new).await),
        (false, true)
    );
}

#[tokio::test]
async fn a_smaller_limit_counts_from_then_on() {
    let mut fixture = Fixture::keeping(2000 * KIB).await;
    let old = fixture.keep(1, 600).await;
    fixture.hour().await;
    fixture.keep(2, 600).await;
    fixture.hour().await;
    fixture.make_room().await;
    assert!(fixture.has(&old).await);
    let max_size = Some(1000 * KIB);
    fixture.settings.replace(Settings { max_size });
    fixture.make_room().await;
    assert!(!fixture.has(&old).await);
}

#[tokio::test]
async fn what_came_or_went_without_a_note_is_found() {
    let first = Fixture::keeping(1 << 30).await;
    let kept = first.keep(1, 10).await;
    let gone = first.keep(2, 20).await;
    first.usage.write_down().await;
    // What a crash leaves: one came that is not written down, and one went.
    let lost = first.keep(3, 30).await;
    first.blobs.remove(&gone).await.unwrap();
    let second = Fixture::over(first.blobs.clone(), first.records.clone(), 1 << 30);
    assert_eq!(second.usage.kept(), None);
    assert_eq!(second.usage.count().await.unwrap().bytes, 30 * KIB);
    second.evictor.compare().await.unwrap();
    let found = Kept {
        blobs: 2,
        bytes: 40 * KIB,
    };
    assert_eq!(second.usage.kept(), Some(found));
    assert_eq!(second.counted().await, found);
    for digest in [kept, lost] {
        assert!(second.has(&digest).await);
    }
    // Comparing again finds nothing new.
    second.evictor.compare().await.unwrap();
    assert_eq!(second.usage.kept(), Some(found));
}

#[tokio::test]
async fn a_blob_has_one_place_in_the_order_however_often_it_is_used() {
    let fixture = Fixture::keeping(1 << 30).await;
    let digest = fixture.keep(1, 100).await;
    for _ in 0..3 {
        fixture.hour().await;
        fixture.read(&digest).await;
        fixture.usage.write_down().await;
    }
    let list = |part| fixture.records.list(&RecordKey::prefix(&[part]), None);
    assert_eq!(list("use").count().await, 1);
    assert_eq!(list("blob").count().await, 1);
    fixture.tracked.remove(&digest).await.unwrap();
    let left: Vec<RecordKey> = list("use").try_collect().await.unwrap();
    assert_eq!(left, []);
    assert_eq!(fixture.usage.kept(), Some(Kept::default()));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_make_enough_room_is_not_gone_through_for_each_blob_that_comes() {
    let mut fixture = Fixture::keeping(1000 * KIB).await;
    let waited = async |fixture: &Fixture| {
        let began = tokio::time::Instant::now();
        fixture.usage.arrival.notify_one();
        assert_eq!(fixture.evictor.occasion().await, 0);
        began.elapsed()
    };
    assert!(waited(&fixture).await < Duration::from_secs(1));
    let read = fixture.keep(1, 1200).await;
    let lease = fixture.leases.lease(read);
    fixture.make_room().await;
    assert_eq!(waited(&fixture).await, Duration::from_mins(1));
    drop(lease);
    fixture.make_room().await;
    assert!(!fixture.has(&read).await);
    assert!(waited(&fixture).await < Duration::from_secs(1));
}

/// A store of blobs to which something happens at the moment at which one is removed.
#[derive(Debug)]
struct Removing {
    blobs: Arc<MemoryBlobs>,
    usage: Arc<Usage>,
    meanwhile: Meanwhile,
}

/// What happens meanwhile.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// The blob comes again, when it is gone.
    Comes,
    /// Somebody found it, and takes a note of that when it is gone.
    Found,
}

#[async_trait]
impl BlobStore for Removing {
    async fn open(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<OpenBlob>, StoreError> {
        self.blobs.open(digest, range).await
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.blobs.size(digest).await
    }

    async fn adopt(&self, spool: VerifiedSpool, durability: Durability) -> Result<(), StoreError> {
        self.blobs.adopt(spool, durability).await
    }

    async fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        let size = self.blobs.size(digest).await?.unwrap();
        match self.meanwhile {
            Meanwhile::Comes => self.usage.arrived(*digest, size),
            Meanwhile::Found => {
                self.blobs.remove(digest).await?;
                self.usage.used(*digest, size);
            }
        }
        Ok(())
    }

    fn list(&self) -> BoxStream<'static, Result<StoredBlob, StoreError>> {
        self.blobs.list()
    }
}

#[tokio::test]
async fn what_comes_or_is_found_while_it_is_removed_is_counted_as_it_is() {
    for (meanwhile, kib) in [(Meanwhile::Comes, 600), (Meanwhile::Found, 0)] {
        let mut fixture = Fixture::keeping(1000 * KIB).await;
        fixture.keep(1, 600).await;
        fixture.hour().await;
        fixture.settings.replace(Settings { max_size: Some(0) });
        fixture.evictor = Evictor::new(Parts {
            blobs: Arc::new(Removing {
                blobs: fixture.blobs.clone(),
                usage: fixture.usage.clone(),
                meanwhile,
            }),
            leases: fixture.leases.clone(),
            usage: fixture.usage.clone(),
            floor: SpaceFloor::new(0),
            settings: fixture.settings.clone(),
            metrics: Metrics::default(),
            tasks: Tasks::new(),
        });
        fixture.evictor.make_room(ROOMY, 0).await;
        fixture.evictor.write_down().await;
        let kept = fixture.usage.kept().unwrap();
        assert_eq!(kept.bytes, kib * KIB, "{meanwhile:?}");
        assert_eq!(fixture.counted().await, kept, "{meanwhile:?}");
    }
}

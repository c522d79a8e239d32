//! Blobs as plain files.
//!
//! A file is what its name says as long as its stamp is the one that was taken when it was verified. Another file is
//! hashed again before a byte of it goes out, by one opener for all, and thrown away when it is wrong. This finds
//! edited, cut, restored and foreign files; silent rot of the medium changes no stamp.

mod file;
mod open_files;

use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};

use self::file::{hash, list, open};
use self::open_files::{OpenFiles, Sound};
use super::layout::Layout;
use super::lock::FolderLock;
use super::stamp::{Stamp, Stamps};
use super::sync::{create_folder, sync_folder};
use crate::oci::{Algorithm, ByteRange, ContentRange, Digest};
use crate::runtime::Tasks;
use crate::store::blocking::{blocking, result};
use crate::store::content::{FileSlice, OpenBlob, Opened, Piece, StoredBlob};
use crate::store::error::StoreError;
use crate::store::lease::LeaseTable;
use crate::store::spool::VerifiedSpool;
use crate::store::{BlobStore, Durability, RecordStore};

/// How many files are hashed again at the same time. After a restore from a backup that may be wanted for all of them.
const CHECKS: usize = 16;

/// How often a check begins anew because the file was replaced meanwhile.
const CHECK_ATTEMPTS: usize = 3;

/// Blobs in a folder.
#[derive(Debug)]
pub struct DiskBlobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layout: Layout,
    tasks: Tasks,
    stamps: Stamps,
    open_files: OpenFiles,
    leases: LeaseTable,
    /// Held while a name is given or taken away.
    names: Mutex<()>,
    /// Held while a file is hashed again, by the last bits of the digest.
    checks: [Arc<tokio::sync::Mutex<()>>; CHECKS],
    checked: AtomicU64,
    /// The folder stays ours as long as its blobs are in use.
    _lock: Arc<FolderLock>,
}

/// What is at the place of a blob.
enum Found {
    Nothing,
    Sound(Sound),
    /// A file that has to be looked at.
    Unknown(File, Stamp),
}

impl DiskBlobs {
    pub(super) fn new(
        layout: Layout,
        tasks: Tasks,
        records: Arc<dyn RecordStore>,
        lock: Arc<FolderLock>,
    ) -> Self {
        Self(Arc::new(Shared {
            layout,
            tasks,
            stamps: Stamps::new(records),
            open_files: OpenFiles::default(),
            leases: LeaseTable::default(),
            names: Mutex::default(),
            checks: Default::default(),
            checked: AtomicU64::new(0),
            _lock: lock,
        }))
    }

    /// Returns the table that says which blobs are being read.
    pub fn leases(&self) -> &LeaseTable {
        &self.0.leases
    }

    /// Returns how many files were hashed again because they differed from what was recorded.
    pub fn checked(&self) -> u64 {
        self.0.checked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl BlobStore for DiskBlobs {
    async fn open(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<OpenBlob>, StoreError> {
        let lease = self.0.leases.lease(*digest);
        let Some(sound) = Shared::find(&self.0, *digest).await? else {
            return Ok(None);
        };
        let total = sound.size();
        let range = range.map_or(Ok(ContentRange::whole(total)), |range| range.resolve(total));
        let opened = match range {
            Ok(range) => {
                let slice = FileSlice {
                    file: sound.file,
                    offset: range.start(),
                    length: range.length(),
                };
                let pieces = (slice.length > 0).then_some(Piece::File(slice));
                let reader = stream::iter(pieces).map(move |piece| {
                    // The lease lives as long as the reader.
                    let _ = &lease;
                    Ok(piece)
                });
                Opened::Range(range, reader.boxed())
            }
            Err(unsatisfiable) => Opened::Unsatisfiable(unsatisfiable),
        };
        Ok(Some(OpenBlob { total, opened }))
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let found = Shared::find(&self.0, *digest).await?;
        Ok(found.map(|sound| sound.size()))
    }

    async fn adopt(&self, spool: VerifiedSpool, durability: Durability) -> Result<(), StoreError> {
        let digest = spool.content().digest();
        let shared = Arc::clone(&self.0);
        let placed = blocking(&self.0.tasks, move || shared.place(&spool)).await?;
        self.0.stamps.record(&digest, placed, durability).await;
        Ok(())
    }

    async fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        let (shared, path) = (Arc::clone(&self.0), self.0.layout.blob(digest));
        let remove = move || {
            let _names = shared.names();
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(StoreError::io("remove the blob", path, error))
                }
                Ok(()) | Err(_) => Ok(()),
            }
        };
        blocking(&self.0.tasks, remove).await?;
        self.0.open_files.forget(digest);
        self.0.stamps.forget(digest).await;
        Ok(())
    }

    fn list(&self) -> BoxStream<'static, Result<StoredBlob, StoreError>> {
        let (layout, tasks) = (self.0.layout.clone(), self.0.tasks.clone());
        let shards = Algorithm::ALL.into_iter().flat_map(move |algorithm| {
            let shards = layout.shards(algorithm);
            shards.map(move |folder| (algorithm, folder))
        });
        let listed = stream::iter(shards).then(move |(algorithm, folder)| {
            let tasks = tasks.clone();
            async move { blocking(&tasks, move || list(algorithm, &folder)).await }
        });
        let blobs = listed.map_ok(|blobs| stream::iter(blobs.into_iter().map(Ok)));
        blobs.try_flatten().boxed()
    }
}

impl Shared {
    /// Finds the file of a blob, and keeps it open for those who ask next.
    async fn find(shared: &Arc<Self>, digest: Digest) -> Result<Option<Sound>, StoreError> {
        if let Some(sound) = shared.open_files.find(&digest) {
            return Ok(Some(sound));
        }
        let found = Self::find_anew(shared, digest).await?;
        if let Some(sound) = &found {
            shared.open_files.keep(digest, sound);
        }
        Ok(found)
    }

    /// Finds the file of a blob that is not open. A known one takes one visit to the blocking pool and no record.
    async fn find_anew(shared: &Arc<Self>, digest: Digest) -> Result<Option<Sound>, StoreError> {
        let looking = Arc::clone(shared);
        match blocking(&shared.tasks, move || looking.look(&digest)).await? {
            Found::Nothing => return Ok(None),
            Found::Sound(sound) => return Ok(Some(sound)),
            Found::Unknown(file, stamp) => {
                if shared.stamps.is_recorded(&digest, stamp).await {
                    return Ok(Some(Sound::new(file, stamp)));
                }
            }
        }
        let last = digest.bytes().last().copied().unwrap_or_default();
        let check = Arc::clone(&shared.checks[usize::from(last) % CHECKS]);
        let turn = check.lock_owned().await;
        let checking = Arc::clone(shared);
        // A task of its own: whoever waits for the turn needs the result when this opener has left.
        let check = shared.tasks.spawn("blob check", async move {
            let checked = checking.check(digest).await;
            drop(turn);
            checked
        });
        result(check).await
    }

    /// Hashes the file of a blob, unless another has done so meanwhile.
    async fn check(self: Arc<Self>, digest: Digest) -> Result<Option<Sound>, StoreError> {
        for _ in 0..CHECK_ATTEMPTS {
            let looking = Arc::clone(&self);
            let look = move || {
                // An adoption that is under way comes to its end.
                let _names = looking.names();
                looking.look(&digest)
            };
            let (file, stamp) = match blocking(&self.tasks, look).await? {
                Found::Nothing => return Ok(None),
                Found::Sound(sound) => return Ok(Some(sound)),
                Found::Unknown(file, stamp) => (file, stamp),
            };
            let hashing = Arc::clone(&self);
            let hash = move || hashing.hash(digest, file, stamp);
            if let Some(sound) = blocking(&self.tasks, hash).await? {
                let recorded = self.stamps.record(&digest, stamp, Durability::Eventual);
                recorded.await;
                return Ok(Some(sound));
            }
        }
        Ok(None)
    }

    /// Opens the file of a blob and compares it with what is remembered. Blocking.
    fn look(&self, digest: &Digest) -> Result<Found, StoreError> {
        let path = self.layout.blob(digest);
        let Some((file, stamp)) = open(&path).map_err(|e| StoreError::io("open", path, e))? else {
            return Ok(Found::Nothing);
        };
        Ok(if self.stamps.is_remembered(digest, stamp) {
            Found::Sound(Sound::new(file, stamp))
        } else {
            Found::Unknown(file, stamp)
        })
    }

    /// Hashes a file. One that is wrong is removed; one that changed meanwhile is nothing either. Blocking.
    fn hash(&self, digest: Digest, file: File, stamp: Stamp) -> Result<Option<Sound>, StoreError> {
        let path = self.layout.blob(&digest);
        self.checked.fetch_add(1, Ordering::Relaxed);
        let hashed = hash(&file, digest).and_then(|is_right| Ok((is_right, file.metadata()?)));
        let (is_right, now) = hashed.map_err(|error| StoreError::io("read", &path, error))?;
        if Stamp::of(&now) != stamp {
            return Ok(None);
        }
        if is_right {
            self.stamps.remember(digest, stamp);
            return Ok(Some(Sound::new(file, stamp)));
        }
        tracing::warn!(
            content.digest = %digest,
            size_bytes = stamp.size,
            path = %path.display(),
            "a blob is not what it was any more: it is removed, and fetched again when it is asked for"
        );
        let _names = self.names();
        let is_same = open(&path)
            .is_ok_and(|found| found.is_some_and(|(_, found)| found.inode == stamp.inode));
        if is_same {
            fs::remove_file(&path).map_err(|error| StoreError::io("remove", &path, error))?;
            self.open_files.forget(&digest);
        }
        Ok(None)
    }

    /// Gives a spool the name of its content, unless that is there. Blocking.
    fn place(&self, spool: &VerifiedSpool) -> Result<Stamp, StoreError> {
        let digest = spool.content().digest();
        let (folder, path) = (self.layout.shard(&digest), self.layout.blob(&digest));
        let describe = |action| {
            let path = path.clone();
            move |error| StoreError::io(action, path, error)
        };
        let synced = spool.file().sync_data();
        synced.map_err(describe("sync the spool of"))?;
        create_folder(&folder).map_err(describe("create the folder of"))?;
        let stamp = {
            let _names = self.names();
            match open(&path) {
                Ok(Some((_, stamp))) if self.stamps.is_remembered(&digest, stamp) => stamp,
                _ => {
                    fs::rename(spool.path(), &path).map_err(describe("move into place"))?;
                    self.open_files.forget(&digest);
                    let metadata = spool.file().metadata();
                    let stamp = Stamp::of(&metadata.map_err(describe("examine"))?);
                    self.stamps.remember(digest, stamp);
                    stamp
                }
            }
        };
        sync_folder(&folder).map_err(describe("sync the folder of"))?;
        Ok(stamp)
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().expect("nothing panics while it renames")
    }
}

#[cfg(test)]
mod tests;

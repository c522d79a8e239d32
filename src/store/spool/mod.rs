//! Spools: the growing local file of a fill.
//!
//! A spool is a file, the set of ranges that were written, and (kept by the fill) how far they were verified. The length
//! of the file says nothing: room is reserved before it is used. Any number of readers may hold the file while it
//! grows, and go on with it when it becomes a blob or when it is thrown away.

mod area;
mod claim;
pub mod intervals;
mod side_file;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

pub use area::{SpoolArea, Swept};
pub use intervals::Intervals;

use self::claim::Claim;
use self::side_file::SideFile;
use super::blocking::blocking;
use super::error::StoreError;
use crate::oci::{Digest, VerifiedContent};

/// The growing file of a fill. Share it in an [`Arc`] to write from several tasks at once.
///
/// Dropping it takes its file away, unless it was sealed and the [`VerifiedSpool`] lives on, or was kept.
#[derive(Debug)]
pub struct Spool {
    staged: Arc<Staged>,
    resumed: Option<SideFile>,
    /// Held while the side file is replaced.
    persisting: Mutex<()>,
}

impl Spool {
    fn new(staged: Staged, resumed: Option<SideFile>) -> Self {
        Self {
            staged: Arc::new(staged),
            resumed,
            persisting: Mutex::new(()),
        }
    }

    /// Returns which content the spool is for.
    pub fn digest(&self) -> Digest {
        self.staged.claim.name().digest
    }

    /// Returns the file, for readers. What was not written yet reads as zeros, or not at all.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.staged.file)
    }

    /// Returns what had been written when the spool was resumed; nothing for a fresh one.
    pub fn intervals(&self) -> Intervals {
        let resumed = self.resumed.as_ref();
        resumed.map_or_else(Intervals::default, |side| side.written.clone())
    }

    /// Returns the size of the content, when it was known as the spool was last persisted.
    pub fn total(&self) -> Option<u64> {
        self.resumed.as_ref().and_then(|side| side.total)
    }

    /// Sets room aside for the whole content, without changing the length of the file. What is there already counts.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when there would be less free space than the floor, or none at all.
    pub async fn reserve(&self, total: u64) -> Result<(), StoreError> {
        let staged = Arc::clone(&self.staged);
        let tasks = staged.claim.tasks().clone();
        blocking(&tasks, move || staged.reserve(total)).await
    }

    /// Writes bytes at a position. Blocking.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when the file system is full.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.staged.write_at(offset, bytes)
    }

    /// Fills the buffer with the bytes from a position on. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Truncated`] when the file ends before.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let read = self.staged.file.read_exact_at(buffer, offset);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => StoreError::Truncated {
                path: self.staged.path(),
            },
            _ => StoreError::io("read the spool", self.staged.path(), error),
        })
    }

    /// Notes beside the file what was written, so that a later process can go on. Blocking.
    ///
    /// Nothing is synced: after a loss of power the note may say more than the file has, so whoever resumes hashes
    /// again what is there.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when the file system is full.
    pub fn persist(&self, written: &Intervals, total: Option<u64>) -> Result<(), StoreError> {
        let one_at_a_time = self.persisting.lock();
        let _one_at_a_time = one_at_a_time.expect("nothing panics while it persists");
        let side = SideFile::new(self.digest(), total, written.clone());
        side.write(&self.staged.claim)
    }

    /// Declares the content complete and gives the file its length. Blocking, shortly.
    ///
    /// The files go away when both this spool and the sealed one are dropped, unless a store has adopted it.
    ///
    /// # Panics
    /// When the proof is one of another content.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the length cannot be set.
    pub fn seal(&self, content: VerifiedContent) -> Result<VerifiedSpool, StoreError> {
        assert_eq!(
            content.digest(),
            self.digest(),
            "a spool is sealed with the content that it was made for"
        );
        let cut = self.staged.file.set_len(content.size());
        cut.map_err(|error| StoreError::io("set the length of", self.staged.path(), error))?;
        Ok(VerifiedSpool {
            content,
            staged: Arc::clone(&self.staged),
        })
    }

    /// Leaves what was persisted for a later [`SpoolArea::resume`].
    pub fn keep(self) {
        self.staged.is_kept.store(true, Ordering::Relaxed);
    }
}

/// A complete spool whose bytes were verified: the only thing that becomes a blob. Dropping it throws it away.
#[derive(Debug)]
pub struct VerifiedSpool {
    content: VerifiedContent,
    staged: Arc<Staged>,
}

impl VerifiedSpool {
    /// Returns what the file holds.
    pub fn content(&self) -> VerifiedContent {
        self.content
    }

    /// Returns the file, which stays readable when it is adopted and when it is thrown away.
    pub fn file(&self) -> &Arc<File> {
        &self.staged.file
    }

    /// Returns where the file is until a store moves it.
    pub(super) fn path(&self) -> PathBuf {
        self.staged.path()
    }
}

/// The file of a spool. Its files go away with it, unless they are kept.
#[derive(Debug)]
struct Staged {
    claim: Arc<Claim>,
    file: Arc<File>,
    is_kept: AtomicBool,
}

impl Staged {
    fn new(claim: Claim, file: File) -> Self {
        Self {
            claim: Arc::new(claim),
            file: Arc::new(file),
            is_kept: AtomicBool::new(false),
        }
    }

    fn path(&self) -> PathBuf {
        self.claim.content_path()
    }

    fn reserve(&self, total: u64) -> Result<(), StoreError> {
        let path = self.path();
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|error| StoreError::io("examine", &path, error))?;
        let needed = total.saturating_sub(metadata.blocks().saturating_mul(512));
        let floor = self.claim.floor();
        floor.admit(self.claim.folder(), needed)?;
        if total == 0 {
            return Ok(());
        }
        let reserved = rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(&*self.file, FallocateFlags::KEEP_SIZE, 0, total)
        });
        match reserved {
            // A file system that cannot reserve finds out while it writes.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => {
                let folder = self.claim.folder();
                Err(floor.describe("reserve room in", folder, needed, error.into()))
            }
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| {
            let floor = self.claim.floor();
            floor.describe("write the spool", &self.path(), bytes.len() as u64, error)
        })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            // Freeing the blocks of a large file takes long, so the last handle goes along.
            let file = Arc::clone(&self.file);
            Claim::remove_files(Arc::clone(&self.claim), file);
        }
    }
}

#[cfg(test)]
mod tests;

//! The folder of the spools.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::OFlags;

use super::claim::{Area, Claim, Part, SpoolName};
use super::side_file::SideFile;
use super::{Spool, Staged, VerifiedSpool};
use crate::oci::{Digest, VerifiedContent};
use crate::runtime::{Clock, Tasks};
use crate::store::blocking::blocking;
use crate::store::error::StoreError;
use crate::store::space::SpaceFloor;
use crate::telemetry::with_causes;

/// Makes spools in a folder. Clones share it.
#[derive(Clone, Debug)]
pub struct SpoolArea(Arc<Area>);

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Spools that can be resumed, and those in use.
    pub kept: usize,
    /// Files that were removed.
    pub removed: usize,
}

impl SpoolArea {
    /// How long an unfinished spool is worth its room.
    pub const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

    /// Uses a folder, and makes it where it is missing. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be made.
    pub fn open(
        folder: &Path,
        floor: SpaceFloor,
        tasks: Tasks,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(folder)
            .map_err(|error| StoreError::io("create the folder", folder, error))?;
        Ok(Self(Arc::new(Area::new(folder, floor, tasks, clock))))
    }

    /// Begins a spool without a byte.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] or [`StoreError::Io`] when the file cannot be made.
    pub async fn create(&self, digest: Digest) -> Result<Spool, StoreError> {
        let area = Arc::clone(&self.0);
        let staged = blocking(&self.0.tasks, move || area.create(digest)).await?;
        Ok(Spool::new(staged, None))
    }

    /// Goes on with a spool of this content that was left over, the fullest when there are several. It has to be hashed
    /// again: nothing says that its bytes have reached the disk.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be read.
    pub async fn resume(&self, digest: &Digest) -> Result<Option<Spool>, StoreError> {
        let (area, digest) = (Arc::clone(&self.0), *digest);
        blocking(&self.0.tasks, move || area.resume(digest)).await
    }

    /// Spools a whole content that is in memory.
    ///
    /// # Panics
    /// When the proof is one of other bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when there would be less free space than the floor.
    pub async fn write(
        &self,
        content: VerifiedContent,
        bytes: Bytes,
    ) -> Result<VerifiedSpool, StoreError> {
        assert_eq!(
            content.size(),
            bytes.len() as u64,
            "content is written as it was verified"
        );
        let area = Arc::clone(&self.0);
        let write = move || {
            let staged = area.create(content.digest())?;
            staged.reserve(content.size())?;
            staged.write_at(0, &bytes)?;
            Spool::new(staged, None).seal(content)
        };
        blocking(&self.0.tasks, write).await
    }

    /// Removes everything from the folder that is neither in use nor a spool that can be resumed: spools without a
    /// sound note of what they have, those of more than [`SpoolArea::MAX_AGE`], and what has no business there.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be read. A file that cannot be removed is only told in the log.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let area = Arc::clone(&self.0);
        blocking(&self.0.tasks, move || area.sweep()).await
    }
}

impl Area {
    fn create(self: &Arc<Self>, digest: Digest) -> Result<Staged, StoreError> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(claim) = self.claim(SpoolName { digest, number }) else {
                continue;
            };
            match open(&claim, OpenOptions::new().create_new(true)) {
                Ok(file) => return Ok(Staged::new(claim, file)),
                // One that an earlier process left.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let path = claim.content_path();
                    return Err(self.floor.describe("create", &path, 0, error));
                }
            }
        }
    }

    fn resume(self: &Arc<Self>, digest: Digest) -> Result<Option<Spool>, StoreError> {
        let mut fullest: Option<(Claim, SideFile)> = None;
        for (name, part) in self
            .names()?
            .iter()
            .filter_map(|name| SpoolName::parse(name))
        {
            if name.digest != digest || part != Part::Content {
                continue;
            }
            if let Some(claim) = self.claim(name)
                && let Some((side, _)) = SideFile::read(&claim)
                && fullest
                    .as_ref()
                    .is_none_or(|(_, best)| side.written.total() > best.written.total())
            {
                fullest = Some((claim, side));
            }
        }
        let Some((claim, mut side)) = fullest else {
            return Ok(None);
        };
        let path = claim.content_path();
        let opened = open(&claim, &mut OpenOptions::new());
        let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open the spool", path, error)),
        };
        side.written = side.written.before(metadata.len());
        Ok(Some(Spool::new(Staged::new(claim, file), Some(side))))
    }

    fn sweep(self: &Arc<Self>) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for file_name in self.names()? {
            let claim = match SpoolName::parse(&file_name) {
                None => None,
                Some((name, part)) => {
                    let claim = self.claim(name);
                    if claim.as_ref().is_none_or(|claim| self.is_resumable(claim)) {
                        swept.kept += usize::from(part == Part::Content);
                        continue;
                    }
                    claim
                }
            };
            let path = self.folder.join(&file_name);
            match fs::remove_file(&path) {
                Ok(()) => swept.removed += 1,
                // Whoever used it has removed it since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), error = with_causes(&error), "could not sweep a left-over file");
                }
            }
            drop(claim);
        }
        Ok(swept)
    }

    fn is_resumable(&self, claim: &Claim) -> bool {
        let is_young = SideFile::read(claim)
            .is_some_and(|(_, written)| self.clock.now().since(written) <= SpoolArea::MAX_AGE);
        is_young && claim.content_path().is_file()
    }

    /// Returns the names of all files. Names that are not text cannot be ours: they stay.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let read = |error| StoreError::io("read the folder", &self.folder, error);
        let entries = fs::read_dir(&self.folder).map_err(read)?;
        let names = entries.map(|entry| Ok(entry.map_err(read)?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }
}

fn open(claim: &Claim, how: &mut OpenOptions) -> io::Result<File> {
    // Private content may be among it: nobody else's business.
    how.read(true).write(true).mode(0o600);
    how.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    how.open(claim.content_path())
}

//! One larder per folder. The kernel gives the lock up when its process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::layout::Layout;
use crate::store::error::StoreError;

/// The sole use of a folder, until it is dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// More digits than a process id has.
    const OWNER_LIMIT: u64 = 32;

    /// Takes the folder. Blocking, but it does not wait for another larder.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another has it, [`StoreError::Io`] when the folder cannot be written.
    pub(super) fn take(layout: &Layout) -> Result<Self, StoreError> {
        let path = layout.lock();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let opened = options.open(&path);
        let mut file = opened.map_err(|error| StoreError::io("open the lock", &path, error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Self::in_use(layout, &mut file)),
            Err(error) => return Err(StoreError::io("lock", path, error.into())),
        }
        let told = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        told.map_err(|error| StoreError::io("write", path, error))?;
        Ok(Self { _file: file })
    }

    /// Finds out whether nobody has the folder, as far as this user may. Nothing is written. Blocking.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody has it.
    pub(super) fn look(layout: &Layout) -> Result<(), StoreError> {
        let Ok(mut file) = File::open(layout.lock()) else {
            return Ok(());
        };
        // What is got is given up at once. A larder that starts in this moment has to be started again, as with every
        // command that works in the folder.
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Err(Self::in_use(layout, &mut file)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says who has the folder.
    fn in_use(layout: &Layout, file: &mut File) -> StoreError {
        let mut owner = String::new();
        let told = file.take(Self::OWNER_LIMIT).read_to_string(&mut owner);
        let owner = told.ok().map(|_| owner.trim());
        StoreError::InUse {
            path: layout.root().to_owned(),
            owner: owner.filter(|id| !id.is_empty()).unwrap_or("?").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_who_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        std::fs::write(layout.lock(), "4194304000 of a process that was killed").unwrap();
        FolderLock::look(&layout).unwrap();
        let lock = FolderLock::take(&layout).unwrap();
        let second = FolderLock::take(&layout).unwrap_err();
        for refused in [second, FolderLock::look(&layout).unwrap_err()] {
            let StoreError::InUse { path, owner } = refused else {
                panic!("{refused}");
            };
            assert_eq!(path, folder.path());
            assert_eq!(owner, std::process::id().to_string());
        }
        drop(lock);
        FolderLock::take(&layout).unwrap();
    }
}

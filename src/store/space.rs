//! How much room a file system has, and how much of it has to stay free.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::error::StoreError;

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// How large it is.
    pub total: u64,
    /// How much of it this process may still use.
    pub free: u64,
}

impl Space {
    /// Asks the file system that has this file or folder. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it does not say.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let found = rustix::fs::statvfs(path)
            .map_err(|error| StoreError::io("ask for the free space of", path, error.into()))?;
        Ok(Self {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

/// How many bytes of a file system have to stay free whatever is fetched. Clones are the same floor.
#[derive(Clone, Debug)]
pub struct SpaceFloor(Arc<Floor>);

#[derive(Debug)]
struct Floor {
    bytes: AtomicU64,
    /// How many bytes more would have been needed for what was refused, since somebody asked.
    lacking: AtomicU64,
    refused: Notify,
}

impl SpaceFloor {
    /// What a machine needs to go on working, on file systems large enough for it.
    const USUAL: u64 = 10 << 30;

    /// Keeps this many bytes free.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Floor {
            bytes: AtomicU64::new(bytes),
            lacking: AtomicU64::new(0),
            refused: Notify::new(),
        }))
    }

    /// Returns how many bytes are kept free of so many where nothing else is said: the larger of 5 % and 10 GiB, at most a
    /// quarter.
    pub fn usual(total: u64) -> u64 {
        (total / 20).max(Self::USUAL).min(total / 4)
    }

    /// Returns how many bytes are kept free.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Keeps another number of bytes free from now on.
    pub fn set(&self, bytes: u64) {
        self.0.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Waits until something is refused, and returns how many bytes more would have had to be free for the largest of what
    /// was refused since this was called last. For one who waits.
    pub async fn lacking(&self) -> u64 {
        loop {
            let lacking = self.0.lacking.swap(0, Ordering::Relaxed);
            if lacking > 0 {
                return lacking;
            }
            self.0.refused.notified().await;
        }
    }

    /// Agrees to so many more bytes on the file system that has this path. Blocking.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when less than the floor would be left.
    pub(super) fn admit(&self, path: &Path, needed: u64) -> Result<(), StoreError> {
        let free = Space::of(path)?.free;
        let floor = self.bytes().max(1);
        if needed == 0 || free.saturating_sub(needed) >= floor {
            return Ok(());
        }
        let wanted = needed.saturating_add(floor);
        self.lacks(wanted.saturating_sub(free));
        Err(self.no_space(needed, free))
    }

    /// Takes a note that so many bytes more would have had to be free.
    fn lacks(&self, bytes: u64) {
        self.0.lacking.fetch_max(bytes, Ordering::Relaxed);
        self.0.refused.notify_one();
    }

    /// Forgets what was lacking: room was made since.
    pub fn had_room_made(&self) {
        self.0.lacking.store(0, Ordering::Relaxed);
    }

    /// Describes a write that failed: a full file system is told from other failures.
    pub(super) fn describe(
        &self,
        action: &'static str,
        path: &Path,
        needed: u64,
        error: io::Error,
    ) -> StoreError {
        if is_full(&error) {
            let free = Space::of(path).map_or(0, |space| space.free);
            // What is free says nothing where a quota is reached.
            self.lacks(needed.max(1));
            self.no_space(needed, free)
        } else {
            StoreError::io(action, path, error)
        }
    }

    fn no_space(&self, needed: u64, free: u64) -> StoreError {
        StoreError::NoSpace {
            needed_bytes: needed,
            free_bytes: free,
            floor_bytes: self.bytes(),
        }
    }
}

/// Tells whether a write failed for want of room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_floor_fits_the_file_system() {
        const GIB: u64 = 1 << 30;
        for (total, floor) in [
            (0, 0),
            (4 * GIB, GIB),
            (40 * GIB, 10 * GIB),
            (100 * GIB, 10 * GIB),
            (1000 * GIB, 50 * GIB),
        ] {
            assert_eq!(SpaceFloor::usual(total), floor, "{total}");
        }
    }

    #[test]
    fn what_would_cross_the_floor_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let free = Space::of(folder.path()).unwrap().free;
        SpaceFloor::new(0).admit(folder.path(), 1).unwrap();
        let floor = SpaceFloor::new(free * 2);
        let refused = floor.admit(folder.path(), 1).unwrap_err();
        let StoreError::NoSpace { floor_bytes, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(floor_bytes, free * 2);
        floor.admit(folder.path(), 0).unwrap();
    }

    #[tokio::test]
    async fn who_makes_room_hears_how_much_is_lacking() {
        let folder = tempfile::tempdir().unwrap();
        let free = Space::of(folder.path()).unwrap().free;
        let floor = SpaceFloor::new(0);
        floor.admit(folder.path(), free * 2).unwrap_err();
        floor.admit(folder.path(), free * 3).unwrap_err();
        let lacking = floor.lacking().await;
        assert!(lacking > free && lacking < free * 3, "{lacking} of {free}");
        let waiting = floor.clone();
        let later = async {
            tokio::task::yield_now().await;
            floor.set(free * 2);
            floor.admit(folder.path(), 1).unwrap_err();
        };
        let (lacking, ()) = tokio::join!(waiting.lacking(), later);
        assert!(lacking > free / 2, "{lacking} of {free}");
    }

    #[test]
    fn a_full_file_system_is_told_from_a_broken_one() {
        let floor = SpaceFloor::new(7);
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            floor.had_room_made();
            let full = floor.describe("write", Path::new("/"), 5, kind.into());
            assert_eq!(floor.0.lacking.load(Ordering::Relaxed), 5);
            assert!(matches!(
                full,
                StoreError::NoSpace {
                    needed_bytes: 5,
                    floor_bytes: 7,
                    ..
                }
            ));
        }
        let broken = floor.describe("write", Path::new("/"), 5, io::ErrorKind::Other.into());
        assert!(matches!(broken, StoreError::Io { .. }));
    }
}

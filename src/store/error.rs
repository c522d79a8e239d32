//! What can go wrong with a store, by what the caller can do about it. That something is absent is not an error.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::records::RecordKey;

/// A failure of a store. Clones share their cause, since one failure reaches every joiner of a fill.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// An expectation of a commit did not hold: read again and decide again.
    #[error("the record {key} was changed by another")]
    Conflict {
        /// The first record that was not as expected.
        key: RecordKey,
    },
    /// There is no room, or there would be less than the floor afterwards.
    #[error(
        "no room for {needed_bytes} more bytes: {free_bytes} are free, and {floor_bytes} have to stay free"
    )]
    NoSpace {
        /// How much was to be written.
        needed_bytes: u64,
        /// How much is free.
        free_bytes: u64,
        /// How much has to stay free.
        floor_bytes: u64,
    },
    /// The file system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, as in "could not … the file".
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The record file refused.
    #[error("could not {action} the records in {}", path.display())]
    Records {
        /// What was tried.
        action: &'static str,
        /// In which file.
        path: PathBuf,
        /// Why not; an [`io::Error`] when it was the file system.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A record file that cannot be made again is missing or not what was written. Nothing is done without a person.
    #[error("the records in {} are damaged: {}", path.display(), WayOut(snapshot.as_deref()))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its copy from an earlier start, if there is one.
        snapshot: Option<PathBuf>,
        /// What is wrong with it.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A blob became shorter while it was read.
    #[error("the file {} ended early: it was changed by something else", path.display())]
    Truncated {
        /// Which file.
        path: PathBuf,
    },
    /// Another larder uses the folder.
    #[error("the cache folder {} is in use by another larder (process {owner})", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// What the lock file says of its owner.
        owner: String,
    },
    /// The folder was written by a later version.
    #[error("the cache folder {} was written by a newer larder ({found}); this one knows {known}", path.display())]
    Newer {
        /// The folder.
        path: PathBuf,
        /// What was found there.
        found: String,
        /// What this version uses.
        known: String,
    },
}

impl StoreError {
    /// Describes a failure of the file system.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source: Arc::new(source),
        }
    }

    /// Describes a failure of a record file.
    pub fn records(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Records {
            action,
            path: path.into(),
            source: Arc::new(source),
        }
    }
}

/// What a person can do about damaged records, of which there may be a copy.
struct WayOut<'a>(Option<&'a Path>);

impl fmt::Display for WayOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(snapshot) => write!(
                f,
                "to go back to the last start, put {} in their place; to do without them, move both away",
                snapshot.display()
            ),
            None => f.write_str("there is no copy of them; to do without them, move the file away"),
        }
    }
}

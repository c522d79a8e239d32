//! A record file that heals: closed and opened again after a failure, and for the cache begun anew when it is damaged.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, DatabaseError};

use super::table;
use crate::store::error::StoreError;
use crate::telemetry::with_causes;

/// What happens when the file is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It is put aside and a new one begun: all that it had can be fetched again.
    Bearable,
    /// Nothing: a person has to decide, and is told of the snapshot if there is one.
    Unbearable {
        /// Where the copy of the last start would be.
        snapshot: PathBuf,
    },
}

/// How the database is opened; tests put faults between it and the file.
pub(super) type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync>;

/// redb takes 1 GiB if nothing is said. The operating system caches the file anyway.
const CACHE_SIZE: usize = 16 << 20;

/// Opens or makes the file, as it is done outside of tests.
pub(super) fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_SIZE).create(path)
}

/// A database, open most of the time. Everything here is blocking.
pub(super) struct RecordFile {
    path: PathBuf,
    opener: Opener,
    loss: Loss,
    state: RwLock<State>,
    /// The last version that was given to a record. A file that has to be opened again may have forgotten some.
    last_version: AtomicU64,
}

/// `database` is `None` after a failure, until the next use.
struct State {
    database: Option<Database>,
    /// Counts the openings, so that a failure closes only what it happened in.
    generation: u64,
}

impl RecordFile {
    /// Opens the file, or makes it.
    pub(super) fn open(path: PathBuf, opener: Opener, loss: Loss) -> Result<Self, StoreError> {
        let state = State {
            database: None,
            generation: 0,
        };
        let file = Self {
            path,
            opener,
            loss,
            state: RwLock::new(state),
            last_version: AtomicU64::new(0),
        };
        drop(file.opened()?);
        Ok(file)
    }

    /// Works on the database.
    ///
    /// Work that fails because the database is of no use any more is done again after it was opened anew, and, where
    /// the loss can be borne, once more on an empty one when it is damaged even then.
    pub(super) fn attempt<T>(
        &self,
        action: &'static str,
        mut work: impl FnMut(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut remedies = [Remedy::Reopen, Remedy::BeginAnew].into_iter();
        loop {
            let (failure, generation) = {
                let state = self.opened()?;
                let database = state.database.as_ref();
                let database = database.expect("the database was opened just before");
                match unwinding(|| work(database)) {
                    Ok(value) => return Ok(value),
                    Err(failure) => (failure, state.generation),
                }
            };
            let trouble = Trouble::of(&failure);
            if trouble != Trouble::Refused {
                self.close(generation);
            }
            match (trouble, remedies.next()) {
                (Trouble::Before | Trouble::Damaged, Some(Remedy::Reopen)) => {}
                (Trouble::Damaged, Some(Remedy::BeginAnew)) if self.loss == Loss::Bearable => {
                    self.put_aside(generation, &failure)?;
                }
                _ => return Err(self.failed(action, failure)),
            }
        }
    }

    /// Commits to the database. The work is given the last version that a record has, and counts it up.
    pub(super) fn commit<T>(
        &self,
        action: &'static str,
        mut work: impl FnMut(&Database, &mut u64) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.attempt(action, |database| {
            let mut last = self.last_version.load(Ordering::Relaxed);
            let result = work(database, &mut last);
            self.last_version.fetch_max(last, Ordering::Relaxed);
            result
        })
    }

    /// Works on the closed file, and opens it again.
    pub(super) fn while_closed<T>(&self, work: impl FnOnce() -> T) -> Result<T, StoreError> {
        let result = {
            let mut state = self.write_state();
            close(&mut state);
            work()
        };
        drop(self.opened()?);
        Ok(result)
    }

    /// Returns the state with an open database.
    fn opened(&self) -> Result<RwLockReadGuard<'_, State>, StoreError> {
        let state = self.read_state();
        if state.database.is_some() {
            return Ok(state);
        }
        drop(state);
        let mut state = self.write_state();
        if state.database.is_none() {
            let (database, last) = match self.open_database() {
                Ok(opened) => opened,
                Err(failure) if Trouble::of(&failure) == Trouble::Damaged => match &self.loss {
                    Loss::Bearable => {
                        self.rename_aside(&failure)?;
                        let opened = self.open_database();
                        opened.map_err(|failure| self.failed("open", failure))?
                    }
                    Loss::Unbearable { snapshot } => {
                        return Err(StoreError::Damaged {
                            path: self.path.clone(),
                            snapshot: snapshot.exists().then(|| snapshot.clone()),
                            source: Arc::new(failure),
                        });
                    }
                },
                Err(failure) => return Err(self.failed("open", failure)),
            };
            state.database = Some(database);
            state.generation += 1;
            self.last_version.fetch_max(last, Ordering::Relaxed);
        }
        Ok(RwLockWriteGuard::downgrade(state))
    }

    fn open_database(&self) -> Result<(Database, u64), redb::Error> {
        unwinding(|| {
            let database = (self.opener)(&self.path)?;
            let last = table::prepare(&database)?;
            Ok((database, last))
        })
    }

    fn close(&self, generation: u64) {
        let mut state = self.write_state();
        if state.generation == generation {
            close(&mut state);
        }
    }

    /// Puts a file aside that turned out to be damaged, unless another use has opened it again meanwhile.
    fn put_aside(&self, generation: u64, failure: &redb::Error) -> Result<(), StoreError> {
        let state = self.write_state();
        if state.generation == generation && state.database.is_none() {
            self.rename_aside(failure)?;
        }
        Ok(())
    }

    fn rename_aside(&self, failure: &redb::Error) -> Result<(), StoreError> {
        let aside = self.path.with_added_extension("damaged");
        tracing::warn!(
            path = %self.path.display(),
            aside = %aside.display(),
            error = with_causes(failure),
            "the record file of the cache is damaged: it is put aside, and what it had is fetched again"
        );
        std::fs::rename(&self.path, &aside)
            .map_err(|error| StoreError::io("put aside", &self.path, error))
    }

    /// Describes a failure. One of the file system stands for itself, since redb does not give it as its cause.
    fn failed(&self, action: &'static str, failure: redb::Error) -> StoreError {
        match failure {
            redb::Error::Io(error) => StoreError::records(action, &self.path, error),
            failure => StoreError::records(action, &self.path, failure),
        }
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .expect("panics of the database are caught")
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        let state = self.state.write();
        state.expect("panics of the database are caught")
    }
}

impl fmt::Debug for RecordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordFile")
            .field("path", &self.path)
            .field("loss", &self.loss)
            .finish_non_exhaustive()
    }
}

/// What is tried before a failure is told.
#[derive(Clone, Copy, Debug)]
enum Remedy {
    Reopen,
    BeginAnew,
}

/// What a failure says about the open database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Nothing: the work was at fault.
    Refused,
    /// It is of no use any more, because of a failure that was told already.
    Before,
    /// It is of no use any more from now on.
    Now,
    /// The file is not, or not any more, what was written.
    Damaged,
}

impl Trouble {
    fn of(failure: &redb::Error) -> Self {
        match failure {
            redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::LockPoisoned(_) => Self::Before,
            redb::Error::Io(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => Self::Damaged,
                _ => Self::Now,
            },
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_) => Self::Damaged,
            _ => Self::Refused,
        }
    }
}

/// Closes the database. Commits that were not synced yet are, unless it failed before.
fn close(state: &mut State) {
    let database = state.database.take();
    unwinding(|| {
        drop(database);
        Ok(())
    })
    .ok();
}

/// redb asserts what it expects of a file, so damage may show as a panic. The database it happened in is given up.
fn unwinding<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        let message = message.unwrap_or("no message");
        Err(redb::Error::Corrupted(format!("panic: {message}")))
    })
}

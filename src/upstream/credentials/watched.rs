//! A file that is read again when it changes.
//!
//! Whoever uses it looks whether it changed, at most once a second and off the async workers; nothing runs when nobody
//! asks. There is no notification from the kernel: network and FUSE file systems, where secrets often are, have none.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rustix::fs::OFlags;
use tokio::time::{Instant, timeout};

use crate::runtime::Stamp;
use crate::runtime::Tasks;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    /// There is no such file.
    Absent,
    /// It cannot be read; why not, for people, with its path and without its content.
    Unreadable(Arc<str>),
    /// This.
    Value(T),
}

/// What it means that there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// That it says nothing.
    Fine,
    /// That it cannot be read.
    Problem,
}

/// How new a reading has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recency {
    /// What is known will do; whether that changed is looked at behind. Waits only when nothing is known.
    Known,
    /// It was looked at a moment ago.
    Recent,
    /// It was looked at after this call began.
    Now,
}

/// How files are watched.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Watch {
    /// For so long a file is not looked at again.
    pub(in crate::upstream) look_counts: Duration,
    /// Where looks run.
    pub(in crate::upstream) tasks: Tasks,
}

/// The file, with what it said last. Clones share it.
#[derive(Clone)]
pub(super) struct Watched<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    path: PathBuf,
    absence: Absence,
    limit: usize,
    parse: Box<Parse<T>>,
    state: Mutex<State<T>>,
    watch: Watch,
}

/// Makes sense of a file.
type Parse<T> = dyn Fn(&[u8]) -> Result<T, String> + Send + Sync;

struct State<T> {
    known: Option<Known<T>>,
    /// The look that is under way.
    look: Option<Look>,
}

/// Ends when the file was looked at.
type Look = Shared<BoxFuture<'static, ()>>;

struct Known<T> {
    reading: Arc<Reading<T>>,
    looked: Instant,
    /// `None` when there was no file to stamp.
    stamp: Option<Stamp>,
    /// Whether a second look found the same. Before that, a writer may have been quicker than the clock of the file
    /// system.
    is_settled: bool,
}

/// What a look found.
enum Found<T> {
    Same,
    Other(Reading<T>, Option<Stamp>),
}

impl<T: PartialEq + Send + Sync + 'static> Watched<T> {
    /// How long to wait for a file system.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Takes a file of at most `limit` bytes, and what makes sense of it. The problems that `parse` tells are seen by
    /// people and have no secret in them.
    pub(super) fn new(
        path: &Path,
        absence: Absence,
        limit: usize,
        parse: impl Fn(&[u8]) -> Result<T, String> + Send + Sync + 'static,
        watch: &Watch,
    ) -> Self {
        let inner = Inner {
            path: path.to_owned(),
            absence,
            limit,
            parse: Box::new(parse),
            state: Mutex::new(State {
                known: None,
                look: None,
            }),
            watch: watch.clone(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns what was read last, without looking.
    pub(super) fn known(&self) -> Option<Arc<Reading<T>>> {
        let state = self.inner.state();
        state.known.as_ref().map(|known| known.reading.clone())
    }

    /// Returns what the file says. However many ask, it is looked at once; that goes on when they are gone. A file
    /// system that does not answer leaves what was known.
    pub(super) async fn reading(&self, recency: Recency) -> Arc<Reading<T>> {
        let waiting = async {
            match recency {
                Recency::Known => {
                    let known = self.known();
                    if let Some(look) = self.look_if_due()
                        && known.is_none()
                    {
                        look.await;
                    }
                }
                Recency::Recent => {
                    if let Some(look) = self.look_if_due() {
                        look.await;
                    }
                }
                Recency::Now => {
                    let (look, is_ours) = self.look();
                    look.await;
                    // Whoever began another one since then began it after this call.
                    if !is_ours {
                        self.look().0.await;
                    }
                }
            }
        };
        let is_late = timeout(Self::PATIENCE, waiting).await.is_err();
        if is_late {
            tracing::debug!(path = %self.inner.path.display(), "a file system does not answer");
        }
        self.known().unwrap_or_else(|| {
            let problem = self.inner.problem("cannot be read in time");
            Arc::new(Reading::Unreadable(problem))
        })
    }

    /// Looks at the file, unless that was done a moment ago. Joins who is about to know more.
    fn look_if_due(&self) -> Option<Look> {
        let look_counts = self.inner.watch.look_counts;
        let is_due = {
            let state = self.inner.state();
            let looked = state.known.as_ref().map(|known| known.looked);
            let is_old = looked.is_none_or(|looked| looked.elapsed() >= look_counts);
            is_old || state.look.is_some()
        };
        is_due.then(|| self.look().0)
    }

    /// Looks at the file, or joins who does. Returns whether it was begun here.
    fn look(&self) -> (Look, bool) {
        let mut state = self.inner.state();
        if let Some(look) = &state.look {
            return (look.clone(), false);
        }
        let inner = self.inner.clone();
        let task = self.inner.watch.tasks.spawn("credential file", async move {
            let reader = inner.clone();
            let found = inner.watch.tasks.spawn_blocking(move || reader.find());
            let found = found.await;
            let found = found.unwrap_or_else(|_| {
                let problem = inner.problem("cannot be made sense of");
                Found::Other(Reading::Unreadable(problem), None)
            });
            inner.learn(found);
        });
        let look = task.map(drop).boxed().shared();
        state.look = Some(look.clone());
        (look, true)
    }
}

impl<T> Inner<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn problem(&self, what: impl fmt::Display) -> Arc<str> {
        format!("'{}' {what}", self.path.display()).into()
    }

    /// Looks whether the file changed, and reads it then. Blocks.
    fn find(&self) -> Found<T> {
        let settled = {
            let state = self.state();
            let known = state.known.as_ref();
            known.and_then(|known| known.stamp.filter(|_| known.is_settled))
        };
        let found = fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata));
        if settled.is_some() && found.ok() == settled {
            return Found::Same;
        }
        let opened = OpenOptions::new()
            .read(true)
            // Else a pipe would keep us until somebody writes into it.
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(&self.path)
            .and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) if is_absence(&error) => {
                let reading = match self.absence {
                    Absence::Fine => Reading::Absent,
                    Absence::Problem => Reading::Unreadable(self.problem("does not exist")),
                };
                return Found::Other(reading, None);
            }
            Err(error) => {
                let problem = self.problem(format_args!("cannot be read: {error}"));
                return Found::Other(Reading::Unreadable(problem), None);
            }
        };
        let read = if metadata.is_file() {
            self.read(file)
        } else {
            Err("is not a file".to_owned())
        };
        let reading = match read {
            Ok(value) => Reading::Value(value),
            Err(problem) => Reading::Unreadable(self.problem(problem)),
        };
        Found::Other(reading, Some(Stamp::of(&metadata)))
    }

    fn read(&self, file: File) -> Result<T, String> {
        let mut bytes = Vec::new();
        let limit = self.limit;
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() > limit {
            return Err(format!("is longer than {} KiB", limit >> 10));
        }
        (self.parse)(&bytes)
    }
}

impl<T: PartialEq> Inner<T> {
    /// Takes down what a look found.
    fn learn(&self, found: Found<T>) {
        let mut state = self.state();
        state.look = None;
        let looked = Instant::now();
        let (reading, stamp) = match (found, &mut state.known) {
            (Found::Same, Some(known)) => {
                known.looked = looked;
                return;
            }
            // It can only be the same as what is known.
            (Found::Same, None) => return,
            (Found::Other(reading, stamp), _) => (reading, stamp),
        };
        let is_settled = match &mut state.known {
            Some(known) if *known.reading == reading => {
                known.is_settled = known.stamp == stamp;
                known.stamp = stamp;
                known.looked = looked;
                return;
            }
            Some(_) | None => false,
        };
        let before = state.known.replace(Known {
            reading: Arc::new(reading),
            looked,
            stamp,
            is_settled,
        });
        let now = state.known.as_ref().map(|known| known.reading.clone());
        drop(state);
        self.tell(before.as_ref().map(|known| &*known.reading), now.as_deref());
    }

    /// Logs what changed: only problems at first, later everything.
    fn tell(&self, before: Option<&Reading<T>>, now: Option<&Reading<T>>) {
        let path = self.path.display();
        match (before, now) {
            (_, Some(Reading::Unreadable(problem))) => {
                tracing::warn!(%path, problem = &**problem, "a credential file cannot be used");
            }
            (Some(_), Some(Reading::Absent)) => tracing::info!(%path, "a credential file is gone"),
            (Some(_), Some(Reading::Value(_))) => {
                tracing::info!(%path, "a credential file has changed and was read again");
            }
            (None, Some(Reading::Absent | Reading::Value(_))) | (_, None) => {}
        }
    }
}

/// Tells whether there is no such file, as opposed to one that may not be read.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

//! A fill: one content on its way from a registry into the store, and everyone who reads it meanwhile.
//!
//! There is one fill per registry and digest. It belongs to the flight table, not to the client that asked first. Its
//! parts:
//!
//! - [`run`]: the task, from the first request to the verdict.
//! - [`transfer`]: which bytes are fetched next, and when the fill is given up; [`ahead`] fetches bounded segments for
//!   readers that begin far ahead.
//! - [`ingest`]: what is fetched goes into the spool and through the hash, off the async workers.
//! - [`progress`]: what the fill publishes; it alone decides what may go out, and holds back the end.
//! - [`reader`]: a client's way through the spool; [`answer`] waits until it is known what to tell the client before.

pub mod ahead;
pub mod answer;
pub mod ingest;
pub mod progress;
pub mod reader;
pub mod run;
pub mod transfer;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;
use tokio::sync::{mpsc, watch};

pub use progress::{HELD_BACK, Progress, Readable, Verdict};

use super::sight::View;
use crate::oci::{Digest, Mismatch, UpstreamName};
use crate::store::StoreError;
use crate::upstream::UpstreamError;

/// What a fill is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillKey {
    /// The registry.
    pub upstream: UpstreamName,
    /// The content.
    pub digest: Digest,
}

/// A fill as its readers see it.
#[derive(Debug)]
pub struct Fill {
    view: View,
    digest: Digest,
    progress: watch::Sender<Progress>,
    readers: AtomicUsize,
    /// Where readers stand that are far ahead of the transfer.
    ahead: mpsc::Sender<u64>,
}

/// Counts a reader while it lives.
#[derive(Debug)]
pub struct Reading(Arc<Fill>);

impl Fill {
    /// How many readers far ahead can wait to be noticed; more of them ask again at the next change.
    const AHEAD_QUEUE: usize = 16;

    /// Makes a fill on behalf of a repository. The receiver goes to the task that runs it.
    pub fn new(view: View, digest: Digest) -> (Arc<Self>, mpsc::Receiver<u64>) {
        let (ahead, asked) = mpsc::channel(Self::AHEAD_QUEUE);
        let (progress, _) = watch::channel(Progress::default());
        (
            Arc::new(Self {
                view,
                digest,
                progress,
                readers: AtomicUsize::new(0),
                ahead,
            }),
            asked,
        )
    }

    /// Returns the repository on whose behalf the content is fetched.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Returns what the fill is found by.
    pub fn key(&self) -> FillKey {
        FillKey {
            upstream: self.view.origin.upstream.clone(),
            digest: self.digest,
        }
    }

    /// Returns what is fetched.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the published state, and hears of its changes.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Begins to read: the fill is not abandoned while the result lives.
    pub fn attend(self: &Arc<Self>) -> Reading {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reading(self.clone())
    }

    /// Returns how many clients read.
    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// Publishes that bytes are in the spool.
    fn publish_written(&self, range: Range<u64>) {
        self.progress
            .send_modify(|progress| progress.written.insert(range));
    }

    /// Publishes how the fill ended; the first verdict stays.
    fn publish_verdict(&self, verdict: Verdict) {
        self.progress.send_if_modified(|progress| {
            let is_running = matches!(progress.verdict, Verdict::Running);
            if is_running {
                progress.verdict = verdict;
            }
            is_running
        });
    }
}

impl Reading {
    /// Returns what is read.
    pub fn fill(&self) -> &Arc<Fill> {
        &self.0
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a fill ended without its content.
#[derive(Clone, Debug, Error)]
pub enum FillError {
    /// The registry has no such blob in the repository on whose behalf it was asked.
    #[error("the registry has no such blob")]
    Unknown,
    /// The content is here: another fill brought it meanwhile.
    #[error("the content is here already")]
    Kept,
    /// The registry is not configured any more.
    #[error("the registry {0} is not configured here")]
    NotConfigured(UpstreamName),
    /// The registry could not be asked, or broke off more often than is borne.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The content is not what its digest names.
    #[error("the registry sent wrong content: {0}")]
    Mismatch(Arc<Mismatch>),
    /// The content is longer than it can be.
    #[error("the registry sent content of at least {found} bytes where {expected} were announced")]
    WrongSize {
        /// The size that was announced or is the limit.
        expected: u64,
        /// How much came at least.
        found: u64,
    },
    /// There is no room to keep it.
    #[error(transparent)]
    NoSpace(StoreError),
    /// The spool could not be written.
    #[error(transparent)]
    Store(StoreError),
    /// Nobody read it any more, and most of it was still to come.
    #[error("nobody reads this content any more")]
    Abandoned,
    /// larder is stopping.
    #[error("larder is stopping")]
    Stopping,
}

impl From<StoreError> for FillError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace { .. } => Self::NoSpace(error),
            StoreError::Conflict { .. }
            | StoreError::Io { .. }
            | StoreError::Records { .. }
            | StoreError::Truncated { .. }
            | StoreError::InUse { .. }
            | StoreError::Damaged { .. }
            | StoreError::Newer { .. } => Self::Store(error),
        }
    }
}

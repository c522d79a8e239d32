//! A file for a database in tests, which counts, holds up and fails what is done to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use redb::StorageBackend;
use tokio::sync::Notify;

/// What happens between the database and its file.
#[derive(Clone, Debug, Default)]
pub(super) struct Medium(Arc<MediumState>);

#[derive(Debug, Default)]
struct MediumState {
    syncs: AtomicUsize,
    synced: Notify,
    is_broken: AtomicBool,
    held: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
}

impl Medium {
    /// Counts the syncs that went well.
    pub(super) fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::SeqCst)
    }

    /// Waits for the next sync.
    pub(super) async fn synced(&self) {
        self.0.synced.notified().await;
    }

    /// Makes everything fail that changes the file.
    pub(super) fn set_broken(&self, is_broken: bool) {
        self.0.is_broken.store(is_broken, Ordering::SeqCst);
    }

    /// Makes the next sync tell that it has begun, and wait for a word to go on.
    pub(super) fn hold_next_sync(&self) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (began, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        *self.0.held.lock().unwrap() = Some((began, may_go));
        (has_begun, go)
    }

    fn check(&self) -> io::Result<()> {
        if self.0.is_broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("the medium is broken"));
        }
        Ok(())
    }
}

/// A file that shares the troubles of a medium.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) file: File,
    pub(super) medium: Medium,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.medium.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let held = self.medium.0.held.lock().unwrap().take();
        if let Some((began, may_go)) = held {
            began.send(()).unwrap();
            may_go.recv().unwrap();
        }
        self.medium.check()?;
        self.medium.0.syncs.fetch_add(1, Ordering::SeqCst);
        self.medium.0.synced.notify_one();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.check()?;
        self.file.write_all_at(data, offset)
    }
}

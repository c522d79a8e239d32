//! When the configuration is read again: on SIGHUP, when the operator says so, and when a file of it changed.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Reloader;
use crate::admin::ReloadWish;
use crate::runtime::signals::ReloadSignal;
use crate::runtime::{Stamp, Tasks};

/// How often the files are looked at. A change is taken up when it has stood for one look, so that a file that is being
/// written is not read half.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What brings about that the configuration is read again, beside its files.
#[derive(Debug)]
pub(in crate::cli) struct Occasions {
    pub(in crate::cli) signal: ReloadSignal,
    pub(in crate::cli) wishes: mpsc::Receiver<ReloadWish>,
}

/// Why the configuration is looked at.
#[derive(Debug)]
enum Why {
    Signal,
    Wish(ReloadWish),
    Time,
}

/// Files, and what they looked like.
#[derive(Debug)]
struct Files {
    /// When they were read last.
    read: Vec<Option<Stamp>>,
    /// When they were looked at last.
    seen: Vec<Option<Stamp>>,
}

/// Reads the configuration again whenever there is an occasion, until the tasks are told to stop.
pub(in crate::cli) async fn watch(reloader: Reloader, occasions: Occasions, tasks: Tasks) {
    let Occasions {
        mut signal,
        mut wishes,
    } = occasions;
    let stopping = tasks.stopping();
    let stamps = stamps(&reloader.files());
    let mut watched = (reloader, Files::new(stamps));
    loop {
        let why = tokio::select! {
            () = stopping.cancelled() => return,
            () = signal.next() => Why::Signal,
            Some(wish) = wishes.recv() => Why::Wish(wish),
            () = tokio::time::sleep(LOOK_EVERY) => Why::Time,
        };
        let looked = tasks.spawn_blocking(move || {
            let (mut reloader, mut files) = watched;
            look(&mut reloader, &mut files, why);
            (reloader, files)
        });
        watched = match looked.await {
            Ok(watched) => watched,
            Err(error) => {
                tracing::error!(%error, "the configuration is not read again any more");
                return;
            }
        };
    }
}

/// Reads the configuration again, if there is reason to.
fn look(reloader: &mut Reloader, files: &mut Files, why: Why) {
    let paths = reloader.files();
    let has_changed = files.have_changed(stamps(&paths));
    match why {
        Why::Time if !has_changed => return,
        Why::Time | Why::Signal => drop(reloader.reload()),
        Why::Wish(wish) => wish.answer(reloader.reload()),
    }
    // Other files may be part of it now. What those that were part of it before looked like is known from before they were
    // read.
    let now = reloader.files();
    if now == paths {
        files.read.clone_from(&files.seen);
    } else {
        *files = Files::new(stamps(&now));
    }
}

impl Files {
    fn new(stamps: Vec<Option<Stamp>>) -> Self {
        Self {
            read: stamps.clone(),
            seen: stamps,
        }
    }

    /// Returns whether they changed since they were read, and not since they were looked at last.
    fn have_changed(&mut self, now: Vec<Option<Stamp>>) -> bool {
        let before = std::mem::replace(&mut self.seen, now);
        self.seen == before && self.seen != self.read
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| Stamp::at(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_counts_once_when_it_has_stood_for_one_look() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["larder.toml", "ca.pem"].map(|name| folder.path().join(name));
        let stamps = || stamps(&paths);
        let mut files = Files::new(stamps());
        assert!(!files.have_changed(stamps()));
        fs::write(&paths[0], "first").unwrap();
        assert!(!files.have_changed(stamps()), "it may be half written");
        fs::write(&paths[0], "and more").unwrap();
        assert!(!files.have_changed(stamps()), "it may be half written");
        assert!(files.have_changed(stamps()));
        files.read.clone_from(&files.seen);
        assert!(!files.have_changed(stamps()));
        fs::remove_file(&paths[0]).unwrap();
        fs::write(&paths[1], "other").unwrap();
        assert!(!files.have_changed(stamps()));
        assert!(files.have_changed(stamps()));
    }
}

//! When the configuration is read again: on SIGHUP, when the operator says so, and when a file of it changed.

use std::time::Duration;

use tokio::sync::mpsc;

use super::Reloader;
use crate::admin::ReloadWish;
use crate::runtime::Tasks;
use crate::runtime::signals::ReloadSignal;

/// How often the files are looked at. A change is taken up when it has stood for one look.
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

/// Reads the configuration again whenever there is an occasion, until the tasks are told to stop.
pub(in crate::cli) async fn watch(mut reloader: Reloader, occasions: Occasions, tasks: Tasks) {
    let Occasions {
        mut signal,
        mut wishes,
    } = occasions;
    let stopping = tasks.stopping();
    loop {
        let why = tokio::select! {
            () = stopping.cancelled() => return,
            () = signal.next() => Why::Signal,
            Some(wish) = wishes.recv() => Why::Wish(wish),
            () = tokio::time::sleep(LOOK_EVERY) => Why::Time,
        };
        let looked = tasks.spawn_blocking(move || {
            look(&mut reloader, why);
            reloader
        });
        reloader = match looked.await {
            Ok(reloader) => reloader,
            Err(error) => {
                tracing::error!(%error, "the configuration is not read again any more");
                return;
            }
        };
    }
}

/// Reads the configuration again, if there is reason to.
fn look(reloader: &mut Reloader, why: Why) {
    match why {
        Why::Time => {
            if reloader.source.files.have_changed() {
                drop(reloader.reload());
            }
        }
        Why::Signal => drop(reloader.reload()),
        Why::Wish(wish) => wish.answer(reloader.reload()),
    }
}

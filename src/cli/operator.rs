//! Does what the operator wants: through the larder that runs, or on its cache folder when none does.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::args::FolderArguments;
use super::failure::Failure;
use super::foundation::Foundation;
use super::log_settings;
use super::not_done::NotDone;
use crate::admin::document::{History, Refreshed};
use crate::admin::{self, AdminUrl, Client, ClientError, Operations};
use crate::config::{self, Flags, Settings, Surroundings};
use crate::runtime::Tasks;
use crate::store::{StoreError, disk};
use crate::telemetry::log::{self, LogLevel};

/// How long what is written behind an answer may take.
const SETTLE: Duration = Duration::from_secs(10);

/// Who does it.
#[derive(Debug)]
pub(super) enum Operator {
    /// The larder that runs.
    Running(Client),
    /// This process, which has the folder for so long.
    Here(Box<Operations>),
}

/// Which larder is meant.
#[derive(Debug)]
pub(super) enum Meant {
    /// The one with the cache folder that is configured.
    Folder(Flags),
    /// The one that takes commands at an address.
    Remote {
        /// The address.
        url: AdminUrl,
        /// The file of the token to show there.
        token_file: PathBuf,
    },
}

impl From<FolderArguments> for Meant {
    fn from(mut arguments: FolderArguments) -> Self {
        let remote = &mut arguments.remote;
        match (remote.admin_url.take(), remote.admin_token_file.take()) {
            (Some(url), Some(token_file)) => Self::Remote { url, token_file },
            // The command line takes both or none.
            (None, _) | (_, None) => Self::Folder(arguments.into()),
        }
    }
}

/// What this process may do when no larder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    /// Look at what is kept.
    Look,
    /// Keep something as well.
    Keep,
}

impl Operator {
    /// Returns where a tag pointed.
    pub(super) async fn history(self, image: &str) -> Result<History, NotDone> {
        match self {
            Self::Running(client) => heard(client.history(image).await),
            Self::Here(operations) => {
                let done = operations.history(image).await;
                done.map_err(NotDone::Operation)
            }
        }
    }

    /// Has the registry asked what a tag points at.
    pub(super) async fn refresh(self, image: &str) -> Result<Refreshed, NotDone> {
        match self {
            Self::Running(client) => heard(client.refresh(image).await),
            Self::Here(operations) => {
                let done = operations.refresh(image).await;
                done.map_err(NotDone::Operation)
            }
        }
    }
}

/// Takes the answer of a running larder.
pub(super) fn heard<T>(answer: Result<T, ClientError>) -> Result<T, NotDone> {
    answer.map_err(NotDone::Client)
}

/// Has the running larder do something. When none runs, `instead` says what to do.
pub(super) fn command<T>(
    meant: &Meant,
    surroundings: &Surroundings,
    instead: &'static str,
    work: impl AsyncFnOnce(Client) -> Result<T, NotDone>,
) -> Result<T, Failure> {
    let flags = match meant {
        Meant::Folder(flags) => flags,
        Meant::Remote { url, token_file } => {
            return remotely(url, token_file, surroundings, work);
        }
    };
    prepared(flags, surroundings, async |settings| {
        let Some(client) = connected(&settings).await? else {
            settings
                .store
                .look()
                .map_err(|source| NotDone::Deaf { source })?;
            let folder = settings.store.path;
            return Err(NotDone::NoLarder { folder, instead }.into());
        };
        Ok(Box::pin(work(client)).await?)
    })
}

/// Has the running larder do something, or does it here.
pub(super) fn operate<T>(
    meant: &Meant,
    surroundings: &Surroundings,
    alone: Alone,
    work: impl AsyncFnOnce(Operator) -> Result<T, NotDone>,
) -> Result<T, Failure> {
    let flags = match meant {
        Meant::Folder(flags) => flags,
        Meant::Remote { url, token_file } => {
            let work = async |client| Box::pin(work(Operator::Running(client))).await;
            return remotely(url, token_file, surroundings, work);
        }
    };
    prepared(flags, surroundings, async |settings| {
        if let Some(client) = connected(&settings).await? {
            return Ok(Box::pin(work(Operator::Running(client))).await?);
        }
        usable(&settings.store, alone)?;
        let tasks = Tasks::new();
        let foundation = Foundation::lay(&settings, &tasks).await.map_err(occupied)?;
        let operations = Box::new(foundation.operations());
        drop(foundation);
        let done = Box::pin(work(Operator::Here(operations))).await;
        tasks.drain(SETTLE).await;
        Ok(done?)
    })
}

/// Has a larder do something that takes commands at an address. No configuration is read: it is of another machine.
fn remotely<T>(
    url: &AdminUrl,
    token_file: &Path,
    surroundings: &Surroundings,
    work: impl AsyncFnOnce(Client) -> Result<T, NotDone>,
) -> Result<T, Failure> {
    let token = admin::token::read(&surroundings.working_folder.join(token_file));
    let token = token.context("could not take the token of --admin-token-file");
    let token = token.map_err(Failure::misused)?;
    run(surroundings, async {
        let client = heard(Client::connect_over_tcp(url, &token).await)?;
        Ok(Box::pin(work(client)).await?)
    })
}

/// Reads the configuration, and does something with it.
fn prepared<T>(
    flags: &Flags,
    surroundings: &Surroundings,
    work: impl AsyncFnOnce(Settings) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let loaded = config::load(flags, surroundings).map_err(Failure::Configured)?;
    run(surroundings, work(loaded.settings))
}

/// Does something, with a log and a runtime of its own.
fn run<T>(
    surroundings: &Surroundings,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    log::init(&log_settings(surroundings, LogLevel::warnings())?).map_err(Failure::running)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")
        .map_err(Failure::running)?;
    let done = runtime.block_on(Box::pin(work));
    // Nobody waits for the resolver of the system, which cannot be stopped.
    runtime.shutdown_background();
    done
}

async fn connected(settings: &Settings) -> Result<Option<Client>, NotDone> {
    heard(Client::connect(&settings.store.socket()).await)
}

/// Finds out whether this process may work in the folder.
fn usable(store: &disk::Settings, alone: Alone) -> Result<(), NotDone> {
    let folder = &store.path;
    let own = rustix::process::geteuid();
    match (std::fs::metadata(folder), alone) {
        // Root may write everywhere, and a larder that is not root could not read what it wrote.
        (Ok(found), _) if own.is_root() && found.uid() != own.as_raw() => Err(NotDone::NotOurs {
            folder: folder.clone(),
            owner: found.uid(),
        }),
        // Somebody else's files are no place for ours.
        (Ok(_), Alone::Look) if !store.is_used() => {
            let folder = folder.clone();
            Err(NotDone::NoFolder { folder })
        }
        (Err(error), Alone::Look) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder.clone();
            Err(NotDone::NoFolder { folder })
        }
        // What else is wrong with it, the store says.
        (Ok(_) | Err(_), Alone::Look | Alone::Keep) => Ok(()),
    }
}

/// Tells a folder that a larder has from other faults.
fn occupied(error: anyhow::Error) -> Failure {
    match error.downcast::<StoreError>() {
        Ok(source @ StoreError::InUse { .. }) => NotDone::Deaf { source }.into(),
        Ok(source) => Failure::running(source),
        Err(error) => Failure::running(error),
    }
}

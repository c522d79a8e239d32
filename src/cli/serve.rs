//! `larder serve`: serves until it is told to stop.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::activation::Activated;
use super::args::ConfigArguments;
use super::assembly::Larder;
use super::failure::Failure;
use super::reloading::Source;
use super::{check, log_settings};
use crate::config::{Flags, Surroundings};
use crate::runtime::signals::{ReloadSignal, StopSignals};
use crate::telemetry::log::{self, LogLevel};

/// The flags of `larder serve`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Hint: `larder check` reads the same configuration without starting anything."
)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Where to serve the registry API, as ip:port [default: 127.0.0.1:5000].
    ///
    /// There is no client authentication: who reaches this address can pull every public image, and what `share` gives.
    /// Overrides server.listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<OsString>,
    /// The folder to keep content in, for one larder alone.
    ///
    /// Default: /var/lib/larder for root, else the first folder of $STATE_DIRECTORY, else $XDG_CACHE_HOME/larder or
    /// ~/.cache/larder. Overrides cache.path.
    #[arg(long, value_name = "FOLDER")]
    cache_path: Option<OsString>,
    /// Asks no registry: what is in the cache goes out as if it was fresh, and nothing else can be had.
    ///
    /// Upstreams with `offline = false` in the configuration are asked all the same. Sets server.offline.
    #[arg(long)]
    offline: bool,
}

impl From<ServeArguments> for Flags {
    fn from(arguments: ServeArguments) -> Self {
        Self {
            listen: arguments.listen,
            cache_path: arguments.cache_path,
            offline: arguments.offline,
            ..arguments.config.into()
        }
    }
}

/// How many threads do blocking work at most: files and hashes. More would wait for the same disks and cores, and
/// each holds a stack.
const MAX_BLOCKING_THREADS: usize = 64;

/// How long blocking work may go on after everything else has ended. It may be cut off: what is on disk is whole
/// whenever the program ends.
const BLOCKING_WORK_LIMIT: Duration = Duration::from_secs(5);

/// Reads the configuration, starts the log and the runtime, and serves.
pub(super) fn serve(flags: &Flags, surroundings: &Surroundings) -> Result<(), Failure> {
    let activated = Activated::take(surroundings).map_err(Failure::Misused)?;
    let surroundings = Surroundings {
        sockets: activated.addresses().map_err(Failure::Misused)?,
        ..surroundings.clone()
    };
    let source = Source::read(flags.clone(), surroundings).map_err(Failure::Configured)?;
    let loaded = &source.loaded;
    log::init(&log_settings(&source.surroundings, LogLevel::default())?)
        .map_err(Failure::running)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config.file = loaded.file.as_ref().map(|file| file.display().to_string()),
        config.overrides = loaded.overrides.join(" "),
        server.listen = %loaded.settings.server.listen,
        cache.path = %loaded.settings.store.path.display(),
        "starts: {}",
        check::exposure(&loaded.settings).join("; "),
    );
    if let Some(names) = check::offline(&loaded.settings) {
        tracing::warn!("offline, never asked: {names}");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // One worker for each core that this process may use.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
        .context("could not start the runtime")
        .map_err(Failure::running)?;
    let served = runtime.block_on(async {
        let signals = StopSignals::listen().context("could not listen for signals")?;
        let reload = ReloadSignal::listen().context("could not listen for signals")?;
        let larder = Larder::assemble(source, activated, reload).await?;
        larder.run(signals).await
    });
    runtime.shutdown_timeout(BLOCKING_WORK_LIMIT);
    served.map_err(Failure::running)
}

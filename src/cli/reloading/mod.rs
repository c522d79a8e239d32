//! Reads the configuration again while larder runs, and puts what changed in force. A configuration with a fault changes
//! nothing.

mod files;
mod metrics;
mod reading;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use super::check;
use crate::addressing::Addressing;
use crate::admin::OperationError;
use crate::admin::document::Reloaded as Told;
use crate::admin::error::ErrorCode;
use crate::cache::Cache;
use crate::config::{Faults, Flags, Loaded, Reloaded, Surroundings};
use crate::runtime::{Clock, Live};
use crate::store::DiskStore;
use crate::telemetry::with_causes;
use crate::{retention, server};

use self::files::Files;
pub(super) use self::metrics::ReloadMetrics;
use self::reading::Reading;
pub(super) use self::watch::{Occasions, watch};

/// Where a configuration comes from, and what it was when it was read first.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) flags: Flags,
    pub(super) surroundings: Surroundings,
    pub(super) loaded: Loaded,
    /// What it was read from.
    files: Files,
}

impl Source {
    /// Reads the configuration for the first time. Blocks while files are read.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(flags: Flags, surroundings: Surroundings) -> Result<Self, Faults> {
        let Reading { loaded, files } = Reading::begin(&flags, &surroundings);
        Ok(Self {
            flags,
            surroundings,
            loaded: loaded?,
            files,
        })
    }
}

/// What goes by the configuration, and by another one from one moment to the next.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) cache: Arc<Cache>,
    pub(super) addressing: Live<Addressing>,
    pub(super) server: Live<server::Settings>,
    pub(super) drain_timeout: Live<Duration>,
    pub(super) store: DiskStore,
    pub(super) retention: Live<retention::Settings>,
}

/// Reads the configuration again.
#[derive(Debug)]
pub(super) struct Reloader {
    source: Source,
    rooms: Rooms,
    metrics: ReloadMetrics,
    clock: Clock,
}

impl Reloader {
    /// Starts with the configuration that the rooms go by.
    pub(super) fn new(
        mut source: Source,
        rooms: Rooms,
        metrics: ReloadMetrics,
        clock: Clock,
    ) -> Self {
        let doors = source.loaded.settings.server.addresses();
        source.surroundings.open_at = doors.collect();
        metrics.succeeded(clock.now());
        Self {
            source,
            rooms,
            metrics,
            clock,
        }
    }

    /// Reads the configuration, puts it in force, and says so in the log. Blocks while files are read.
    ///
    /// # Errors
    /// [`OperationError`] with all faults, when it has some; everything is as before then.
    fn reload(&mut self) -> Result<Told, OperationError> {
        let Source {
            flags,
            surroundings,
            loaded,
            files,
        } = &mut self.source;
        let reading = Reading::begin(flags, surroundings);
        *files = reading.files;
        let new = match reading.loaded {
            Ok(new) => new,
            Err(faults) => {
                let faults = faults.as_slice().iter();
                let told = faults.map(|fault| format!("{}: {}", fault.place, fault.message));
                return Err(self.refused(told));
            }
        };
        if let (Some(file), None) = (&loaded.file, &new.file) {
            // Where it is only looked for, none would be fine: but this one is being replaced, or was lost.
            let gone = format!("{}: the file is gone", file.display());
            return Err(self.refused(std::iter::once(gone)));
        }
        let reloaded = Reloaded::compare(loaded, new);
        self.apply(&reloaded)
            .map_err(|error| self.refused(std::iter::once(with_causes(&*error).to_string())))?;
        self.metrics.succeeded(self.clock.now());
        say(&reloaded);
        let Reloaded {
            loaded,
            changed,
            needs_restart,
        } = reloaded;
        let told = Told {
            file: loaded.file.as_ref().map(|file| file.display().to_string()),
            changed,
            needs_restart,
            warnings: loaded.warnings.clone(),
        };
        self.source.loaded = loaded;
        Ok(told)
    }

    /// Has the rooms go by it. What can fail comes first; what is new can be reached before names lead there.
    fn apply(&self, reloaded: &Reloaded) -> anyhow::Result<()> {
        let Rooms {
            cache,
            addressing,
            server,
            drain_timeout,
            store,
            retention,
        } = &self.rooms;
        let settings = &reloaded.loaded.settings;
        let floor = settings.store.floor()?;
        cache.upstreams().reconfigure(settings.upstreams.clone())?;
        store.floor().set(floor);
        retention.replace(settings.retention);
        cache.apply(settings.cache.clone());
        addressing.replace(Addressing::new(&settings.addressing));
        server.replace(settings.server.clone());
        drain_timeout.replace(settings.drain_timeout);
        Ok(())
    }

    /// Says what is wrong with a configuration.
    fn refused(&self, faults: impl Iterator<Item = String>) -> OperationError {
        self.metrics.failed();
        let faults: Vec<String> = faults.collect();
        for fault in &faults {
            tracing::warn!("fault in the configuration: {fault}");
        }
        tracing::warn!(
            faults = faults.len(),
            "the configuration was read again and cannot be used: nothing is changed"
        );
        let faults = faults.join("; ");
        let message = format!("the configuration cannot be used, nothing is changed: {faults}");
        OperationError::new(ErrorCode::InvalidConfiguration, message)
    }
}

/// Says in the log what another configuration changes.
fn say(reloaded: &Reloaded) {
    let Reloaded {
        loaded,
        changed,
        needs_restart,
    } = reloaded;
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    if changed.is_empty() {
        tracing::info!(
            config.file = file,
            "the configuration was read again: nothing changes"
        );
    } else {
        tracing::info!(
            config.file = file,
            config.changed = changed.join(", "),
            "the configuration was read again, and is in force: {}",
            check::exposure(&loaded.settings).join("; "),
        );
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
    }
    if !needs_restart.is_empty() {
        tracing::warn!(
            config.needs_restart = needs_restart.join(", "),
            "some of what changed holds only once larder starts again"
        );
    }
}

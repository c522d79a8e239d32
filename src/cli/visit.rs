//! A visit to one repository of a registry: through the same client and configuration as the server's, without a server
//! and without a store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;

use super::failure::Failure;
use super::log_settings;
use super::trouble::Trouble;
use crate::addressing::{Addressing, Asked, Origin, Target};
use crate::config::{self, Flags, Settings, Surroundings};
use crate::oci::Reference;
use crate::runtime::{Clock, InstanceId, Tasks};
use crate::telemetry::log::{self, LogLevel};
use crate::upstream::{
    Limits, LoginIdentity, Metrics, Parts, Schedule, Upstream, UpstreamError, Upstreams,
};

/// How long something is tried again that may work a moment later. A person waits, who can ask again.
const PATIENCE: Schedule = Schedule::new(Duration::from_millis(250), Duration::from_secs(2));

/// A repository that can be asked.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) origin: Origin,
    pub(super) upstream: Arc<Upstream>,
    /// The login for the repository, if one is configured.
    pub(super) login: Option<LoginIdentity>,
}

/// Reads the configuration, finds out where a name leads, and looks at what is there.
pub(super) fn visit<T>(
    flags: &Flags,
    surroundings: &Surroundings,
    name: &str,
    look: impl AsyncFnOnce(&Visit) -> Result<T, Trouble>,
) -> Result<T, Failure> {
    let loaded = config::load(flags, surroundings).map_err(Failure::Configured)?;
    let log = log_settings(surroundings, LogLevel::warnings())?;
    let origin = origin(&loaded.settings, name)?;
    log::init(&log).map_err(Failure::running)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")
        .map_err(Failure::running)?;
    let looked = runtime.block_on(async {
        let tasks = Tasks::new();
        let upstreams = upstreams(loaded.settings, &tasks).map_err(Failure::running)?;
        let visit = Visit::begin(&upstreams, origin).await?;
        let looked = look(&visit).await;
        tasks.stop();
        Ok(looked?)
    });
    // Nobody waits for the resolver of the system, which cannot be stopped.
    runtime.shutdown_background();
    looked
}

/// Finds out which repository of which registry a name means.
fn origin(settings: &Settings, name: &str) -> Result<Origin, Trouble> {
    let asked = Asked {
        name,
        ..Asked::default()
    };
    match Addressing::new(&settings.addressing).resolve(asked) {
        Ok(Target::Proxied(origin)) => Ok(origin),
        Ok(Target::Hosted(repository)) => Err(Trouble::Hosted(repository)),
        Err(error) => Err(Trouble::Address(error)),
    }
}

fn upstreams(settings: Settings, tasks: &Tasks) -> anyhow::Result<Upstreams> {
    let parts = Parts {
        limits: Limits {
            retry: PATIENCE,
            ..Limits::default()
        },
        // Nobody asks for these numbers.
        metrics: Metrics::register(&mut Registry::default()),
        egress: settings.egress,
        clock: Clock::system(),
        tasks: tasks.clone(),
        instance: InstanceId::random(),
    };
    Ok(Upstreams::new(settings.upstreams, parts)?)
}

impl Visit {
    async fn begin(upstreams: &Upstreams, origin: Origin) -> Result<Self, Trouble> {
        let upstream = upstreams
            .get(&origin.upstream)
            .ok_or_else(|| Trouble::Unknown(origin.upstream.clone()))?;
        let login = Box::pin(upstream.login(&origin.repository)).await;
        Ok(Self {
            origin,
            upstream,
            login,
        })
    }

    /// Says what an error of the registry means for this repository.
    pub(super) fn trouble(&self, error: UpstreamError) -> Trouble {
        Trouble::of(error, &self.origin, self.login.as_ref())
    }

    /// Says that the repository is not there.
    pub(super) fn no_repository(&self) -> Trouble {
        Trouble::NoRepository {
            origin: self.origin.clone(),
            login: self.login.clone(),
        }
    }

    /// Finds out what it means that the registry does not have a manifest: registries say so of repositories that do not
    /// exist as well, and then they have no list of tags either.
    pub(super) async fn missing(&self, reference: Reference) -> Trouble {
        let asked = self.upstream.tags(&self.origin.repository, None);
        match Box::pin(asked).await {
            Ok(None) => self.no_repository(),
            // Not every registry lists tags for everybody.
            Ok(Some(_)) | Err(_) => Trouble::NoReference {
                origin: self.origin.clone(),
                reference,
            },
        }
    }
}

//! Hosts that fail are left alone for a while: whoever waits for them gets an answer at once, from the cache perhaps.
//!
//! Each host that an endpoint leads to (itself, its token service, its storage) has a circuit. It opens after some failures
//! in a row within a short time, lets one request through after a rest, and closes when that one is answered. A refusal or an
//! absence is an answer. An answer that says that the host is in trouble counts once for each thing that was asked for: a
//! single one that it cannot give closes it to nobody.

mod circuit;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

pub(super) use self::circuit::Subject;
use self::circuit::{Admission, Circuit};
use super::endpoint_url::Site;
use super::error::UpstreamError;
use crate::telemetry::with_causes;

/// When a host is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitLimits {
    /// So many failures in a row: 5.
    pub failures: usize,
    /// Within this time: 10 s.
    pub within: Duration,
    /// How long the first rest is: 5 s. Each further one is twice as long.
    pub first_rest: Duration,
    /// How long a rest is at most: 60 s.
    pub longest_rest: Duration,
}

impl Default for CircuitLimits {
    fn default() -> Self {
        Self {
            failures: 5,
            within: Duration::from_secs(10),
            first_rest: Duration::from_secs(5),
            longest_rest: Duration::from_secs(60),
        }
    }
}

/// A host as it is watched.
#[derive(Debug)]
struct Watched {
    circuit: Circuit,
    /// How it failed last.
    failure: Option<Arc<UpstreamError>>,
}

/// A host is left alone.
#[derive(Debug)]
pub(super) struct Resting {
    /// For how long.
    pub(super) left: Duration,
    /// How it failed last.
    pub(super) failure: Option<Arc<UpstreamError>>,
}

/// The health of the hosts that one endpoint leads to.
#[derive(Debug)]
pub(super) struct Health {
    limits: CircuitLimits,
    sites: Cache<Site, Arc<Mutex<Watched>>>,
    resting: Gauge,
}

/// The right to send one request. Dropped without a report, it says nothing.
#[derive(Debug)]
pub(super) struct Pass {
    site: Site,
    watched: Arc<Mutex<Watched>>,
    admission: Admission,
    resting: Gauge,
    is_reported: bool,
}

impl Health {
    /// How many hosts are remembered: an endpoint leads to a few.
    const MAX_SITES: u64 = 64;

    /// Starts with all hosts well. The gauge counts those that rest.
    pub(super) fn new(limits: CircuitLimits, resting: Gauge) -> Self {
        Self {
            limits,
            resting,
            sites: Cache::builder()
                .max_capacity(Self::MAX_SITES)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }

    /// Lets a request to a host through, or says for how long the host is left alone, and why.
    pub(super) fn admit(&self, site: &Site) -> Result<Pass, Resting> {
        let well = || Watched {
            circuit: Circuit::new(self.limits),
            failure: None,
        };
        let watched = self
            .sites
            .get_with_by_ref(site, || Arc::new(Mutex::new(well())));
        let admitted = {
            let mut watched = locked(&watched);
            let admitted = watched.circuit.admit(Instant::now());
            admitted.map_err(|left| Resting {
                left,
                failure: watched.failure.clone(),
            })
        };
        admitted.map(|admission| Pass {
            site: site.clone(),
            watched,
            admission,
            resting: self.resting.clone(),
            is_reported: false,
        })
    }
}

impl Drop for Health {
    /// Whoever is not asked any more does not rest.
    fn drop(&mut self) {
        for (_, watched) in &self.sites {
            if locked(&watched).circuit.rest.is_some() {
                self.resting.dec();
            }
        }
    }
}

impl Pass {
    /// Reports that the host answered.
    pub(super) fn answered(mut self) {
        self.is_reported = true;
        let was_resting = {
            let mut watched = locked(&self.watched);
            watched.failure = None;
            watched.circuit.answered()
        };
        if was_resting {
            self.resting.dec();
            tracing::info!(host = %self.site.name(), "answers again");
        }
    }

    /// Reports that the host failed, and how. `about` says what was asked for, when it answered.
    pub(super) fn failed(mut self, failure: UpstreamError, about: Option<Subject>) {
        self.is_reported = true;
        let failure = Arc::new(failure);
        let (was_resting, rest) = {
            let mut watched = locked(&self.watched);
            watched.failure = Some(failure.clone());
            let was_resting = watched.circuit.rest.is_some();
            (
                was_resting,
                watched
                    .circuit
                    .failed(self.admission, about, Instant::now()),
            )
        };
        if let Some(rest) = rest {
            if !was_resting {
                self.resting.inc();
            }
            tracing::warn!(
                host = %self.site.name(),
                rest_seconds = rest.as_secs(),
                error = with_causes(&failure),
                "fails again and again: it is left alone for a while"
            );
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_reported {
            locked(&self.watched).circuit.given_up(self.admission);
        }
    }
}

/// What a panic left is as good as what was there: each change is complete by itself.
fn locked(watched: &Mutex<Watched>) -> std::sync::MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

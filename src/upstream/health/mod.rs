//! Hosts that fail are left alone for a while: whoever waits for them gets an answer at once, from the cache perhaps.
//!
//! Each host that an endpoint leads to (itself, its token service, its storage) has a circuit. It opens after some failures
//! in a row within a short time, and closes when somebody finds out that the host is back: after a rest a task of ours asks
//! (`vigil.rs`), and where its question proves little, or there is no task, one request is let through. A refusal or an
//! absence is an answer. An answer that says that the host is in trouble counts once for each thing that was asked for: a
//! single one that it cannot give closes it to nobody.

mod circuit;
mod host;
mod vigil;

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use prometheus_client::metrics::gauge::Gauge;

use self::circuit::Admission;
pub(super) use self::circuit::Subject;
use self::host::Host;
pub(super) use self::vigil::{Knock, Vigil, Vigils};
use super::endpoint_url::Site;
use super::error::UpstreamError;
use super::standing::HostStanding;
use crate::runtime::Clock;

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
    hosts: Cache<Site, Host>,
    resting: Gauge,
    clock: Clock,
}

/// The right to send one request. Dropped without a report, it says nothing.
#[derive(Debug)]
pub(super) struct Pass {
    host: Host,
    admission: Admission,
    is_reported: bool,
}

impl Health {
    /// How many hosts are remembered: an endpoint leads to a few.
    const MAX_HOSTS: u64 = 64;
    /// How long those are told of that it leads to, after the last request: what became of one that it leads to no more
    /// says nothing of the registry.
    const OTHERS_FOR: Duration = Duration::from_hours(1);

    /// Starts with all hosts well. The gauge counts those that rest.
    pub(super) fn new(limits: CircuitLimits, resting: Gauge, clock: Clock) -> Self {
        Self {
            limits,
            resting,
            clock,
            hosts: Cache::builder()
                .max_capacity(Self::MAX_HOSTS)
                .eviction_policy(EvictionPolicy::lru())
                .eviction_listener(|_, host: Host, _| host.uncount())
                .build(),
        }
    }

    /// Lets a request to a host through, or says for how long the host is left alone, and why.
    pub(super) fn admit(&self, site: &Site) -> Result<Pass, Resting> {
        let unknown = || {
            let (resting, clock) = (self.resting.clone(), self.clock.clone());
            Host::new(site.clone(), self.limits, resting, clock)
        };
        let host = self.hosts.get_with_by_ref(site, unknown);
        let admission = host.admit()?;
        Ok(Pass {
            host,
            admission,
            is_reported: false,
        })
    }

    /// Returns what is known of the hosts: of this one first, and then of the others that were asked lately, by name.
    pub(super) fn standings(&self, own: &Site) -> Vec<HostStanding> {
        let mut standings = vec![match self.hosts.get(own) {
            Some(host) => host.standing(),
            None => HostStanding::unasked(own.name()),
        }];
        let now = self.clock.now();
        let hosts = self
            .hosts
            .iter()
            .filter(|(site, host)| **site != *own && now.since(host.asked()) < Self::OTHERS_FOR);
        let mut others: Vec<_> = hosts.map(|(_, host)| host.standing()).collect();
        others.sort_by(|one, other| one.host.cmp(&other.host));
        standings.extend(others);
        standings
    }
}

impl Drop for Health {
    /// Whoever is not asked any more does not rest.
    fn drop(&mut self) {
        for (_, host) in &self.hosts {
            host.uncount();
        }
    }
}

impl Pass {
    /// Reports that the host answered.
    pub(super) fn answered(mut self) {
        self.is_reported = true;
        self.host.answered();
    }

    /// Reports that the host failed, and how. `about` says what was asked for, when it was reached. Returns the duty to find
    /// out when it is back, where that is news.
    pub(super) fn failed(
        mut self,
        failure: UpstreamError,
        about: Option<Subject>,
    ) -> Option<Vigil> {
        self.is_reported = true;
        let number = self.host.failed(self.admission, about, failure)?;
        Some(Vigil::new(self.host.clone(), number))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_reported {
            self.host.given_up(self.admission);
        }
    }
}

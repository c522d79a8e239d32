//! Hosts that fail are left alone for a while: whoever waits for them gets an answer at once, from the cache perhaps.
//!
//! Each host that an endpoint leads to (itself, its token service, its storage) has a circuit. It opens after some failures
//! in a row within a short time, lets one request through after a rest, and closes when that one is answered. A refusal or an
//! absence is an answer. An answer that says that the host is in trouble counts once for each thing that was asked for: a
//! single one that it cannot give closes it to nobody.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

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

/// The health of one host. Pure: the time comes in.
#[derive(Debug)]
struct Circuit {
    limits: CircuitLimits,
    /// The last failures, as many as count.
    failures: VecDeque<Failure>,
    /// The rest that it has, if it has one.
    rest: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Instant,
    about: Option<Subject>,
}

/// What was asked for when a host answered and failed. One thing that it cannot give, however often it is asked for, says
/// little of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject(u64);

impl Subject {
    /// Names what a URL asks for.
    pub(super) fn of(url: &Uri) -> Self {
        let mut hasher = DefaultHasher::new();
        url.path().hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What a request may do at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// It is one of many.
    Usual,
    /// It finds out whether the host is back.
    Probe,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    length: Duration,
    /// Whether one request is on its way to find out whether the host is back.
    is_probed: bool,
}

impl Circuit {
    fn new(limits: CircuitLimits) -> Self {
        Self {
            limits,
            failures: VecDeque::new(),
            rest: None,
        }
    }

    /// Lets a request through, or says how long it is too early for one. A probe has to report.
    fn admit(&mut self, now: Instant) -> Result<Admission, Duration> {
        let Some(rest) = &mut self.rest else {
            return Ok(Admission::Usual);
        };
        if now < rest.until {
            return Err(rest.until - now);
        }
        if rest.is_probed {
            return Err(self.limits.first_rest);
        }
        rest.is_probed = true;
        Ok(Admission::Probe)
    }

    /// The host answered. Returns whether that ends a rest.
    fn answered(&mut self) -> bool {
        self.failures.clear();
        self.rest.take().is_some()
    }

    /// The host failed. `about` says what was asked for when it answered. Returns how long it is left alone from now on,
    /// if that is news.
    fn failed(
        &mut self,
        admission: Admission,
        about: Option<Subject>,
        now: Instant,
    ) -> Option<Duration> {
        if let Some(rest) = &mut self.rest {
            // Requests that were under way before it rested say nothing new.
            if admission == Admission::Usual {
                return None;
            }
            rest.length = (rest.length * 2).min(self.limits.longest_rest);
            rest.until = now + rest.length;
            rest.is_probed = false;
            return Some(rest.length);
        }
        if about.is_some() {
            self.failures.retain(|failure| failure.about != about);
        }
        self.failures.push_back(Failure { at: now, about });
        while self.failures.len() > self.limits.failures {
            self.failures.pop_front();
        }
        let is_enough = self.failures.len() == self.limits.failures
            && self
                .failures
                .front()
                .is_some_and(|first| now - first.at <= self.limits.within);
        if !is_enough {
            return None;
        }
        self.failures.clear();
        self.rest = Some(Rest {
            until: now + self.limits.first_rest,
            length: self.limits.first_rest,
            is_probed: false,
        });
        Some(self.limits.first_rest)
    }

    /// The request was given up: nothing is known, and another may find out.
    fn given_up(&mut self, admission: Admission) {
        if let (Some(rest), Admission::Probe) = (&mut self.rest, admission) {
            rest.is_probed = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> (Circuit, Instant) {
        (Circuit::new(CircuitLimits::default()), Instant::now())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_within_the_time() {
        let (mut circuit, start) = circuit();
        for at in 0..4 {
            assert_eq!(
                circuit.failed(Admission::Usual, None, start + SECOND * at),
                None
            );
        }
        assert_eq!(
            circuit.failed(Admission::Usual, None, start + SECOND * 4),
            Some(SECOND * 5)
        );
        assert_eq!(circuit.admit(start + SECOND * 5), Err(SECOND * 4));
    }

    #[test]
    fn failures_far_apart_or_between_answers_do_not_count() {
        let (mut circuit, start) = circuit();
        for at in 0..40 {
            assert_eq!(
                circuit.failed(Admission::Usual, None, start + SECOND * 3 * at),
                None
            );
        }
        for at in 0..40 {
            let now = start + SECOND * 200 + SECOND * at / 10;
            if at % 4 == 0 {
                assert!(!circuit.answered());
            }
            assert_eq!(circuit.failed(Admission::Usual, None, now), None, "{at}");
        }
    }

    #[test]
    fn one_thing_that_it_cannot_give_is_no_failure_of_the_host() {
        let (mut circuit, start) = circuit();
        for _ in 0..20 {
            let one = Some(Subject(1));
            assert_eq!(circuit.failed(Admission::Usual, one, start), None);
        }
        for number in 2..5 {
            let other = Some(Subject(number));
            assert_eq!(circuit.failed(Admission::Usual, other, start), None);
        }
        let last = Some(Subject(5));
        assert_eq!(
            circuit.failed(Admission::Usual, last, start),
            Some(SECOND * 5)
        );
    }

    #[test]
    fn one_request_finds_out_after_a_rest_and_rests_grow() {
        let (mut circuit, start) = circuit();
        for _ in 0..5 {
            circuit.failed(Admission::Usual, None, start);
        }
        let mut now = start;
        for rest in [5, 10, 20, 40, 60, 60] {
            now += SECOND * rest;
            assert_eq!(circuit.admit(now), Ok(Admission::Probe), "after {rest} s");
            assert_eq!(circuit.admit(now), Err(SECOND * 5), "only one");
            assert_eq!(
                circuit.failed(Admission::Usual, None, now),
                None,
                "an old one"
            );
            let next = circuit.failed(Admission::Probe, None, now).unwrap();
            assert_eq!(next, SECOND * 60.min(rest * 2));
        }
        now += SECOND * 60;
        circuit.admit(now).unwrap();
        circuit.given_up(Admission::Usual);
        assert!(circuit.admit(now).is_err(), "the probe is still out");
        circuit.given_up(Admission::Probe);
        assert_eq!(
            circuit.admit(now),
            Ok(Admission::Probe),
            "another may find out"
        );
        assert!(circuit.answered());
        assert_eq!(circuit.admit(now), Ok(Admission::Usual));
        assert_eq!(
            circuit.failed(Admission::Usual, None, now),
            None,
            "all is forgiven"
        );
    }

    #[test]
    fn requests_that_were_under_way_when_it_opened_change_nothing() {
        let (mut circuit, start) = circuit();
        for _ in 0..5 {
            circuit.failed(Admission::Usual, None, start);
        }
        assert_eq!(circuit.failed(Admission::Usual, None, start + SECOND), None);
        assert_eq!(circuit.admit(start + SECOND), Err(SECOND * 4));
        assert!(circuit.answered(), "an answer is an answer");
    }
}

//! One host as it is watched: its circuit, and what people want to know of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use super::circuit::{Admission, Circuit, Duty, Recovery, Subject};
use super::{CircuitLimits, Resting};
use crate::runtime::{Clock, Timestamp};
use crate::telemetry::with_causes;
use crate::upstream::endpoint_url::Site;
use crate::upstream::error::UpstreamError;
use crate::upstream::standing::{HostStanding, HostState, LastFailure, later};

/// A host of an endpoint. Clones are the same host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    site: Site,
    record: Arc<Mutex<Record>>,
    /// Counts the hosts that rest.
    resting: Gauge,
    clock: Clock,
}

#[derive(Debug)]
struct Record {
    circuit: Circuit,
    state: HostState,
    since: Timestamp,
    /// How it failed last, and when.
    failure: Option<(Arc<UpstreamError>, Timestamp)>,
    /// When somebody wanted something of it last.
    asked: Timestamp,
    /// Whether the gauge has it among those that rest.
    is_counted: bool,
}

impl Host {
    /// Starts with a host that nobody asked for anything yet.
    pub(super) fn new(site: Site, limits: CircuitLimits, resting: Gauge, clock: Clock) -> Self {
        let now = clock.now();
        let record = Record {
            circuit: Circuit::new(limits),
            state: HostState::Unasked,
            since: now,
            failure: None,
            asked: now,
            is_counted: false,
        };
        Self {
            site,
            record: Arc::new(Mutex::new(record)),
            resting,
            clock,
        }
    }

    /// Lets a request through, or says for how long the host is left alone, and why.
    pub(super) fn admit(&self) -> Result<Admission, Resting> {
        let mut record = self.record();
        record.asked = self.clock.now();
        let admitted = record.circuit.admit(Instant::now());
        admitted.map_err(|left| Resting {
            left,
            failure: record.failure.as_ref().map(|(failure, _)| failure.clone()),
        })
    }

    /// Takes down that it answered a request.
    pub(super) fn answered(&self) {
        let was_resting = {
            let mut record = self.record();
            record.turn(HostState::Answers, self.clock.now());
            record.circuit.answered()
        };
        if was_resting {
            self.back();
        }
    }

    /// Takes down that it failed at a request, and how. Returns the number of its rest when a task has to find out when it
    /// is back.
    pub(super) fn failed(
        &self,
        admission: Admission,
        about: Option<Subject>,
        failure: UpstreamError,
    ) -> Option<u64> {
        let failure = Arc::new(failure);
        let (was_resting, rest, number) = {
            let mut record = self.record();
            let now = self.clock.now();
            let was_resting = record.circuit.is_open();
            let rest = record.circuit.failed(admission, about, Instant::now());
            record.failure = Some((failure.clone(), now));
            let state = if record.circuit.is_open() {
                HostState::Rests
            } else {
                HostState::Fails
            };
            record.turn(state, now);
            let number = rest.and_then(|_| record.circuit.entrust());
            (was_resting, rest, number)
        };
        if let Some(rest) = rest {
            if was_resting {
                self.still_fails(rest, &failure);
            } else {
                self.count();
                tracing::warn!(
                    host = %self.site.name(),
                    rest_seconds = rest.as_secs(),
                    error = with_causes(&failure),
                    "fails again and again: it is left alone for a while"
                );
            }
        }
        number
    }

    /// Takes down that a request was given up.
    pub(super) fn given_up(&self, admission: Admission) {
        self.record().circuit.given_up(admission);
    }

    /// Returns what the task of a rest has to do.
    pub(super) fn duty(&self, number: u64) -> Duty {
        self.record().circuit.duty(number, Instant::now())
    }

    /// Takes down that the host did not answer the task of a rest, and how.
    pub(super) fn silent(&self, number: u64, failure: UpstreamError) {
        let failure = Arc::new(failure);
        let rest = {
            let mut record = self.record();
            let rest = record.circuit.silent(number, Instant::now());
            if rest.is_some() {
                record.failure = Some((failure.clone(), self.clock.now()));
            }
            rest
        };
        if let Some(rest) = rest {
            self.still_fails(rest, &failure);
        }
    }

    /// Takes down that the host answered the task of a rest that it is in trouble.
    pub(super) fn troubled(&self, number: u64, failure: UpstreamError) {
        let mut record = self.record();
        if record.circuit.troubled(number) {
            record.failure = Some((Arc::new(failure), self.clock.now()));
        }
    }

    /// Takes down that the host answered the task of a rest.
    pub(super) fn recovers(&self, number: u64) {
        let recovery = {
            let mut record = self.record();
            let recovery = record.circuit.recovers(number);
            if recovery == Recovery::Complete {
                record.turn(HostState::Answers, self.clock.now());
            }
            recovery
        };
        match recovery {
            Recovery::Complete => self.back(),
            Recovery::OnTrial => {
                let host = self.site.name();
                tracing::debug!(%host, "answers, and the next request will tell whether it is well");
            }
            Recovery::None => {}
        }
    }

    /// Takes down that the task of a rest is gone.
    pub(super) fn released(&self, number: u64) {
        self.record().circuit.released(number);
    }

    /// Takes it from those that rest, however it is: it is well, or forgotten.
    pub(super) fn uncount(&self) {
        if std::mem::take(&mut self.record().is_counted) {
            self.resting.dec();
        }
    }

    fn count(&self) {
        if !std::mem::replace(&mut self.record().is_counted, true) {
            self.resting.inc();
        }
    }

    /// Returns when somebody wanted something of it last.
    pub(super) fn asked(&self) -> Timestamp {
        self.record().asked
    }

    /// Returns what is known of it.
    pub(super) fn standing(&self) -> HostStanding {
        let (state, since, failure, next_probe) = {
            let record = self.record();
            let next_probe = record.circuit.next_probe();
            (
                record.state,
                record.since,
                record.failure.clone(),
                next_probe,
            )
        };
        // Requests do not wait while it is written.
        HostStanding {
            host: self.site.name().clone(),
            state,
            since: (state != HostState::Unasked).then_some(since),
            last_failure: failure.map(|(failure, at)| LastFailure::of(&failure, at)),
            next_probe: next_probe.map(|until| {
                let left = until.saturating_duration_since(Instant::now());
                later(self.clock.now(), left)
            }),
        }
    }

    fn back(&self) {
        self.uncount();
        tracing::info!(host = %self.site.name(), "answers again");
    }

    fn still_fails(&self, rest: Duration, failure: &UpstreamError) {
        tracing::debug!(
            host = %self.site.name(),
            rest_seconds = rest.as_secs(),
            error = with_causes(failure),
            "still fails, and is left alone for longer"
        );
    }

    /// What a panic left is as good as what was there: each change is complete by itself.
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn turn(&mut self, state: HostState, now: Timestamp) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }
}

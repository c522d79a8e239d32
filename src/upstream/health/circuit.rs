//! When a host is left alone, and what ends that. Pure: the time comes in.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use http::Uri;
use tokio::time::Instant;

use super::CircuitLimits;

/// The health of one host.
#[derive(Debug)]
pub(super) struct Circuit {
    limits: CircuitLimits,
    /// The last failures, as many as count.
    failures: VecDeque<Failure>,
    /// The rest that it has, if it has one.
    pub(super) rest: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Instant,
    about: Option<Subject>,
}

/// What was asked for when a host answered and failed. One thing that it cannot give, however often it is asked for, says
/// little of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Subject(u64);

impl Subject {
    /// Names what a URL asks for.
    pub(in crate::upstream) fn of(url: &Uri) -> Self {
        let mut hasher = DefaultHasher::new();
        url.path().hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What a request may do at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is one of many.
    Usual,
    /// It finds out whether the host is back.
    Probe,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    until: Instant,
    length: Duration,
    /// Whether one request is on its way to find out whether the host is back.
    is_probed: bool,
}

impl Circuit {
    pub(super) fn new(limits: CircuitLimits) -> Self {
        Self {
            limits,
            failures: VecDeque::new(),
            rest: None,
        }
    }

    /// Lets a request through, or says how long it is too early for one. A probe has to report.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admission, Duration> {
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
    pub(super) fn answered(&mut self) -> bool {
        self.failures.clear();
        self.rest.take().is_some()
    }

    /// The host failed. `about` says what was asked for when it answered. Returns how long it is left alone from now on,
    /// if that is news.
    pub(super) fn failed(
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
    pub(super) fn given_up(&mut self, admission: Admission) {
        if let (Some(rest), Admission::Probe) = (&mut self.rest, admission) {
            rest.is_probed = false;
        }
    }
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

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
    rest: Option<Rest>,
    /// How many rests it had.
    rests: u64,
    /// How long the rest was that an answer to a task has ended, as long as no request was answered since.
    doubted: Option<Duration>,
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

    /// Names what a request for a token asks for. All have one path: for what the token is, the query says, or the body.
    pub(in crate::upstream) fn of_token(url: &Uri, body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (url.path(), url.query(), body).hash(&mut hasher);
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

/// The time for which a host is left alone, until somebody finds out that it is back.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// Which one, of all that the host had.
    number: u64,
    until: Instant,
    length: Duration,
    cause: Cause,
    finder: Finder,
}

/// Why a host rests, which decides what shows that it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// There was no way to it. Any answer shows that there is one again.
    Unreachable,
    /// It could be reached, and failed at what it was asked for. Only the answer to such a request shows that it is well.
    Troubled,
}

/// Who finds out whether a host is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finder {
    /// The next request after the rest.
    NextRequest,
    /// A request that is on its way.
    Request,
    /// A task of ours.
    Task,
}

/// What a task that watches a host has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// To wait.
    Wait(Instant),
    /// To ask.
    Ask,
    /// Nothing more.
    Nothing,
}

/// What it means for a host that it answered a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// It is back.
    Complete,
    /// Its rest is over, and the next request is the trial.
    OnTrial,
    /// Nothing: the rest was over before.
    None,
}

impl Circuit {
    /// Starts with a host that is well.
    pub(super) fn new(limits: CircuitLimits) -> Self {
        Self {
            limits,
            failures: VecDeque::new(),
            rest: None,
            rests: 0,
            doubted: None,
        }
    }

    /// Returns whether the host is left alone.
    pub(super) fn is_open(&self) -> bool {
        self.rest.is_some()
    }

    /// Returns when a task will ask whether the host is back, `None` when no task will.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        let rest = self.rest.filter(|rest| rest.finder == Finder::Task)?;
        Some(rest.until)
    }

    /// Lets a request through, or says how long it is too early for one. A probe has to report.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admission, Duration> {
        let Some(rest) = &mut self.rest else {
            return Ok(Admission::Usual);
        };
        if now < rest.until {
            return Err(rest.until - now);
        }
        match rest.finder {
            Finder::NextRequest => {
                rest.finder = Finder::Request;
                Ok(Admission::Probe)
            }
            Finder::Request | Finder::Task => Err(self.limits.first_rest),
        }
    }

    /// The host answered. Returns whether that ends a rest.
    pub(super) fn answered(&mut self) -> bool {
        self.failures.clear();
        self.doubted = None;
        self.rest.take().is_some()
    }

    /// The host failed. `about` says what was asked for when it was reached. Returns how long it is left alone from now on,
    /// if that is news.
    pub(super) fn failed(
        &mut self,
        admission: Admission,
        about: Option<Subject>,
        now: Instant,
    ) -> Option<Duration> {
        if let Some(rest) = &mut self.rest {
            // Requests that were under way before it rested say nothing new, nor does one that tried out an earlier rest.
            if admission == Admission::Usual || rest.finder != Finder::Request {
                return None;
            }
            if about.is_some() {
                rest.cause = Cause::Troubled;
            }
            rest.finder = Finder::NextRequest;
            return Some(rest.again(now, self.limits));
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
        let is_reached = self.failures.iter().any(|failure| failure.about.is_some());
        self.failures.clear();
        self.rests += 1;
        // Who answers pings alone does not begin anew each time.
        let doubted = self.doubted.take();
        let length = doubted.map_or(self.limits.first_rest, |before| self.limits.longer(before));
        self.rest = Some(Rest {
            number: self.rests,
            until: now + length,
            length,
            cause: if is_reached {
                Cause::Troubled
            } else {
                Cause::Unreachable
            },
            finder: Finder::NextRequest,
        });
        Some(length)
    }

    /// The request was given up: nothing is known, and another may find out.
    pub(super) fn given_up(&mut self, admission: Admission) {
        if let (Some(rest), Admission::Probe) = (&mut self.rest, admission)
            && rest.finder == Finder::Request
        {
            rest.finder = Finder::NextRequest;
        }
    }

    /// Leaves it to a task to find out whether the host is back. Returns the number of the rest that it is for; `None`
    /// when there is none, or somebody is at it.
    pub(super) fn entrust(&mut self) -> Option<u64> {
        let rest = self.rest.as_mut()?;
        match rest.finder {
            Finder::NextRequest => {
                rest.finder = Finder::Task;
                Some(rest.number)
            }
            Finder::Request | Finder::Task => None,
        }
    }

    /// Returns what the task of a rest has to do.
    pub(super) fn duty(&self, number: u64, now: Instant) -> Duty {
        match self.entrusted(number) {
            None => Duty::Nothing,
            Some(rest) if now < rest.until => Duty::Wait(rest.until),
            Some(_) => Duty::Ask,
        }
    }

    /// The host did not answer the task. Returns how long it is left alone from now on.
    pub(super) fn silent(&mut self, number: u64, now: Instant) -> Option<Duration> {
        self.entrusted(number)?;
        let limits = self.limits;
        self.rest.as_mut().map(|rest| rest.again(now, limits))
    }

    /// The host answered the task, and is in trouble. Some never answer a ping in another way, so a request has to find
    /// out. Returns whether that is news.
    pub(super) fn troubled(&mut self, number: u64) -> bool {
        let is_its = self.entrusted(number).is_some();
        if let Some(rest) = self.rest.as_mut().filter(|_| is_its) {
            rest.cause = Cause::Troubled;
            rest.finder = Finder::NextRequest;
        }
        is_its
    }

    /// The host answered the task.
    pub(super) fn recovers(&mut self, number: u64) -> Recovery {
        match self.entrusted(number).map(|rest| (rest.cause, rest.length)) {
            None => Recovery::None,
            Some((Cause::Unreachable, length)) => {
                self.answered();
                self.doubted = Some(length);
                Recovery::Complete
            }
            Some((Cause::Troubled, _)) => {
                self.released(number);
                Recovery::OnTrial
            }
        }
    }

    /// The task of a rest is gone: requests have to find out.
    pub(super) fn released(&mut self, number: u64) {
        if self.entrusted(number).is_some()
            && let Some(rest) = &mut self.rest
        {
            rest.finder = Finder::NextRequest;
        }
    }

    fn entrusted(&self, number: u64) -> Option<Rest> {
        let is_its = |rest: &Rest| rest.number == number && rest.finder == Finder::Task;
        self.rest.filter(is_its)
    }
}

impl CircuitLimits {
    /// Returns how long the rest after one of this length is.
    fn longer(self, length: Duration) -> Duration {
        (length * 2).min(self.longest_rest)
    }
}

impl Rest {
    /// Begins anew, for twice as long.
    fn again(&mut self, now: Instant, limits: CircuitLimits) -> Duration {
        self.length = limits.longer(self.length);
        self.until = now + self.length;
        self.length
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

    /// A circuit that was opened by failures about these things, and the number of its rest.
    fn opened(about: impl Fn(u64) -> Option<Subject>) -> (Circuit, Instant, u64) {
        let (mut circuit, start) = circuit();
        for number in 0..5 {
            circuit.failed(Admission::Usual, about(number), start);
        }
        let number = circuit.entrust().unwrap();
        (circuit, start, number)
    }

    #[test]
    fn a_task_asks_after_each_rest_and_nobody_else_does() {
        let (mut circuit, start, number) = opened(|_| None);
        assert_eq!(circuit.entrust(), None, "one task is enough");
        let mut now = start;
        for rest in [5, 10, 20, 40, 60, 60] {
            let until = now + SECOND * rest;
            assert_eq!(circuit.duty(number, now), Duty::Wait(until));
            assert_eq!(circuit.next_probe(), Some(until));
            now = until;
            assert_eq!(circuit.duty(number, now), Duty::Ask);
            assert_eq!(circuit.admit(now), Err(SECOND * 5), "the task is at it");
            let next = circuit.silent(number, now).unwrap();
            assert_eq!(next, SECOND * 60.min(rest * 2));
        }
        assert_eq!(circuit.recovers(number), Recovery::Complete);
        assert_eq!(circuit.admit(now), Ok(Admission::Usual));
        assert_eq!(circuit.duty(number, now), Duty::Nothing);
    }

    #[test]
    fn what_shows_that_a_host_is_back_depends_on_how_it_failed() {
        for (is_about, recovery) in [
            (0, Recovery::Complete),
            (1, Recovery::OnTrial),
            (5, Recovery::OnTrial),
        ] {
            let about = |number| (number < is_about).then_some(Subject(number));
            let (mut circuit, start, number) = opened(about);
            assert_eq!(circuit.duty(number, start + SECOND * 5), Duty::Ask);
            assert_eq!(circuit.recovers(number), recovery, "{is_about}");
            assert_eq!(circuit.is_open(), recovery == Recovery::OnTrial);
        }
    }

    #[test]
    fn rests_grow_when_nothing_but_pings_is_answered() {
        let (mut circuit, now, mut number) = opened(|_| None);
        let open = |circuit: &mut Circuit| {
            let opened = (0..5).filter_map(|_| circuit.failed(Admission::Usual, None, now));
            opened.last().unwrap()
        };
        for rest in [10, 20, 40, 60, 60] {
            assert_eq!(circuit.recovers(number), Recovery::Complete);
            assert_eq!(open(&mut circuit), SECOND * rest);
            number = circuit.entrust().unwrap();
        }
        assert_eq!(circuit.recovers(number), Recovery::Complete);
        circuit.answered();
        assert_eq!(open(&mut circuit), SECOND * 5);
    }

    #[test]
    fn a_host_that_has_nothing_but_trouble_for_pings_is_on_trial() {
        let (mut circuit, start, number) = opened(|_| None);
        assert!(circuit.troubled(number));
        assert!(!circuit.troubled(number), "the task is at its end");
        let now = start + SECOND * 5;
        assert_eq!(circuit.duty(number, now), Duty::Nothing);
        assert_eq!(circuit.admit(now), Ok(Admission::Probe));
        let rest = circuit.failed(Admission::Probe, Some(Subject(1)), now);
        assert_eq!(rest, Some(SECOND * 10));
        assert!(circuit.entrust().is_some());
    }

    #[test]
    fn a_trial_that_fails_doubles_the_rest() {
        let (mut circuit, start, first) = opened(|number| Some(Subject(number)));
        let now = start + SECOND * 5;
        circuit.recovers(first);
        assert_eq!(circuit.next_probe(), None);
        assert_eq!(circuit.duty(first, now), Duty::Nothing);
        assert_eq!(circuit.admit(now), Ok(Admission::Probe));
        assert!(circuit.admit(now).is_err(), "never two at once");
        assert_eq!(circuit.entrust(), None, "a request finds out");
        let about = Some(Subject(1));
        let rest = circuit.failed(Admission::Probe, about, now);
        assert_eq!(rest, Some(SECOND * 10));
        let number = circuit.entrust().unwrap();
        assert_eq!(
            circuit.duty(number, now),
            Duty::Wait(now + SECOND * 10),
            "a task again"
        );
    }

    #[test]
    fn a_request_that_hears_of_trouble_makes_the_ping_worth_little() {
        let (mut circuit, start, number) = opened(|_| None);
        circuit.released(number);
        let now = start + SECOND * 5;
        assert_eq!(circuit.admit(now), Ok(Admission::Probe));
        circuit.failed(Admission::Probe, Some(Subject(1)), now);
        let number = circuit.entrust().unwrap();
        assert_eq!(circuit.recovers(number), Recovery::OnTrial);
    }

    #[test]
    fn a_probe_of_one_rest_is_nothing_to_the_next_one() {
        let (mut circuit, start, first) = opened(|_| None);
        circuit.released(first);
        let now = start + SECOND * 5;
        assert_eq!(circuit.admit(now), Ok(Admission::Probe));
        assert!(circuit.answered(), "a request of before the rest");
        for _ in 0..5 {
            circuit.failed(Admission::Usual, None, now);
        }
        let second = circuit.entrust().unwrap();
        let wait = Duty::Wait(now + SECOND * 5);
        circuit.given_up(Admission::Probe);
        assert_eq!(circuit.duty(second, now), wait);
        assert_eq!(circuit.failed(Admission::Probe, None, now), None);
        assert_eq!(circuit.entrust(), None, "one task is enough");
        assert_eq!(circuit.duty(second, now), wait);
    }

    #[test]
    fn a_task_that_is_gone_leaves_it_to_the_next_request() {
        let (mut circuit, start, number) = opened(|_| None);
        let now = start + SECOND * 5;
        circuit.released(number);
        assert_eq!(circuit.admit(now), Ok(Admission::Probe));
        // What an old task says or leaves is nothing to a request.
        circuit.released(number);
        assert_eq!(circuit.silent(number, now), None);
        assert_eq!(circuit.recovers(number), Recovery::None);
        assert!(circuit.admit(now).is_err());
    }

    #[test]
    fn the_task_of_one_rest_is_nothing_to_the_next_one() {
        let (mut circuit, start, first) = opened(|_| None);
        assert!(circuit.answered());
        for _ in 0..5 {
            circuit.failed(Admission::Usual, None, start);
        }
        let second = circuit.entrust().unwrap();
        assert_ne!(first, second);
        circuit.released(first);
        assert_eq!(circuit.recovers(first), Recovery::None);
        assert_eq!(
            circuit.duty(second, start),
            Duty::Wait(start + SECOND * 5),
            "it is still entrusted"
        );
    }
}

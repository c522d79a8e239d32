//! What an endpoint turned out not to do well, so that it is not tried again and again. Remembered for a while only:
//! registries are repaired.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::oci::{Reference, RepositoryName};
use crate::runtime::{Clock, Timestamp};

/// What is remembered of one endpoint.
#[derive(Debug)]
pub(super) struct Habits {
    clock: Clock,
    poor_heads: Noticed,
    no_ranges: Noticed,
    no_referrers: Noticed,
    referrers: Noticed,
    /// What HEAD denied lately.
    denied: Cache<(RepositoryName, Reference), Timestamp>,
}

impl Habits {
    /// How long something counts that was noticed.
    const COUNTS: Duration = Duration::from_mins(10);
    /// How soon a GET has to find what HEAD denied, to say something about HEAD: later it may have come to be.
    const CONTRADICTS: Duration = Duration::from_secs(5);
    /// How much is remembered that HEAD denied; about 200 bytes each.
    const MAX_DENIED: u64 = 1_000;

    /// Starts with a good opinion.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            poor_heads: Noticed::default(),
            no_ranges: Noticed::default(),
            no_referrers: Noticed::default(),
            referrers: Noticed::default(),
            denied: Cache::new(Self::MAX_DENIED),
        }
    }

    /// Returns whether HEAD for manifests tells too little to be worth a request.
    pub(super) fn has_poor_heads(&self) -> bool {
        self.poor_heads.counts(self.clock.now())
    }

    /// Notes that a HEAD for a manifest was refused, or told too little.
    pub(super) fn note_poor_head(&self) {
        self.poor_heads.note(self.clock.now());
    }

    /// Notes that HEAD denies a manifest.
    pub(super) fn note_denied(&self, repository: &RepositoryName, reference: &Reference) {
        let key = (repository.clone(), reference.clone());
        self.denied.insert(key, self.clock.now());
    }

    /// Notes that GET denies it as well, or for itself.
    pub(super) fn note_absent(&self, repository: &RepositoryName, reference: &Reference) {
        self.denied
            .invalidate(&(repository.clone(), reference.clone()));
    }

    /// Notes that GET finds a manifest, which HEAD may just have denied.
    pub(super) fn note_found(&self, repository: &RepositoryName, reference: &Reference) {
        let key = (repository.clone(), reference.clone());
        let (denied, now) = (self.denied.remove(&key), self.clock.now());
        if denied.is_some_and(|denied| now.since(denied) < Self::CONTRADICTS) {
            self.note_poor_head();
        }
    }

    /// Returns whether a part of a blob cannot be had without what comes before it.
    pub(super) fn has_no_ranges(&self) -> bool {
        self.no_ranges.counts(self.clock.now())
    }

    /// Notes that the whole blob came where a part was asked for.
    pub(super) fn note_no_range(&self) {
        self.no_ranges.note(self.clock.now());
    }

    /// Returns whether it does not have the question for referrers.
    pub(super) fn has_no_referrers(&self) -> bool {
        self.no_referrers.counts(self.clock.now())
    }

    /// Notes that it seems not to have the question for referrers. Who answered it a short while ago has it: then this is
    /// about the repository.
    pub(super) fn note_no_referrers(&self) {
        let now = self.clock.now();
        if !self.referrers.counts(now) {
            self.no_referrers.note(now);
        }
    }

    /// Notes that it answered the question for referrers.
    pub(super) fn note_referrers(&self) {
        self.referrers.note(self.clock.now());
        self.no_referrers.forget();
    }

    /// Notes that a part of a blob came as it was asked for.
    pub(super) fn note_range(&self) {
        self.no_ranges.forget();
    }
}

/// When something was noticed last.
#[derive(Debug, Default)]
struct Noticed(Mutex<Option<Timestamp>>);

impl Noticed {
    fn counts(&self, now: Timestamp) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| now.since(last) < Habits::COUNTS)
    }

    fn note(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habits() -> (Habits, Clock) {
        let clock = Clock::set_to(Timestamp::from_millis(1_000_000));
        (Habits::new(clock.clone()), clock)
    }

    #[test]
    fn what_was_noticed_counts_for_ten_minutes() {
        let (habits, clock) = habits();
        assert!(!habits.has_poor_heads() && !habits.has_no_ranges());
        habits.note_poor_head();
        habits.note_no_range();
        clock.advance(Habits::COUNTS - Duration::from_millis(1));
        assert!(habits.has_poor_heads() && habits.has_no_ranges());
        habits.note_range();
        assert!(habits.has_poor_heads() && !habits.has_no_ranges());
        clock.advance(Duration::from_millis(1));
        assert!(!habits.has_poor_heads());
    }

    #[test]
    fn who_answered_for_referrers_has_the_question() {
        let (habits, clock) = habits();
        habits.note_no_referrers();
        assert!(habits.has_no_referrers());
        habits.note_referrers();
        habits.note_no_referrers();
        assert!(!habits.has_no_referrers());
        clock.advance(Habits::COUNTS);
        habits.note_no_referrers();
        assert!(habits.has_no_referrers());
        clock.advance(Habits::COUNTS);
        assert!(!habits.has_no_referrers());
    }

    #[test]
    fn a_get_that_finds_what_head_has_just_denied_tells() {
        let repository: RepositoryName = "a/b".parse().unwrap();
        let (one, other) = ("1".parse().unwrap(), "2".parse().unwrap());
        let (habits, clock) = habits();
        habits.note_found(&repository, &one);
        habits.note_denied(&repository, &one);
        habits.note_found(&repository, &other);
        clock.advance(Habits::CONTRADICTS);
        habits.note_found(&repository, &one);
        habits.note_denied(&repository, &one);
        habits.note_absent(&repository, &one);
        habits.note_found(&repository, &one);
        assert!(!habits.has_poor_heads());
        habits.note_denied(&repository, &one);
        habits.note_found(&repository, &one);
        assert!(habits.has_poor_heads());
    }
}

//! Docker Hub's pull limit: how much is left, for whom, and what is said when nothing is.

use std::collections::HashMap;
use std::sync::Mutex;

use http::{HeaderName, StatusCode, header};

use super::answer::Answer;
use super::request::{Kind, Request};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const SOURCE: HeaderName = HeaderName::from_static("docker-ratelimit-source");

/// How many manifests may be pulled, by each user and by all those without a login together. A GET of a manifest spends
/// one, by tag or by digest; a HEAD tells what is left and spends nothing.
#[derive(Debug, Default)]
pub struct Quota(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many, and within how many seconds; without it there is no limit.
    limit: Option<(u64, u64)>,
    /// What is spent, by user.
    spent: HashMap<Option<String>, u64>,
    unlimited: Vec<String>,
    retry_after: Option<&'static str>,
}

impl Quota {
    /// Allows this many manifests within this many seconds, which do not go by: see [`Quota::reset`].
    pub fn set(&self, pulls: u64, seconds: u64) {
        self.0.lock().unwrap().limit = Some((pulls, seconds));
    }

    /// Begins a new window of time: nothing is spent.
    pub fn reset(&self) {
        self.0.lock().unwrap().spent.clear();
    }

    /// Has no limit for a user, and sends no headers, as for those who pay.
    pub fn lift_for(&self, user: &str) {
        self.0.lock().unwrap().unlimited.push(user.into());
    }

    /// Says when to come again, with every refusal.
    pub fn retry_after(&self, when: &'static str) {
        self.0.lock().unwrap().retry_after = Some(when);
    }

    /// Returns how much is left, for a user or those without a login.
    pub fn remaining(&self, user: Option<&str>) -> u64 {
        let state = self.0.lock().unwrap();
        let limit = state.limit.map_or(u64::MAX, |(pulls, _)| pulls);
        limit.saturating_sub(state.spent(user))
    }

    /// Counts a request, and replaces its answer when there is nothing left, or tells what is left.
    pub(super) fn charge(&self, request: &Request, answer: &mut Answer) {
        let is_counted = request.kind == Kind::ManifestGet;
        if !(is_counted || request.kind == Kind::ManifestHead) || !answer.status.is_success() {
            return;
        }
        let mut state = self.0.lock().unwrap();
        let user = request.user();
        let is_unlimited = user.is_some_and(|user| state.unlimited.iter().any(|one| one == user));
        let Some((pulls, seconds)) = state.limit.filter(|_| !is_unlimited) else {
            return;
        };
        if is_counted && state.spent(user) >= pulls {
            *answer = exhausted();
            if let Some(when) = state.retry_after {
                answer.set(header::RETRY_AFTER, when);
            }
        } else if is_counted {
            *state.spent.entry(user.map(String::from)).or_default() += 1;
        }
        let left = pulls.saturating_sub(state.spent(user));
        answer.set(LIMIT, &format!("{pulls};w={seconds}"));
        answer.set(REMAINING, &format!("{left};w={seconds}"));
        answer.set(SOURCE, user.unwrap_or("127.0.0.1"));
    }
}

impl State {
    fn spent(&self, user: Option<&str>) -> u64 {
        let user = user.map(String::from);
        self.spent.get(&user).copied().unwrap_or_default()
    }
}

/// What Docker Hub says to those who have spent everything.
fn exhausted() -> Answer {
    let message = "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: \
                   https://www.docker.com/increase-rate-limit";
    Answer::error_of(StatusCode::TOO_MANY_REQUESTS, message)
}

//! What to do about something that has a freshness: pure functions of what is known of it, its policy, and the time.
//!
//! Two decisions make up the whole contract. [`plan`] is made when a client asks; [`after`] when the registry was asked
//! and did not confirm what is known. What is looked up, asked and written down for them is done elsewhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Freshness, Policy, StaleLimit};
use crate::answer::StaleReason;
use crate::runtime::Timestamp;

/// What is known of something, as far as its freshness goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// When the registry last confirmed it.
    pub confirmed: Timestamp,
    /// What the registry has said against it since.
    pub denial: Option<Denial>,
    /// Any number that this thing has and others do not: it spreads the moments at which things are asked for again.
    pub seed: u64,
}

/// A word of the registry against what it confirmed before. It stands until the registry says something else: that it
/// cannot be reached meanwhile takes nothing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// That there is no such thing (404).
    NotFound,
    /// That we may not see it (401, 403).
    Denied,
}

/// What a client wants of freshness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demand {
    /// What the policy says.
    #[default]
    Usual,
    /// The registry's word of now.
    Now,
}

/// Whether the registry may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// It may.
    Online,
    /// It may not.
    Offline,
}

/// What to do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Answer with what is known: it is fresh.
    Serve,
    /// Answer with what is known: nobody may be asked.
    ServeOffline,
    /// Ask the registry whether it still holds.
    Check,
    /// Ask the registry what there is.
    Fetch,
    /// Say that it is not here, and that nobody may be asked.
    Lack,
}

/// Decides what to do for a request.
pub fn plan(
    known: Option<&Known>,
    policy: &Policy,
    demand: Demand,
    reach: Reach,
    now: Timestamp,
) -> Plan {
    match (known, reach) {
        (None, Reach::Online) => Plan::Fetch,
        (None, Reach::Offline) => Plan::Lack,
        (Some(known), Reach::Online) => match demand {
            Demand::Now => Plan::Check,
            Demand::Usual if is_fresh(known, policy, now) => Plan::Serve,
            Demand::Usual => Plan::Check,
        },
        (Some(known), Reach::Offline) => match demand {
            // Whoever wants the registry's word has to see that it was not asked, however fresh the answer is.
            Demand::Now => Plan::ServeOffline,
            Demand::Usual if is_fresh(known, policy, now) => Plan::Serve,
            Demand::Usual => Plan::ServeOffline,
        },
    }
}

/// How a registry failed to confirm what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It could not be reached, or is in trouble itself.
    Unreachable,
    /// It has not answered yet, and the client has waited long enough.
    Slow,
    /// It allows no more requests.
    RateLimited,
    /// It said something against it.
    Said(Denial),
}

/// What a client gets that could not be given the registry's confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What is known, which says why it is old.
    Stale(StaleReason),
    /// The failure.
    Fail,
}

/// Decides what goes out when the registry did not confirm what is known.
pub fn after(known: &Known, failure: Failure, policy: &Policy, now: Timestamp) -> Verdict {
    let (limit, reason) = match failure {
        Failure::Unreachable => (policy.stale_on_unreachable, StaleReason::Unreachable),
        // From a client's place, a registry that does not answer cannot be reached.
        Failure::Slow => (policy.stale_on_unreachable, StaleReason::Slow),
        Failure::RateLimited => (policy.stale_on_rate_limit, StaleReason::RateLimited),
        Failure::Said(Denial::NotFound) => (policy.stale_on_not_found, StaleReason::NotFound),
        Failure::Said(Denial::Denied) => (policy.stale_on_denied, StaleReason::Denied),
    };
    let standing = match known.denial {
        None => StaleLimit::Unlimited,
        Some(Denial::NotFound) => policy.stale_on_not_found,
        Some(Denial::Denied) => policy.stale_on_denied,
    };
    // The registry's newest word replaces an older one; a failure to ask replaces none.
    let standing = match failure {
        Failure::Said(_) => StaleLimit::Unlimited,
        Failure::Unreachable | Failure::Slow | Failure::RateLimited => standing,
    };
    let stale_for = stale_for(known, policy, now);
    if limit.allows(stale_for) && standing.allows(stale_for) {
        Verdict::Stale(reason)
    } else {
        Verdict::Fail
    }
}

fn is_fresh(known: &Known, policy: &Policy, now: Timestamp) -> bool {
    // What the registry has spoken against is asked for again each time, until it says otherwise.
    if known.denial.is_some() {
        return false;
    }
    match policy.freshness {
        Freshness::Immutable => true,
        Freshness::Always => false,
        // A confirmation in the future means that the clock was set back: it says nothing.
        Freshness::For(_) if known.confirmed > now => false,
        Freshness::For(period) => now.since(known.confirmed) < spread(period, known),
    }
}

/// Returns for how long something has not been fresh any more.
fn stale_for(known: &Known, policy: &Policy, now: Timestamp) -> Duration {
    let age = now.since(known.confirmed);
    match policy.freshness {
        Freshness::Immutable => Duration::ZERO,
        Freshness::Always => age,
        Freshness::For(period) => age.saturating_sub(spread(period, known)),
    }
}

/// By how much a period differs at most, in thousandths.
const SPREAD: u64 = 100;

/// Makes a period up to a tenth shorter or longer: another each time that something is confirmed, and the same until
/// then.
fn spread(period: Duration, known: &Known) -> Duration {
    // The multiplier is that of Fibonacci hashing: it spreads numbers that lie close together.
    let mixed =
        (known.seed ^ known.confirmed.as_millis()).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let thousandths = 1_000 - SPREAD + mixed % (2 * SPREAD + 1);
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
    let spread = u128::from(millis) * u128::from(thousandths) / 1_000;
    Duration::from_millis(u64::try_from(spread).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;

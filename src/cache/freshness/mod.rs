//! The freshness contract: for how long an answer of a registry counts, and what goes out when it cannot be asked again.
//!
//! What the owner writes are [`Keys`], each of them for all tags, for one upstream, or for some tags of it. What holds
//! for one thing is its [`Policy`]. What follows from a policy for what is known of a thing, [`decision`] says.

pub mod decision;
mod shape;

use std::time::Duration;

use super::sight::Visibility;
use crate::addressing::Origin;
use crate::oci::{Digest, ImagePattern, RepositoryName, Tag, UpstreamName, UpstreamPattern};

/// How long an answer goes out without asking the registry again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As long as this after the registry last confirmed it, give or take a tenth: what was confirmed together is not
    /// asked for together.
    For(Duration),
    /// Not at all: each request asks, together with the others of that moment.
    Always,
    /// For ever, once it is known.
    Immutable,
}

/// How long an answer goes out that is not fresh any more and cannot be confirmed, from when it ceased to be fresh (as
/// `stale-if-error` of RFC 5861).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleLimit {
    /// As long as this; zero is not at all.
    For(Duration),
    /// Without end.
    Unlimited,
}

impl StaleLimit {
    /// Not at all.
    pub const NEVER: Self = Self::For(Duration::ZERO);

    /// Returns whether an answer still goes out that ceased to be fresh so long ago.
    pub(super) fn allows(self, stale_for: Duration) -> bool {
        match self {
            Self::For(limit) => stale_for < limit,
            Self::Unlimited => true,
        }
    }
}

/// What may be said of freshness in one place. `None` is not said there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// How long an answer is fresh.
    pub freshness: Option<Freshness>,
    /// While the registry cannot be reached or is in trouble: network, 5xx, token service, open circuit.
    pub stale_on_unreachable: Option<StaleLimit>,
    /// While it allows no more requests (429).
    pub stale_on_rate_limit: Option<StaleLimit>,
    /// While it says that there is no such thing (404), confirmed by a GET.
    pub stale_on_not_found: Option<StaleLimit>,
    /// While it refuses us (401, 403).
    pub stale_on_denied: Option<StaleLimit>,
    /// How long a client waits for the registry's word where there is an answer without it.
    pub answer_within: Option<Duration>,
}

impl Keys {
    /// Returns these, and those of a weaker place where nothing is said here.
    #[must_use]
    pub fn over(self, weaker: Self) -> Self {
        Self {
            freshness: self.freshness.or(weaker.freshness),
            stale_on_unreachable: self.stale_on_unreachable.or(weaker.stale_on_unreachable),
            stale_on_rate_limit: self.stale_on_rate_limit.or(weaker.stale_on_rate_limit),
            stale_on_not_found: self.stale_on_not_found.or(weaker.stale_on_not_found),
            stale_on_denied: self.stale_on_denied.or(weaker.stale_on_denied),
            answer_within: self.answer_within.or(weaker.answer_within),
        }
    }
}

/// What is said of some tags of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// Of which.
    pub images: ImagePattern,
    /// What.
    pub keys: Keys,
}

/// What is said of one upstream, or of all that fit a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamContract {
    /// Of which.
    pub upstreams: UpstreamPattern,
    /// Of some of its tags; the first rule that fits counts, and what it leaves out the upstream's own keys say.
    pub rules: Vec<TagRule>,
    /// Of all others.
    pub keys: Keys,
}

/// What is said of all upstreams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What holds where an upstream says nothing.
    pub keys: Keys,
    /// What each upstream says. A name in full counts before patterns, and among these the first that fits.
    pub upstreams: Vec<UpstreamContract>,
}

/// What has to be fresh.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// What a tag points at.
    Tag(&'a Tag),
    /// The list of the tags of a repository.
    Tags,
    /// What refers to a manifest. Rules see it under the tag that stands for it where registries do not list referrers.
    Referrers(&'a Digest),
}

/// What holds for one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long an answer is fresh.
    pub freshness: Freshness,
    /// How long an old one goes out while the registry cannot be reached, or takes its time.
    pub stale_on_unreachable: StaleLimit,
    /// While it allows no more requests.
    pub stale_on_rate_limit: StaleLimit,
    /// While it says that there is no such thing.
    pub stale_on_not_found: StaleLimit,
    /// While it refuses us.
    pub stale_on_denied: StaleLimit,
    /// How long a client waits for the registry's word where there is an answer without it.
    pub answer_within: Duration,
}

/// For how long a public tag goes out, unless something else is said, while the registry refuses us. A private one does
/// not: whoever lost a login is to lose what it opened.
const DENIED_GRACE: Duration = Duration::from_hours(24);
/// How long a client that could be served waits for the registry's word, unless something else is said.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);

impl Settings {
    /// Returns what holds for something of a repository.
    pub fn policy(&self, origin: &Origin, visibility: Visibility, subject: Subject<'_>) -> Policy {
        let keys = match self.contract(&origin.upstream) {
            Some(contract) => contract.keys(&origin.repository, subject).over(self.keys),
            None => self.keys,
        };
        let usual = shape::freshness(visibility, subject);
        let freshness = match (subject, keys.freshness) {
            (_, None) => usual,
            // New tags and new signatures come to what never moves, too.
            (Subject::Tags | Subject::Referrers(_), Some(Freshness::Immutable)) => usual,
            (Subject::Tag(_) | Subject::Tags | Subject::Referrers(_), Some(said)) => said,
        };
        let denied = match visibility {
            Visibility::Public => StaleLimit::For(DENIED_GRACE),
            Visibility::Private => StaleLimit::NEVER,
        };
        Policy {
            freshness,
            stale_on_unreachable: keys.stale_on_unreachable.unwrap_or(StaleLimit::Unlimited),
            stale_on_rate_limit: keys.stale_on_rate_limit.unwrap_or(StaleLimit::Unlimited),
            stale_on_not_found: keys.stale_on_not_found.unwrap_or(StaleLimit::NEVER),
            stale_on_denied: keys.stale_on_denied.unwrap_or(denied),
            answer_within: keys.answer_within.unwrap_or(ANSWER_WITHIN),
        }
    }

    fn contract(&self, upstream: &UpstreamName) -> Option<&UpstreamContract> {
        let is_named = |contract: &&UpstreamContract| match &contract.upstreams {
            UpstreamPattern::Exactly(name) => name == upstream,
            UpstreamPattern::Labels(_) => false,
        };
        let fits = |contract: &&UpstreamContract| contract.upstreams.matches(upstream);
        let named = self.upstreams.iter().find(is_named);
        named.or_else(|| self.upstreams.iter().find(fits))
    }
}

impl UpstreamContract {
    fn keys(&self, repository: &RepositoryName, subject: Subject<'_>) -> Keys {
        if self.rules.is_empty() {
            return self.keys;
        }
        let stand_in = match subject {
            Subject::Referrers(digest) => Some(Tag::of_referrers(digest)),
            Subject::Tag(_) | Subject::Tags => None,
        };
        let is_for = |rule: &&TagRule| match (subject, &stand_in) {
            (Subject::Tag(tag), _) | (Subject::Referrers(_), Some(tag)) => {
                rule.images.matches(repository, tag)
            }
            (Subject::Tags | Subject::Referrers(_), _) => rule.images.matches_all_tags(repository),
        };
        match self.rules.iter().find(is_for) {
            Some(rule) => rule.keys.over(self.keys),
            None => self.keys,
        }
    }
}

#[cfg(test)]
mod tests;

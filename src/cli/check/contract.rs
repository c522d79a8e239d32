//! Describes the freshness contract: for how long a tag is fresh, and when an old one goes out.

use std::time::Duration;

use humantime::format_duration;

use crate::addressing::Origin;
use crate::cache::freshness::{
    Freshness, Keys, Policy, Settings, StaleLimit, Subject, UpstreamContract,
};
use crate::cache::sight::Visibility;
use crate::oci::{Tag, UpstreamName};

/// Tags that look like others, and what to call these.
const SHAPES: [(&str, &str); 4] = [
    ("1.2.3", "full versions"),
    ("latest", "latest and its like"),
    ("sha256-0a1b.sig", "signatures"),
    ("1.2", "others"),
];

/// What a registry does that says 401 or 403.
const REFUSES: &str = "the registry refuses larder";

/// Describes what holds where an upstream says nothing: a line for when a tag is asked for again, and one for each reason
/// for which an old one goes out.
pub(super) fn usual(settings: &Settings) -> Vec<String> {
    let all = Settings {
        keys: settings.keys,
        upstreams: Vec::new(),
    };
    let policy = |visibility, tag: &str| {
        let tag: Tag = tag.parse().expect("the examples are tags");
        all.policy(&example(), visibility, Subject::Tag(&tag))
    };
    let [public, private] =
        [Visibility::Public, Visibility::Private].map(|visibility| policy(visibility, "1.2"));
    let fresh = match all.keys.freshness {
        Some(written) => freshness(written),
        None => {
            let shape = |(tag, name): (&str, &str)| {
                let fresh = policy(Visibility::Public, tag).freshness;
                format!("{name} {}", freshness(fresh))
            };
            let shapes = SHAPES.map(shape).join(", ");
            format!("{shapes}; private ones {}", freshness(private.freshness))
        }
    };
    let old = words(&Keys {
        freshness: None,
        ..written(&public)
    });
    let mut lines = vec![fresh];
    lines.extend(old);
    if private.stale_on_denied != public.stale_on_denied {
        let denied = limit(private.stale_on_denied, REFUSES);
        lines.push(format!("{denied} a private repository"));
    }
    lines
}

/// Describes what an upstream says of its tags, a line for all of them and one for each rule.
pub(super) fn of_upstream(contract: &UpstreamContract) -> Vec<String> {
    let all = words(&contract.keys);
    let all = (!all.is_empty()).then(|| format!("tags: {}", all.join("; ")));
    let rules = contract.rules.iter().map(|rule| {
        let words = words(&rule.keys).join("; ");
        format!("tags {}: {words}", rule.images)
    });
    rules.chain(all).collect()
}

/// Describes what is said.
fn words(keys: &Keys) -> Vec<String> {
    let while_ = |written: Option<StaleLimit>, when| Some(limit(written?, when));
    let said = [
        keys.freshness.map(freshness),
        keys.answer_within.map(waiting),
        while_(keys.stale_on_unreachable, "the registry is unreachable"),
        while_(
            keys.stale_on_rate_limit,
            "the registry allows no more requests",
        ),
        while_(keys.stale_on_not_found, "the registry says 404"),
        while_(keys.stale_on_denied, REFUSES),
    ];
    said.into_iter().flatten().collect()
}

fn freshness(freshness: Freshness) -> String {
    match freshness {
        Freshness::For(duration) => format!("fresh for {}", format_duration(duration)),
        Freshness::Always => "asked for each time".to_owned(),
        Freshness::Immutable => "never asked for again".to_owned(),
    }
}

fn waiting(wait: Duration) -> String {
    if wait.is_zero() {
        return "old ones at once, and the registry is asked behind them".to_owned();
    }
    format!(
        "old ones when the registry takes longer than {}",
        format_duration(wait)
    )
}

fn limit(limit: StaleLimit, when: &str) -> String {
    match limit {
        StaleLimit::NEVER => format!("no old ones while {when}"),
        StaleLimit::For(duration) => {
            format!("old ones for {} while {when}", format_duration(duration))
        }
        StaleLimit::Unlimited => format!("old ones without limit while {when}"),
    }
}

/// Returns what holds as if all of it was written.
fn written(policy: &Policy) -> Keys {
    Keys {
        freshness: Some(policy.freshness),
        stale_on_unreachable: Some(policy.stale_on_unreachable),
        stale_on_rate_limit: Some(policy.stale_on_rate_limit),
        stale_on_not_found: Some(policy.stale_on_not_found),
        stale_on_denied: Some(policy.stale_on_denied),
        answer_within: Some(policy.answer_within),
    }
}

/// A repository of which nothing is said.
fn example() -> Origin {
    Origin {
        upstream: UpstreamName::docker_hub(),
        repository: "library/example".parse().expect("this is a name"),
    }
}

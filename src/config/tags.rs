//! Makes the freshness contract of what is written of it, and says which rules can never count.

use super::fault::{Faults, Place};
use super::file::{TagKeys, TagRuleKeys};
use super::reader::Located;
use super::upstreams::Upstream;
use crate::cache::freshness::{Keys, Settings, TagRule, UpstreamContract};
use crate::oci::{ImagePattern, UpstreamPattern};

/// Returns the contract of all upstreams. Each has its own, even where nothing is written of it: so a name in full is
/// kept apart from the patterns that it fits.
pub(super) fn contract(all: TagKeys, upstreams: &[Upstream]) -> Settings {
    let own = |upstream: &Upstream| UpstreamContract {
        upstreams: upstream.pattern.clone(),
        rules: upstream.tag_rules.clone(),
        keys: upstream.tags,
    };
    Settings {
        keys: keys(all),
        upstreams: upstreams.iter().map(own).collect(),
    }
}

/// Takes what is written in one place.
pub(super) fn keys(written: TagKeys) -> Keys {
    Keys {
        freshness: value(written.freshness),
        stale_on_unreachable: value(written.stale_on_unreachable),
        stale_on_rate_limit: value(written.stale_on_rate_limit),
        stale_on_not_found: value(written.stale_on_not_found),
        stale_on_denied: value(written.stale_on_denied),
        answer_within: value(written.answer_within),
    }
}

fn value<T>(written: Option<Located<T>>) -> Option<T> {
    written.map(|written| written.value)
}

/// Takes the rules of an upstream, and says which of them say nothing, or come too late to say anything.
pub(super) fn rules(written: Vec<TagRuleKeys>, faults: &mut Faults) -> Vec<TagRule> {
    let mut before: Vec<(ImagePattern, Place)> = Vec::new();
    let mut rules = Vec::new();
    for rule in written {
        if rule.written == 0 {
            let message = format!(
                "the rule says nothing: write one of {}",
                TagRuleKeys::KEYS.join(", ")
            );
            faults.push(rule.place, message);
        }
        let Some(images) = rule.images else { continue };
        let mut first = before.iter();
        if let Some((first, place)) = first.find(|(first, _)| first.plainly_covers(&images.value)) {
            let message = match *first == images.value {
                true => format!("'{first}' has a rule already at {place}"),
                false => format!(
                    "this rule never counts, since '{first}' at {place} comes first and takes in '{}': put it before that",
                    images.value
                ),
            };
            faults.push(images.place, message);
            continue;
        }
        before.push((images.value.clone(), images.place));
        rules.push(TagRule {
            images: images.value,
            keys: keys(rule.keys),
        });
    }
    rules
}

/// Says which rules name repositories as clients do, and not as the registry does: they fit nothing, as it seems.
pub(super) fn misnamed(settings: &Settings) -> Vec<String> {
    let of_upstream = |contract| {
        let problem = move |rule| misnaming(rule, contract, settings);
        let rules: &[TagRule] = &contract.rules;
        rules.iter().filter_map(problem)
    };
    settings.upstreams.iter().flat_map(of_upstream).collect()
}

fn misnaming(rule: &TagRule, own: &UpstreamContract, settings: &Settings) -> Option<String> {
    let upstream = &own.upstreams;
    let text = rule.images.repositories().as_str();
    let problem = match text.split_once('/') {
        Some((first, _)) if is_registry(first, upstream, settings) => format!(
            "'{first}' is the name of a registry; leave it out, unless repositories there begin with it"
        ),
        None if is_docker_hub(upstream) && !text.contains("**") => {
            format!("repositories there have two parts; write 'library/{text}' or '**'")
        }
        Some(_) | None => return None,
    };
    Some(format!(
        "tag rule '{}' of {upstream}: {problem}",
        rule.images
    ))
}

/// Tells whether the first part of a repository would be a registry if a client wrote it.
fn is_registry(first: &str, own: &UpstreamPattern, settings: &Settings) -> bool {
    let Ok(name) = first.parse() else {
        return first == own.to_string();
    };
    let fits = |contract: &UpstreamContract| contract.upstreams.matches(&name);
    own.matches(&name) || first.contains('.') && settings.upstreams.iter().any(fits)
}

fn is_docker_hub(upstream: &UpstreamPattern) -> bool {
    match upstream {
        UpstreamPattern::Exactly(name) => name.is_docker_hub(),
        UpstreamPattern::Labels(_) => false,
    }
}

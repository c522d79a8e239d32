//! The upstreams that can be reached: the built-in ones, those that are written, and what must agree among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::endpoints::endpoints;
use super::fault::{Faults, Place};
use super::file::{CredentialKeys, UpstreamKeys};
use super::logins::LoginReader;
use super::reader::Located;
use super::tags;
use crate::addressing::{Alias, VirtualHost};
use crate::cache::freshness::{Keys, TagRule};
use crate::cache::{Audience, ShareRule, ShareRules};
use crate::oci::{RepositoryPattern, UpstreamName, UpstreamPattern};
use crate::upstream::{CredentialSettings, EndpointSettings, EndpointUrl, Mode};

/// The registries that can be reached unless `public_registries` is false. All of them let anyone pull something.
const PUBLIC: [&str; 13] = [
    UpstreamName::DOCKER_HUB,
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "registry.k8s.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "registry.gitlab.com",
    "nvcr.io",
    "docker.elastic.co",
    "registry.access.redhat.com",
    "registry.redhat.io",
    "lscr.io",
];

/// One upstream, with all of its values.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) pattern: UpstreamPattern,
    pub(super) endpoints: Vec<EndpointSettings>,
    pub(super) aliases: Vec<Alias>,
    pub(super) hosts: Vec<VirtualHost>,
    pub(super) tags: Keys,
    pub(super) tag_rules: Vec<TagRule>,
    /// `None` where nothing is written: then it is that of all.
    pub(super) mode: Option<Mode>,
    pub(super) credentials: Vec<CredentialSettings>,
    pub(super) token_hosts: Vec<Arc<str>>,
    /// To whom private content goes, and where that differs for some repositories.
    share: Audience,
    shares: Vec<(RepositoryPattern, Audience)>,
}

impl Upstream {
    /// Makes an upstream of which nothing is written but its name.
    fn plain(pattern: UpstreamPattern) -> Self {
        let endpoints = match &pattern {
            UpstreamPattern::Exactly(name) => vec![EndpointUrl::of(name).into()],
            UpstreamPattern::Labels(_) => Vec::new(),
        };
        Self {
            pattern,
            endpoints,
            aliases: Vec::new(),
            hosts: Vec::new(),
            tags: Keys::default(),
            tag_rules: Vec::new(),
            mode: None,
            credentials: Vec::new(),
            token_hosts: Vec::new(),
            share: Audience::default(),
            shares: Vec::new(),
        }
    }
}

/// Puts the written upstreams over the built-in ones, and says what does not agree.
pub(super) fn gather(
    written: Vec<UpstreamKeys>,
    with_public: bool,
    logins: &mut LoginReader<'_>,
) -> Vec<Upstream> {
    let public = PUBLIC.iter().filter(|_| with_public).map(|name| {
        let name = name.parse().expect("the built-in names are names");
        Upstream::plain(UpstreamPattern::Exactly(name))
    });
    let mut upstreams: Vec<Upstream> = public.collect();
    let mut names = Names::of(&written);
    let mut first_places: Vec<(UpstreamPattern, Place)> = Vec::new();
    for keys in written {
        let Some(name) = &keys.name else { continue };
        let first = first_places.iter().find(|(found, _)| *found == name.value);
        if let Some((_, first)) = first {
            let message = format!("'{}' is configured already at {first}", name.value);
            logins.faults.push(name.place.clone(), message);
            continue;
        }
        first_places.push((name.value.clone(), name.place.clone()));
        let pattern = name.value.clone();
        names.check(&pattern, &keys, logins.faults);
        let known = upstreams.iter_mut().find(|known| known.pattern == pattern);
        match known {
            Some(known) => write_over(known, keys, logins),
            None => {
                let mut upstream = Upstream::plain(pattern);
                write_over(&mut upstream, keys, logins);
                upstreams.push(upstream);
            }
        }
    }
    upstreams
}

/// Takes over what is written.
fn write_over(upstream: &mut Upstream, keys: UpstreamKeys, logins: &mut LoginReader<'_>) {
    if let Some(list) = keys.endpoints {
        let is_family = matches!(upstream.pattern, UpstreamPattern::Labels(_));
        if is_family {
            let message = "a name with '*' stands for many registries, which are asked under their own names; \
                 give each its own [[upstream]] to set endpoints";
            logins.faults.push(list.place, message);
        } else if list.value.is_empty() {
            let message = "the list is empty: leave out the key for the usual endpoint";
            logins.faults.push(list.place, message);
        } else {
            upstream.endpoints = endpoints(list.value, logins);
        }
    }
    upstream.aliases = keys.aliases.into_iter().map(|alias| alias.value).collect();
    upstream.hosts = keys.hosts.into_iter().map(|host| host.value).collect();
    upstream.tags = tags::keys(keys.tags);
    upstream.tag_rules = tags::rules(keys.tag_rules, logins.faults);
    upstream.mode = keys.offline.map(mode);
    let text = |host: Located<VirtualHost>| Arc::from(host.value.as_str());
    upstream.token_hosts = keys.token_hosts.into_iter().map(text).collect();
    upstream.share = keys
        .share
        .map_or_else(Audience::default, |share| share.value);
    let share = |keys: &CredentialKeys| {
        let audience = keys.share.as_ref();
        let audience = audience.map_or(upstream.share, |share| share.value);
        Some((keys.repositories.as_ref()?.value.clone(), audience))
    };
    upstream.shares = keys.credential.iter().filter_map(share).collect();
    upstream.credentials = logins.of_upstream(&upstream.pattern, keys.credential, keys.credentials);
}

/// Returns the mode that is written.
pub(super) fn mode(offline: Located<bool>) -> Mode {
    match offline.value {
        true => Mode::Offline,
        false => Mode::Online,
    }
}

/// Returns to whom private content goes: for each upstream, names in full before patterns, what is written for some of
/// its repositories, and then what holds for the others. None when all of it stays on this machine.
pub(super) fn share(upstreams: &[Upstream]) -> ShareRules {
    let rules = |upstream: &Upstream| {
        let all = (RepositoryPattern::all(), upstream.share);
        let rule = |(repositories, audience)| ShareRule {
            upstreams: upstream.pattern.clone(),
            repositories,
            audience,
        };
        let rules = upstream.shares.iter().cloned().chain([all]).map(rule);
        rules.collect::<Vec<_>>()
    };
    let is_family = |upstream: &&Upstream| match upstream.pattern {
        UpstreamPattern::Exactly(_) => false,
        UpstreamPattern::Labels(_) => true,
    };
    let named = upstreams.iter().filter(|upstream| !is_family(upstream));
    let families = upstreams.iter().filter(is_family);
    let rules: Vec<ShareRule> = named.chain(families).flat_map(rules).collect();
    if rules
        .iter()
        .all(|rule| rule.audience == Audience::ThisMachine)
    {
        return ShareRules::default();
    }
    ShareRules::new(rules)
}

/// The other names of upstreams, each of which may lead to one upstream only.
struct Names {
    /// What is the name of an upstream itself.
    upstreams: Vec<UpstreamName>,
    aliases: BTreeMap<String, Place>,
    hosts: BTreeMap<String, Place>,
}

impl Names {
    fn of(written: &[UpstreamKeys]) -> Self {
        let public = PUBLIC.iter().filter_map(|name| name.parse().ok());
        let written = written
            .iter()
            .filter_map(|keys| match &keys.name.as_ref()?.value {
                UpstreamPattern::Exactly(name) => Some(name.clone()),
                UpstreamPattern::Labels(_) => None,
            });
        Self {
            upstreams: public.chain(written).collect(),
            aliases: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    /// Checks the other names of one upstream against all that came before, and keeps them.
    fn check(&mut self, pattern: &UpstreamPattern, keys: &UpstreamKeys, faults: &mut Faults) {
        let own = match pattern {
            UpstreamPattern::Exactly(name) => name,
            UpstreamPattern::Labels(_) => {
                let aliases = keys.aliases.iter().map(|alias| &alias.place);
                for place in aliases.chain(keys.hosts.iter().map(|host| &host.place)) {
                    let message = "a name with '*' stands for many registries: another name cannot mean them all";
                    faults.push(place.clone(), message);
                }
                return;
            }
        };
        for alias in &keys.aliases {
            if self
                .upstreams
                .iter()
                .any(|name| name.as_str() == alias.value.as_str())
            {
                let message = format!(
                    "'{}' is the name of an upstream already",
                    alias.value.as_str()
                );
                faults.push(alias.place.clone(), message);
            }
            keep(
                &mut self.aliases,
                alias.value.as_str(),
                &alias.place,
                faults,
            );
        }
        for host in &keys.hosts {
            let meant = host.value.as_str().parse::<UpstreamName>().ok();
            let other = meant.filter(|meant| meant != own && self.upstreams.contains(meant));
            if let Some(other) = other {
                let message = format!(
                    "'{}' is the upstream {other}, not this one",
                    host.value.as_str()
                );
                faults.push(host.place.clone(), message);
            }
            keep(&mut self.hosts, host.value.as_str(), &host.place, faults);
        }
    }
}

/// Keeps a name, unless it is there already.
fn keep(names: &mut BTreeMap<String, Place>, name: &str, place: &Place, faults: &mut Faults) {
    match names.get(name) {
        Some(first) => {
            let message = format!("'{name}' is used already at {first}");
            faults.push(place.clone(), message);
        }
        None => {
            names.insert(name.to_owned(), place.clone());
        }
    }
}

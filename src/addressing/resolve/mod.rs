//! From what a request says to one target.
//!
//! Four signs can name a registry: the host that larder was reached by, the path before `/v2/`, the parameter `ns`, and
//! the first segment of the name. The first that is there decides. A later one that names the same registry is dropped;
//! one that names another is refused, because a guess would put one registry's content under another's name.

use std::collections::HashMap;

use super::{
    AddressError, HOSTED_NAMESPACE, Origin, Settings, Target, VirtualHost, looks_like_a_host,
};
use crate::oci::{RepositoryName, UpstreamName, UpstreamPattern};

/// The parts of a request that say where it leads, percent-decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The `Host` header, or the authority of HTTP/2.
    pub host: Option<&'a str>,
    /// The path segment before `/v2/`.
    pub mount: Option<&'a str>,
    /// The query parameter `ns`.
    pub namespace: Option<&'a str>,
    /// The name between `/v2/` and what is asked of it.
    pub name: &'a str,
}

/// The configured names, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Addressing {
    patterns: Vec<UpstreamPattern>,
    aliases: HashMap<String, UpstreamName>,
    hosts: HashMap<VirtualHost, UpstreamName>,
    default: Option<UpstreamName>,
}

/// A registry, and what named it.
#[derive(Clone, Debug)]
struct Sign {
    upstream: UpstreamName,
    by: &'static str,
}

impl Addressing {
    /// Takes the settings. Aliases and hosts of a pattern with `*` lead nowhere and are left out.
    pub fn new(settings: &Settings) -> Self {
        let mut addressing = Self {
            patterns: settings
                .upstreams
                .iter()
                .map(|rule| rule.pattern.clone())
                .collect(),
            aliases: HashMap::new(),
            hosts: HashMap::new(),
            default: settings.default.clone(),
        };
        for rule in &settings.upstreams {
            let UpstreamPattern::Exactly(name) = &rule.pattern else {
                continue;
            };
            for alias in &rule.aliases {
                addressing
                    .aliases
                    .insert(alias.as_str().to_owned(), name.clone());
            }
            for host in &rule.hosts {
                addressing.hosts.insert(host.clone(), name.clone());
            }
        }
        addressing
    }

    /// Returns the names and patterns of all upstreams, as they are configured.
    pub fn patterns(&self) -> &[UpstreamPattern] {
        &self.patterns
    }

    /// Returns the one target that a request leads to.
    ///
    /// # Errors
    /// [`AddressError`] when it leads nowhere, or to two registries.
    pub fn resolve(&self, asked: Asked<'_>) -> Result<Target, AddressError> {
        let outer = self.outer_sign(asked)?;
        let namespace = asked
            .namespace
            .map(|given| self.namespace(given))
            .transpose()?;
        if let (Some(outer), Some(namespace)) = (&outer, &namespace)
            && outer.upstream != namespace.upstream
        {
            return Err(disagreement(outer, namespace));
        }
        match (outer, namespace) {
            (Some(outer), None) => self.below_host(&outer, asked.name),
            (_, Some(namespace)) => self.below_namespace(&namespace, asked.name),
            (None, None) => self.by_name(asked.name),
        }
    }

    /// The sign outside of the name: the virtual host, or the path before `/v2/`.
    fn outer_sign(&self, asked: Asked<'_>) -> Result<Option<Sign>, AddressError> {
        let host = asked.host.and_then(|host| self.virtual_host(host));
        let host = host.map(|upstream| Sign {
            upstream,
            by: "the host name",
        });
        let Some(mount) = asked.mount else {
            return Ok(host);
        };
        let named = match self.aliases.get(mount) {
            Some(upstream) => Some(upstream.clone()),
            None => mount.parse().ok().filter(|name| self.is_configured(name)),
        };
        let upstream = named.ok_or_else(|| AddressError::UnknownMount(shorten(mount)))?;
        let mount = Sign {
            upstream,
            by: "the path before /v2/",
        };
        match host {
            Some(host) if host.upstream != mount.upstream => Err(disagreement(&host, &mount)),
            _ => Ok(Some(mount)),
        }
    }

    fn virtual_host(&self, host: &str) -> Option<UpstreamName> {
        if self.hosts.is_empty() {
            return None;
        }
        let exact: VirtualHost = host.parse().ok()?;
        let found = self.hosts.get(&exact).or_else(|| {
            let (bare, _port) = exact.as_str().rsplit_once(':')?;
            self.hosts.get(&bare.parse().ok()?)
        });
        found.cloned()
    }

    fn namespace(&self, given: &str) -> Result<Sign, AddressError> {
        let upstream: UpstreamName = given.parse().map_err(|reason| AddressError::Namespace {
            given: shorten(given),
            reason,
        })?;
        self.configured(upstream).map(|upstream| Sign {
            upstream,
            by: "the parameter ns",
        })
    }

    /// A name under a virtual host or mount. A first segment that names another registry is a contradiction; one that
    /// could be one, and is not configured, is part of the repository.
    fn below_host(&self, outer: &Sign, name: &str) -> Result<Target, AddressError> {
        let Some((first, rest)) = name.split_once('/') else {
            return proxied(outer.upstream.clone(), name);
        };
        match self.named_by_segment(first) {
            Some(upstream) if upstream == outer.upstream => proxied(upstream, below_api(rest)?),
            Some(upstream) if looks_like_a_host(first) => Err(disagreement(
                outer,
                &Sign {
                    upstream,
                    by: "the first part of the name",
                },
            )),
            _ => proxied(outer.upstream.clone(), name),
        }
    }

    /// A name under `ns`. The registry itself may stand before the repository once more, as containerd sends it; any
    /// other prefix is part of the repository.
    fn below_namespace(&self, namespace: &Sign, name: &str) -> Result<Target, AddressError> {
        match name.split_once('/') {
            Some((first, rest))
                if self.named_by_segment(first).as_ref() == Some(&namespace.upstream) =>
            {
                proxied(namespace.upstream.clone(), below_api(rest)?)
            }
            _ => proxied(namespace.upstream.clone(), name),
        }
    }

    /// A name that has to say by itself where it leads.
    fn by_name(&self, name: &str) -> Result<Target, AddressError> {
        if let Some((first, rest)) = name.split_once('/') {
            if let Some(upstream) = self.named_by_segment(first) {
                return proxied(upstream, below_api(rest)?);
            }
            if looks_like_a_host(first) {
                let host = first.parse();
                let host = host.map_err(|reason| AddressError::Host {
                    given: shorten(first),
                    reason,
                })?;
                return Err(AddressError::NotConfigured(host));
            }
            if first == HOSTED_NAMESPACE {
                return Ok(Target::Hosted(name.parse()?));
            }
        }
        match &self.default {
            Some(upstream) => proxied(upstream.clone(), name),
            None => {
                let repository: RepositoryName = name.parse()?;
                Err(AddressError::NoDefault(repository.to_string()))
            }
        }
    }

    /// Returns the configured upstream that a first segment names, by alias or by its own name.
    fn named_by_segment(&self, segment: &str) -> Option<UpstreamName> {
        if let Some(upstream) = self.aliases.get(segment) {
            return Some(upstream.clone());
        }
        let is_host = looks_like_a_host(segment) || self.is_exactly_configured(segment);
        is_host
            .then(|| segment.parse().ok())
            .flatten()
            .filter(|name| self.is_configured(name))
    }

    /// Tells whether a segment without a dot, such as `registry`, is a configured registry of the local network.
    fn is_exactly_configured(&self, segment: &str) -> bool {
        self.patterns.iter().any(|pattern| match pattern {
            UpstreamPattern::Exactly(name) => name.as_str() == segment,
            UpstreamPattern::Labels(_) => false,
        })
    }

    fn is_configured(&self, name: &UpstreamName) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    fn configured(&self, name: UpstreamName) -> Result<UpstreamName, AddressError> {
        if self.is_configured(&name) {
            Ok(name)
        } else {
            Err(AddressError::NotConfigured(name))
        }
    }
}

/// Makes a target of an upstream and a name there; at Docker Hub, names of one component are in `library/`.
fn proxied(upstream: UpstreamName, name: &str) -> Result<Target, AddressError> {
    let repository: RepositoryName = name.parse()?;
    let repository = if upstream.is_docker_hub() && repository.is_single_component() {
        format!("library/{repository}").parse()?
    } else {
        repository
    };
    Ok(Target::Proxied(Origin {
        upstream,
        repository,
    }))
}

/// Returns what stands behind a registry's name, which is not another `/v2/`.
fn below_api(rest: &str) -> Result<&str, AddressError> {
    match rest.split_once('/') {
        Some(("v2", _)) => Err(AddressError::TwoApiPaths),
        _ => Ok(rest),
    }
}

fn disagreement(one: &Sign, other: &Sign) -> AddressError {
    AddressError::Disagree {
        one: one.upstream.clone(),
        one_by: one.by,
        other: other.upstream.clone(),
        other_by: other.by,
    }
}

/// Keeps an error message short, whatever was sent.
fn shorten(text: &str) -> String {
    text.chars()
        .take(64)
        .flat_map(char::escape_default)
        .collect()
}

#[cfg(test)]
mod tests;

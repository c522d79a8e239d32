//! The upstreams that can be reached: the built-in ones, those that are written, and what must agree among them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::fault::{Faults, Place};
use super::file::{EndpointKeys, UpstreamKeys};
use super::reader::Located;
use crate::addressing::{Alias, VirtualHost};
use crate::cache::freshness::Freshness;
use crate::oci::{UpstreamName, UpstreamPattern};
use crate::upstream::{EndpointSettings, EndpointUrl};

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
    pub(super) freshness: Option<Freshness>,
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
            freshness: None,
        }
    }
}

/// Puts the written upstreams over the built-in ones, and says what does not agree.
pub(super) fn gather(
    written: Vec<UpstreamKeys>,
    with_public: bool,
    faults: &mut Faults,
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
            faults.push(name.place.clone(), message);
            continue;
        }
        first_places.push((name.value.clone(), name.place.clone()));
        let pattern = name.value.clone();
        names.check(&pattern, &keys, faults);
        let known = upstreams.iter_mut().find(|known| known.pattern == pattern);
        match known {
            Some(known) => write_over(known, keys, faults),
            None => {
                let mut upstream = Upstream::plain(pattern);
                write_over(&mut upstream, keys, faults);
                upstreams.push(upstream);
            }
        }
    }
    upstreams
}

/// Takes over what is written.
fn write_over(upstream: &mut Upstream, keys: UpstreamKeys, faults: &mut Faults) {
    if let Some(list) = keys.endpoints {
        let is_family = matches!(upstream.pattern, UpstreamPattern::Labels(_));
        if is_family {
            let message = "a name with '*' stands for many registries, which are asked under their own names; \
                 give each its own [[upstream]] to set endpoints";
            faults.push(list.place, message);
        } else if list.value.is_empty() {
            let message = "the list is empty: leave out the key for the usual endpoint";
            faults.push(list.place, message);
        } else {
            upstream.endpoints = endpoints(list.value, faults);
        }
    }
    upstream.aliases = keys.aliases.into_iter().map(|alias| alias.value).collect();
    upstream.hosts = keys.hosts.into_iter().map(|host| host.value).collect();
    upstream.freshness = keys.freshness.map(|freshness| freshness.value);
}

fn endpoints(written: Vec<EndpointKeys>, faults: &mut Faults) -> Vec<EndpointSettings> {
    let mut endpoints: Vec<EndpointSettings> = Vec::new();
    for keys in written {
        let Some(url) = keys.url else { continue };
        if endpoints.iter().any(|known| known.url == url.value) {
            faults.push(url.place, format!("'{}' is listed twice", url.value));
            continue;
        }
        if let Some(file) = &keys.ca_file {
            check_ca_file(file, &url.value, faults);
        }
        let mut endpoint = EndpointSettings::from(url.value);
        endpoint.tls.ca_file = keys.ca_file.map(|file| file.value);
        endpoints.push(endpoint);
    }
    endpoints
}

fn check_ca_file(file: &Located<std::path::PathBuf>, url: &EndpointUrl, faults: &mut Faults) {
    if !url.is_encrypted() {
        let message = format!("'{url}' is not encrypted and has no use for certificates");
        faults.push(file.place.clone(), message);
    } else if let Err(problem) = read_certificates(&file.value) {
        let message = format!("'{}' {problem}", file.value.display());
        faults.push(file.place.clone(), message);
    }
}

/// Tells why a file holds no certificates.
fn read_certificates(path: &Path) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err("holds no certificate in PEM form".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("holds no certificates in PEM form: {error}")),
    }
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

//! All configured upstreams, by name.

use std::collections::HashMap;
use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rustls::ClientConfig;

use super::connect::Clients;
use super::endpoint::Endpoint;
use super::endpoint_url::EndpointUrl;
use super::registry::Upstream;
use super::resolve::Resolver;
use super::settings::{Limits, Settings};
use super::tls::{TlsError, client_config, read_certificates};
use super::trust::Trust;
use crate::oci::{UpstreamName, UpstreamPattern};
use crate::runtime::{Clock, Tasks};

/// The upstreams that may be asked. Drop it before the tasks are drained: idle connections are tasks that end with it.
#[derive(Debug)]
pub struct Upstreams {
    named: HashMap<UpstreamName, Arc<Upstream>>,
    patterns: Vec<(UpstreamPattern, Plan)>,
    /// Upstreams that fit a pattern and were asked for.
    fitting: Cache<UpstreamName, Arc<Upstream>>,
    maker: Maker,
}

/// Where to ask, and what is trusted there.
type Plan = Vec<(EndpointUrl, Arc<ClientConfig>)>;

impl Upstreams {
    /// How many upstreams of patterns have connections and tokens at once. Names come from clients, so there is no end
    /// to them.
    const MAX_FITTING: u64 = 256;

    /// Makes upstreams from their settings. A name in full goes before patterns, and among these the first that fits.
    ///
    /// # Errors
    /// [`TlsError`] when a file of certificates cannot be used.
    pub fn new(
        settings: Vec<Settings>,
        limits: Limits,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, TlsError> {
        let maker = Maker {
            tls: client_config(Vec::new())?,
            resolver: Resolver::new(&limits, &tasks),
            limits,
            clock,
            tasks,
        };
        let (mut named, mut patterns) = (HashMap::new(), Vec::new());
        for Settings { pattern, endpoints } in settings {
            let mut plan = Plan::new();
            for endpoint in endpoints {
                let tls = match endpoint.ca_file {
                    Some(path) => client_config(read_certificates(&path)?)?,
                    None => maker.tls.clone(),
                };
                plan.push((endpoint.url, tls));
            }
            match pattern {
                UpstreamPattern::Exactly(name) => {
                    let upstream = maker.upstream(&name, &plan);
                    named.insert(name, upstream);
                }
                UpstreamPattern::Labels(_) => patterns.push((pattern, plan)),
            }
        }
        let fitting = Cache::builder()
            .max_capacity(Self::MAX_FITTING)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Ok(Self {
            named,
            patterns,
            fitting,
            maker,
        })
    }

    /// Returns the upstream with this name, `None` when it is not configured.
    pub fn get(&self, name: &UpstreamName) -> Option<Arc<Upstream>> {
        if let Some(upstream) = self.named.get(name) {
            return Some(upstream.clone());
        }
        let (_, plan) = self
            .patterns
            .iter()
            .find(|(pattern, _)| pattern.matches(name))?;
        let make = || self.maker.upstream(name, plan);
        Some(self.fitting.get_with_by_ref(name, make))
    }
}

/// What all upstreams have in common.
#[derive(Debug)]
struct Maker {
    tls: Arc<ClientConfig>,
    resolver: Resolver,
    limits: Limits,
    clock: Clock,
    tasks: Tasks,
}

impl Maker {
    fn upstream(&self, name: &UpstreamName, plan: &Plan) -> Arc<Upstream> {
        let own = || vec![(EndpointUrl::of(name), self.tls.clone())];
        let plan = if plan.is_empty() { own() } else { plan.clone() };
        let trust = Trust::new(plan.iter().map(|(url, _)| url.site().clone()).collect());
        let endpoints = plan.into_iter().map(|(url, tls)| {
            let clients = Clients::new(&self.resolver, &tls, &self.limits, &self.tasks);
            let runtime = (self.clock.clone(), self.tasks.clone());
            let limits = self.limits.clone();
            Arc::new(Endpoint::new(url, clients, trust.clone(), limits, runtime))
        });
        Arc::new(Upstream::new(
            name.clone(),
            endpoints.collect(),
            &self.limits,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(settings: &[(&str, &[&str])]) -> Upstreams {
        let settings = settings.iter().map(|(pattern, endpoints)| Settings {
            pattern: pattern.parse().unwrap(),
            endpoints: endpoints
                .iter()
                .map(|url| url.parse::<EndpointUrl>().unwrap().into())
                .collect(),
        });
        let (limits, clock) = (Limits::default(), Clock::system());
        Upstreams::new(settings.collect(), limits, clock, Tasks::new()).unwrap()
    }

    #[test]
    fn a_name_goes_before_the_first_pattern_that_fits() {
        let upstreams = upstreams(&[
            ("*.ecr.example.com", &["https://first.example"]),
            ("*.*.example.com", &["https://second.example"]),
            (
                "own.ecr.example.com",
                &["https://a.example", "http://b.example"],
            ),
            ("docker.io", &[]),
            ("quay.io", &[]),
        ]);
        for (name, endpoints) in [
            ("x.ecr.example.com", Some("https://first.example")),
            ("x.y.example.com", Some("https://second.example")),
            (
                "own.ecr.example.com",
                Some("https://a.example http://b.example"),
            ),
            ("index.docker.io", Some("https://registry-1.docker.io")),
            ("quay.io", Some("https://quay.io")),
            ("ghcr.io", None),
        ] {
            let name: UpstreamName = name.parse().unwrap();
            let found = upstreams.get(&name);
            let found = found.map(|upstream| upstream.places().join(" "));
            assert_eq!(found.as_deref(), endpoints, "{name}");
        }
    }

    #[test]
    fn an_upstream_of_a_pattern_is_made_once() {
        let upstreams = upstreams(&[("*.ecr.example.com", &[])]);
        let name = "x.ecr.example.com".parse().unwrap();
        let first = upstreams.get(&name).unwrap();
        assert_eq!(first.places(), ["https://x.ecr.example.com"]);
        assert!(Arc::ptr_eq(&first, &upstreams.get(&name).unwrap()));
    }
}

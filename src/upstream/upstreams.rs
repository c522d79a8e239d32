//! All configured upstreams, by name.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rustls::ClientConfig;
use thiserror::Error;

use super::auth::TokenHosts;
use super::connect::{Clients, Ways};
use super::credentials::{CredentialSettings, Helpers, Keyring, Watch};
use super::egress::{EgressError, Proxies};
use super::endpoint::Endpoint;
use super::endpoint_url::EndpointUrl;
use super::gates::Gates;
use super::health::{Health, Vigils};
use super::metrics::UpstreamMetrics;
use super::quota::Quotas;
use super::registry::Upstream;
use super::resolve::Resolver;
use super::scheme::Fallback;
use super::settings::{EndpointScope, EndpointSettings, Parts, Settings};
use super::standing::{EndpointStanding, Standing, UpstreamStanding};
use super::switch::{Mode, Switch};
use super::tls::{EndpointTls, TlsError, client_config, proxy_config};
use super::transport::Exits;
use super::trust::Trust;
use super::wire::Wire;
use crate::oci::{UpstreamName, UpstreamPattern};

/// The upstreams that may be asked. Drop it before the tasks are drained: idle connections are tasks that end with it.
#[derive(Debug)]
pub struct Upstreams {
    named: HashMap<UpstreamName, Named>,
    patterns: Vec<(UpstreamPattern, Plan)>,
    /// The names and patterns as they are configured, in that order.
    order: Vec<UpstreamPattern>,
    /// Upstreams that fit a pattern and were asked for.
    fitting: Cache<UpstreamName, Arc<Upstream>>,
    maker: Maker,
}

/// Why upstreams cannot be asked as the settings say.
#[derive(Clone, Debug, Error)]
pub enum SetupError {
    /// A file of certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A proxy cannot be used.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// Nobody is left to say what tags point at.
    #[error("the last endpoint of {pattern} has to be for everything, not for digests alone")]
    NobodyDecides {
        /// Of which upstreams.
        pattern: UpstreamPattern,
    },
}

/// How the upstreams of one entry are reached.
#[derive(Clone, Debug)]
struct Plan {
    metrics: UpstreamMetrics,
    switch: Arc<Switch>,
    /// When empty: at the name of the upstream.
    places: Vec<Place>,
    credentials: Vec<CredentialSettings>,
    token_hosts: Vec<Arc<str>>,
}

/// Where to ask, and what is trusted there.
#[derive(Clone, Debug)]
struct Place {
    settings: EndpointSettings,
    tls: EndpointTls,
}

/// An upstream that is configured in full. It is made when it is first asked for: of the built-in ones most never are, and
/// each has memories of its own.
#[derive(Debug)]
struct Named {
    plan: Plan,
    made: OnceLock<Arc<Upstream>>,
}

impl Upstreams {
    /// How many upstreams of patterns have connections and tokens at once. Names come from clients, so there is no end
    /// to them.
    const MAX_FITTING: u64 = 256;

    /// Makes upstreams from their settings. A name in full goes before patterns, and among these the first that fits.
    ///
    /// # Errors
    /// [`SetupError`] when a file or a proxy cannot be used.
    pub fn new(settings: Vec<Settings>, parts: Parts) -> Result<Self, SetupError> {
        let tls = client_config(Vec::new())?;
        let maker = Maker {
            exits: Exits {
                proxies: Proxies::new(&parts.egress)?,
                tls: proxy_config(&tls),
            },
            tls,
            resolver: Resolver::new(&parts.limits, &parts.tasks),
            helpers: Helpers::from_environment(),
            parts,
        };
        let (mut named, mut patterns) = (HashMap::new(), Vec::new());
        let mut order = Vec::new();
        for entry in settings {
            let (pattern, plan) = maker.plan(entry)?;
            if !order.contains(&pattern) {
                order.push(pattern.clone());
            }
            match pattern {
                UpstreamPattern::Exactly(name) => {
                    let made = OnceLock::new();
                    named.insert(name, Named { plan, made });
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
            order,
            fitting,
            maker,
        })
    }

    /// Returns the upstream with this name, `None` when it is not configured.
    pub fn get(&self, name: &UpstreamName) -> Option<Arc<Upstream>> {
        if let Some(Named { plan, made }) = self.named.get(name) {
            let upstream = made.get_or_init(|| self.maker.upstream(name, plan));
            return Some(upstream.clone());
        }
        let (_, plan) = self
            .patterns
            .iter()
            .find(|(pattern, _)| pattern.matches(name))?;
        let make = || self.maker.upstream(name, plan);
        Some(self.fitting.get_with_by_ref(name, make))
    }

    /// Returns the switch of an upstream as it is configured, by its name or pattern; `None` when nothing is configured
    /// under it.
    pub fn switch(&self, pattern: &UpstreamPattern) -> Option<Arc<Switch>> {
        self.plan(pattern).map(|plan| plan.switch.clone())
    }

    /// Returns what is known of each entry, as they are configured and in that order. Nobody is asked, and no upstream is
    /// made that nobody asked for yet.
    pub fn standings(&self) -> Vec<Standing> {
        let standings = self.order.iter().filter_map(|pattern| {
            let offline_since = self.plan(pattern)?.switch.offline_since();
            Some(Standing {
                pattern: pattern.clone(),
                mode: match offline_since {
                    Some(_) => Mode::Offline,
                    None => Mode::Online,
                },
                offline_since,
                upstreams: self.upstreams_of(pattern),
            })
        });
        standings.collect()
    }

    /// Returns what is known of the upstreams of one entry.
    fn upstreams_of(&self, pattern: &UpstreamPattern) -> Vec<UpstreamStanding> {
        match pattern {
            UpstreamPattern::Exactly(name) => {
                let named = self.named.get(name).into_iter();
                let standing = |named: &Named| match named.made.get() {
                    Some(upstream) => upstream.standing(),
                    None => named.plan.unasked(name),
                };
                named.map(standing).collect()
            }
            UpstreamPattern::Labels(_) => {
                let is_its = |name: &UpstreamName| {
                    let first = self.patterns.iter().find(|(known, _)| known.matches(name));
                    first.is_some_and(|(first, _)| first == pattern)
                };
                let made = self.fitting.iter().filter(|(name, _)| is_its(name));
                let mut standings: Vec<_> = made.map(|(_, upstream)| upstream.standing()).collect();
                standings.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
                standings
            }
        }
    }

    fn plan(&self, pattern: &UpstreamPattern) -> Option<&Plan> {
        match pattern {
            UpstreamPattern::Exactly(name) => self.named.get(name).map(|named| &named.plan),
            UpstreamPattern::Labels(_) => {
                let mut patterns = self.patterns.iter();
                let found = patterns.find(|(known, _)| known == pattern);
                found.map(|(_, plan)| plan)
            }
        }
    }
}

impl Plan {
    /// Describes an upstream that nobody asked for.
    fn unasked(&self, name: &UpstreamName) -> UpstreamStanding {
        let own = EndpointUrl::of(name);
        let urls = self.places.iter().map(|place| &place.settings.url);
        let is_own = self.places.is_empty().then_some(&own);
        let endpoints = urls
            .chain(is_own)
            .map(|url| EndpointStanding::unasked(url.to_string(), url.site().name()));
        UpstreamStanding {
            name: name.clone(),
            endpoints: endpoints.collect(),
        }
    }
}

/// What all upstreams have in common.
#[derive(Debug)]
struct Maker {
    tls: Arc<ClientConfig>,
    exits: Exits,
    resolver: Resolver,
    helpers: Helpers,
    parts: Parts,
}

impl Maker {
    /// Reads the files of an entry.
    fn plan(&self, settings: Settings) -> Result<(UpstreamPattern, Plan), SetupError> {
        if settings.endpoints.last().map(|last| last.scope) == Some(EndpointScope::Digests) {
            let pattern = settings.pattern;
            return Err(SetupError::NobodyDecides { pattern });
        }
        let places = settings.endpoints.into_iter().map(|settings| {
            let tls = EndpointTls::new(&settings.tls, &self.tls)?;
            Ok(Place { settings, tls })
        });
        let metrics = self.parts.metrics.of(&settings.pattern.to_string());
        let switch = Switch::new(settings.mode, self.parts.clock.now(), metrics.offline());
        let plan = Plan {
            metrics,
            switch: Arc::new(switch),
            places: places.collect::<Result<_, TlsError>>()?,
            credentials: settings.credentials,
            token_hosts: settings.token_hosts,
        };
        Ok((settings.pattern, plan))
    }

    fn upstream(&self, name: &UpstreamName, plan: &Plan) -> Arc<Upstream> {
        let mut places = plan.places.clone();
        if places.is_empty() {
            places.push(Place {
                settings: EndpointUrl::of(name).into(),
                tls: EndpointTls::usual(&self.tls),
            });
        }
        let sites = places.iter().flat_map(|Place { settings, .. }| {
            let fallback = Fallback::of(settings);
            [Some(settings.url.site().clone()), fallback.site().cloned()]
        });
        let trust = Trust::new(sites.flatten().collect());
        let token_hosts = TokenHosts::new(plan.token_hosts.clone());
        let last = places.len() - 1;
        let endpoints = places.into_iter().enumerate().map(|(index, place)| {
            let (mut credentials, server) = if index == last {
                (plan.credentials.clone(), name.to_string())
            } else {
                (Vec::new(), place.settings.url.site().name().to_string())
            };
            credentials.extend(place.settings.credentials.iter().cloned());
            let watch = Watch {
                look_counts: self.parts.limits.login_file,
                tasks: self.parts.tasks.clone(),
            };
            let (helpers, switch) = (self.helpers.clone(), plan.switch.clone());
            let keyring = Keyring::new(credentials, &server, helpers, switch, watch);
            let rules = (token_hosts.clone(), trust.clone());
            Arc::new(self.endpoint(place, keyring, rules, plan))
        });
        let limits = &self.parts.limits;
        let switch = plan.switch.clone();
        Arc::new(Upstream::new(
            (name.clone(), plan.metrics.configured_name().clone()),
            endpoints.collect(),
            switch,
            limits,
        ))
    }

    fn endpoint(
        &self,
        place: Place,
        keyring: Keyring,
        (token_hosts, trust): (TokenHosts, Trust),
        plan: &Plan,
    ) -> Endpoint {
        let Parts {
            limits,
            clock,
            tasks,
            instance,
            ..
        } = &self.parts;
        let ways = Ways {
            resolver: self.resolver.clone(),
            exits: self.exits.clone(),
            site: place.settings.url.site().clone(),
            tls: place.tls,
        };
        let clients = Clients::new(&ways, limits, tasks);
        let wire = Wire {
            clients,
            trust,
            limits: limits.clone(),
            clock: clock.clone(),
            health: Health::new(limits.circuit, plan.metrics.resting(), clock.clone()),
            vigils: Vigils::new(&place.settings, tasks.clone()),
            gates: Gates::new(),
            quotas: Quotas::new(),
            metrics: plan.metrics.clone(),
            switch: plan.switch.clone(),
            instance: *instance,
        };
        Endpoint::new(place.settings, keyring, token_hosts, wire, tasks.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::Metrics;
    use super::super::settings::{Egress, Limits};
    use super::*;
    use crate::runtime::{Clock, InstanceId, Tasks};

    fn upstreams(settings: &[(&str, &[&str])]) -> Upstreams {
        let settings = settings.iter().map(|(pattern, endpoints)| {
            let endpoints = endpoints
                .iter()
                .map(|url| url.parse::<EndpointUrl>().unwrap().into())
                .collect();
            Settings::new(pattern.parse().unwrap(), endpoints)
        });
        let parts = Parts {
            limits: Limits::default(),
            metrics: Metrics::default(),
            egress: Egress::default(),
            clock: Clock::system(),
            tasks: Tasks::new(),
            instance: InstanceId::random(),
        };
        Upstreams::new(settings.collect(), parts).unwrap()
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

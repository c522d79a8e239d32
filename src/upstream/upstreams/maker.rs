//! Makes upstreams of their settings.

use std::sync::Arc;

use rustls::ClientConfig;

use super::SetupError;
use crate::oci::UpstreamName;
use crate::runtime::Stamp;
use crate::upstream::auth::TokenHosts;
use crate::upstream::connect::{Clients, Ways};
use crate::upstream::credentials::{Helpers, Keyring, Watch};
use crate::upstream::egress::Proxies;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::endpoint_url::EndpointUrl;
use crate::upstream::gates::Gates;
use crate::upstream::health::{Health, Vigils};
use crate::upstream::metrics::UpstreamMetrics;
use crate::upstream::quota::Quotas;
use crate::upstream::registry::Upstream;
use crate::upstream::resolve::Resolver;
use crate::upstream::scheme::Fallback;
use crate::upstream::settings::{EndpointScope, EndpointSettings, Parts, Settings};
use crate::upstream::standing::{EndpointStanding, UpstreamStanding};
use crate::upstream::switch::Switch;
use crate::upstream::tls::{EndpointTls, TlsError, client_config, proxy_config};
use crate::upstream::transport::Exits;
use crate::upstream::trust::Trust;
use crate::upstream::wire::Wire;

/// What all upstreams have in common.
#[derive(Debug)]
pub(super) struct Maker {
    tls: Arc<ClientConfig>,
    exits: Exits,
    resolver: Resolver,
    helpers: Helpers,
    pub(super) parts: Parts,
}

/// How the upstreams of one entry are reached.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) metrics: UpstreamMetrics,
    pub(super) switch: Arc<Switch>,
    settings: Settings,
    /// When empty: at the name of the upstream.
    places: Vec<Place>,
    /// What the files of certificates looked like before they were read.
    stamps: Vec<Option<Stamp>>,
}

/// Where to ask, and what is trusted there.
#[derive(Clone, Debug)]
struct Place {
    settings: EndpointSettings,
    tls: EndpointTls,
}

impl Maker {
    /// Prepares what all have in common.
    ///
    /// # Errors
    /// [`SetupError`] when TLS or a proxy cannot be used.
    pub(super) fn new(parts: Parts) -> Result<Self, SetupError> {
        let tls = client_config(Vec::new())?;
        Ok(Self {
            exits: Exits {
                proxies: Proxies::new(&parts.egress)?,
                tls: proxy_config(&tls),
            },
            tls,
            resolver: Resolver::new(&parts.limits, &parts.tasks),
            helpers: Helpers::from_environment(),
            parts,
        })
    }

    /// Makes the switch of an entry that is new.
    pub(super) fn switch(&self, settings: &Settings) -> Arc<Switch> {
        let metrics = self.parts.metrics.of(&settings.pattern.to_string());
        let now = self.parts.clock.now();
        Arc::new(Switch::new(settings.mode, now, metrics.offline()))
    }

    /// Reads the files of an entry.
    ///
    /// # Errors
    /// [`SetupError`] when one cannot be used, or nobody decides.
    pub(super) fn plan(&self, settings: Settings, switch: Arc<Switch>) -> Result<Plan, SetupError> {
        if settings.endpoints.last().map(|last| last.scope) == Some(EndpointScope::Digests) {
            let pattern = settings.pattern;
            return Err(SetupError::NobodyDecides { pattern });
        }
        let stamps = stamps(&settings);
        let places = settings.endpoints.iter().map(|settings| {
            let tls = EndpointTls::new(&settings.tls, &self.tls)?;
            let settings = settings.clone();
            Ok(Place { settings, tls })
        });
        Ok(Plan {
            metrics: self.parts.metrics.of(&settings.pattern.to_string()),
            switch,
            places: places.collect::<Result<_, TlsError>>()?,
            settings,
            stamps,
        })
    }

    /// Makes the upstream of this name.
    pub(super) fn upstream(&self, name: &UpstreamName, plan: &Plan) -> Arc<Upstream> {
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
        let token_hosts = TokenHosts::new(plan.settings.token_hosts.clone());
        let last = places.len() - 1;
        let endpoints = places.into_iter().enumerate().map(|(index, place)| {
            let (mut credentials, server) = if index == last {
                (plan.settings.credentials.clone(), name.to_string())
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

impl Plan {
    /// Tells whether it is what these settings would give, but for the mode.
    pub(super) fn is_of(&self, settings: &Settings) -> bool {
        let own = Settings {
            mode: settings.mode,
            ..self.settings.clone()
        };
        own == *settings && self.stamps == stamps(settings)
    }

    /// Describes an upstream that nobody asked for.
    pub(super) fn unasked(&self, name: &UpstreamName) -> UpstreamStanding {
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

/// Takes the stamps of the files of certificates that are read once.
fn stamps(settings: &Settings) -> Vec<Option<Stamp>> {
    let files = settings.endpoints.iter();
    let files = files.filter_map(|endpoint| endpoint.tls.ca_file.as_deref());
    files.map(Stamp::at).collect()
}

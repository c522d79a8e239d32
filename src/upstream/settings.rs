//! What the room is told: which registries there are and how to reach them, and how patient to be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::CredentialSettings;
use super::endpoint_url::EndpointUrl;
use super::health::CircuitLimits;
use super::metrics::Metrics;
use super::retry::Schedule;
use super::switch::Mode;
use crate::oci::UpstreamPattern;
use crate::runtime::{Clock, InstanceId, Tasks};

/// One configured upstream, or a pattern that stands for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which upstreams these settings are for.
    pub pattern: UpstreamPattern,
    /// Where to ask, in this order; the last one decides. When empty: `https://` and the name of the upstream.
    pub endpoints: Vec<EndpointSettings>,
    /// The logins for the last endpoint, or for the name itself of those that fit a pattern. For each repository the
    /// first counts that matches and exists. Other endpoints have their own.
    pub credentials: Vec<CredentialSettings>,
    /// Hosts, `host` or `host:port`, whose token services are given the logins, beside those of the registry's own
    /// domain.
    pub token_hosts: Vec<Arc<str>>,
    /// Whether it is asked when larder starts.
    pub mode: Mode,
}

impl Settings {
    /// Makes settings with nothing but endpoints.
    pub fn new(pattern: UpstreamPattern, endpoints: Vec<EndpointSettings>) -> Self {
        Self {
            pattern,
            endpoints,
            credentials: Vec::new(),
            token_hosts: Vec::new(),
            mode: Mode::default(),
        }
    }
}

/// One place to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Its address. With `http://` it is thereby insecure, and a private address is thereby allowed, for itself alone.
    pub url: EndpointUrl,
    /// What is trusted there, and what we show.
    pub tls: TlsSettings,
    /// Whether it is asked without encryption when it does not speak TLS or refuses the connection. Never after a wrong
    /// certificate. Whoever is on the way can bring that about, and then see our logins.
    pub falls_back_to_http: bool,
    /// Where its API is.
    pub api_path: ApiPath,
    /// What it is asked for. The last endpoint is for everything.
    pub scope: EndpointScope,
    /// Its own logins. Those of the upstream are for the last endpoint, in front of these.
    pub credentials: Vec<CredentialSettings>,
}

/// What is trusted over TLS, and what we show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates (PEM) that are trusted, besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// The certificate that we show when the endpoint asks for one, and nobody else.
    pub client: Option<ClientCertificate>,
    /// Whether any certificate of the endpoint itself is taken. Whoever is on the way can then say where a tag leads, and
    /// see our logins.
    pub skips_verification: bool,
}

/// A certificate of ours. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and those that vouch for it (PEM).
    pub cert_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
}

/// Where the API of a registry is, below its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ApiPath {
    /// At `/v2/`.
    #[default]
    Versioned,
    /// At the address itself, whose path has `/v2` in it already (containerd's `override_path`).
    AsWritten,
}

/// What an endpoint is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EndpointScope {
    /// Everything.
    #[default]
    Everything,
    /// What a digest names: it is not trusted to say what tags point at.
    Digests,
}

impl EndpointScope {
    /// Returns whether an endpoint with this scope is asked for what needs another.
    pub(super) fn covers(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Everything, _) | (_, Self::Digests) => true,
            (Self::Digests, Self::Everything) => false,
        }
    }
}

impl From<EndpointUrl> for EndpointSettings {
    fn from(url: EndpointUrl) -> Self {
        Self {
            url,
            tls: TlsSettings::default(),
            falls_back_to_http: false,
            api_path: ApiPath::default(),
            scope: EndpointScope::default(),
            credentials: Vec::new(),
        }
    }
}

/// The proxies through which registries are reached, as the usual variables name them. None by default. This machine
/// itself (localhost and its addresses) is always reached directly.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// For `http://` (`http_proxy`). A URL, perhaps with a user and a password.
    pub http: Option<Arc<str>>,
    /// For `https://` (`HTTPS_PROXY`).
    pub https: Option<Arc<str>>,
    /// What is reached directly (`NO_PROXY`): hosts, domains, addresses and networks, with commas between them.
    pub except: Option<Arc<str>>,
}

/// What upstreams are made with.
#[derive(Debug)]
pub struct Parts {
    /// How patient to be.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Which way out.
    pub egress: Egress,
    /// The time.
    pub clock: Clock,
    /// All tasks.
    pub tasks: Tasks,
    /// Who we are.
    pub instance: InstanceId,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |proxy: &Option<Arc<str>>| proxy.as_ref().map(|_| "***");
        f.debug_struct("Egress")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .field("except", &self.except)
            .finish()
    }
}

/// How long to wait for what, and how much at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// For the name to be resolved and a connection to be accepted: 3 s, since a client waits, and lost packets are
    /// sent again after 1 s.
    pub connect: Duration,
    /// For the TLS handshake: 5 s, two round trips and a signature.
    pub tls: Duration,
    /// From the request to the head of the answer: 20 s, below the 30 s after which containerd gives up.
    pub headers: Duration,
    /// Between two pieces of a body: 60 s. There is no limit for a whole blob.
    pub body_idle: Duration,
    /// For a token, redirects included: 10 s.
    pub token: Duration,
    /// When to try again what failed before the head of an answer.
    pub retry: Schedule,
    /// For how long a failed attempt to get a token answers others who need the same: 1 s.
    pub token_failure: Duration,
    /// The same when the token service refused, so that it is not hammered: 30 s.
    pub token_refusal: Duration,
    /// For how long a login that was accepted is taken to be right when something is refused: 60 s. After that it is
    /// found out which of both is meant.
    pub login_proof: Duration,
    /// For how long a file with a login is not looked at again: 1 s.
    pub login_file: Duration,
    /// When a host that fails is left alone.
    pub circuit: CircuitLimits,
    /// How long to wait before a token that was issued this moment is shown again: 500 ms (clocks differ).
    pub same_token: Duration,
    /// Requests at once, to one upstream: 64.
    pub requests: usize,
    /// Blob transfers among them: 16. The rest is kept for manifests, which so go first.
    pub transfers: usize,
    /// How long a request waits for its turn: 10 s.
    pub turn: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            tls: Duration::from_secs(5),
            headers: Duration::from_secs(20),
            body_idle: Duration::from_secs(60),
            token: Duration::from_secs(10),
            retry: Schedule::default(),
            token_failure: Duration::from_secs(1),
            token_refusal: Duration::from_secs(30),
            login_proof: Duration::from_secs(60),
            login_file: Duration::from_secs(1),
            circuit: CircuitLimits::default(),
            same_token: Duration::from_millis(500),
            requests: 64,
            transfers: 16,
            turn: Duration::from_secs(10),
        }
    }
}

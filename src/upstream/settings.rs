//! What the room is told: which registries there are and how to reach them, and how patient to be.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint_url::EndpointUrl;
use super::retry::Schedule;
use crate::oci::UpstreamPattern;

/// One configured upstream, or a pattern that stands for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which upstreams these settings are for.
    pub pattern: UpstreamPattern,
    /// Where to ask, in this order; the last one decides. When empty: `https://` and the name of the upstream.
    pub endpoints: Vec<EndpointSettings>,
}

/// One place to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Its address. With `http://` it is thereby insecure, and a private address is thereby allowed, for itself alone.
    pub url: EndpointUrl,
    /// Certificates (PEM) that are trusted there, besides those of the system.
    pub ca_file: Option<PathBuf>,
}

impl From<EndpointUrl> for EndpointSettings {
    fn from(url: EndpointUrl) -> Self {
        Self { url, ca_file: None }
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
            same_token: Duration::from_millis(500),
            requests: 64,
            transfers: 16,
            turn: Duration::from_secs(10),
        }
    }
}

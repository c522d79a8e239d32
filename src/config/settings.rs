//! What is true once a configuration has been read without a fault: every value is there, and all of them agree.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::endpoint_url::EndpointUrl;
use crate::oci::{UpstreamName, UpstreamPattern};

/// The settings of one larder, a part for each room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The doors that are open.
    pub server: ServerSettings,
    /// Which upstream a name leads to.
    pub addressing: AddressingSettings,
    /// The upstreams that can be reached.
    pub upstreams: Vec<UpstreamSettings>,
    /// Where content is kept.
    pub store: StoreSettings,
    /// How long what is kept counts as current.
    pub cache: CacheSettings,
}

/// The doors that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where the registry API is served.
    pub listen: SocketAddr,
    /// Where health and metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// Which upstream a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressingSettings {
    /// The upstreams and their other names. Aliases and hosts are each in one rule only.
    pub upstreams: Vec<UpstreamRule>,
    /// Where a name leads that names no upstream. It fits one of the rules.
    pub default: Option<UpstreamName>,
}

/// The names of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRule {
    /// Its own name, or the pattern of a family of names.
    pub pattern: UpstreamPattern,
    /// First path segments that mean it too.
    pub aliases: Vec<String>,
    /// Virtual hosts that mean it, as `host` or `host:port`, in lower case.
    pub hosts: Vec<String>,
}

/// How one upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its own name, or the pattern of a family of names.
    pub pattern: UpstreamPattern,
    /// Where it is asked, in this order. Never empty for one name; empty for a pattern, whose names are their hosts.
    pub endpoints: Vec<EndpointSettings>,
}

/// One place where an upstream is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Its address.
    pub url: EndpointUrl,
    /// Certificates that are trusted there beside those of the system.
    pub ca_file: Option<PathBuf>,
}

/// Where content is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The cache folder, as an absolute path.
    pub path: PathBuf,
    /// How many bytes of the file system have to stay free; the store has its own default.
    pub min_free: Option<u64>,
}

/// How long what is kept counts as current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// For every upstream that is not named below.
    pub freshness: Freshness,
    /// For these upstreams.
    pub per_upstream: Vec<(UpstreamPattern, Freshness)>,
}

/// How long a tag counts as current before its upstream is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// For this long.
    For(Duration),
    /// Not at all: the upstream is asked each time.
    Always,
    /// For ever: a tag never moves.
    Immutable,
}

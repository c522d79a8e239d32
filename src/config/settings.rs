//! What is true once a configuration has been read without a fault: the settings of each room, all there, and agreeing.

use std::net::SocketAddr;

use crate::store::disk;
use crate::{addressing, cache, server, upstream};

/// The settings of one larder, a part for each room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the registry API is served.
    pub server: server::Settings,
    /// Where health and metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Which upstream a name leads to.
    pub addressing: addressing::Settings,
    /// The upstreams that can be reached. One name has at least one endpoint; a pattern has none, its names are hosts.
    pub upstreams: Vec<upstream::Settings>,
    /// Through which proxies upstreams are reached.
    pub egress: upstream::Egress,
    /// Where content is kept.
    pub store: disk::Settings,
    /// How long what is kept counts as current.
    pub cache: cache::Settings,
}

impl Settings {
    /// Returns whether nobody but this machine can reach the registry API.
    pub fn is_for_this_machine(&self) -> bool {
        self.server.listen.ip().to_canonical().is_loopback()
    }
}

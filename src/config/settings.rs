//! What is true once a configuration has been read without a fault: the settings of each room, all there, and agreeing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::store::disk;
use crate::{addressing, admin, cache, retention, server, upstream};

/// The settings of one larder, a part for each room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the registry API is served.
    pub server: server::Settings,
    /// Where health and metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// How long answers under way may take to be given after the first signal to stop; a second signal ends them.
    pub drain_timeout: Duration,
    /// Where the operator's commands are taken over TCP, if anywhere.
    pub admin: Option<admin::Settings>,
    /// Which upstream a name leads to.
    pub addressing: addressing::Settings,
    /// The upstreams that can be reached. One name has at least one endpoint; a pattern has none, its names are hosts.
    pub upstreams: Vec<upstream::Settings>,
    /// Through which proxies upstreams are reached.
    pub egress: upstream::Egress,
    /// Where content is kept.
    pub store: disk::Settings,
    /// How much of it.
    pub retention: retention::Settings,
    /// How long what is kept counts as current.
    pub cache: cache::Settings,
}

impl Settings {
    /// Returns whether nobody but this machine can reach the registry API.
    pub fn is_for_this_machine(&self) -> bool {
        let mut addresses = self.server.addresses();
        addresses.all(is_loopback)
    }

    /// Names the addresses of the registry API that other machines can reach.
    pub fn open_addresses(&self) -> String {
        let addresses = self.server.addresses();
        let open = addresses.filter(|address| !is_loopback(*address));
        let open: Vec<String> = open.map(|address| address.to_string()).collect();
        open.join(" and ")
    }

    /// Returns whether other machines need a certificate wherever they can reach the registry API.
    pub fn has_certified_clients(&self) -> bool {
        let Some(tls) = &self.server.tls else {
            return false;
        };
        let is_plain_open = tls.listen.is_some() && !is_loopback(self.server.listen);
        tls.client_ca_file.is_some() && !is_plain_open
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

//! Makes [`Settings`] of what is written: puts defaults in, and checks what must agree.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::auth_files::{self, AuthFiles};
use super::egress;
use super::fault::{Faults, Place};
use super::file::{CacheKeys, ServerKeys, UpstreamKeys, Written};
use super::logins::LoginReader;
use super::reader::Located;
use super::settings::Settings;
use super::surroundings::Surroundings;
use super::tags;
use super::upstreams::{self, Upstream};
use super::values::DefaultUpstream;
use crate::addressing::UpstreamRule;
use crate::oci::UpstreamName;
use crate::server::{self, CatalogAudience};
use crate::store::disk;
use crate::{addressing, cache, upstream};

/// Where the registry API is served unless something else is written: nobody but this machine gets there.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// Makes settings of what is written, and says which files of docker and podman are in them. They are of use only when
/// this adds no fault.
pub(super) fn resolve(
    written: Written,
    surroundings: &Surroundings,
    faults: &mut Faults,
) -> (Settings, AuthFiles) {
    let (listen, metrics_listen) = doors(&written.server, faults);
    check_endpoints(&written.upstreams, listen, faults);
    let with_public = written
        .server
        .public_registries
        .as_ref()
        .is_none_or(|written| written.value);
    let has_none = !with_public && written.upstreams.is_empty();
    let mut logins = LoginReader {
        surroundings,
        faults,
    };
    let mut upstreams = upstreams::gather(written.upstreams, with_public, &mut logins);
    let mut files = auth_files::find(written.logins, listen, &mut logins);
    auth_files::put_behind(&mut files, &mut upstreams);
    if has_none {
        let message = "nothing can be pulled: without the public registries, at least one [[upstream]] is needed";
        let place = place_or(
            written.server.public_registries.as_ref(),
            "server.public_registries",
        );
        faults.push(place, message);
    }
    let default = default_upstream(written.server.default_upstream, &upstreams, faults);
    let networks = written.server.refresh_from.into_iter().flatten();
    let refresh_from = networks.map(|network| network.value).collect();
    let catalog = written.server.catalog;
    let mode = written.server.offline.map(upstreams::mode);
    let mode = mode.unwrap_or_default();
    let settings = Settings {
        server: server::Settings {
            listen,
            refresh_from,
            catalog: catalog.map_or_else(CatalogAudience::default, |catalog| catalog.value),
        },
        metrics_listen,
        store: store(written.cache, surroundings, faults),
        cache: cache::Settings {
            tags: tags::contract(written.tags, &upstreams),
            share: upstreams::share(&upstreams),
        },
        addressing: addressing::Settings {
            upstreams: upstreams.iter().map(rule).collect(),
            default,
        },
        upstreams: upstreams
            .into_iter()
            .map(|upstream| upstream::Settings {
                pattern: upstream.pattern,
                endpoints: upstream.endpoints,
                credentials: upstream.credentials,
                token_hosts: upstream.token_hosts,
                // What is written of one counts before what is written of all.
                mode: upstream.mode.unwrap_or(mode),
            })
            .collect(),
        egress: egress::egress(surroundings, faults),
    };
    (settings, files)
}

fn doors(keys: &ServerKeys, faults: &mut Faults) -> (SocketAddr, Option<SocketAddr>) {
    let listen = keys
        .listen
        .as_ref()
        .map_or(DEFAULT_LISTEN, |listen| listen.value);
    if let Some(metrics) = &keys.metrics_listen
        && overlap(listen, metrics.value)
    {
        let message = format!(
            "'{}' is taken: the registry is served at {listen}",
            metrics.value
        );
        faults.push(metrics.place.clone(), message);
    }
    (
        listen,
        keys.metrics_listen.as_ref().map(|metrics| metrics.value),
    )
}

/// Tells whether two sockets cannot be bound at the same time. Port 0 is another port each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // `::` takes in IPv4 as well.
    let takes_in =
        |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip()
            || takes_in(one.ip(), other.ip())
            || takes_in(other.ip(), one.ip()))
}

/// Says which endpoints are larder itself: a request would go round for ever.
fn check_endpoints(written: &[UpstreamKeys], listen: SocketAddr, faults: &mut Faults) {
    let endpoints = written.iter().filter_map(|keys| keys.endpoints.as_ref());
    let urls = endpoints
        .flat_map(|list| &list.value)
        .filter_map(|keys| keys.url.as_ref());
    for url in urls {
        let host = url.value.host().trim_matches(['[', ']']);
        let ip = match host {
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => host.parse().ok(),
        };
        let is_own = ip.is_some_and(|ip: IpAddr| {
            let is_here = listen.ip().is_unspecified() && ip.is_loopback();
            listen.port() != 0
                && url.value.port() == listen.port()
                && (ip == listen.ip() || is_here)
        });
        if is_own {
            let message = format!(
                "'{}' is larder itself, which listens at {listen}",
                url.value
            );
            faults.push(url.place.clone(), message);
        }
    }
}

fn default_upstream(
    written: Option<Located<DefaultUpstream>>,
    upstreams: &[Upstream],
    faults: &mut Faults,
) -> Option<UpstreamName> {
    let is_configured = |name: &UpstreamName| {
        upstreams
            .iter()
            .any(|upstream| upstream.pattern.matches(name))
    };
    let Some(written) = written else {
        let hub: Option<UpstreamName> = UpstreamName::DOCKER_HUB.parse().ok();
        return hub.filter(is_configured);
    };
    let DefaultUpstream::To(name) = written.value else {
        return None;
    };
    if is_configured(&name) {
        return Some(name);
    }
    let aliased = upstreams.iter().find(|upstream| {
        upstream
            .aliases
            .iter()
            .any(|alias| alias.as_str() == name.as_str())
    });
    let message = match aliased {
        Some(upstream) => format!("'{name}' is an alias: write '{}'", upstream.pattern),
        None => format!(
            "'{name}' is not configured: add an [[upstream]] of that name, or write \"none\""
        ),
    };
    faults.push(written.place, message);
    None
}

fn store(keys: CacheKeys, surroundings: &Surroundings, faults: &mut Faults) -> disk::Settings {
    let place = place_or(keys.path.as_ref(), "cache.path");
    let path = match keys.path {
        Some(path) => surroundings.working_folder.join(path.value),
        None => surroundings.default_cache_folder().unwrap_or_default(),
    };
    if path.as_os_str().is_empty() {
        faults.push(
            place,
            "neither STATE_DIRECTORY nor HOME says where to keep the cache: set a folder",
        );
    } else if path.is_file() {
        faults.push(
            place,
            format!("'{}' is a file, not a folder", path.display()),
        );
    }
    disk::Settings {
        path: absolute(path),
        min_free: keys.min_free.map(|size| size.value),
    }
}

/// Makes a path absolute, as far as the working folder is known.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn rule(upstream: &Upstream) -> UpstreamRule {
    UpstreamRule {
        pattern: upstream.pattern.clone(),
        aliases: upstream.aliases.clone(),
        hosts: upstream.hosts.clone(),
    }
}

/// Returns where a setting was written, or that it was not.
fn place_or<T>(written: Option<&Located<T>>, key: &'static str) -> Place {
    written.map_or(Place::Default(key), |written| written.place.clone())
}

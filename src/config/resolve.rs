//! Makes [`Settings`] of what is written: puts defaults in, and checks what must agree.

use std::path::PathBuf;
use std::time::Duration;

use super::auth_files::{self, AuthFiles};
use super::doors::Doors;
use super::egress;
use super::fault::{Faults, Place};
use super::file::{CacheKeys, ServerKeys, Written};
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
use crate::{addressing, cache, retention, upstream};

/// How long answers under way may take to be given after a signal to stop, unless something else is written: enough for
/// a large blob over a slow line.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_mins(10);

/// Makes settings of what is written, and says which files of docker and podman are in them. They are of use only when
/// this adds no fault.
pub(super) fn resolve(
    mut written: Written,
    surroundings: &Surroundings,
    faults: &mut Faults,
) -> (Settings, AuthFiles) {
    let doors = Doors::take(&mut written.server, written.admin, surroundings, faults);
    doors.check_endpoints(&written.upstreams, faults);
    let with_public = written
        .server
        .public_registries
        .as_ref()
        .is_none_or(|written| written.value);
    let has_none = !with_public && written.upstreams.is_empty();
    // Doors that are open stay so, whatever is written anew.
    let reached_at = doors.registry().chain(surroundings.open_at.iter().copied());
    let mut logins = LoginReader {
        surroundings,
        faults,
    };
    let mut upstreams = upstreams::gather(written.upstreams, with_public, &mut logins);
    let mut files = auth_files::find(written.logins, reached_at, &mut logins);
    auth_files::put_behind(&mut files, &mut upstreams);
    if has_none {
        refuse_none(written.server.public_registries.as_ref(), faults);
    }
    let default = written.server.default_upstream.take();
    let default = default_upstream(default, &upstreams, faults);
    let drain_timeout = written.server.drain_timeout.take();
    let drain_timeout = drain_timeout.map_or(DEFAULT_DRAIN_TIMEOUT, |written| written.value);
    let mode = written.server.offline.take().map(upstreams::mode);
    let mode = mode.unwrap_or_default();
    let settings = Settings {
        metrics_listen: doors.metrics,
        admin: doors.admin.clone(),
        drain_timeout,
        server: server(written.server, doors),
        retention: retention::Settings {
            max_size: written.cache.max_size.as_ref().map(|size| size.value),
        },
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

/// Says that no registry is left.
fn refuse_none(public_registries: Option<&Located<bool>>, faults: &mut Faults) {
    let message =
        "nothing can be pulled: without the public registries, at least one [[upstream]] is needed";
    let place = place_or(public_registries, "server.public_registries");
    faults.push(place, message);
}

fn server(keys: ServerKeys, doors: Doors) -> server::Settings {
    let networks = keys.refresh_from.into_iter().flatten();
    server::Settings {
        listen: doors.listen,
        tls: doors.tls,
        proxies: doors.proxies,
        refresh_from: networks.map(|network| network.value).collect(),
        catalog: keys
            .catalog
            .map_or_else(CatalogAudience::default, |catalog| catalog.value),
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

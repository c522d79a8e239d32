//! podman, CRI-O, skopeo and buildah: `registries.conf`. They do not say which registry they mean, so that its name has to
//! stand in the path behind larder.

use super::podman_files::{self, Entry};
use super::{Told, certificates};
use crate::cli::doctor::address::{Address, Scheme, Written};
use crate::cli::doctor::document::Node;
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::Machine;
use crate::cli::doctor::way::{Naming, OnError, Place, Scope, Verification, Way};
use crate::oci::UpstreamName;

const CLIENT: Subject = Subject::Podman;

/// Reads what these clients are told.
pub(super) fn examine(machine: &Machine, told: &mut Told) {
    for entry in podman_files::entries(machine, told) {
        registry(machine, told, &entry);
    }
}

fn registry(machine: &Machine, told: &mut Told, entry: &Entry) {
    let Entry { spot, prefix, node } = entry;
    let (name, beginning) = prefix.split_once('/').unwrap_or((prefix, ""));
    let scope = Scope::Registry {
        name: name.to_owned(),
        beginning: beginning.to_owned(),
    };
    if node.says("blocked") {
        let message = format!("{prefix} is blocked: nothing of it can be pulled");
        told.find(Finding::note(CLIENT, message).at(spot));
        return;
    }
    let location = node.text("location").unwrap_or_default();
    let location = place(machine, told, location, node, spot);
    let mirrors = node.get("mirror").map_or(&[][..], Node::items);
    // Where the name leads elsewhere, that takes the place of the registry.
    let leads_elsewhere = location
        .as_ref()
        .filter(|(_, written)| shown(written) != *prefix && !is_hub(written, prefix));
    let on_error = match (leads_elsewhere, mirrors.is_empty()) {
        (Some(_), _) => OnError::Fails,
        (None, _) => OnError::GoesAround,
    };
    let mut ways = Vec::new();
    for mirror in mirrors {
        let spot = Spot::line(&spot.file, mirror.line);
        let location = mirror.text("location").unwrap_or_default();
        digests_only(told, node, mirror, location, &spot);
        if let Some(found) = place(machine, told, location, mirror, &spot) {
            ways.push((found, spot, on_error));
        }
    }
    if let Some(found) = leads_elsewhere {
        ways.push((found.clone(), spot.clone(), OnError::Fails));
    }
    for ((place, written), spot, on_error) in ways {
        told.lead(Way {
            client: CLIENT,
            spot,
            scope: scope.clone(),
            place,
            path: format!("/v2{}", written.path),
            naming: Naming::Path,
            on_error,
        });
    }
}

/// Reads a location. `None` when there is none, or the client stops at it.
fn place(
    machine: &Machine,
    told: &mut Told,
    location: &str,
    node: &Node,
    spot: &Spot,
) -> Option<(Place, Written)> {
    if location.is_empty() {
        return None;
    }
    let written = Written::read(location);
    let Some(written) = written.filter(|it| it.scheme.is_none() && !it.has_login) else {
        let message =
            "a location is no host[:port][/path], and podman pulls nothing with this file";
        let remedy =
            "leave out http:// or https:// and any user; insecure = true is for larder without TLS";
        told.find(Finding::fault(CLIENT, message, remedy).at(spot));
        return None;
    };
    let scheme = match node.says("insecure") {
        true => Scheme::Either,
        false => Scheme::Https,
    };
    let address = Address::new(scheme, &written.authority);
    let folders = [
        machine.home(".config/containers/certs.d"),
        Some(machine.system("/etc/containers/certs.d")),
        Some(machine.system("/etc/docker/certs.d")),
    ];
    let folders: Vec<_> = folders.into_iter().flatten().collect();
    let mut trust = certificates::trust(told, CLIENT, &folders, &written.authority);
    if scheme == Scheme::Either {
        trust.verification = Verification::Skipped;
    }
    Some((Place { address, trust }, written))
}

/// Says that tags are not asked for at a mirror.
fn digests_only(told: &mut Told, node: &Node, mirror: &Node, location: &str, spot: &Spot) {
    let key = match mirror.text("pull-from-mirror") {
        Some("digest-only") => "pull-from-mirror = \"digest-only\"",
        _ if node.says("mirror-by-digest-only") => "mirror-by-digest-only",
        Some("tag-only") => {
            let message = format!(
                "pull-from-mirror = \"tag-only\": what is pulled by its digest goes around {}",
                host(location)
            );
            let remedy = "leave it out";
            told.find(Finding::warning(CLIENT, message, remedy).at(spot));
            return;
        }
        _ => return,
    };
    let message = format!(
        "{key}: what is pulled by a tag goes around {}, manifests and blobs",
        host(location)
    );
    let remedy = "leave it out, unless all images are named by their digests";
    told.find(Finding::warning(CLIENT, message, remedy).at(spot));
}

/// Returns a location as it was read.
fn shown(written: &Written) -> String {
    format!("{}{}", written.authority, written.path)
}

/// Returns the host of a location, for a message.
fn host(location: &str) -> String {
    let written = Written::read(location);
    written.map_or_else(|| "the mirror".to_owned(), |it| it.authority)
}

/// Tells whether both are Docker Hub, which has several names.
fn is_hub(written: &Written, prefix: &str) -> bool {
    let (name, path) = prefix.split_once('/').unwrap_or((prefix, ""));
    let is_hub = |name: &str| {
        name.parse::<UpstreamName>()
            .is_ok_and(|name| name.is_docker_hub())
    };
    is_hub(name) && is_hub(&written.authority) && written.path.trim_start_matches('/') == path
}

//! The docker daemon: `daemon.json`. It has mirrors of Docker Hub alone, does not say which registry it means, and asks
//! the registry after any error of a mirror.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::{Document, Told, certificates, unverified};
use crate::cli::doctor::address::{Address, Scheme, Written};
use crate::cli::doctor::document::{Node, json};
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::Machine;
use crate::cli::doctor::way::{Naming, OnError, Place, Scope, Verification, Way};
use crate::oci::UpstreamName;

const CLIENT: Subject = Subject::Docker;
const MIRRORS: &str = "registry-mirrors";
const INSECURE: &str = "insecure-registries";

/// Reads the daemon's files: of the system, of a daemon without root, and of Docker Desktop.
pub(super) fn examine(machine: &Machine, told: &mut Told) {
    let system = Some(machine.system("/etc/docker"));
    let folders = [
        system,
        machine.home(".config/docker"),
        machine.home(".docker"),
    ];
    for folder in folders.into_iter().flatten() {
        if let Some(document) = told.read(CLIENT, &folder.join("daemon.json"), json) {
            daemon(told, &folder, &document);
        }
    }
}

fn daemon(told: &mut Told, folder: &Path, document: &Document) {
    let Document { spot, root } = document;
    let Some(mirrors) = root.get(MIRRORS) else {
        let message = format!(
            "there are no {MIRRORS}: docker pulls through larder only what has larder's address in front of its name"
        );
        told.find(Finding::note(CLIENT, message).at(spot));
        return;
    };
    if mirrors.items().iter().any(|item| item.as_text().is_none()) || mirrors.as_text().is_some() {
        let message = format!("{MIRRORS} is no list of texts, and docker does not start with it");
        let remedy = format!("write it as \"{MIRRORS}\": [\"http://larder:5000\"]");
        told.find(Finding::fault(CLIENT, message, remedy).at(spot));
    }
    for mirror in root.texts(MIRRORS) {
        if let Some(written) = accepted(told, mirror, spot) {
            way(told, folder, root, &written, spot);
        }
    }
}

/// Reads a mirror as docker does. `None` when docker does not start with it.
fn accepted(told: &mut Told, mirror: &str, spot: &Spot) -> Option<Written> {
    let mut refuse = |what: String| {
        let remedy = "write it as http://host:port or https://host:port";
        told.find(Finding::fault(CLIENT, what, remedy).at(spot));
        None
    };
    let Some(written) = Written::read(mirror) else {
        return refuse(format!(
            "{MIRRORS} has an entry that is no address, and docker does not start with it"
        ));
    };
    let shown = format!("{}{}", written.authority, written.path);
    if written.has_login {
        return refuse(format!(
            "{MIRRORS}: {shown} has a user or a password in it, and docker does not start with it"
        ));
    }
    if written.has_query {
        return refuse(format!(
            "{MIRRORS}: {shown} has a query in it, and docker does not start with it"
        ));
    }
    if written.known_scheme().is_none() {
        return refuse(format!(
            "{MIRRORS}: {shown} does not begin with http:// or https://, and docker does not start with it"
        ));
    }
    Some(written)
}

fn way(told: &mut Told, folder: &Path, root: &Node, written: &Written, spot: &Spot) {
    let scheme = written.known_scheme().unwrap_or(Scheme::Https);
    let address = Address::new(scheme, &written.authority);
    if !written.path.is_empty() {
        let message = format!(
            "{MIRRORS}: {address} has the path {}: older dockers do not start with it, and others ask for {}/v2/…",
            written.path, written.path
        );
        let remedy = format!("write {address}");
        told.find(Finding::fault(CLIENT, message, remedy).at(spot));
    }
    let is_insecure = address.is_loopback() || is_listed(root, &address);
    let folders: [PathBuf; 1] = [folder.join("certs.d")];
    let mut trust = certificates::trust(told, CLIENT, &folders, address.authority());
    match (scheme, is_insecure) {
        (Scheme::Https, true) if !address.is_loopback() => {
            trust.verification = Verification::Skipped;
            told.find(unverified(CLIENT, INSECURE, spot));
        }
        (Scheme::Http, false) => {
            let authority = address.authority();
            let message = format!(
                "{authority} is not in {INSECURE}: the mirror of Docker Hub works, and names with larder in front, as in \
                 {authority}/ghcr.io/org/app, do not, since docker speaks TLS for them"
            );
            let remedy = format!("add \"{authority}\" to {INSECURE}, where such names are used");
            told.find(Finding::note(CLIENT, message).remedy(remedy).at(spot));
        }
        _ => {}
    }
    told.lead(Way {
        client: CLIENT,
        spot: spot.clone(),
        scope: Scope::registry(UpstreamName::DOCKER_HUB),
        place: Place { address, trust },
        path: format!("{}/v2", written.path),
        naming: Naming::Path,
        on_error: OnError::GoesAround,
    });
}

/// Tells whether docker takes an address for unencrypted, or for one with any certificate.
fn is_listed(root: &Node, address: &Address) -> bool {
    let listed = root.texts(INSECURE);
    let ip: Option<IpAddr> = address.host().parse().ok();
    listed.iter().any(|entry| {
        let network: Option<IpNet> = entry.parse().ok();
        let is_within = ip.zip(network).is_some_and(|(ip, net)| net.contains(&ip));
        is_within || Written::read(entry).is_some_and(|it| it.authority == address.authority())
    })
}

//! buildkitd: mirrors in `buildkitd.toml`, without a scheme. How one speaks with a host stands in the section of that
//! host.

use super::{Told, certificates, unverified};
use crate::cli::doctor::address::{Address, Scheme, Written};
use crate::cli::doctor::document::{Node, toml};
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::Machine;
use crate::cli::doctor::way::{Naming, OnError, Place, Scope, Trust, Verification, Way};

const CLIENT: Subject = Subject::Buildkit;

/// Reads what buildkitd is told, with root and without.
pub(super) fn examine(machine: &Machine, told: &mut Told) {
    let files = [
        Some(machine.system("/etc/buildkit/buildkitd.toml")),
        machine.home(".config/buildkit/buildkitd.toml"),
    ];
    for path in files.into_iter().flatten() {
        let Some(document) = told.read(CLIENT, &path, toml) else {
            continue;
        };
        let Some(registries) = document.root.get("registry") else {
            continue;
        };
        for (name, node) in registries.entries() {
            for mirror in node.get("mirrors").map_or(&[][..], Node::items) {
                let spot = Spot::line(&path, mirror.line);
                let written = mirror.as_text().and_then(Written::read);
                if let Some(written) = written {
                    way(machine, told, registries, name, &written, &spot);
                } else {
                    let message = "a mirror is no host[:port][/path]";
                    let remedy = "write it as mirrors = [\"larder:5000/docker.io\"]";
                    told.find(Finding::fault(CLIENT, message, remedy).at(&spot));
                }
            }
        }
    }
}

fn way(
    machine: &Machine,
    told: &mut Told,
    registries: &Node,
    name: &str,
    written: &Written,
    spot: &Spot,
) {
    let about = registries.get(&written.authority);
    let is_local = Address::new(Scheme::Https, &written.authority).is_loopback();
    let scheme = match about.and_then(|about| about.get("http")) {
        Some(_) if about.is_some_and(|about| about.says("http")) => Scheme::Http,
        Some(_) => Scheme::Https,
        // Its own machine it takes for unencrypted.
        None if is_local => Scheme::Http,
        None => Scheme::Https,
    };
    if let Some(said) = written.known_scheme()
        && said != scheme
    {
        let (authority, flag) = (&written.authority, said == Scheme::Http);
        let message = format!("the scheme of the mirror {authority} is not looked at");
        let remedy = format!("write http = {flag} into [registry.\"{authority}\"]");
        told.find(Finding::warning(CLIENT, message, remedy).at(spot));
    }
    let files = |key: &str| about.map_or_else(Vec::new, |about| about.texts(key));
    let pair = about.and_then(|about| {
        let pair = about.get("keypair")?.items().first()?;
        let file = |key: &str| Some(machine.system(pair.text(key)?));
        Some((file("cert")?, file("key")?))
    });
    let mut trust = Trust {
        authorities: files("ca")
            .into_iter()
            .map(|it| machine.system(it))
            .collect(),
        certificate: pair,
        verification: Verification::Done,
    };
    if about.is_some_and(|about| about.says("insecure")) && scheme == Scheme::Https {
        trust.verification = Verification::Skipped;
        told.find(unverified(CLIENT, "insecure", spot));
    }
    certificates::missing(told, CLIENT, &trust.authorities, spot);
    told.lead(Way {
        client: CLIENT,
        spot: spot.clone(),
        scope: Scope::registry(name),
        place: Place {
            address: Address::new(scheme, &written.authority),
            trust,
        },
        path: format!("/v2{}", written.path),
        naming: Naming::Parameter,
        on_error: OnError::GoesAround,
    });
}

//! k3s and RKE2: `registries.yaml`, from which they write the `hosts.toml` of their own containerd.

use std::path::Path;

use super::{Told, certificates, login_in_address, unverified};
use crate::cli::doctor::address::{Address, Scheme, Written};
use crate::cli::doctor::document::{Node, yaml};
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::Machine;
use crate::cli::doctor::way::{Naming, OnError, Place, Scope, Trust, Verification, Way};

/// The option without which a node goes to the registry itself at last.
const STRICT: &str = "disable-default-registry-endpoint";

/// Reads what both are told.
pub(super) fn examine(machine: &Machine, told: &mut Told) {
    for (client, folder) in [
        (Subject::K3s, "/etc/rancher/k3s"),
        (Subject::Rke2, "/etc/rancher/rke2"),
    ] {
        let folder = machine.system(folder);
        let Some(document) = told.read(client, &folder.join("registries.yaml"), yaml) else {
            continue;
        };
        let node = Distribution {
            client,
            machine,
            on_error: on_error(told, client, &folder),
            root: document.root,
            spot: document.spot,
        };
        node.read(told);
    }
}

/// Finds out whether a node goes to the registry itself at last.
fn on_error(told: &mut Told, client: Subject, folder: &Path) -> OnError {
    let beside = folder.join("config.yaml.d");
    let names = told.list(client, &beside);
    let beside = names.iter().filter(|name| name.ends_with(".yaml"));
    let beside: Vec<_> = beside
        .map(|name| folder.join("config.yaml.d").join(name))
        .collect();
    let mut on_error = OnError::GoesAround;
    for path in [folder.join("config.yaml")].into_iter().chain(beside) {
        let document = told.read(client, &path, yaml);
        match document.as_ref().and_then(|it| it.root.get(STRICT)) {
            Some(_) if document.as_ref().is_some_and(|it| it.root.says(STRICT)) => {
                on_error = OnError::Fails;
            }
            Some(_) => on_error = OnError::GoesAround,
            None => {}
        }
    }
    on_error
}

struct Distribution<'a> {
    client: Subject,
    machine: &'a Machine,
    on_error: OnError,
    root: Node,
    spot: Spot,
}

impl Distribution<'_> {
    fn read(&self, told: &mut Told) {
        let Some(mirrors) = self.root.get("mirrors") else {
            let message = "there are no mirrors in it: the registries themselves are asked";
            told.find(Finding::note(self.client, message).at(&self.spot));
            return;
        };
        for (registry, mirror) in mirrors.entries() {
            let endpoints = mirror.get("endpoint").map_or(&[][..], Node::items);
            for endpoint in endpoints {
                let spot = Spot::line(&self.spot.file, endpoint.line);
                match endpoint.as_text().and_then(Written::read) {
                    Some(written) => self.way(told, registry, &written, &spot),
                    None => {
                        let message = "an endpoint is no address, and is left out";
                        let remedy = "write it as \"http://larder:5000\"";
                        told.find(Finding::fault(self.client, message, remedy).at(&spot));
                    }
                }
            }
            if mirror.get("endpoint").is_some() && endpoints.is_empty() {
                let spot = Spot::line(&self.spot.file, mirror.line);
                let message =
                    format!("the endpoint of {registry} is no list, and is not understood");
                let remedy = "write it as endpoint: [\"http://larder:5000\"]";
                told.find(Finding::fault(self.client, message, remedy).at(&spot));
            }
        }
    }

    fn way(&self, told: &mut Told, registry: &str, written: &Written, spot: &Spot) {
        if written.has_login {
            told.find(login_in_address(self.client, spot));
        }
        let address = self.address(told, written, spot);
        let path = match written.path.as_str() {
            "" | "/v2" => "/v2".to_owned(),
            path => path.to_owned(),
        };
        if !path.contains("/v2") {
            let message = format!(
                "{address}{path} has no /v2 in it, and k3s adds none where there is a path: larder has nothing there"
            );
            let remedy = format!(
                "write {address} alone, since containerd says itself which registry it means"
            );
            told.find(Finding::fault(self.client, message, remedy).at(spot));
        }
        let trust = self.trust(told, written, spot);
        told.lead(Way {
            client: self.client,
            spot: spot.clone(),
            scope: match registry {
                "*" => Scope::Others,
                name => Scope::registry(name),
            },
            place: Place { address, trust },
            path,
            naming: Naming::Parameter,
            on_error: self.on_error,
        });
    }

    /// Finds out how a node speaks with an endpoint.
    fn address(&self, told: &mut Told, written: &Written, spot: &Spot) -> Address {
        if let Some(scheme) = written.known_scheme() {
            return Address::new(scheme, &written.authority);
        }
        let encrypted = Address::new(Scheme::Https, &written.authority);
        let scheme = match encrypted.is_loopback() && encrypted.port() != 443 {
            true => Scheme::Http,
            false => Scheme::Https,
        };
        let address = Address::new(scheme, &written.authority);
        let message = format!(
            "the endpoint {} has no scheme, and is asked as {address}",
            written.authority
        );
        let remedy = "write http:// or https:// in front of it";
        told.find(Finding::warning(self.client, message, remedy).at(spot));
        address
    }

    fn trust(&self, told: &mut Told, written: &Written, spot: &Spot) -> Trust {
        let configs = self.root.get("configs");
        let tls = configs.and_then(|configs| configs.find(&[&written.authority, "tls"]));
        let file = |key: &str| Some(self.machine.system(tls?.text(key)?));
        let mut trust = Trust {
            authorities: file("ca_file").into_iter().collect(),
            certificate: file("cert_file").zip(file("key_file")),
            verification: Verification::Done,
        };
        if tls.is_some_and(|tls| tls.says("insecure_skip_verify")) {
            trust.verification = Verification::Skipped;
            told.find(unverified(self.client, "insecure_skip_verify", spot));
        }
        certificates::missing(told, self.client, &trust.authorities, spot);
        trust
    }
}

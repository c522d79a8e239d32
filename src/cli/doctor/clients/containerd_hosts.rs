//! The folders of `hosts.toml` that containerd, nerdctl and kind read: one a registry, and `_default`.
//!
//! Hosts are asked in the order of the file, and the `server` at last, which is the registry when it is not written.

use std::path::Path;

use super::containerd::named_files;
use super::{Told, certificates, is_registry_itself, login_in_address, unverified};
use crate::cli::doctor::address::{Address, Scheme, Written};
use crate::cli::doctor::document::{Node, toml};
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::Machine;
use crate::cli::doctor::way::{Naming, OnError, Place, Scope, Trust, Verification, Way};

const CLIENT: Subject = Subject::Containerd;

/// The folder of registries that have none of their own.
const OTHERS: &str = "_default";

/// Reads every file below the folder. Returns how many there are.
pub(super) fn examine(machine: &Machine, told: &mut Told, folder: &Path) -> usize {
    let mut count = 0;
    for name in told.list(CLIENT, folder) {
        let path = folder.join(&name).join("hosts.toml");
        if let Some(document) = told.read(CLIENT, &path, toml) {
            count += 1;
            let hosts = Hosts {
                machine,
                registry: registry(&name),
                spot: document.spot,
                folder: folder.join(&name),
            };
            hosts.read(told, &document.root);
        }
    }
    count
}

/// Returns the registry of a folder, which may have its port between `_`.
fn registry(name: &str) -> String {
    let port = name
        .strip_suffix('_')
        .and_then(|rest| rest.rsplit_once('_'));
    match port {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => format!("{host}:{port}"),
        _ => name.to_owned(),
    }
}

/// One of the files.
struct Hosts<'a> {
    machine: &'a Machine,
    registry: String,
    spot: Spot,
    folder: std::path::PathBuf,
}

/// Whether something is asked before the registry, or in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Host,
    Server,
}

impl Hosts<'_> {
    fn read(&self, told: &mut Told, root: &Node) {
        let server = root.text("server").and_then(Written::read);
        let server = server.filter(|server| !is_registry_itself(&self.registry, &server.authority));
        let hosts = root.get("host");
        let before = told.ways.len();
        for (url, node) in hosts.into_iter().flat_map(Node::entries) {
            let spot = Spot::line(&self.spot.file, node.line);
            match Written::read(url) {
                Some(written) => self.host(told, &written, node, &spot, Role::Host),
                None => {
                    let message =
                        "a host is no address, and containerd pulls nothing of this registry";
                    let remedy = "write it as [host.\"http://larder:5000\"]";
                    told.find(Finding::fault(CLIENT, message, remedy).at(&spot));
                }
            }
        }
        let Some(server) = server else {
            if hosts.is_none() && root.get("server").is_none() {
                let message = "neither a host nor a server is in it: the registry itself is asked";
                told.find(Finding::note(CLIENT, message).at(&self.spot));
            }
            return;
        };
        // Where the last one asked is none but the first, nobody is left to whom one could go around it.
        for way in &mut told.ways[before..] {
            if way.place.address.authority() == server.authority {
                way.on_error = OnError::Fails;
            }
        }
        let is_new = |way: &Way| way.place.address.authority() != server.authority;
        if told.ways[before..].iter().all(is_new) {
            let line = root.get("server").and_then(|node| node.line);
            let spot = Spot::line(&self.spot.file, line);
            self.host(told, &server, root, &spot, Role::Server);
        }
    }

    /// Reads what is said of one address.
    fn host(&self, told: &mut Told, written: &Written, node: &Node, spot: &Spot, role: Role) {
        if written.has_login {
            told.find(login_in_address(CLIENT, spot));
        }
        // What does not begin with `http` gets https:// in front.
        let scheme = written.known_scheme().unwrap_or(Scheme::Https);
        let address = Address::new(scheme, &written.authority);
        let capabilities = node.texts("capabilities");
        let can = |what: &str| {
            let mut all = capabilities.iter();
            capabilities.is_empty() || all.any(|it| it.eq_ignore_ascii_case(what))
        };
        if !can("pull") {
            let message =
                format!("the capabilities of {address} lack \"pull\": nothing is pulled there");
            let remedy = "write capabilities = [\"pull\", \"resolve\"]";
            told.find(Finding::fault(CLIENT, message, remedy).at(spot));
            return;
        }
        if !can("resolve") {
            let message = format!(
                "the capabilities of {address} lack \"resolve\": what a tag points at is asked of the registry itself, which \
                 has to be reachable"
            );
            let remedy = "write capabilities = [\"pull\", \"resolve\"]";
            told.find(Finding::warning(CLIENT, message, remedy).at(spot));
        }
        let path = self.path(told, written, node, spot, &address);
        let trust = self.trust(told, node, spot);
        told.lead(Way {
            client: CLIENT,
            spot: spot.clone(),
            scope: match self.registry.as_str() {
                OTHERS => Scope::Others,
                name => Scope::registry(name),
            },
            place: Place { address, trust },
            path,
            naming: Naming::Parameter,
            on_error: match role {
                Role::Host => OnError::GoesAround,
                Role::Server => OnError::Fails,
            },
        });
    }

    /// Finds out what containerd puts before the repository.
    fn path(
        &self,
        told: &mut Told,
        written: &Written,
        node: &Node,
        spot: &Spot,
        address: &Address,
    ) -> String {
        let path = &written.path;
        let begins = path == "/v2" || path.starts_with("/v2/");
        match node.says("override_path") {
            true if path.is_empty() || (!begins && !path.contains("/v2")) => {
                let message = format!(
                    "override_path is set, and {address}{path} has no /v2 in it: larder has nothing at such paths"
                );
                let remedy = format!("remove override_path, or write {address}/v2{path}");
                told.find(Finding::fault(CLIENT, message, remedy).at(spot));
                path.clone()
            }
            true => path.clone(),
            false if begins && path != "/v2" => {
                let message = format!(
                    "{address}{path} has /v2 in it without override_path, so that containerd asks for {path}/v2/…"
                );
                let remedy = format!(
                    "write {address} alone, since containerd says itself which registry it means; or add override_path = \
                     true"
                );
                told.find(Finding::fault(CLIENT, message, remedy).at(spot));
                format!("{path}/v2")
            }
            false if path.ends_with("/v2") => path.clone(),
            false => format!("{path}/v2"),
        }
    }

    fn trust(&self, told: &mut Told, node: &Node, spot: &Spot) -> Trust {
        let authorities = named_files(self.machine, &self.folder, node, "ca");
        certificates::missing(told, CLIENT, &authorities, spot);
        let place = |name: &str| match name.starts_with('/') {
            true => self.machine.system(name),
            false => self.folder.join(name),
        };
        // A file with both, or a list of pairs.
        let pair = node.get("client").and_then(|client| {
            let both = client
                .as_text()
                .or_else(|| client.items().first()?.as_text());
            if let Some(both) = both {
                return Some((place(both), place(both)));
            }
            let files = client.items().first()?.items();
            match files {
                [certificate, key] => Some((place(certificate.as_text()?), place(key.as_text()?))),
                _ => None,
            }
        });
        let verification = match node.says("skip_verify") {
            true => {
                told.find(unverified(CLIENT, "skip_verify", spot));
                Verification::Skipped
            }
            false => Verification::Done,
        };
        Trust {
            authorities,
            certificate: pair,
            verification,
        }
    }
}

//! What the clients of this machine are told. One file a client: it knows where the client's files are, what they mean,
//! and the mistakes that are made in them.

mod buildkit;
mod certificates;
mod containerd;
mod containerd_hosts;
mod docker;
mod k3s;
mod podman;
mod podman_files;

use std::path::Path;

use super::document::{Broken, Node};
use super::finding::{Finding, Severity, Spot, Subject};
use super::machine::{self, Found, Machine};
use super::way::{OnError, Said, Way};
use crate::oci::UpstreamName;

/// The most ways that are looked at: more than there are registries for all clients of any machine.
const MAX_WAYS: usize = 1_000;

/// What the files of the clients say.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The ways through larder, or through whatever else clients were told to ask.
    pub(super) ways: Vec<Way>,
    /// What is wrong with the files.
    pub(super) findings: Vec<Finding>,
}

/// Reads the files of all clients.
pub(super) fn examine(machine: &Machine) -> Told {
    let mut told = Told::default();
    docker::examine(machine, &mut told);
    containerd::examine(machine, &mut told);
    podman::examine(machine, &mut told);
    buildkit::examine(machine, &mut told);
    k3s::examine(machine, &mut told);
    told.sum_up();
    told
}

/// A file of a client that could be read.
struct Document {
    spot: Spot,
    root: Node,
}

impl Told {
    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Takes a way, and says so where larder cannot know from it which registry is meant.
    fn lead(&mut self, way: Way) {
        let authority = way.place.address.authority();
        let registry = way.scope.name();
        if registry.is_some_and(|name| is_registry_itself(name, authority)) {
            return;
        }
        let name = way.scope.shown();
        let fault = match way.said() {
            Said::Enough => None,
            Said::Nothing => {
                let message = format!(
                    "{authority} is not told that {name} is meant: larder takes the images for those of its default_upstream"
                );
                let remedy = format!("write \"{authority}/{name}\"");
                Some(Finding::fault(way.client, message, remedy))
            }
            Said::Another(other) => {
                let message =
                    format!("{authority} is told that {other} is meant, for images of {name}");
                let remedy = format!("write \"{authority}/{name}\"");
                Some(Finding::fault(way.client, message, remedy))
            }
        };
        self.findings.extend(fault.map(|fault| fault.at(&way.spot)));
        self.ways.push(way);
    }

    /// Reads a file of a client. `None` when it is not there, or says nothing that can be understood.
    fn read(
        &mut self,
        client: Subject,
        path: &Path,
        language: fn(&str) -> Result<Node, Broken>,
    ) -> Option<Document> {
        let text = match machine::read(path) {
            Found::Here(text) => text,
            Found::Nothing => return None,
            Found::Hidden(error) => {
                self.hidden(client, path, &error);
                return None;
            }
        };
        match language(&text) {
            Ok(root) => Some(Document {
                spot: Spot::file(path),
                root,
            }),
            Err(Broken { line, message }) => {
                let message = format!("the file cannot be understood: {message}");
                let remedy =
                    "correct it: the client does not start with it, or takes no notice of it";
                let fault = Finding::fault(client, message, remedy);
                self.find(fault.at(&Spot::line(path, line)));
                None
            }
        }
    }

    /// Returns the names in a folder of a client, sorted.
    fn list(&mut self, client: Subject, folder: &Path) -> Vec<String> {
        match machine::list(folder) {
            Found::Here(names) => names,
            Found::Nothing => Vec::new(),
            Found::Hidden(error) => {
                self.hidden(client, folder, &error);
                Vec::new()
            }
        }
    }

    fn hidden(&mut self, client: Subject, path: &Path, error: &std::io::Error) {
        let note = Finding::note(client, format!("it cannot be read: {error}"));
        let note = match error.kind() {
            std::io::ErrorKind::PermissionDenied => note.remedy("run this as root"),
            _ => note,
        };
        self.find(note.at(&Spot::file(path)));
    }

    /// Says of all clients together what there is to say.
    fn sum_up(&mut self) {
        if self.ways.len() > MAX_WAYS {
            let message = format!(
                "there are {} ways to other registries, of which the first {MAX_WAYS} are looked at",
                self.ways.len()
            );
            self.ways.truncate(MAX_WAYS);
            self.find(Finding::note(Subject::Clients, message));
        }
        if self.ways.is_empty() {
            let message = "no client of this machine is told to pull through another registry";
            let remedy = "`larder client-config` writes what a client needs for that";
            self.find(Finding::note(Subject::Clients, message).remedy(remedy));
        }
        let mut around: Vec<Subject> = Vec::new();
        for way in &self.ways {
            if way.on_error == OnError::GoesAround && !around.contains(&way.client) {
                around.push(way.client);
            }
        }
        if !around.is_empty() {
            let names: Vec<&str> = around.iter().map(|client| client.name()).collect();
            let message = format!(
                "{}: after any error the registry itself is asked, so pulls go on and nobody notices that larder has failed",
                names.join(", ")
            );
            self.find(Finding::note(Subject::Clients, message));
        }
    }
}

/// Tells whether an address is that of the registry, which is no mirror of itself.
fn is_registry_itself(registry: &str, authority: &str) -> bool {
    let host = |name: &str| name.parse::<UpstreamName>();
    match (host(registry), host(authority)) {
        (Ok(registry), Ok(authority)) => registry == authority,
        (Err(_), _) | (_, Err(_)) => registry == authority,
    }
}

/// Says that a client was told to take any certificate.
fn unverified(client: Subject, key: &str, spot: &Spot) -> Finding {
    let message =
        format!("{key}: any certificate is taken, so whoever is on the way can change tags");
    let remedy = "leave it out, and tell the client which authority to trust: `larder client-config` with --ca-file does";
    Finding::warning(client, message, remedy).at(spot)
}

/// Says that a password stands in an address.
fn login_in_address(client: Subject, spot: &Spot) -> Finding {
    let message = "there is a user or a password in an address, which larder does not look at";
    Finding::new(Severity::Warning, client, message)
        .remedy("take it out, as other programs may show it")
        .at(spot)
}

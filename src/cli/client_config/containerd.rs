//! containerd: a `hosts.toml` for each registry, and one in `_default` for all others. It says in each request, by `ns`,
//! which registry it means, so larder needs no path.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arguments::Way;
use super::file::{ClientFile, Note, Syntax};
use super::plan::{Coverage, Plan};

/// Where containerd looks for the files.
pub(super) const FOLDER: &str = "/etc/containerd/certs.d";

/// How long to wait for a connection to larder before going around it, instead of 30 s: enough for a lost packet, which
/// is sent again after 1 s at the earliest, to be no reason, and little enough for each blob of an image to wait so.
const DIAL_TIMEOUT: &str = "2s";

/// The folder of registries that have none of their own.
const OTHERS: &str = "_default";

const CERTIFICATES: &str = "larder-ca.pem";

/// A `hosts.toml`.
#[derive(Serialize)]
struct Hosts {
    /// Who is asked last; the registry itself when it is not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// What is said of the server.
    #[serde(flatten)]
    about_server: Option<Host>,
    /// Who is asked before. containerd 1 takes a file without this table for broken, and goes to the registry itself.
    host: BTreeMap<String, Host>,
}

/// What is said of a place to ask.
#[derive(Serialize)]
struct Host {
    capabilities: [&'static str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dial_timeout: Option<&'static str>,
}

/// Whether it can be said how long to wait for a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialling {
    /// It can, since containerd 2.1, and is ignored before.
    Bounded,
    /// It cannot.
    Unbounded,
}

/// Returns the files of containerd 2.
pub(super) fn files(plan: &Plan) -> Vec<ClientFile> {
    let notes = vec![
        Note::prose(
            "containerd 2 reads it at each pull, once this is in /etc/containerd/config.toml and it was restarted:",
        ),
        Note::Code(
            "[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d\"",
        ),
    ];
    hosts_files(plan, FOLDER, Dialling::Bounded, notes)
}

/// Returns the files of containerd 1.
pub(super) fn files_of_version_1(plan: &Plan) -> Vec<ClientFile> {
    let notes = vec![
        Note::prose(
            "containerd 1.5 and later reads it at each pull, once this is in /etc/containerd/config.toml and it was \
             restarted. There may be no registry.mirrors and registry.configs beside it:",
        ),
        Note::Code(
            "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"",
        ),
    ];
    hosts_files(plan, FOLDER, Dialling::Unbounded, notes)
}

/// Returns a `hosts.toml` for each registry, in this folder, which containerd has as [`FOLDER`]. The first has the notes.
pub(super) fn hosts_files(
    plan: &Plan,
    folder: &str,
    dialling: Dialling,
    notes: Vec<Note>,
) -> Vec<ClientFile> {
    let body = hosts_toml(plan, dialling);
    let others = match &plan.coverage {
        Coverage::All(_) => Some(OTHERS),
        Coverage::Chosen => None,
    };
    let names = plan.upstreams.iter().map(|name| name.as_str());
    let paths = others
        .into_iter()
        .chain(names)
        .map(|name| format!("{folder}/{name}/hosts.toml"));
    let mut files: Vec<ClientFile> = Vec::new();
    for path in paths {
        let notes = match files.first() {
            None => [notes.clone(), own_notes(plan, dialling)].concat(),
            Some(first) => vec![Note::prose(format!("{} says what it means.", first.path))],
        };
        files.push(ClientFile {
            path,
            syntax: Syntax::Commented,
            notes,
            body: body.clone(),
        });
    }
    files.extend(plan.certificates_file(format!("{folder}/{CERTIFICATES}")));
    files
}

/// Says what the files mean, wherever they are.
fn own_notes(plan: &Plan, dialling: Dialling) -> Vec<Note> {
    let mut notes = vec![plan.way_note()];
    if let (Way::Fallback, Dialling::Bounded) = (plan.way, dialling) {
        notes.push(Note::prose(format!(
            "After {DIAL_TIMEOUT} without a connection it goes on (dial_timeout, since containerd 2.1; else 30s), for each \
             manifest and blob again."
        )));
    }
    if let (Way::Fallback, Dialling::Unbounded) = (plan.way, dialling) {
        notes.push(Note::prose(
            "A connection that does not come about costs it 30s, for each manifest and blob again.",
        ));
    }
    if let Way::Strict = plan.way {
        notes.push(Note::prose(
            "Pushes to these registries fail, since they would go to larder as well.",
        ));
    }
    let others = match (&plan.coverage, plan.way) {
        (Coverage::All(_), Way::Fallback) => {
            "_default is for every registry without a folder of its own. Those that larder does not know it refuses, and \
             containerd goes on to the registry itself."
        }
        (Coverage::All(_), Way::Strict) => {
            "_default is for every registry without a folder of its own. Those that larder does not know cannot be pulled \
             from at all."
        }
        (Coverage::Chosen, _) => "Other registries are reached as before.",
    };
    notes.push(Note::prose(others));
    notes
}

fn hosts_toml(plan: &Plan, dialling: Dialling) -> String {
    let host = |dial_timeout| Host {
        capabilities: ["pull", "resolve"],
        ca: plan
            .certificates
            .as_ref()
            .map(|_| format!("{FOLDER}/{CERTIFICATES}")),
        dial_timeout,
    };
    let larder = plan.larder.text();
    let hosts = match (plan.way, dialling) {
        (Way::Strict, _) => Hosts {
            server: Some(larder),
            about_server: Some(host(None)),
            host: BTreeMap::new(),
        },
        (Way::Fallback, Dialling::Bounded) => mirror(larder, host(Some(DIAL_TIMEOUT))),
        (Way::Fallback, Dialling::Unbounded) => mirror(larder, host(None)),
    };
    toml::to_string(&hosts).expect("strings and tables are TOML")
}

/// Puts larder before the registry itself.
fn mirror(larder: String, host: Host) -> Hosts {
    Hosts {
        server: None,
        about_server: None,
        host: [(larder, host)].into(),
    }
}

//! The docker daemon: `daemon.json`. It has mirrors of Docker Hub alone, and asks the registry after any error of one.

use serde::Serialize;

use super::file::{ClientFile, Note, Syntax};
use super::larder_url::{LarderUrl, Scheme};
use super::plan::Plan;
use super::refused::Refused;

const NAME: &str = "docker";

/// The part of the daemon's configuration that is about registries.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Daemon {
    registry_mirrors: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    insecure_registries: Vec<String>,
}

/// Returns the files of the docker daemon.
pub(super) fn files(plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    plan.cannot_be_strict(NAME)?;
    plan.mirrors_docker_hub(NAME)?;
    let mut notes = vec![
        Note::prose(
            "Add these keys to what is in the file already, and have docker read it again; nothing is stopped:",
        ),
        Note::Code("systemctl reload docker"),
        plan.way_note(),
    ];
    notes.extend(hub_notes(plan));
    let daemon = ClientFile {
        path: "/etc/docker/daemon.json".to_owned(),
        syntax: Syntax::Bare,
        notes,
        body: daemon_json(&plan.larder),
    };
    let folder = format!("/etc/docker/certs.d/{}", plan.larder.authority());
    let certificates = plan.certificates_file(format!("{folder}/ca.crt"));
    Ok([daemon].into_iter().chain(certificates).collect())
}

/// Says what docker has no mirrors for.
pub(super) fn hub_notes(plan: &Plan) -> Vec<Note> {
    let authority = plan.larder.authority();
    let others = Note::prose(format!(
        "docker has mirrors of Docker Hub alone. For other registries put larder in front of the name, as in \
         {authority}/ghcr.io/org/app:1."
    ));
    vec![others]
}

/// Returns the configuration of a docker daemon.
pub(super) fn daemon_json(larder: &LarderUrl) -> String {
    let daemon = Daemon {
        registry_mirrors: vec![larder.text()],
        insecure_registries: insecure(larder).into_iter().collect(),
    };
    let text = serde_json::to_string_pretty(&daemon).expect("strings are JSON");
    text + "\n"
}

/// Returns larder when docker has to be told that it is not encrypted, which it assumes of its own machine.
pub(super) fn insecure(larder: &LarderUrl) -> Option<String> {
    match larder.scheme() {
        Scheme::Http if !larder.is_loopback() => Some(larder.authority().to_owned()),
        Scheme::Http | Scheme::Https => None,
    }
}

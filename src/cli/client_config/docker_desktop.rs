//! Docker Desktop: the same `daemon.json` as docker has, for a daemon in a virtual machine.

use super::docker;
use super::file::{ClientFile, Note, Syntax};
use super::plan::Plan;
use super::refused::Refused;

const NAME: &str = "Docker Desktop";

/// Returns the files of Docker Desktop.
pub(super) fn files(plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    plan.cannot_be_strict(NAME)?;
    plan.mirrors_docker_hub(NAME)?;
    let mut notes = vec![
        Note::prose(
            "Add these keys to what Docker Desktop shows under Settings, Docker Engine, and choose Apply & restart. It keeps \
             them in this file.",
        ),
        plan.way_note(),
    ];
    notes.extend(docker::hub_notes(plan));
    notes.extend(plan.loopback_note("the virtual machine of Docker Desktop"));
    let daemon = ClientFile {
        path: "~/.docker/daemon.json".to_owned(),
        syntax: Syntax::Bare,
        notes,
        body: docker::daemon_json(&plan.larder),
    };
    let folder = format!("~/.docker/certs.d/{}", plan.larder.authority());
    let certificates = plan.certificates_file(format!("{folder}/ca.crt"));
    let certificates = certificates.map(|mut file| {
        file.notes.push(Note::prose(
            "Restart Docker Desktop for it. On Windows, import it into the trusted root certificates of the machine instead.",
        ));
        file
    });
    Ok([daemon].into_iter().chain(certificates).collect())
}

//! docker in docker, as a service of a job of GitLab CI: the flags of its daemon.

use super::docker;
use super::file::{ClientFile, Note, Syntax};
use super::plan::Plan;
use super::refused::Refused;
use super::yaml::{Key, Yaml};

const NAME: &str = "docker in docker";

/// Returns the files of a CI job.
pub(super) fn files(plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    plan.cannot_be_strict(NAME)?;
    plan.mirrors_docker_hub(NAME)?;
    let mut flags = vec!["--registry-mirror".to_owned(), plan.larder.text()];
    if let Some(insecure) = docker::insecure(&plan.larder) {
        flags.extend(["--insecure-registry".to_owned(), insecure]);
    }
    let service = Yaml::Map(vec![
        (Key::Known("name"), Yaml::text("docker:dind")),
        (
            Key::Known("command"),
            Yaml::List(flags.into_iter().map(Yaml::Text).collect()),
        ),
    ]);
    let mut notes = vec![
        Note::prose(
            "Put the command into the service of the job, whose image stays the one that is there. The next job uses it.",
        ),
        Note::prose(
            "Or let the runner mount what `larder client-config docker` writes as /etc/docker/daemon.json into the service, \
             for all jobs. Not both: the daemon does not start when flags and file say the same.",
        ),
        plan.way_note(),
    ];
    notes.extend(docker::hub_notes(plan));
    notes.extend(plan.loopback_note("the container of the service"));
    let job = ClientFile {
        path: ".gitlab-ci.yml".to_owned(),
        syntax: Syntax::Commented,
        notes,
        body: Yaml::keyed("services", Yaml::List(vec![service])).file(),
    };
    let folder = format!("/etc/docker/certs.d/{}", plan.larder.authority());
    let certificates = plan.certificates_file(format!("{folder}/ca.crt"));
    let certificates = certificates.map(|mut file| {
        file.notes.push(Note::prose(
            "It belongs into the container of the service: mount it there in the runner's config.toml, as one of the volumes \
             in [runners.docker].",
        ));
        file
    });
    Ok([job].into_iter().chain(certificates).collect())
}

//! The executor of kaniko: flags. It does not say which registry it means, so its name stands in the path behind larder.

use super::arguments::Way;
use super::file::{ClientFile, Note, Syntax};
use super::larder_url::Scheme;
use super::plan::{InPath, Plan};
use super::refused::Refused;
use super::yaml::Yaml;

const NAME: &str = "kaniko";

/// What kaniko calls Docker Hub.
const DOCKER_HUB: &str = "index.docker.io";

const CERTIFICATES: &str = "/kaniko/ssl/certs/larder-ca.pem";

/// Returns the flags of the executor, as a part of its container.
pub(super) fn files(plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    let registries = plan.in_paths(NAME)?;
    let mut notes = vec![
        Note::prose(
            "Add these to the arguments of /kaniko/executor, here as the args of its container. They are of kaniko 1.23 and later.",
        ),
        plan.way_note(),
        Note::prose("Other registries are reached as before."),
    ];
    notes.extend(plan.families_note());
    notes.extend(plan.ports_note());
    notes.extend(plan.loopback_note("the container of the build"));
    let flags = flags(plan, &registries)
        .into_iter()
        .map(Yaml::Text)
        .collect();
    let executor = ClientFile {
        path: "kaniko.yaml".to_owned(),
        syntax: Syntax::Commented,
        notes,
        body: Yaml::keyed("args", Yaml::List(flags)).file(),
    };
    let certificates = plan
        .certificates_file(CERTIFICATES.to_owned())
        .map(|mut file| {
            file.notes.push(Note::prose(
                "It belongs into the container of the build: mount it there.",
            ));
            file
        });
    Ok([executor].into_iter().chain(certificates).collect())
}

fn flags(plan: &Plan, registries: &[InPath<'_>]) -> Vec<String> {
    let authority = plan.larder.authority();
    let map = |InPath { name, segment }: &InPath<'_>| {
        let registry = match name.is_docker_hub() {
            true => DOCKER_HUB,
            false => name.as_str(),
        };
        format!("--registry-map={registry}={authority}/{segment}")
    };
    let mut flags: Vec<String> = registries.iter().map(map).collect();
    if let Scheme::Http = plan.larder.scheme() {
        flags.push(format!("--insecure-registry={authority}"));
    }
    if plan.certificates.is_some() {
        flags.push(format!("--registry-certificate={authority}={CERTIFICATES}"));
    }
    if let Way::Strict = plan.way {
        flags.push("--skip-default-registry-fallback".to_owned());
    }
    flags
}

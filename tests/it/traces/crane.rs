//! crane 0.20: ping, GET of the tag with one list of types, the chosen manifest with exactly its type, blobs one after the
//! other. It never goes on after a break.

use super::step::{Step, Trace, Wave};
use super::{
    COLD, DOCKER_LIST, DOCKER_MANIFEST, Name, OCI_INDEX, OCI_MANIFEST, SCHEMA1, SIGNED_SCHEMA1,
    Stage, blobs_of, ping, whole,
};
use crate::support::{Fault, Kind};

/// Without spaces between them.
const TYPES: [&str; 6] = [
    SCHEMA1,
    SIGNED_SCHEMA1,
    DOCKER_MANIFEST,
    OCI_MANIFEST,
    DOCKER_LIST,
    OCI_INDEX,
];

fn agent(step: Step) -> Step {
    step.line("User-Agent", "crane/0.20.7 go-containerregistry/0.20.7")
}

fn manifest(step: Step, types: &[&str]) -> Step {
    agent(step).line("Accept", types.join(","))
}

fn greeting() -> Wave {
    whole(agent(ping())).into()
}

pub fn pull(stage: &Stage, name: &Name) -> Trace {
    let image = stage.image();
    let tag = Step::get(name.manifest("3.20"));
    let child = Step::get(name.manifest(image.digest));
    let mut trace: Trace = vec![
        greeting(),
        whole(manifest(tag, &TYPES))
            .manifest(OCI_INDEX, &stage.index.bytes)
            .into(),
        whole(manifest(child, &[OCI_MANIFEST]))
            .manifest(OCI_MANIFEST, &image.bytes)
            .into(),
    ];
    for (digest, size) in blobs_of(image) {
        let blob = whole(agent(Step::get(name.blob(&digest))));
        trace.push(blob.blob(&digest, size).into());
    }
    trace
}

/// `crane digest`: with one of three headers missing, it pings again and asks by GET.
fn digest(stage: &Stage, name: &Name) -> Trace {
    let head = Step::head(name.manifest("3.20"));
    let head = manifest(head, &TYPES).manifest(OCI_INDEX, &stage.index.bytes);
    vec![greeting(), head.into()]
}

fn list(path: &str, expected: &str) -> Trace {
    let list = whole(agent(Step::get(path)))
        .needs("Content-Type", "application/json")
        .exactly(expected.to_owned());
    vec![greeting(), list.into()]
}

#[tokio::test]
async fn a_pull_costs_what_it_names_and_nothing_when_it_is_warm() {
    for name in [Name::MIRROR, Name::PATH, Name::plain("/v2/alpine")] {
        let stage = Stage::new().await;
        let trace = pull(&stage, &name);
        stage.costs_once(&trace, &COLD).await;
    }
}

#[tokio::test]
async fn two_pulls_at_once_cost_one() {
    let stage = Stage::new().await;
    let trace = pull(&stage, &Name::PATH);
    stage.costs_two_at_once(&trace, &COLD).await;
}

#[tokio::test]
async fn a_registry_that_breaks_off_is_noticed_by_nobody() {
    let stage = Stage::new().await;
    let layer = Fault::on(Kind::BlobGet).of(&stage.image().layers[0]);
    stage.registry.inject(layer.once().end_after(123_456));
    let cold = [(Kind::ManifestGet, 2), (Kind::BlobGet, 5)];
    stage.costs(&pull(&stage, &Name::PATH), &cold).await;
}

#[tokio::test]
async fn the_digest_of_a_tag_is_one_head() {
    let stage = Stage::new().await;
    let trace = digest(&stage, &Name::PATH);
    stage.costs_once(&trace, &[(Kind::ManifestHead, 1)]).await;
    // Of a registry that says too little by HEAD.
    let stage = Stage::new().await;
    let poor = Fault::on(Kind::ManifestHead).no_digest_header();
    stage
        .registry
        .inject(poor.without_header(http::header::ETAG));
    let trace = digest(&stage, &Name::PATH);
    let costs = [(Kind::ManifestHead, 1), (Kind::ManifestGet, 1)];
    stage.costs_once(&trace, &costs).await;
}

#[tokio::test]
async fn lists_have_a_thousand_entries_a_page() {
    let stage = Stage::new().await;
    stage
        .registry
        .repository("library/alpine")
        .tag("3.19", stage.index.digest);
    let trace = list(
        "/v2/docker.io/library/alpine/tags/list?n=1000",
        r#"{"name":"docker.io/library/alpine","tags":["3.19","3.20"]}"#,
    );
    stage.costs_once(&trace, &[(Kind::Tags, 1)]).await;
    // What is here, without a word to the registry.
    stage.costs(&pull(&stage, &Name::PATH), &COLD).await;
    let catalog = list(
        "/v2/_catalog?n=1000",
        r#"{"repositories":["docker.io/library/alpine"]}"#,
    );
    stage.costs(&catalog, &[]).await;
}

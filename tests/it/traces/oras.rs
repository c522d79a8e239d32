//! oras 1.3: no ping, one list of types with that of artifacts in it, everything else by digest and with its type.

use bytes::Bytes;
use larder::oci::Digest;
use serde_json::json;

use super::step::{Step, Trace, Wave, digest_of};
use super::{
    COLD, DOCKER_LIST, DOCKER_MANIFEST, Name, OCI_INDEX, OCI_MANIFEST, Stage, blobs_of, whole,
};
use crate::support::{FakeRegistry, Fault, Kind};

const TYPES: [&str; 5] = [
    DOCKER_MANIFEST,
    DOCKER_LIST,
    OCI_MANIFEST,
    OCI_INDEX,
    "application/vnd.oci.artifact.manifest.v1+json",
];

fn agent(step: Step) -> Step {
    step.line("User-Agent", "oras/1.3.3")
}

fn accepting(step: Step, types: &[&str]) -> Step {
    agent(step).line("Accept", types.join(", "))
}

pub fn pull(stage: &Stage, name: &Name) -> Trace {
    let image = stage.image();
    let tag = Step::get(name.manifest("3.20"));
    let child = Step::get(name.manifest(image.digest));
    let blobs = blobs_of(image)
        .into_iter()
        .map(|(digest, size)| whole(agent(Step::get(name.blob(&digest)))).blob(&digest, size));
    vec![
        whole(accepting(tag, &TYPES))
            .manifest(OCI_INDEX, &stage.index.bytes)
            .into(),
        whole(accepting(child, &[OCI_MANIFEST]))
            .manifest(OCI_MANIFEST, &image.bytes)
            .into(),
        Wave::Several(3, blobs.collect()),
    ]
}

fn resolve(stage: &Stage, name: &Name) -> Wave {
    let head = accepting(Step::head(name.manifest("3.20")), &TYPES);
    head.manifest(OCI_INDEX, &stage.index.bytes).into()
}

/// `oras discover`: the tag, then what refers to what it names.
fn discover(stage: &Stage, name: &Name, expected: &str) -> Trace {
    let path = name.path("referrers", &stage.index.digest.to_string());
    let referrers = whole(accepting(Step::get(path), &[OCI_INDEX]))
        .needs("Content-Type", OCI_INDEX)
        .exactly(expected.to_owned());
    vec![resolve(stage, name), referrers.into()]
}

/// What `oras discover` does where there is no such API: the tag that stands for the list.
fn fallback(stage: &Stage, name: &Name, found: Option<&Bytes>) -> Trace {
    let tag = stage.index.digest.to_string().replace(':', "-");
    let mut step = whole(accepting(Step::get(name.manifest(tag)), &TYPES));
    step = match found {
        Some(bytes) => step.manifest(OCI_INDEX, bytes),
        None => {
            step.status = 404;
            step.needs("Content-Type", "application/json")
        }
    };
    vec![step.into()]
}

/// A list with one signature.
fn referrers_of(subject: &Digest) -> String {
    let signature = json!({
        "mediaType": OCI_MANIFEST, "digest": subject, "size": 7,
        "artifactType": "application/vnd.example.signature", "annotations": {"a": "b"},
    });
    index_of(&[signature])
}

/// A list of referrers, in the order in which larder writes its fields.
fn index_of(manifests: &[serde_json::Value]) -> String {
    let manifests = serde_json::to_string(manifests).unwrap();
    format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":{manifests}}}")
}

#[tokio::test]
async fn a_pull_costs_what_it_names_and_nothing_when_it_is_warm() {
    for name in [Name::MIRROR, Name::PATH] {
        let stage = Stage::new().await;
        let trace = pull(&stage, &name);
        stage.costs_once(&trace, &COLD).await;
        // It resolves the tag by HEAD as well, before it copies.
        stage.costs(&vec![resolve(&stage, &name)], &[]).await;
    }
}

#[tokio::test]
async fn two_pulls_at_once_cost_one() {
    let stage = Stage::new().await;
    let trace = pull(&stage, &Name::PATH);
    stage.costs_two_at_once(&trace, &COLD).await;
}

#[tokio::test]
async fn referrers_come_from_the_api_where_there_is_one() {
    let stage = Stage::of(FakeRegistry::builder().referrers()).await;
    let list = referrers_of(&stage.index.digest);
    let api = Fault::on(Kind::Referrers).body(list.clone());
    stage.registry.inject(api);
    let trace = discover(&stage, &Name::PATH, &list);
    let cold = [(Kind::ManifestHead, 1), (Kind::Referrers, 1)];
    stage.costs_once(&trace, &cold).await;
}

#[tokio::test]
async fn referrers_come_from_the_tag_where_there_is_no_api() {
    let stage = Stage::new().await;
    let list = Bytes::from(referrers_of(&stage.index.digest));
    let repository = stage.registry.repository("library/alpine");
    repository.manifest(OCI_INDEX, list.clone());
    let tag = stage.index.digest.to_string().replace(':', "-");
    repository.tag(&tag, digest_of(&list));
    let trace = discover(&stage, &Name::PATH, std::str::from_utf8(&list).unwrap());
    let cold = [
        (Kind::ManifestHead, 1),
        (Kind::Referrers, 1),
        (Kind::ManifestGet, 1),
    ];
    stage.costs_once(&trace, &cold).await;
    // A client that asks for the tag itself: lists and tags are kept apart.
    let own = fallback(&stage, &Name::PATH, Some(&list));
    stage.costs_once(&own, &[(Kind::ManifestGet, 1)]).await;
}

#[tokio::test]
async fn what_nothing_refers_to_has_an_empty_list() {
    let stage = Stage::new().await;
    let trace = discover(&stage, &Name::PATH, &index_of(&[]));
    let cold = [
        (Kind::ManifestHead, 1),
        (Kind::Referrers, 1),
        (Kind::ManifestGet, 1),
    ];
    stage.costs_once(&trace, &cold).await;
    let own = fallback(&stage, &Name::PATH, None);
    stage.costs_once(&own, &[(Kind::ManifestGet, 1)]).await;
}

//! podman 5.8 and skopeo 1.22, which are one library: ping, GET of the tag with six `Accept` lines, the chosen manifest
//! by digest, the config, then the layers at once. Never HEAD.

use super::step::{Step, Trace, Wave, digest_of};
use super::{
    COLD, DOCKER_LIST, DOCKER_MANIFEST, Name, OCI_INDEX, OCI_MANIFEST, SCHEMA1, SIGNED_SCHEMA1,
    Stage, blobs_of, ping, whole,
};
use crate::support::{FakeRegistry, Kind, noise};

const SKOPEO: &str = "skopeo/1.22.0";
const PODMAN: &str = "containers/5.39.2 (github.com/containers/image)";

const TYPES: [&str; 6] = [
    OCI_MANIFEST,
    DOCKER_MANIFEST,
    SIGNED_SCHEMA1,
    SCHEMA1,
    DOCKER_LIST,
    OCI_INDEX,
];

/// A request with its lines: these types, and the version of the protocol, which others only answer with.
fn ask(step: Step, agent: &str, types: &[&str]) -> Step {
    step.line("User-Agent", agent)
        .lines("Accept", types)
        .line("Docker-Distribution-Api-Version", "registry/2.0")
}

fn pull_by(agent: &str, stage: &Stage, name: &Name) -> Trace {
    let image = stage.image();
    let blobs = blobs_of(image).into_iter().map(|(digest, size)| {
        whole(ask(Step::get(name.blob(&digest)), agent, &[])).blob(&digest, size)
    });
    let mut blobs: Vec<Step> = blobs.collect();
    let layers = blobs.split_off(1);
    let manifest = |reference: &str| ask(Step::get(name.manifest(reference)), agent, &TYPES);
    let mut trace: Trace = vec![
        whole(ask(ping(), agent, &[])).into(),
        whole(manifest("3.20"))
            .manifest(OCI_INDEX, &stage.index.bytes)
            .into(),
        whole(manifest(&image.digest.to_string()))
            .manifest(OCI_MANIFEST, &image.bytes)
            .into(),
    ];
    trace.extend(blobs.into_iter().map(Wave::One));
    trace.push(Wave::Several(3, layers));
    trace
}

pub fn pull(stage: &Stage, name: &Name) -> Trace {
    pull_by(PODMAN, stage, name)
}

#[tokio::test]
async fn a_pull_costs_what_it_names_and_nothing_when_it_is_warm() {
    for (agent, name) in [
        (PODMAN, Name::MIRROR),
        (SKOPEO, Name::PATH),
        (PODMAN, Name::plain("/v2/hub/library/alpine")),
    ] {
        let stage = Stage::new().await;
        let trace = pull_by(agent, &stage, &name);
        stage.costs_once(&trace, &COLD).await;
    }
}

#[tokio::test]
async fn two_pulls_at_once_cost_one() {
    let stage = Stage::new().await;
    let trace = pull(&stage, &Name::MIRROR);
    stage.costs_two_at_once(&trace, &COLD).await;
}

#[tokio::test]
async fn a_lost_connection_goes_on_where_it_stopped() {
    let content = noise(1, 6_000_000);
    let stage = Stage::with_layers(FakeRegistry::builder(), vec![content.clone()]).await;
    let layer = digest_of(&content);
    let blob = || ask(Step::get(Name::MIRROR.blob(&layer)), SKOPEO, &[]);
    // Anything but 206 with exactly this Content-Range is the end of the copy.
    let lost = whole(blob()).exactly(content.clone());
    let rest = blob().line("Range", "bytes=3000000-");
    let trace = vec![
        lost.closes_after(3_000_000).into(),
        rest.from(&content, 3_000_000).into(),
    ];
    stage.costs(&trace, &[(Kind::BlobGet, 1)]).await;
    assert_eq!(stage.registry.blob_bytes(&layer), content.len() as u64);
    stage.costs(&trace, &[]).await;
}

#[tokio::test]
async fn tags_are_listed_once() {
    for name in [Name::MIRROR, Name::PATH] {
        let stage = Stage::new().await;
        let repository = name.base.strip_prefix("/v2/").unwrap();
        let list = Step::get(format!("{}/tags/list", name.base));
        let expected = format!("{{\"name\":\"{repository}\",\"tags\":[\"3.20\"]}}");
        let trace = vec![
            whole(ask(ping(), SKOPEO, &[])).into(),
            whole(ask(list, SKOPEO, &[]))
                .needs("Content-Type", "application/json")
                .exactly(expected)
                .into(),
        ];
        stage.costs_once(&trace, &[(Kind::Tags, 1)]).await;
    }
}

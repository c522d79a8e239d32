//! docker 28: pings, asks for the tag by HEAD and for everything else by digest, every request on a connection of its own.

use super::replay::broken;
use super::step::{Step, Trace, Wave, digest_of};
use super::{
    DOCKER_LIST, DOCKER_MANIFEST, Name, OCI_INDEX, OCI_MANIFEST, SIGNED_SCHEMA1, Stage, blobs_of,
    ping,
};
use crate::support::{Fault, Kind, TestProxy};

const AGENT: &str = "docker/28.5.2 go/go1.24.9 git-commit/89c5e8f kernel/6.1.0 os/linux arch/amd64 \
                     UpstreamClient(Docker-Client/28.5.2 \\(linux\\))";

/// The types, in some order: each request has another one, that of a map of Go.
const TYPES: [&str; 6] = [
    SIGNED_SCHEMA1,
    OCI_INDEX,
    "application/json",
    DOCKER_MANIFEST,
    OCI_MANIFEST,
    DOCKER_LIST,
];

/// One HEAD, index and manifest, config and three layers.
pub const COLD: [(Kind, usize); 3] = [
    (Kind::ManifestHead, 1),
    (Kind::ManifestGet, 2),
    (Kind::BlobGet, 4),
];

/// Adds the types, the one at `first` first.
fn accepting(step: Step, first: usize) -> Step {
    let mut types = TYPES;
    types.rotate_left(first);
    step.line("User-Agent", AGENT).lines("Accept", &types)
}

/// Has what is asked for as a whole, on a connection of its own.
fn whole(step: Step) -> Step {
    closing(super::whole(step))
}

fn closing(step: Step) -> Step {
    step.line("Connection", "close")
}

fn blob(path: String) -> Step {
    Step::get(path).line("User-Agent", AGENT)
}

/// A pull from a mirror or from the registry itself: docker asks both alike.
pub fn pull(stage: &Stage, name: &Name) -> Trace {
    let (index, image) = (&stage.index, stage.image());
    let blobs = blobs_of(image)
        .into_iter()
        .map(|(digest, size)| whole(blob(name.blob(&digest))).blob(&digest, size));
    vec![
        whole(ping().line("User-Agent", AGENT)).into(),
        closing(accepting(Step::head(name.manifest("3.20")), 0))
            .manifest(OCI_INDEX, &index.bytes)
            .into(),
        whole(accepting(Step::get(name.manifest(index.digest)), 3))
            .manifest(OCI_INDEX, &index.bytes)
            .into(),
        whole(accepting(Step::get(name.manifest(image.digest)), 5))
            .manifest(OCI_MANIFEST, &image.bytes)
            .into(),
        Wave::Several(4, blobs.collect()),
    ]
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
    let trace = pull(&stage, &Name::MIRROR);
    stage.costs_two_at_once(&trace, &COLD).await;
}

#[tokio::test]
async fn a_registry_that_breaks_off_is_noticed_by_nobody() {
    let stage = Stage::new().await;
    let layer = Fault::on(Kind::BlobGet).of(&stage.image().layers[1]);
    stage.registry.inject(layer.once().end_after(250_000));
    let mut cold = COLD;
    cold[2].1 += 1;
    stage.costs(&pull(&stage, &Name::MIRROR), &cold).await;
    let bytes = stage.registry.blob_bytes(&stage.image().layers[1]);
    assert_eq!(bytes, stage.layers[1].len() as u64);
}

#[tokio::test]
async fn a_body_that_breaks_off_goes_on_where_it_stopped() {
    let stage = Stage::new().await;
    let content = &stage.layers[0];
    let path = Name::MIRROR.blob(&digest_of(content));
    // The registry breaks off, and is in no state to go on: neither is larder.
    let layer = || Fault::on(Kind::BlobGet).of(&digest_of(content));
    stage.registry.inject(layer().once().end_after(250_000));
    let down = stage.registry.inject(layer().ranged().status(503));
    let first = whole(blob(path.clone())).needs("Content-Length", content.len());
    let received = broken(&stage.proxy, &first).await;
    assert!(!received.is_empty() && content.starts_with(&received));
    down.lift();
    stage.registry.clear_log();
    let range = format!("bytes={}-", received.len());
    let rest = closing(blob(path).line("Range", range)).from(content, received.len());
    stage.costs(&vec![rest.into()], &[(Kind::BlobGet, 1)]).await;
    let requests = stage.registry.requests_for(&digest_of(content));
    assert_eq!(requests[0].range().as_deref(), Some("bytes=250000-"));
}

#[tokio::test]
async fn a_lost_connection_costs_the_registry_nothing() {
    let stage = Stage::new().await;
    let content = &stage.layers[0];
    let path = Name::MIRROR.blob(&digest_of(content));
    let lost = whole(blob(path.clone()))
        .exactly(content.clone())
        .closes_after(200_000);
    let rest = closing(blob(path).line("Range", "bytes=200000-")).from(content, 200_000);
    let trace = vec![lost.into(), rest.into()];
    stage.costs_once(&trace, &[(Kind::BlobGet, 1)]).await;
}

#[tokio::test]
async fn a_tag_that_is_not_there_is_told_so_that_docker_goes_on() {
    let stage = Stage::new().await;
    // It asks by HEAD, then by GET, then the registry itself. That a HEAD finds nothing is not believed before a GET does:
    // some registries answer every HEAD so.
    let mut head = closing(accepting(Step::head(Name::MIRROR.manifest("none")), 1));
    let mut get = whole(accepting(Step::get(Name::MIRROR.manifest("none")), 2))
        .needs("Content-Type", "application/json");
    (head.status, get.status) = (404, 404);
    let trace = vec![head.into(), get.into()];
    let costs = [(Kind::ManifestHead, 1), (Kind::ManifestGet, 1)];
    stage.costs_once(&trace, &costs).await;
}

#[tokio::test]
async fn a_restarted_larder_costs_nothing() {
    let mut stage = Stage::new().await;
    let trace = pull(&stage, &Name::MIRROR);
    stage.costs(&trace, &COLD).await;
    let proxy: TestProxy = stage.proxy.restart().await;
    stage.proxy = proxy;
    stage.costs(&trace, &[]).await;
}

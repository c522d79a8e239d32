//! containerd 2.1: asks for the tag by HEAD and for everything else by digest, the manifests of all platforms among it; a
//! large layer in parts, each open-ended and each on a connection that is closed when the part is here.

use bytes::Bytes;

use super::replay::replay;
use super::step::{Step, Trace, Wave, digest_of};
use super::{DOCKER_LIST, DOCKER_MANIFEST, Name, OCI_INDEX, OCI_MANIFEST, Stage, blobs_of};
use crate::support::{FakeRegistry, Fault, Kind, noise};

const MIB: usize = 1024 * 1024;
const AGENT: &str = "containerd/2.1.9";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// `concurrent_layer_fetch_buffer`.
const PART: usize = 4 * MIB;

/// `max_concurrent_downloads`.
const AT_A_TIME: usize = 3;

pub const MIRROR: Name = Name::with_namespace("/v2/library/alpine");

/// One HEAD, index and two manifests, two configs and three layers.
const COLD: [(Kind, usize); 3] = [
    (Kind::ManifestHead, 1),
    (Kind::ManifestGet, 3),
    (Kind::BlobGet, 5),
];

/// The same with one layer.
const COLD_LARGE: [(Kind, usize); 3] = [
    (Kind::ManifestHead, 1),
    (Kind::ManifestGet, 3),
    (Kind::BlobGet, 3),
];

/// Whether layers are fetched in parallel: then everything is asked for from its first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    None,
    Parallel,
}

fn fetch(path: String, media_type: &str) -> Step {
    Step::get(path)
        .line("User-Agent", AGENT)
        .line("Accept", format!("{media_type}, */*"))
        .line("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5")
}

fn manifest(name: &Name, media_type: &str, bytes: &Bytes, parts: Parts) -> Step {
    let step = fetch(name.manifest(digest_of(bytes)), media_type);
    let step = match parts {
        Parts::None => step,
        // Answered as if it were not there: the whole manifest and 200.
        Parts::Parallel => step.line("Range", "bytes=0-"),
    };
    step.manifest(media_type, bytes)
}

fn resolve(stage: &Stage, name: &Name) -> Step {
    let types = [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, "*/*"];
    Step::head(name.manifest("3.20"))
        .line("User-Agent", AGENT)
        .line("Accept", types.join(", "))
        .manifest(OCI_INDEX, &stage.index.bytes)
}

/// A pull up to the layers.
fn until_layers(stage: &Stage, name: &Name, parts: Parts) -> Trace {
    let mut trace: Trace = vec![
        resolve(stage, name).into(),
        manifest(name, OCI_INDEX, &stage.index.bytes, parts).into(),
    ];
    for image in &stage.index.images {
        trace.push(manifest(name, OCI_MANIFEST, &image.bytes, parts).into());
    }
    for image in &stage.index.images {
        let (config, size) = blobs_of(image)[0];
        let step = fetch(name.blob(&config), CONFIG);
        let step = match parts {
            Parts::None => step.blob(&config, size),
            Parts::Parallel => step.line("Range", "bytes=0-").blob_as_part(&config, size),
        };
        trace.push(step.into());
    }
    trace
}

/// A pull of small layers, three at a time.
pub fn pull(stage: &Stage, name: &Name) -> Trace {
    let mut trace = until_layers(stage, name, Parts::None);
    let layers = blobs_of(stage.image()).into_iter().skip(1);
    let layers = layers.map(|(layer, size)| fetch(name.blob(&layer), LAYER).blob(&layer, size));
    trace.push(Wave::Several(AT_A_TIME, layers.collect()));
    trace
}

/// The requests for a large layer: the first is read for about two parts, each other one for its own.
fn in_parts(name: &Name, content: &Bytes, part: usize) -> Trace {
    let step = |first: usize, read: usize| {
        fetch(name.blob(&digest_of(content)), LAYER)
            .line("Range", format!("bytes={first}-"))
            .from(content, first)
            .closes_after(read)
    };
    let others = (part..content.len()).step_by(part);
    let others = others.map(|first| step(first, part)).collect();
    vec![step(0, 2 * part).into(), Wave::Several(AT_A_TIME, others)]
}

/// A pull of one large layer with `concurrent_layer_fetch_buffer`.
fn parallel_pull(stage: &Stage, name: &Name) -> Trace {
    let mut trace = until_layers(stage, name, Parts::Parallel);
    trace.extend(in_parts(name, &stage.layers[0], PART));
    trace
}

/// A registry with an image of one layer that has many parts.
async fn large() -> Stage {
    Stage::with_layers(FakeRegistry::builder(), vec![noise(1, 31 * MIB)]).await
}

#[tokio::test]
async fn a_pull_costs_what_it_names_and_nothing_when_it_is_warm() {
    for base in [
        "/v2/library/alpine",
        "/v2/docker.io/library/alpine",
        "/hub/v2/library/alpine",
    ] {
        let stage = Stage::new().await;
        let trace = pull(&stage, &Name::with_namespace(base));
        stage.costs_once(&trace, &COLD).await;
        // The registry itself gets no `ns`, and has the same name here.
        stage.costs(&pull(&stage, &Name::PATH), &[]).await;
    }
}

#[tokio::test]
async fn two_pulls_at_once_cost_one() {
    let stage = Stage::new().await;
    stage.costs_two_at_once(&pull(&stage, &MIRROR), &COLD).await;
}

#[tokio::test]
async fn a_layer_in_parallel_parts_is_fetched_once_and_its_parts_are_right() {
    let stage = large().await;
    let trace = parallel_pull(&stage, &MIRROR);
    let layer = stage.image().layers[0];
    stage.costs(&trace, &COLD_LARGE).await;
    assert_eq!(stage.registry.blob_bytes(&layer), (31 * MIB) as u64);
    stage.costs(&trace, &[]).await;
}

#[tokio::test]
async fn two_pulls_in_parallel_parts_at_once_cost_one() {
    let stage = large().await;
    let trace = parallel_pull(&stage, &MIRROR);
    let layer = stage.image().layers[0];
    stage.costs_two_at_once(&trace, &COLD_LARGE).await;
    assert_eq!(stage.registry.blob_bytes(&layer), (31 * MIB) as u64);
}

#[tokio::test]
async fn closed_connections_disturb_neither_the_transfer_nor_another_client() {
    let stage = large().await;
    let (content, layer) = (&stage.layers[0], stage.image().layers[0]);
    let standing = Fault::on(Kind::BlobGet).of(&layer);
    let gate = stage.registry.inject(standing.stall_after(10_000_000));
    let path = MIRROR.blob(&layer);
    let mut other = stage.proxy.get(&path).await;
    assert_eq!(other.read_exactly(MIB).await, content[..MIB]);
    let mut parts = in_parts(&MIRROR, content, PART);
    let rest = parts.split_off(1);
    // The first connection is read to 8 MiB and closed, while the registry stands still behind 10 MB.
    replay(&stage.proxy, &parts).await;
    gate.reached().await;
    assert_eq!(other.read_exactly(8 * MIB).await, content[MIB..9 * MIB]);
    gate.open();
    replay(&stage.proxy, &rest).await;
    assert!(other.body().await == content[9 * MIB..]);
    stage.asked(&[(Kind::BlobGet, 1)]);
    assert_eq!(stage.registry.blob_bytes(&layer), content.len() as u64);
}

#[tokio::test]
async fn a_part_that_broke_off_goes_on_where_it_stopped() {
    let stage = Stage::new().await;
    let content = &stage.layers[0];
    let layer = fetch(MIRROR.blob(&digest_of(content)), LAYER);
    // Without a buffer: a plain GET, whose connection is lost, and a Range for the rest.
    let lost = layer.clone().exactly(content.clone()).closes_after(150_000);
    let rest = layer.line("Range", "bytes=150000-").from(content, 150_000);
    let trace = vec![lost.into(), rest.into()];
    stage.costs(&trace, &[(Kind::BlobGet, 1)]).await;
    assert_eq!(
        stage.registry.blob_bytes(&digest_of(content)),
        content.len() as u64
    );
}

//! The same pulls from a registry that wants tokens, which no client notices.

use super::{Name, Stage, Trace, containerd, crane, docker, oras, podman};
use crate::support::{FakeRegistry, Kind};

/// One request is refused, which says where tokens are; one token then serves for all.
#[tokio::test]
async fn one_token_serves_for_a_whole_pull() {
    type Pull = fn(&Stage, &Name) -> Trace;
    for (pull, name, heads, manifests, blobs) in [
        (containerd::pull as Pull, containerd::MIRROR, 2, 3, 5),
        (docker::pull, Name::MIRROR, 2, 2, 4),
        (podman::pull, Name::MIRROR, 0, 3, 4),
        (crane::pull, Name::PATH, 0, 3, 4),
        (oras::pull, Name::PATH, 0, 3, 4),
    ] {
        let stage = Stage::of(FakeRegistry::builder().bearer()).await;
        let trace = pull(&stage, &name);
        let cold = [
            (Kind::ManifestHead, heads),
            (Kind::Token, 1),
            (Kind::ManifestGet, manifests),
            (Kind::BlobGet, blobs),
        ];
        let cold: Vec<_> = cold.into_iter().filter(|(_, count)| *count > 0).collect();
        stage.costs_once(&trace, &cold).await;
    }
}

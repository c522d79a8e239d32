//! What newer clients send, written to larder line by line as they write it: their headers, their order, their aborts; and
//! what each of their pulls costs the registry.
//!
//! One file a client. A pull is a [`step::Trace`], which [`replay`] plays. Header lines stand as Go's HTTP client writes
//! them: `Host` and `User-Agent` first, then the client's own by name, then those that the library adds.

mod containerd;
mod crane;
mod docker;
mod oras;
mod podman;
mod replay;
mod step;
mod tokens;

use std::time::Duration;

use bytes::Bytes;
use larder::oci::Digest;
use serde_json::Value;

use crate::support::fake::Builder;
use crate::support::{
    FakeRegistry, Fault, Image, Index, Kind, PushedImage, PushedIndex, TestProxy, noise, within,
};
use replay::replay;
use step::{Step, Trace};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SIGNED_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// What a pull costs of clients that never ask by HEAD: index and manifest, config and three layers.
const COLD: [(Kind, usize); 2] = [(Kind::ManifestGet, 2), (Kind::BlobGet, 4)];

/// A name as it is in front of the request: `/v2/library/alpine`, and the registry that `ns` names.
#[derive(Clone, Copy, Debug)]
struct Name {
    base: &'static str,
    namespace: Option<&'static str>,
}

impl Name {
    /// As a mirror of Docker Hub is asked.
    const MIRROR: Self = Self::plain("/v2/library/alpine");
    /// With the registry in front of the name.
    const PATH: Self = Self::plain("/v2/docker.io/library/alpine");

    const fn plain(base: &'static str) -> Self {
        Self {
            base,
            namespace: None,
        }
    }

    /// As containerd asks what is not the registry itself.
    const fn with_namespace(base: &'static str) -> Self {
        Self {
            base,
            namespace: Some("docker.io"),
        }
    }

    fn manifest(&self, reference: impl ToString) -> String {
        self.path("manifests", &reference.to_string())
    }

    fn blob(&self, digest: &Digest) -> String {
        self.path("blobs", &digest.to_string())
    }

    fn path(&self, kind: &str, reference: &str) -> String {
        let path = format!("{}/{kind}/{reference}", self.base);
        match self.namespace {
            Some(namespace) => format!("{path}?ns={namespace}"),
            None => path,
        }
    }
}

/// A Docker Hub with one image for two platforms, and a larder in front of it.
struct Stage {
    registry: FakeRegistry,
    proxy: TestProxy,
    index: PushedIndex,
    /// The layers of the first platform.
    layers: Vec<Bytes>,
}

impl Stage {
    async fn new() -> Self {
        Self::of(FakeRegistry::builder()).await
    }

    /// Of a registry of some other kind.
    async fn of(registry: Builder) -> Self {
        let layers = (1..=3).map(|seed| noise(seed, 400_000)).collect();
        Self::with_layers(registry, layers).await
    }

    async fn with_layers(registry: Builder, layers: Vec<Bytes>) -> Self {
        let registry = registry.start().await;
        let images = [
            ("linux/amd64", Image::with_layers(layers.clone())),
            ("linux/arm64", Image::with_layers([noise(9, 1_000)])),
        ];
        let repository = registry.repository("library/alpine");
        let index = Index::of(images).push_as(&repository, "3.20");
        let proxy = TestProxy::builder()
            .upstream("docker.io", &registry)
            .alias("hub")
            // A gate is closed for as long as the test needs: that is no break.
            .limits(|limits| limits.body_idle = Duration::from_mins(1));
        Self {
            proxy: proxy.start().await,
            registry,
            index,
            layers,
        }
    }

    /// Returns the image that all clients but containerd choose.
    fn image(&self) -> &PushedImage {
        &self.index.images[0]
    }

    /// Plays a trace, and checks which requests that costs the registry.
    async fn costs(&self, trace: &Trace, expected: &[(Kind, usize)]) {
        self.registry.clear_log();
        replay(&self.proxy, trace).await;
        self.asked(expected);
    }

    /// Plays a trace twice, one after the other: the second time it costs nothing.
    async fn costs_once(&self, trace: &Trace, expected: &[(Kind, usize)]) {
        self.costs(trace, expected).await;
        self.costs(trace, &[]).await;
    }

    /// Plays a trace twice at once, and has the second client there before the first one has its layer.
    async fn costs_two_at_once(&self, trace: &Trace, expected: &[(Kind, usize)]) {
        let slow = Fault::on(Kind::BlobGet).of(&self.image().layers[0]);
        let gate = self.registry.inject(slow.once().stall_after(100_000));
        let joined = async {
            gate.reached().await;
            while self.proxy.counted("fill_joins_total") == Some(0) {
                tokio::task::yield_now().await;
            }
            gate.open();
        };
        let (first, second) = (replay(&self.proxy, trace), replay(&self.proxy, trace));
        tokio::join!(first, second, within("a second client", joined));
        self.asked(expected);
    }

    /// Checks which requests the registry got, by kind.
    #[track_caller]
    fn asked(&self, expected: &[(Kind, usize)]) {
        let log = self.registry.log();
        let mut found: Vec<(Kind, usize)> = Vec::new();
        for request in log.requests() {
            match found.iter_mut().find(|(kind, _)| *kind == request.kind) {
                Some((_, count)) => *count += 1,
                None => found.push((request.kind, 1)),
            }
        }
        let is_same =
            found.len() == expected.len() && expected.iter().all(|wanted| found.contains(wanted));
        assert!(
            is_same,
            "{found:?} for {expected:?}:\n{:#?}",
            self.registry.lines()
        );
    }
}

/// Returns the blobs that a manifest names, with their sizes: the config first, then the layers.
fn blobs_of(image: &PushedImage) -> Vec<(Digest, usize)> {
    let manifest: Value = serde_json::from_slice(&image.bytes).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let read = |descriptor: &Value| {
        let size = descriptor["size"].as_u64().unwrap();
        let digest = descriptor["digest"].as_str().unwrap();
        (digest.parse().unwrap(), usize::try_from(size).unwrap())
    };
    std::iter::once(&manifest["config"])
        .chain(layers)
        .map(read)
        .collect()
}

/// Adds what Go's client adds to what is asked for as a whole.
fn whole(step: Step) -> Step {
    step.line("Accept-Encoding", "gzip")
}

/// What `/v2/` says.
fn ping() -> Step {
    Step::get("/v2/").exactly("{}")
}

//! How many requests a pull costs the registry (design, "Budgets"): counts, never times.

use larder::oci::{Digest, MediaType};

use crate::support::{FakeRegistry, Image, Index, Kind, PushedIndex, TestProxy, noise};

/// An image for two platforms: config and three layers each.
fn push(registry: &FakeRegistry) -> PushedIndex {
    let image = |seed: u64| Image::with_layers((0..3).map(|layer| noise(seed + layer, 100_000)));
    let index = Index::of([("linux/amd64", image(1)), ("linux/arm64", image(10))]);
    index.push_as(&registry.repository("app"), "1")
}

/// What a client fetches of an index: one of its images, whole.
async fn pull_image(proxy: &TestProxy, pushed: &PushedIndex) {
    let image = &pushed.images[0];
    let manifest = proxy
        .get(&format!("/v2/up.test/app/manifests/{}", image.digest))
        .await;
    assert_eq!(manifest.body().await, image.bytes);
    for digest in image.layers.iter().chain([&image.config]) {
        pull_blob(proxy, digest).await;
    }
}

async fn pull_blob(proxy: &TestProxy, digest: &Digest) {
    let reply = proxy.get(&format!("/v2/up.test/app/blobs/{digest}")).await;
    assert_eq!(reply.status, 200);
    larder::oci::Verifier::check(*digest, &reply.body().await).unwrap();
}

const REGISTRY: [Kind; 5] = [
    Kind::Ping,
    Kind::ManifestHead,
    Kind::ManifestGet,
    Kind::BlobHead,
    Kind::BlobGet,
];

#[tokio::test]
async fn a_cold_pull_of_a_client_that_gets_the_tag_costs_six_requests() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let pushed = push(&registry);
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/").await.body().await;
    let index = proxy.get("/v2/up.test/app/manifests/1").await;
    assert_eq!(
        index.header("docker-content-digest"),
        Some(pushed.digest.to_string().as_str())
    );
    assert_eq!(index.body().await, pushed.bytes);
    pull_image(&proxy, &pushed).await;
    // Without the token in hand, one more request was refused first.
    assert_eq!(registry.count(Kind::Token), 1);
    assert_eq!(registry.count(REGISTRY), 6 + 1, "{:#?}", registry.lines());
    assert_eq!(registry.count(Kind::BlobGet), 4);
}

#[tokio::test]
async fn a_cold_pull_of_a_client_that_heads_the_tag_costs_seven_requests() {
    let registry = FakeRegistry::start().await;
    let pushed = push(&registry);
    let proxy = TestProxy::of(&registry).await;
    let head = proxy.head("/v2/app/manifests/1?ns=up.test").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some(MediaType::OCI_INDEX));
    assert_eq!(
        head.header("content-length"),
        Some(pushed.bytes.len().to_string().as_str())
    );
    assert_eq!(head.header("oci-namespace"), Some("up.test"));
    let index = proxy
        .get(&format!("/v2/app/manifests/{}?ns=up.test", pushed.digest))
        .await;
    assert_eq!(index.body().await, pushed.bytes);
    pull_image(&proxy, &pushed).await;
    assert_eq!(registry.count(REGISTRY), 7, "{:#?}", registry.lines());
    assert_eq!(registry.lines()[0], "HEAD app/manifests/1");
}

#[tokio::test]
async fn a_warm_pull_costs_nothing_also_after_a_restart() {
    let registry = FakeRegistry::start().await;
    let pushed = push(&registry);
    let mut proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/up.test/app/manifests/1").await.body().await;
    pull_image(&proxy, &pushed).await;
    registry.clear_log();
    for _ in 0..2 {
        let tag = proxy.get("/v2/up.test/app/manifests/1").await;
        assert_eq!(tag.header("cache-status"), Some("larder; hit"));
        assert_eq!(tag.body().await, pushed.bytes);
        assert_eq!(proxy.head("/v2/up.test/app/manifests/1").await.status, 200);
        pull_image(&proxy, &pushed).await;
        proxy = proxy.restart().await;
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_hundred_clients_cost_what_one_costs() {
    let registry = FakeRegistry::start().await;
    let pushed = push(&registry);
    let proxy = TestProxy::of(&registry).await;
    let client = async || {
        let index = proxy.get("/v2/up.test/app/manifests/1").await;
        assert_eq!(index.body().await, pushed.bytes);
        pull_image(&proxy, &pushed).await;
    };
    futures_util::future::join_all((0..100).map(|_| client())).await;
    assert_eq!(registry.count(REGISTRY), 6, "{:#?}", registry.lines());
}

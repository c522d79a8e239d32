//! Readers far ahead of a transfer: what they get, and what they must not cost.

use larder::oci::Digest;

use crate::support::{FakeRegistry, Fault, Gate, Kind, Reply, TestProxy, noise};

const MIB: usize = 1024 * 1024;

/// A transfer of 64 MiB that stands still after 2 MiB, and its first reader.
async fn standing(registry: &FakeRegistry, proxy: &TestProxy, digest: &Digest) -> (Gate, Reply) {
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(2 * MIB as u64));
    let mut first = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
    first.read_exactly(MIB).await;
    gate.reached().await;
    (gate, first)
}

async fn far(proxy: &TestProxy, digest: &Digest, range: &str) -> Reply {
    let path = format!("/v2/app/blobs/{digest}");
    proxy
        .client()
        .get(&path)
        .header("range", range)
        .send()
        .await
}

#[tokio::test]
async fn a_registry_that_gives_no_segments_is_not_asked_again_and_again() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 64 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    registry.inject(
        Fault::on(Kind::BlobGet)
            .ranged()
            .status(429)
            .retry_after("60"),
    );
    let proxy = TestProxy::of(&registry).await;
    let (gate, first) = standing(&registry, &proxy, &digest).await;
    let far = far(&proxy, &digest, "bytes=60000000-60000999").await;
    assert_eq!(far.status, 206);
    registry
        .wait_for(|log| log.requests_for(&digest).len() == 2)
        .await;
    gate.open();
    assert_eq!(far.body().await, content[60_000_000..60_001_000]);
    assert_eq!(first.body().await, content[MIB..]);
    assert_eq!(registry.requests_for(&digest).len(), 2);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_once() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 64 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    registry.inject(Fault::on(Kind::BlobGet).ignores_range());
    let proxy = TestProxy::of(&registry).await;
    let (gate, first) = standing(&registry, &proxy, &digest).await;
    let far = far(&proxy, &digest, "bytes=41943040-41944039").await;
    registry
        .wait_for(|log| log.requests_for(&digest).len() == 2)
        .await;
    gate.open();
    assert_eq!(first.body().await, content[MIB..]);
    assert_eq!(far.body().await, content[41_943_040..41_944_040]);
    let sent = registry.blob_bytes(&digest);
    // The answer to the segment is broken off at once; what its socket holds was sent.
    assert!(
        sent <= (content.len() + 8 * MIB) as u64,
        "{} MiB sent for 64",
        sent / MIB as u64
    );
}

#[tokio::test]
async fn a_registry_without_ranges_is_asked_for_a_segment_once_for_all_blobs() {
    let registry = FakeRegistry::start().await;
    registry.inject(Fault::on(Kind::BlobGet).ignores_range());
    let proxy = TestProxy::of(&registry).await;
    for (number, requests) in [(1, 2), (2, 1), (3, 1)] {
        let content = noise(number, 32 * MIB);
        let digest = registry.repository("app").blob(content.clone());
        let (gate, first) = standing(&registry, &proxy, &digest).await;
        let far = far(&proxy, &digest, "bytes=31457280-31458279").await;
        registry
            .wait_for(|log| log.requests_for(&digest).len() == requests)
            .await;
        gate.open();
        // Nobody notices.
        assert_eq!(far.status, 206);
        assert_eq!(far.body().await, content[31_457_280..31_458_280]);
        assert_eq!(first.body().await, content[MIB..]);
        assert_eq!(registry.requests_for(&digest).len(), requests);
    }
}

#[tokio::test]
async fn a_fill_does_not_wait_behind_its_own_segments() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 64 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .limits(|limits| limits.transfers = 1);
    let proxy = proxy.start().await;
    let (gate, first) = standing(&registry, &proxy, &digest).await;
    let far = far(&proxy, &digest, "bytes=20971520-20972519").await;
    gate.open();
    assert_eq!(first.body().await, content[MIB..]);
    assert_eq!(far.body().await, content[20_971_520..20_972_520]);
}

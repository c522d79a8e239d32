//! What is counted of fills, and of what registries send.

use crate::support::{FakeRegistry, Fault, Kind, TestProxy, noise};

const MIB: usize = 1024 * 1024;

async fn start(registry: &FakeRegistry) -> TestProxy {
    let proxy = TestProxy::builder().upstream("up.test", registry);
    proxy.start().await
}

#[tokio::test]
async fn a_fill_is_counted_once_and_so_are_its_bytes_however_many_read_it() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 2 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(MIB as u64));
    let proxy = start(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let first = proxy.get(&path).await;
    gate.reached().await;
    let second = proxy.get(&path).await;
    gate.open();
    for reply in [first, second] {
        assert_eq!(reply.body().await, content);
    }
    for (line, count) in [
        (r#"fills_total{outcome="complete"}"#, 1),
        ("fill_joins_total", 1),
        (
            r#"upstream_received_bytes_total{upstream="up.test"}"#,
            content.len() as u64,
        ),
        (r#"upstream_resumed_transfers_total{upstream="up.test"}"#, 0),
    ] {
        assert_eq!(proxy.counted(line), Some(count), "{line}");
    }
}

#[tokio::test]
async fn a_transfer_that_breaks_and_goes_on_is_counted() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 2 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    registry.inject(Fault::on(Kind::BlobGet).once().cut_after(MIB as u64));
    let proxy = start(&registry).await;
    let reply = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
    assert_eq!(reply.body().await, content);
    let line = r#"upstream_resumed_transfers_total{upstream="up.test"}"#;
    assert_eq!(proxy.counted(line), Some(1));
}

#[tokio::test]
async fn a_fill_that_fails_is_counted_by_why() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 10));
    registry.inject(Fault::on(Kind::BlobGet).wrong_byte_at(5));
    let proxy = start(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(proxy.get(&path).await.status.as_u16(), 502);
    let line = r#"fills_total{outcome="wrong_content"}"#;
    assert!(proxy.counted(line) >= Some(1));
    let unknown = format!("/v2/app/blobs/sha256:{}", "0".repeat(64));
    assert_eq!(proxy.get(&unknown).await.status.as_u16(), 404);
    let line = r#"fills_total{outcome="absent"}"#;
    assert_eq!(proxy.counted(line), Some(1));
}

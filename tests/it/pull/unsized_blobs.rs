//! Registries that do not say how long a blob is.

use crate::support::{FakeRegistry, Fault, Kind, TestProxy, noise};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_head_tells_the_length_whatever_it_is() {
    let registry = FakeRegistry::start().await;
    registry.inject(Fault::everywhere().no_content_length());
    let proxy = TestProxy::of(&registry).await;
    for (seed, size) in [(1, 0), (2, 1_000), (3, 70_000), (4, 3 * MIB), (5, 20 * MIB)] {
        let digest = registry.repository("app").blob(noise(seed, size));
        let head = proxy.head(&format!("/v2/app/blobs/{digest}")).await;
        assert_eq!(
            (head.status.as_u16(), head.header("content-length")),
            (200, Some(size.to_string().as_str()))
        );
    }
}

#[tokio::test]
async fn a_range_from_the_first_byte_on_does_not_wait_for_the_last() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 8 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    registry.inject(Fault::everywhere().no_content_length());
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(4 * MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let reply = client
        .get(&format!("/v2/app/blobs/{digest}"))
        .header("range", "bytes=0-")
        .send()
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-range")),
        (200, None)
    );
    gate.open();
    assert_eq!(reply.body().await, content);
}

//! Stopping: answers under way are given, unless nobody takes them.

use crate::support::{Ending, FakeRegistry, Fault, Kind, TestProxy, noise};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn an_answer_whose_content_is_still_coming_is_given_to_its_end() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 4 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(2 * MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut reply = proxy.get(&path).await;
    assert_eq!(reply.read_exactly(MIB).await, content[..MIB]);
    gate.reached().await;
    proxy.begin_stop();
    gate.open();
    assert_eq!(reply.body().await, content[MIB..]);
    assert_eq!(proxy.stopped().await, 0);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_cut_when_the_time_is_over() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 32 * MIB));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    proxy.get(&path).await.body().await;
    let stalled = proxy.get(&path).await;
    tokio::time::pause();
    assert_eq!(proxy.stopped().await, 1);
    tokio::time::resume();
    assert_ne!(stalled.rest().await.1, Ending::Complete);
}

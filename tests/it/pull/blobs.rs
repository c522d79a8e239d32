//! Fills: one transfer for all, which belongs to nobody.

use std::time::Duration;

use larder::oci::Verifier;

use crate::support::{Ending, FakeRegistry, Fault, Kind, Progress, TestProxy, noise};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn many_clients_share_one_transfer_from_wherever_they_come_in() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 4 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(2 * MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut early = proxy.get(&path).await;
    assert_eq!(
        early.header("cache-status"),
        Some("larder; fwd=miss; stored")
    );
    assert_eq!(early.read_exactly(MIB).await, content[..MIB]);
    gate.reached().await;
    // The headers of those who come later leave before the transfer is over.
    let mut late = Vec::new();
    for _ in 0..10 {
        late.push(proxy.get(&path).await);
    }
    gate.open();
    for reply in late {
        assert_eq!(
            reply.header("cache-status"),
            Some("larder; fwd=miss; collapsed")
        );
        assert_eq!(reply.body().await, content);
    }
    assert_eq!(early.body().await, content[MIB..]);
    assert_eq!(registry.requests_for(&digest).len(), 1);
    assert_eq!(registry.blob_bytes(&digest), content.len() as u64);
}

#[tokio::test]
async fn a_fill_survives_the_client_that_started_it() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 2 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut reply = proxy.get(&path).await;
    reply.read_exactly(100_000).await;
    drop(reply);
    gate.reached().await;
    gate.open();
    registry
        .wait_for(|log| {
            log.requests_for(&digest)
                .iter()
                .all(|r| r.progress == Progress::Complete)
        })
        .await;
    let reply = proxy.get(&path).await;
    assert_eq!(reply.body().await, content);
    assert_eq!(registry.requests_for(&digest).len(), 1);
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody() {
    let registry = FakeRegistry::start().await;
    // More than all buffers between the two of them.
    let content = noise(1, 32 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut slow = proxy.get(&path).await;
    slow.read_exactly(1).await;
    assert_eq!(proxy.get(&path).await.body().await, content);
    assert_eq!(slow.body().await, content[1..]);
    assert_eq!(registry.requests_for(&digest).len(), 1);
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_broke() {
    for break_off in [Fault::end_after, Fault::cut_after] {
        let registry = FakeRegistry::start().await;
        let content = noise(1, 3 * MIB);
        let digest = registry.repository("app").blob(content.clone());
        registry.inject(break_off(Fault::on(Kind::BlobGet).once(), MIB as u64));
        let proxy = TestProxy::of(&registry).await;
        let reply = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
        assert_eq!(reply.body().await, content);
        let requests = registry.requests_for(&digest);
        assert_eq!(requests.len(), 2);
        assert!(
            requests[1]
                .range()
                .is_some_and(|range| range.starts_with("bytes="))
        );
    }
}

#[tokio::test]
async fn every_joiner_sees_the_failure_of_the_fill() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 2 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut replies = Vec::new();
    for _ in 0..5 {
        replies.push(proxy.get(&path).await);
    }
    gate.reached().await;
    registry.stop().await;
    for reply in replies {
        assert_eq!(reply.status, 200);
        let (bytes, ending) = reply.rest().await;
        assert_ne!(ending, Ending::Complete);
        assert!(content.starts_with(&bytes));
    }
    // What came is kept, and the next fill asks for the rest only.
    registry.restart().await;
    registry.clear_faults();
    registry.clear_log();
    assert_eq!(proxy.get(&path).await.body().await, content);
    let ranges: Vec<_> = registry
        .requests_for(&digest)
        .iter()
        .map(|request| request.range())
        .collect();
    assert!(
        matches!(&ranges[..], [Some(range)] if *range != "bytes=0-"),
        "{ranges:?}"
    );
}

#[tokio::test]
async fn a_fill_goes_on_after_a_restart() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 40 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(36 * MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut reply = proxy.get(&path).await;
    reply.read_exactly(35 * MIB).await;
    gate.reached().await;
    drop(reply);
    let proxy = proxy.restart().await;
    gate.open();
    registry.clear_log();
    let reply = proxy.get(&path).await;
    assert_eq!(reply.body().await, content);
    let sent = registry.blob_bytes(&digest);
    assert!(sent <= 8 * MIB as u64, "{sent} bytes were fetched again");
}

#[tokio::test]
async fn what_does_not_fit_is_handed_through_and_verified() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let content = noise(1, MIB);
    let (right, wrong) = (
        repository.blob(content.clone()),
        repository.blob(noise(2, MIB)),
    );
    registry.inject(
        Fault::on(Kind::BlobGet)
            .of(&wrong)
            .wrong_byte_at(MIB as u64 / 2),
    );
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .min_free(u64::MAX / 2)
        .start()
        .await;
    for _ in 0..2 {
        let reply = proxy.get(&format!("/v2/app/blobs/{right}")).await;
        assert_eq!(
            reply.header("cache-status"),
            Some("larder; fwd=miss; detail=passed_no_space")
        );
        assert_eq!(reply.body().await, content);
    }
    let part = proxy
        .client()
        .get(&format!("/v2/app/blobs/{right}"))
        .header("range", "bytes=1000-1999")
        .send()
        .await;
    assert_eq!(
        part.header("content-range"),
        Some("bytes 1000-1999/1048576")
    );
    assert_eq!(part.body().await, content[1000..2000]);
    let (bytes, ending) = proxy
        .get(&format!("/v2/app/blobs/{wrong}"))
        .await
        .rest()
        .await;
    assert!(bytes.len() < MIB && ending != Ending::Complete);
}

#[tokio::test]
async fn a_store_that_cannot_keep_a_content_does_not_keep_it_from_clients() {
    use larder::store::StoreError;
    use larder::store::faulty::BlobOperation;
    let registry = FakeRegistry::start().await;
    let content = noise(1, MIB);
    let digest = registry.repository("app").blob(content.clone());
    let proxy = TestProxy::of(&registry).await;
    let broken = StoreError::io(
        "rename",
        "staging",
        std::io::Error::other("the disk is on fire"),
    );
    proxy.blobs().fail_next(BlobOperation::Adopt, 1, broken);
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(proxy.get(&path).await.body().await, content);
    registry
        .wait_for(|log| log.requests_for(&digest).len() == 1)
        .await;
    assert_eq!(proxy.get(&path).await.body().await, content);
    proxy.advance(Duration::from_secs(1));
    Verifier::check(digest, &proxy.get(&path).await.body().await).unwrap();
    assert!(registry.requests_for(&digest).len() <= 2);
}

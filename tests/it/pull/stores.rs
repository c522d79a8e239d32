//! A store that fails: clients get what can be had, and are told what cannot.

use larder::store::StoreError;
use larder::store::faulty::{BlobOperation, RecordOperation};

use crate::support::{FakeRegistry, Image, TestProxy, noise};

fn broken() -> StoreError {
    StoreError::io(
        "use",
        "/secret/place",
        std::io::Error::other("the disk is on fire"),
    )
}

#[tokio::test]
async fn records_that_cannot_be_written_keep_nothing_from_clients() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 300_000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    proxy
        .records()
        .fail_next(RecordOperation::Commit, 1_000, broken());
    for _ in 0..2 {
        assert_eq!(
            proxy.get("/v2/app/manifests/1").await.body().await,
            image.bytes
        );
        let layer = proxy
            .get(&format!("/v2/app/blobs/{}", image.layers[0]))
            .await;
        assert_eq!(layer.body().await, noise(1, 300_000));
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_not_a_miss() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 300_000)]).push_as(&registry.repository("app"), "1");
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    proxy.get(&layer).await.body().await;
    let proxy = proxy.restart().await;
    registry.clear_log();
    proxy
        .records()
        .fail_next(RecordOperation::Read, 1, broken());
    let unread = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(unread.status, 503);
    proxy.blobs().fail_next(BlobOperation::Open, 1, broken());
    let unopened = proxy.get(&layer).await;
    assert_eq!(unopened.status, 503);
    for reply in [unread, unopened] {
        assert!(reply.header("retry-after").is_some());
        let told = String::from_utf8_lossy(&reply.body().await).into_owned();
        assert!(!told.contains("/secret/place"), "{told}");
    }
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        image.bytes
    );
    assert_eq!(proxy.get(&layer).await.body().await, noise(1, 300_000));
    assert_eq!(registry.lines(), Vec::<String>::new());
}

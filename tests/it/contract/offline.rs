//! A registry that is never asked, because its operator says so.

use larder::cache::freshness::StaleLimit;
use larder::upstream::Mode;

use super::{STALE, TAG, outcome, push};
use crate::support::{FakeRegistry, TestProxy};

#[tokio::test]
async fn offline_everything_here_is_served_and_nobody_is_asked() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    proxy.get(TAG).await.body().await;
    proxy.get(&layer).await.body().await;
    let mut proxy = proxy.reconfigured(|builder| builder.offline()).await;
    push(&registry, "1", 2);
    registry.clear_log();
    proxy.advance(STALE);
    let reply = proxy.get(TAG).await;
    assert_eq!(
        reply.header("cache-status"),
        Some("larder; hit; detail=offline")
    );
    assert!(reply.header("age").is_some());
    assert_eq!(reply.body().await, image.bytes);
    let by_digest = format!("/v2/app/manifests/{}", image.digest);
    assert_eq!(outcome(&proxy, &by_digest).await, (200, "hit".into()));
    assert_eq!(outcome(&proxy, &layer).await, (200, "hit".into()));
    for missing in ["/v2/app/manifests/2", "/v2/other/manifests/1"] {
        let reply = proxy.get(missing).await;
        assert_eq!(reply.status, 504, "{missing}");
        assert_eq!(reply.header("cache-status"), Some("larder; detail=offline"));
        let body = String::from_utf8(reply.body().await.to_vec()).unwrap();
        assert!(body.contains("larder is offline for it"), "{body}");
    }
    let no_blob = format!("/v2/app/blobs/sha256:{}", "0".repeat(64));
    assert_eq!(proxy.get(&no_blob).await.status, 504);
    assert_eq!(proxy.head(&no_blob).await.status, 504);
    // `no-cache` changes nothing of that.
    let now = proxy
        .client()
        .get(TAG)
        .header("cache-control", "no-cache")
        .send()
        .await;
    assert_eq!(
        now.header("cache-status"),
        Some("larder; hit; detail=offline")
    );
    assert_eq!(registry.lines(), Vec::<String>::new());
    assert_eq!(registry.connections(), {
        proxy = proxy.restart().await;
        let before = registry.connections();
        assert_eq!(outcome(&proxy, TAG).await, (200, "offline".into()));
        before
    });
}

#[tokio::test]
async fn offline_who_reads_no_index_gets_what_others_pulled() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.stale_on_unreachable = Some(StaleLimit::NEVER));
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    let proxy = proxy.reconfigured(|builder| builder.offline()).await;
    registry.clear_log();
    let client = proxy.client();
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let poor = || client.get(TAG).header("accept", accept);
    let fresh = poor().send().await;
    assert_eq!(fresh.header("cache-status"), Some("larder; hit"));
    proxy.advance(STALE);
    let old = poor().send().await;
    assert_eq!(
        old.header("cache-status"),
        Some("larder; hit; detail=offline")
    );
    assert_eq!(old.header("warning"), None);
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_goes_offline_and_online_while_larder_runs() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    proxy.get(TAG).await.body().await;
    let new = push(&registry, "1", 2);
    proxy.advance(STALE);
    proxy.set_mode("up.test", Mode::Offline);
    registry.clear_log();
    assert_eq!(outcome(&proxy, TAG).await, (200, "offline".into()));
    assert_eq!(registry.lines(), Vec::<String>::new());
    proxy.set_mode("up.test", Mode::Online);
    assert_eq!(proxy.get(TAG).await.body().await, new.bytes);
}

#[tokio::test]
async fn what_is_private_stays_so_offline() {
    let registry = FakeRegistry::builder()
        .bearer()
        .user("acme", "word")
        .start()
        .await;
    let image = push(&registry, "1", 1);
    registry.repository("app").make_private_to(&["acme"]);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .login("acme", "word");
    let proxy = proxy.start().await;
    assert_eq!(proxy.get(TAG).await.body().await, image.bytes);
    let proxy = proxy.reconfigured(|builder| builder.offline()).await;
    proxy.advance(STALE * 1_000);
    registry.clear_log();
    assert_eq!(proxy.get(TAG).await.body().await, image.bytes);
    let elsewhere = proxy.client();
    let elsewhere = elsewhere.get(TAG).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(elsewhere.send().await.status, 403);
    assert_eq!(registry.lines(), Vec::<String>::new());
}

//! Who may have the registry asked at once.

use super::{TAG, outcome, push};
use crate::support::{FakeRegistry, Reply, TestProxy};

async fn now(proxy: &TestProxy, path: &str, forwarded: Option<&str>) -> Reply {
    let client = proxy.client();
    let ask = client.get(path).header("cache-control", "no-cache");
    match forwarded {
        Some(client) => ask.header("x-forwarded-for", client).send().await,
        None => ask.send().await,
    }
}

#[tokio::test]
async fn a_client_on_this_machine_has_the_registry_asked_now() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    proxy.get(TAG).await.body().await;
    registry.clear_log();
    let reply = now(&proxy, TAG, None).await;
    let revalidated = Some("larder; fwd=stale; detail=revalidated");
    assert_eq!(reply.header("cache-status"), revalidated);
    assert_eq!(registry.lines(), ["HEAD app/manifests/1"]);
    let new = push(&registry, "1", 2);
    assert_eq!(now(&proxy, TAG, None).await.body().await, new.bytes);
    // For all others it is fresh again.
    assert_eq!(proxy.get(TAG).await.body().await, new.bytes);
    assert_eq!(outcome(&proxy, TAG).await, (200, "hit".into()));
}

#[tokio::test]
async fn a_tag_that_was_missing_a_moment_ago_is_asked_for() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(proxy.get(TAG).await.status, 404);
    let image = push(&registry, "1", 1);
    assert_eq!(outcome(&proxy, TAG).await, (404, "negative".into()));
    assert_eq!(now(&proxy, TAG, None).await.body().await, image.bytes);
}

#[tokio::test]
async fn who_asks_for_somebody_else_spends_nothing() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .refresh_from("127.0.0.0/8");
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    registry.clear_log();
    let reply = now(&proxy, TAG, Some("127.0.0.1")).await;
    assert_eq!(reply.header("cache-status"), Some("larder; hit"));
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_old_answer_goes_out_when_the_registry_cannot_be_asked_now() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    proxy.get(TAG).await.body().await;
    registry.stop().await;
    let reply = now(&proxy, TAG, None).await;
    let stale = Some("larder; hit; detail=stale_unreachable");
    assert_eq!(reply.header("cache-status"), stale);
    assert_eq!(reply.body().await, image.bytes);
}

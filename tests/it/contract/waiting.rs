//! How long a client waits for a registry that takes its time.

use std::time::Duration;

use super::{STALE, TAG, outcome, push};
use crate::support::{FakeRegistry, Fault, Kind, TestProxy, within};

#[tokio::test]
async fn the_check_goes_on_behind_an_old_answer() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.answer_within = Some(Duration::ZERO));
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    let new = push(&registry, "1", 2);
    proxy.advance(STALE);
    registry.clear_log();
    let gate = registry.inject(Fault::on(Kind::ManifestHead).stall_before_headers());
    for _ in 0..3 {
        let slow = (200, "stale_slow".to_owned());
        assert_eq!(outcome(&proxy, TAG).await, slow);
    }
    gate.reached().await;
    gate.open();
    // Three clients were answered, and one question is under way.
    let by_digest = format!("GET app/manifests/{}", new.digest);
    registry
        .wait_for(|log| log.lines().contains(&by_digest))
        .await;
    assert_eq!(
        registry.lines(),
        ["HEAD app/manifests/1".to_owned(), by_digest.clone()]
    );
    // What it brought is there a moment later; asking for it begins nothing new.
    while proxy.get(TAG).await.body().await != new.bytes {
        tokio::task::yield_now().await;
    }
    assert_eq!(outcome(&proxy, TAG).await, (200, "hit".into()));
    assert_eq!(registry.count(Kind::ManifestHead), 1);
}

#[tokio::test]
async fn who_reads_no_index_waits_no_longer_than_others() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        // Who waited until a silent host is given up would get another answer.
        .limits(|limits| limits.headers = Duration::from_millis(50))
        .contract(|keys| keys.answer_within = Some(Duration::ZERO));
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    proxy.advance(STALE);
    registry.inject(Fault::everywhere().stall_before_headers());
    let client = proxy.client();
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let reply = client.get(TAG).header("accept", accept).send().await;
    assert_eq!(
        reply.header("cache-status"),
        Some("larder; hit; detail=stale_slow")
    );
    assert_eq!(reply.body().await, image.bytes);
}

#[tokio::test]
async fn who_has_nothing_to_be_answered_with_waits() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.answer_within = Some(Duration::ZERO));
    let proxy = proxy.start().await;
    let gate = registry.inject(Fault::on(Kind::ManifestGet).stall_before_headers());
    let open = async {
        gate.reached().await;
        gate.open();
    };
    let (reply, ()) = tokio::join!(proxy.get(TAG), open);
    assert_eq!(reply.body().await, image.bytes);
}

#[tokio::test]
async fn a_registry_that_is_slow_for_longer_than_an_old_answer_lasts_is_waited_for() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| {
            keys.answer_within = Some(Duration::ZERO);
            keys.stale_on_unreachable = Some(larder::cache::freshness::StaleLimit::NEVER);
        });
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    proxy.advance(STALE);
    let gate = registry.inject(Fault::on(Kind::ManifestHead).stall_before_headers());
    let open = async {
        gate.reached().await;
        gate.open();
    };
    let (found, ()) = tokio::join!(outcome(&proxy, TAG), open);
    assert_eq!(found, (200, "fwd=stale; detail=revalidated".into()));
}

#[tokio::test]
async fn who_asks_while_a_registry_is_being_asked_who_may_look_does_not_begin_to_wait_anew() {
    let registry = FakeRegistry::builder()
        .bearer()
        .user("acme", "word")
        .start()
        .await;
    let image = push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .login("acme", "word")
        .limits(|limits| limits.headers = Duration::from_hours(1))
        .contract(|keys| keys.answer_within = Some(Duration::ZERO));
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    // That it is public was said so long ago that it is asked for first.
    proxy.advance(Duration::from_hours(49));
    registry.inject(Fault::everywhere().stall_before_headers());
    // As many that it would take too long if each one waited for as long as the first.
    within("all answers", async {
        for _ in 0..10 {
            assert_eq!(proxy.get(TAG).await.body().await, image.bytes);
        }
    })
    .await;
}

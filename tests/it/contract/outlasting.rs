//! What goes out when the registry does not confirm a tag, for each thing that it may say instead.

use std::time::Duration;

use larder::cache::freshness::{Freshness, StaleLimit};
use larder::oci::MediaType;

use super::{STALE, TAG, outcome, push};
use crate::support::{FakeRegistry, Fault, Image, Index, Kind, TestProxy, noise};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn each_kind_of_failure_has_a_limit_of_its_own() {
    type Say = fn(Fault) -> Fault;
    let failures: [(Say, &str, u16); 4] = [
        (|fault| fault.hang_up(), "stale_unreachable", 502),
        (|fault| fault.status(429), "stale_rate_limited", 429),
        (|fault| fault.status(404), "stale_not_found", 404),
        (|fault| fault.status(403), "stale_denied", 404),
    ];
    for (index, (say, reason, status)) in failures.into_iter().enumerate() {
        let registry = FakeRegistry::start().await;
        push(&registry, "1", 1);
        let limit = |at: usize| {
            let hours = if at == index {
                HOUR * 2
            } else {
                Duration::ZERO
            };
            Some(StaleLimit::For(hours))
        };
        let proxy = TestProxy::builder().upstream("up.test", &registry);
        let proxy = proxy.contract(|keys| {
            keys.stale_on_unreachable = limit(0);
            keys.stale_on_rate_limit = limit(1);
            keys.stale_on_not_found = limit(2);
            keys.stale_on_denied = limit(3);
        });
        let proxy = proxy.start().await;
        proxy.get(TAG).await.body().await;
        registry.inject(say(Fault::everywhere()));
        proxy.advance(STALE + HOUR);
        assert_eq!(outcome(&proxy, TAG).await, (200, reason.into()));
        proxy.advance(HOUR);
        let (found, _) = outcome(&proxy, TAG).await;
        assert_eq!(found, status, "{reason}, after its limit");
    }
}

#[tokio::test]
async fn a_tag_that_outlasts_its_absence_is_not_asked_for_each_time() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.stale_on_not_found = Some(StaleLimit::Unlimited));
    let mut proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    registry.repository("app").remove_tag("1");
    proxy.advance(STALE);
    registry.clear_log();
    for _ in 0..3 {
        let stale = (200, "stale_not_found".to_owned());
        assert_eq!(outcome(&proxy, TAG).await, stale);
    }
    // It is believed after a GET, and then for a while.
    assert_eq!(
        registry.lines(),
        ["HEAD app/manifests/1", "GET app/manifests/1"]
    );
    proxy = proxy.restart().await;
    proxy.advance(Duration::from_secs(16));
    assert_eq!(outcome(&proxy, TAG).await.1, "stale_not_found");
    push(&registry, "1", 2);
    proxy.advance(Duration::from_secs(16));
    assert_eq!(outcome(&proxy, TAG).await, (200, "fwd=miss; stored".into()));
}

#[tokio::test]
async fn what_the_registry_denied_does_not_come_back_when_it_is_gone() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.stale_on_denied = Some(StaleLimit::NEVER));
    let mut proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    registry.inject(Fault::everywhere().status(403));
    proxy.advance(STALE);
    assert_eq!(outcome(&proxy, TAG).await.0, 404);
    registry.stop().await;
    for _ in 0..2 {
        assert_eq!(outcome(&proxy, TAG).await.0, 502);
        proxy = proxy.restart().await;
    }
    registry.restart().await;
    registry.clear_faults();
    let revalidated = "fwd=stale; detail=revalidated";
    assert_eq!(outcome(&proxy, TAG).await, (200, revalidated.into()));
    registry.stop().await;
    proxy.advance(STALE);
    assert_eq!(
        outcome(&proxy, TAG).await,
        (200, "stale_unreachable".into())
    );
}

#[tokio::test]
async fn an_absence_that_only_a_head_says_is_not_believed() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    proxy.get(TAG).await.body().await;
    registry.inject(Fault::on(Kind::ManifestHead).status(404));
    proxy.advance(STALE);
    let revalidated = "fwd=stale; detail=revalidated";
    assert_eq!(outcome(&proxy, TAG).await, (200, revalidated.into()));
}

#[tokio::test]
async fn a_client_that_reads_no_index_gets_its_image_while_nobody_can_be_asked() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]);
    let index = Index::of([("linux/amd64", image)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get(TAG).await.body().await;
    let child = proxy
        .get(&format!("/v2/app/manifests/{}", index.images[0].digest))
        .await
        .body()
        .await;
    registry.stop().await;
    let old = proxy
        .client()
        .get(TAG)
        .header("accept", MediaType::OCI_MANIFEST)
        .send()
        .await;
    assert_eq!(old.status, 200);
    let outcome = Some("larder; hit; detail=stale_unreachable");
    assert_eq!(old.header("cache-status"), outcome);
    assert_eq!(old.body().await, child);
}

#[tokio::test]
async fn a_client_that_has_it_already_is_told_how_old_that_is() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    proxy.get(TAG).await.body().await;
    registry.stop().await;
    proxy.advance(STALE);
    let etag = format!("\"{}\"", image.digest);
    let client = proxy.client();
    let reply = client.get(TAG).header("if-none-match", &etag).send().await;
    assert_eq!(reply.status, 304);
    let seconds = STALE.as_secs().to_string();
    assert_eq!(reply.header("age"), Some(seconds.as_str()));
    assert!(reply.header("warning").is_some());
}

#[tokio::test]
async fn a_tag_that_moved_to_what_is_not_taken_costs_one_pull() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .freshness(Freshness::Always);
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    let repository = registry.repository("app");
    let broken = repository.manifest(MediaType::OCI_MANIFEST, "no manifest at all");
    repository.tag("1", broken);
    registry.clear_log();
    for _ in 0..3 {
        let stale = (200, "stale_unreachable".to_owned());
        assert_eq!(outcome(&proxy, TAG).await, stale);
    }
    assert_eq!(registry.count(Kind::ManifestHead), 3);
    assert_eq!(registry.count(Kind::ManifestGet), 1);
}

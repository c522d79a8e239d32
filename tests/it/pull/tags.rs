//! Tags: how long they are believed, and what it costs to ask again.

use std::time::Duration;

use larder::cache::freshness::Freshness;
use larder::oci::MediaType;

use crate::support::{FakeRegistry, Fault, Image, Index, Kind, TestProxy, noise};

/// How long tags are believed in these tests, give or take a tenth.
const TEN_MINUTES: Duration = Duration::from_mins(10);
/// When all of them are believed still, and when none is any more.
const SURELY_FRESH: Duration = Duration::from_mins(9);
const SURELY_STALE: Duration = Duration::from_mins(11);

#[tokio::test]
async fn a_tag_that_did_not_move_costs_one_head_however_many_ask() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    proxy.advance(SURELY_FRESH - Duration::from_secs(1));
    assert_eq!(
        proxy
            .get("/v2/app/manifests/1")
            .await
            .header("cache-status"),
        Some("larder; hit")
    );
    proxy.advance(SURELY_STALE - SURELY_FRESH + Duration::from_secs(1));
    registry.clear_log();
    // Nobody is answered before all have asked.
    let gate = registry.inject(Fault::on(Kind::ManifestHead).stall_before_headers());
    let ask = async |_| {
        let reply = proxy.get("/v2/app/manifests/1").await;
        let outcome = reply.header("cache-status").unwrap().to_owned();
        assert_eq!(reply.body().await, image.bytes);
        outcome
    };
    let open = async {
        gate.reached().await;
        gate.open();
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all((0..20).map(ask)), open);
    assert_eq!(outcomes[0], "larder; fwd=stale; detail=revalidated");
    assert_eq!(registry.lines(), ["HEAD app/manifests/1"]);
    assert_eq!(
        proxy
            .get("/v2/app/manifests/1")
            .await
            .header("cache-status"),
        Some("larder; hit")
    );
}

#[tokio::test]
async fn a_tag_that_moved_is_fetched_by_its_new_digest() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let old = Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    let new = Image::with_layers([noise(2, 10)]).push_as(&repository, "1");
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        old.bytes
    );
    proxy.advance(SURELY_STALE);
    registry.clear_log();
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        new.bytes
    );
    assert_eq!(
        registry.lines(),
        [
            "HEAD app/manifests/1".to_owned(),
            format!("GET app/manifests/{}", new.digest)
        ]
    );
    // The old one stays for those who pinned it.
    assert_eq!(
        proxy
            .get(&format!("/v2/app/manifests/{}", old.digest))
            .await
            .body()
            .await,
        old.bytes
    );
}

#[tokio::test]
async fn a_tag_stays_where_it_was_while_its_new_manifest_cannot_be_had() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let old = Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    let new = Image::with_layers([noise(2, 10)]).push_as(&repository, "1");
    proxy.advance(SURELY_STALE);
    let lie = registry.inject(
        Fault::on(Kind::ManifestGet)
            .of(&new.digest)
            .wrong_byte_at(3),
    );
    for _ in 0..2 {
        // Also when only the head is asked for: the tag moves when its manifest is here.
        proxy.head("/v2/app/manifests/1").await;
        let reply = proxy.get("/v2/app/manifests/1").await;
        assert_eq!(
            reply.header("cache-status"),
            Some("larder; hit; detail=stale_unreachable")
        );
        assert_eq!(reply.body().await, old.bytes);
    }
    lie.lift();
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        new.bytes
    );
}

#[tokio::test]
async fn a_tag_that_is_gone_is_gone_here_too() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let image = Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    repository.remove_tag("1");
    proxy.advance(SURELY_STALE);
    registry.clear_log();
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 404);
    assert_eq!(
        registry.lines(),
        ["HEAD app/manifests/1", "GET app/manifests/1"]
    );
    assert_eq!(
        proxy
            .get(&format!("/v2/app/manifests/{}", image.digest))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_setting_says_how_long_a_tag_is_believed() {
    for (freshness, heads) in [
        (Freshness::Always, 3),
        (Freshness::Immutable, 0),
        (Freshness::For(TEN_MINUTES), 1),
    ] {
        let registry = FakeRegistry::start().await;
        Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
        let proxy = TestProxy::builder()
            .upstream("up.test", &registry)
            .freshness(freshness)
            .start()
            .await;
        proxy.get("/v2/app/manifests/1").await.body().await;
        proxy.advance(Duration::from_hours(1_000));
        for _ in 0..3 {
            assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 200);
        }
        assert_eq!(registry.count(Kind::ManifestHead), heads, "{freshness:?}");
    }
}

#[tokio::test]
async fn a_new_manifest_that_is_not_there_by_digest_does_not_take_the_tag_away() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    let new = Image::with_layers([noise(2, 10)]).push_as(&repository, "1");
    proxy.advance(SURELY_STALE);
    // A replica that lags: the tag is there, what it points to is not, but for the tag itself.
    registry.inject(
        Fault::on(Kind::ManifestGet)
            .of(&new.digest)
            .once()
            .status(404),
    );
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        new.bytes
    );
}

#[tokio::test]
async fn a_tag_that_was_fetched_for_a_client_that_left_is_remembered() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let gate = registry.inject(Fault::on(Kind::ManifestGet).stall_before_headers());
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let asking =
        tokio::spawn(async move { client.get("/v2/app/manifests/1").try_send().await.is_ok() });
    gate.reached().await;
    asking.abort();
    asking.await.unwrap_err();
    gate.open();
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 200);
    assert_eq!(registry.count(Kind::ManifestGet), 1);
}

#[tokio::test]
async fn a_refusal_does_not_take_a_public_tag_away_for_a_day() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    registry.inject(Fault::everywhere().status(403));
    proxy.advance(Duration::from_hours(23));
    let reply = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(
        reply.header("cache-status"),
        Some("larder; hit; detail=stale_denied")
    );
    // The day begins when the tag is not fresh any more.
    proxy.advance(SURELY_STALE + Duration::from_hours(1));
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 404);
}

#[tokio::test]
async fn an_old_answer_says_so_to_old_clients_too() {
    let registry = FakeRegistry::start().await;
    let index = Index::of([("linux/amd64", Image::with_layers([noise(1, 10)]))]);
    index.push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let ask = async || {
        client
            .get("/v2/app/manifests/1")
            .header("accept", MediaType::OCI_MANIFEST)
            .send()
            .await
    };
    assert_eq!(ask().await.status, 200);
    registry.stop().await;
    proxy.advance(Duration::from_hours(1));
    let reply = ask().await;
    assert_eq!(
        reply.header("cache-status"),
        Some("larder; hit; detail=stale_unreachable")
    );
    assert!(reply.header("age").is_some());
}

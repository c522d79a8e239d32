//! For how long a tag costs its registry nothing.

use std::time::Duration;

use larder::cache::freshness::{Freshness, Keys};

use super::{STALE, TAG, outcome, push};
use crate::support::{FakeRegistry, TestProxy};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn what_a_tag_looks_like_says_how_often_it_is_asked_for() {
    for (tag, fresh, stale) in [
        ("latest", SECOND * 4, SECOND * 6),
        ("develop", SECOND * 4, SECOND * 6),
        ("sha256-0123.sig", SECOND * 53, SECOND * 67),
        ("3.20", MINUTE * 8, MINUTE * 12),
        ("v1.2.3-alpine", HOUR * 21, HOUR * 27),
    ] {
        let registry = FakeRegistry::start().await;
        push(&registry, tag, 1);
        let proxy = TestProxy::builder()
            .upstream("up.test", &registry)
            .usual_contract();
        let proxy = proxy.start().await;
        let path = format!("/v2/app/manifests/{tag}");
        proxy.get(&path).await.body().await;
        registry.clear_log();
        proxy.advance(fresh);
        assert_eq!(outcome(&proxy, &path).await, (200, "hit".into()), "{tag}");
        assert_eq!(registry.lines(), Vec::<String>::new(), "{tag}");
        proxy.advance(stale - fresh);
        let revalidated = "fwd=stale; detail=revalidated";
        assert_eq!(
            outcome(&proxy, &path).await,
            (200, revalidated.into()),
            "{tag}"
        );
        assert_eq!(registry.lines(), [format!("HEAD app/manifests/{tag}")]);
    }
}

#[tokio::test]
async fn what_only_a_login_sees_is_asked_for_after_seconds() {
    let registry = FakeRegistry::builder()
        .bearer()
        .user("acme", "word")
        .start()
        .await;
    push(&registry, "1.2.3", 1);
    registry.repository("app").make_private_to(&["acme"]);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .login("acme", "word")
        .usual_contract();
    let proxy = proxy.start().await;
    let path = "/v2/app/manifests/1.2.3";
    proxy.get(path).await.body().await;
    proxy.advance(SECOND * 4);
    assert_eq!(outcome(&proxy, path).await, (200, "hit".into()));
    proxy.advance(SECOND * 2);
    let revalidated = "fwd=stale; detail=revalidated";
    assert_eq!(outcome(&proxy, path).await, (200, revalidated.into()));
}

#[tokio::test]
async fn the_first_rule_that_fits_a_tag_counts() {
    let registry = FakeRegistry::start().await;
    push(&registry, "v1", 1);
    push(&registry, "moving", 1);
    let fresh = |freshness| Keys {
        freshness: Some(freshness),
        ..Keys::default()
    };
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .tag_rule("app:v*", fresh(Freshness::Immutable))
        .tag_rule("app:**", fresh(Freshness::Always));
    let mut proxy = proxy.start().await;
    for tag in ["v1", "moving"] {
        proxy
            .get(&format!("/v2/app/manifests/{tag}"))
            .await
            .body()
            .await;
    }
    for _ in 0..2 {
        registry.clear_log();
        proxy.advance(STALE);
        let revalidated = "fwd=stale; detail=revalidated";
        for (tag, came) in [("v1", "hit"), ("moving", revalidated)] {
            let path = format!("/v2/app/manifests/{tag}");
            assert_eq!(outcome(&proxy, &path).await, (200, came.into()), "{tag}");
        }
        assert_eq!(registry.lines(), ["HEAD app/manifests/moving"]);
        proxy = proxy.restart().await;
    }
}

#[tokio::test]
async fn a_tag_of_which_only_the_head_came_is_asked_for_again_when_its_manifest_is_gone() {
    let registry = FakeRegistry::start().await;
    let old = push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .freshness(Freshness::Immutable);
    let proxy = proxy.start().await;
    assert_eq!(proxy.head(TAG).await.status, 200);
    let new = push(&registry, "1", 2);
    registry.repository("app").remove_manifest(&old.digest);
    let reply = proxy.get(TAG).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body().await, new.bytes);
    assert_eq!(outcome(&proxy, TAG).await, (200, "hit".into()));
}

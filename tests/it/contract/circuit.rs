//! A registry that fails again and again is left alone, and found again without a client.

use std::time::Duration;

use larder::upstream::CircuitLimits;

use super::{STALE, TAG, outcome, push};
use crate::support::{FakeRegistry, Kind, TestProxy, within};

/// Whether the registry rests, as the metrics say it.
const RESTING: &str = r#"upstream_resting{upstream="up.test"}"#;

async fn larder(registry: &FakeRegistry, first_rest: Duration) -> TestProxy {
    let builder = TestProxy::builder().upstream("up.test", registry);
    let builder = builder.limits(|limits| {
        limits.circuit = CircuitLimits {
            failures: 2,
            within: Duration::from_mins(1),
            first_rest,
            longest_rest: first_rest,
        };
    });
    builder.start().await
}

/// Asks for a tag until the registry is left alone.
async fn open(proxy: &TestProxy) {
    while proxy.counted(RESTING) != Some(1) {
        let stale = (200, "stale_unreachable".to_owned());
        assert_eq!(outcome(proxy, TAG).await, stale);
    }
}

#[tokio::test]
async fn a_registry_that_rests_is_not_asked_and_what_is_here_goes_out() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = larder(&registry, Duration::from_hours(1)).await;
    proxy.get(TAG).await.body().await;
    proxy.advance(STALE);
    registry.stop().await;
    open(&proxy).await;
    registry.restart().await;
    registry.clear_log();
    for _ in 0..3 {
        let stale = (200, "stale_unreachable".to_owned());
        assert_eq!(outcome(&proxy, TAG).await, stale);
        let missing = proxy.get("/v2/app/manifests/2").await;
        assert_eq!(missing.status, 502);
        assert!(missing.header("retry-after").is_some());
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_is_found_again_without_a_client() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = larder(&registry, Duration::from_millis(20)).await;
    proxy.get(TAG).await.body().await;
    proxy.advance(STALE);
    registry.stop().await;
    open(&proxy).await;
    registry.clear_log();
    registry.restart().await;
    let found = async {
        while proxy.counted(RESTING) != Some(0) {
            tokio::task::yield_now().await;
        }
    };
    within("the registry is found again", found).await;
    assert!(registry.count(Kind::Ping) >= 1);
    assert_eq!(registry.count([Kind::ManifestHead, Kind::ManifestGet]), 0);
    let revalidated = "fwd=stale; detail=revalidated";
    assert_eq!(outcome(&proxy, TAG).await, (200, revalidated.into()));
}

//! Where tags pointed before.

use std::time::Duration;

use larder::addressing::Origin;
use larder::cache::freshness::StaleLimit;
use larder::cache::tag::TagHistory;

use super::{STALE, TAG, push};
use crate::support::{FakeRegistry, Fault, Kind, TestProxy};

async fn histories(proxy: &TestProxy) -> Vec<TagHistory> {
    let origin = Origin {
        upstream: "up.test".parse().unwrap(),
        repository: "app".parse().unwrap(),
    };
    let tag = "1".parse().unwrap();
    proxy
        .cache()
        .manifests
        .history(&origin, &tag)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_tag_remembers_where_it_pointed_also_after_a_restart() {
    let registry = FakeRegistry::start().await;
    let mut proxy = TestProxy::of(&registry).await;
    assert_eq!(histories(&proxy).await, []);
    let mut digests = Vec::new();
    for number in 1..=3 {
        digests.push(push(&registry, "1", number).digest);
        proxy.get(TAG).await.body().await;
        proxy.advance(STALE);
        // It is seen a second time, and does not move.
        proxy.get(TAG).await.body().await;
        proxy.advance(STALE);
        proxy = proxy.restart().await;
    }
    let histories = histories(&proxy).await;
    assert_eq!(histories.len(), 1);
    let history = &histories[0];
    assert!(history.is_present);
    let found: Vec<_> = history.moves.iter().map(|seen| seen.digest).collect();
    assert_eq!(found, digests);
    for seen in &history.moves {
        assert_eq!(seen.last_seen.since(seen.first_seen), STALE);
    }
    for pair in history.moves.windows(2) {
        assert_eq!(pair[1].first_seen.since(pair[0].last_seen), STALE);
    }
}

#[tokio::test]
async fn a_tag_that_was_taken_away_keeps_its_history() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    let first = push(&registry, "1", 1);
    proxy.get(TAG).await.body().await;
    registry.repository("app").remove_tag("1");
    proxy.advance(STALE);
    assert_eq!(proxy.get(TAG).await.status, 404);
    let gone = histories(&proxy).await;
    assert_eq!((gone[0].moves.len(), gone[0].is_present), (1, false));
    let second = push(&registry, "1", 2);
    proxy.advance(Duration::from_secs(16));
    proxy.get(TAG).await.body().await;
    let back = histories(&proxy).await;
    let digests: Vec<_> = back[0].moves.iter().map(|seen| seen.digest).collect();
    assert_eq!(digests, [first.digest, second.digest]);
    assert!(back[0].is_present);
}

#[tokio::test]
async fn a_tag_that_outlasts_its_absence_is_not_said_to_be_present() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.stale_on_not_found = Some(StaleLimit::Unlimited));
    let proxy = proxy.start().await;
    proxy.get(TAG).await.body().await;
    registry.repository("app").remove_tag("1");
    proxy.advance(STALE);
    assert_eq!(proxy.get(TAG).await.status, 200);
    let gone = histories(&proxy).await;
    assert_eq!((gone[0].moves.len(), gone[0].is_present), (1, false));
}

#[tokio::test]
async fn a_head_and_a_get_at_once_lose_no_move() {
    let registry = FakeRegistry::start().await;
    let first = push(&registry, "1", 1);
    let proxy = TestProxy::of(&registry).await;
    let gate = registry.inject(Fault::on(Kind::ManifestGet).stall_before_headers());
    let get = async { proxy.get(TAG).await.body().await };
    let head = async {
        gate.reached().await;
        let head = proxy.head(TAG).await;
        assert_eq!(
            head.header("docker-content-digest"),
            Some(first.digest.to_string().as_str())
        );
        proxy.advance(STALE);
        let second = push(&registry, "1", 2);
        gate.open();
        second
    };
    let (bytes, second) = tokio::join!(get, head);
    let found = histories(&proxy).await;
    let digests: Vec<_> = found[0].moves.iter().map(|seen| seen.digest).collect();
    if bytes == second.bytes {
        assert_eq!(digests, [first.digest, second.digest]);
    } else {
        assert_eq!(digests, [first.digest]);
        let seen = found[0].moves[0];
        assert_eq!(seen.last_seen.since(seen.first_seen), STALE);
    }
}

//! `larder refresh`.

use larder::oci::Digest;
use serde_json::json;

use super::{Larder, UPSTREAM};
use crate::support::{FakeRegistry, Fault, Image, Kind, noise};

/// A registry with an image, tagged `1`.
async fn registry() -> (FakeRegistry, Digest) {
    let registry = FakeRegistry::start().await;
    let pushed = push(&registry, 1);
    (registry, pushed)
}

/// Pushes another image, and moves the tag there.
fn push(registry: &FakeRegistry, seed: u64) -> Digest {
    let image = Image::with_layers([noise(seed, 10)]);
    image.push_as(&registry.repository("org/app"), "1").digest
}

#[tokio::test]
async fn the_running_larder_asks_now_and_serves_what_it_learns() {
    let (registry, first) = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    running.pull("org/app", "1").await;
    let refresh = ["refresh", "org/app:1"];
    let same = larder.operate(&refresh).await.answer();
    assert_eq!(
        same,
        format!("up.test/org/app:1: unchanged\n  now     {first}\n")
    );

    let second = push(&registry, 2);
    let asked = registry.count([Kind::ManifestHead, Kind::ManifestGet]);
    let moved = larder.operate(&refresh).await.answer();
    let told = format!("up.test/org/app:1: moved\n  before  {first}\n  now     {second}\n");
    assert_eq!(moved, told);
    let now = registry.count([Kind::ManifestHead, Kind::ManifestGet]);
    assert_eq!(now - asked, 2, "a HEAD, and a GET of what is new");
    let reply = running.client().get("/v2/org/app/manifests/1").send().await;
    let digest = second.to_string();
    assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
    let later = registry.count([Kind::ManifestHead, Kind::ManifestGet]);
    assert_eq!(later, now, "it is fresh");
    running.stop().await;
}

#[tokio::test]
async fn without_a_running_larder_it_is_done_in_the_folder() {
    let (registry, first) = registry().await;
    let larder = Larder::knowing(&registry);
    let document = |before: Option<Digest>, now: Digest, change: &str| {
        json!({
            "registry": UPSTREAM, "repository": "org/app", "tag": "1",
            "variants": [{"class": "index", "before": before, "now": now, "change": change}],
        })
    };
    let refresh = ["refresh", "up/org/app:1", "--output", "json"];
    let new = larder.operate(&refresh).await.json();
    assert_eq!(new, document(None, first, "new"));
    let second = push(&registry, 2);
    let moved = larder.operate(&refresh).await.json();
    assert_eq!(moved, document(Some(first), second, "moved"));
    let same = larder.operate(&refresh).await.json();
    assert_eq!(same, document(Some(second), second, "unchanged"));
}

#[tokio::test]
async fn what_the_registry_does_not_confirm_is_a_failure() {
    let (registry, _) = registry().await;
    // However slow this machine is, the registry's word is waited for.
    let larder = Larder::knowing(&registry).and("answer_within = '10s'");
    let running = larder.serve().await;
    running.pull("org/app", "1").await;
    for (fault, code, told) in [
        (Fault::everywhere().status(503), 3, "is in trouble"),
        (
            Fault::everywhere().status(403),
            4,
            "its registry refuses us",
        ),
    ] {
        registry.inject(fault);
        let done = larder.operate(&["refresh", "org/app:1"]).await;
        let talk = done.failure(code);
        assert!(
            talk.contains("up.test/org/app:1 was not confirmed"),
            "{talk}"
        );
        assert!(talk.contains(told), "{talk}");
        registry.clear_faults();
    }
    registry.repository("org/app").remove_tag("1");
    let talk = larder.operate(&["refresh", "org/app:1"]).await.failure(5);
    let told = "error: up.test/org/app:1: the registry has no such manifest\n";
    assert!(talk.contains(told), "{talk}");
    assert!(talk.contains("\nhint: `larder inspect`"), "{talk}");
    let offline = larder.operate(&["upstream", UPSTREAM, "offline"]).await;
    offline.answer();
    let talk = larder.operate(&["refresh", "org/app:1"]).await.failure(3);
    assert!(talk.contains("offline"), "{talk}");
    running.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_offline_confirms_nothing_however_fresh_the_tag_is() {
    let (registry, _) = registry().await;
    let larder = Larder::knowing(&registry).and("freshness = '24h'");
    let running = larder.serve().await;
    running.pull("org/app", "1").await;
    let offline = larder.operate(&["upstream", UPSTREAM, "offline"]).await;
    offline.answer();
    let asked = registry.requests().len();
    let talk = larder.operate(&["refresh", "org/app:1"]).await.failure(3);
    let told = "up.test/org/app:1 was not asked for: larder is offline for its registry";
    assert!(talk.contains(told), "{talk}");
    assert_eq!(registry.requests().len(), asked);
    running.stop().await;
}

#[tokio::test]
async fn only_tags_can_be_refreshed() {
    let (registry, digest) = registry().await;
    let larder = Larder::knowing(&registry);
    let image = format!("org/app@{digest}");
    let talk = larder.operate(&["refresh", &image]).await.failure(2);
    assert!(talk.contains("what a digest names never changes"), "{talk}");
    let talk = larder
        .operate(&["refresh", "other.test/app:1"])
        .await
        .failure(3);
    assert!(talk.contains("other.test is not configured here"), "{talk}");
    assert_eq!(registry.requests().len(), 0);
}

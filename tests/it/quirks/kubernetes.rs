//! The registry of Kubernetes, where everything is somewhere else.

use super::{expect_no_secrets, pull, push, refusal};
use crate::support::fake::Builder;
use crate::support::{FakeRegistry, Kind, TestProxy};

/// Starts the registry, the one of the region and the bucket.
async fn start(regional: Builder) -> [FakeRegistry; 3] {
    let regional = regional.start().await;
    let storage = FakeRegistry::builder().content_of(&regional).start().await;
    let registry = FakeRegistry::registry_k8s_io(&regional, &storage);
    [registry.start().await, regional, storage]
}

const PAUSE: &str = "k8s-artifacts-prod/images/pause";

#[tokio::test]
async fn registry_k8s_io_sends_to_another_registry_and_to_a_bucket() {
    let [registry, regional, storage] = start(FakeRegistry::builder()).await;
    let image = push(&regional, PAUSE, "3.9");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "pause", "3.9", &image).await;
    assert_eq!(registry.count(Kind::Token), 0);
    assert_eq!(storage.count(Kind::Storage), 3);
    for place in [&registry, &regional, &storage] {
        expect_no_secrets(place);
    }
}

#[tokio::test]
async fn registry_k8s_io_absence_is_told_by_the_other_registry() {
    let [registry, regional, _storage] = start(FakeRegistry::builder()).await;
    push(&regional, PAUSE, "3.9");
    let proxy = TestProxy::of(&registry).await;
    let reply = proxy.get("/v2/pause/manifests/none").await;
    let expected = (404, "MANIFEST_UNKNOWN".to_owned());
    assert_eq!(refusal(reply).await, expected);
}

#[tokio::test]
async fn registry_k8s_io_may_send_to_a_registry_with_tokens_of_its_own() {
    let [registry, regional, storage] = start(FakeRegistry::builder().bearer()).await;
    let image = push(&regional, PAUSE, "3.9");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "pause", "3.9", &image).await;
    // Only the one that wants a token is shown one, for the name that it knows.
    for place in [&registry, &storage] {
        expect_no_secrets(place);
    }
    let tokens = regional.requests();
    let token = tokens.iter().find(|request| request.kind == Kind::Token);
    let scope = token.unwrap().query("scope");
    assert_eq!(scope, [format!("repository:{PAUSE}:pull")]);
    // What it refuses is absent, too.
    push(&regional, "k8s-artifacts-prod/images/hidden", "1");
    let hidden = regional.repository("k8s-artifacts-prod/images/hidden");
    hidden.make_private();
    let reply = proxy.get("/v2/hidden/manifests/1").await;
    let expected = (404, "MANIFEST_UNKNOWN".to_owned());
    assert_eq!(refusal(reply).await, expected);
}

#[tokio::test]
async fn registry_k8s_io_bucket_that_lacks_a_blob_makes_no_absence() {
    let [registry, regional, _storage] = start(FakeRegistry::builder()).await;
    push(&regional, PAUSE, "3.9");
    let proxy = TestProxy::of(&registry).await;
    let digest = format!("sha256:{}", "a".repeat(64));
    let reply = proxy.get(&format!("/v2/pause/blobs/{digest}")).await;
    assert_eq!(reply.status, 502);
}

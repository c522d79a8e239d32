//! Registries of clouds that let anybody in.

use super::{expect_absence, expect_no_secrets, pull, push};
use crate::support::{FakeRegistry, Kind, TestProxy};

#[tokio::test]
async fn ecr_public_assumed_gives_images_for_an_anonymous_token() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ecr_public(&storage).start().await;
    let image = push(&registry, "acme/app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "acme/app", "1", &image).await;
    expect_absence(&proxy, "acme/app", "none").await;
    expect_absence(&proxy, "acme/none", "1").await;
    assert_eq!(registry.count(Kind::Token), 2, "one for each repository");
    assert_eq!(registry.requests()[1].path, "/token/");
}

#[tokio::test]
async fn mcr_assumed_wants_no_token() {
    let regional = FakeRegistry::start().await;
    let registry = FakeRegistry::mcr(&regional).start().await;
    let image = push(&registry, "dotnet/runtime", "8.0");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "dotnet/runtime", "8.0", &image).await;
    expect_absence(&proxy, "dotnet/none", "1").await;
    assert_eq!(registry.count([Kind::Token, Kind::Ping]), 0);
    expect_no_secrets(&registry);
}

#[tokio::test]
async fn mcr_assumed_redirects_to_a_regional_host() {
    let regional = FakeRegistry::start().await;
    let registry = FakeRegistry::mcr(&regional).start().await;
    let image = push(&registry, "dotnet/runtime", "8.0");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "dotnet/runtime", "8.0", &image).await;
    assert_eq!(regional.count(Kind::Storage), 3);
}

#[tokio::test]
async fn quay_gives_images_for_a_token_from_below_its_own_api() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::quay(&storage).start().await;
    let image = push(&registry, "acme/app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "acme/app", "1", &image).await;
    expect_absence(&proxy, "acme/app", "none").await;
    let token = &registry.requests()[1];
    assert_eq!((token.kind, &*token.path), (Kind::Token, "/v2/auth"));
    assert_eq!(token.query("scope"), ["repository:acme/app:pull"]);
}

#[tokio::test]
async fn quay_assumed_redirects_to_a_content_network() {
    for status in [302, 303] {
        let storage = FakeRegistry::start().await;
        let registry = FakeRegistry::quay(&storage);
        let registry = registry.blobs_at(&storage, status).start().await;
        let image = push(&registry, "acme/app", "1");
        let proxy = TestProxy::of(&registry).await;
        pull(&proxy, "acme/app", "1", &image).await;
        assert_eq!(storage.count(Kind::Storage), 3);
        expect_no_secrets(&storage);
    }
}

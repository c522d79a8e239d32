//! GitHub's registry without a login.

use super::{expect_absence, expect_no_secrets, pull, push};
use crate::support::{FakeRegistry, Kind, TestProxy};

#[tokio::test]
async fn ghcr_gives_public_images_for_an_anonymous_token() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ghcr(&storage).start().await;
    let image = push(&registry, "acme/app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "acme/app", "1", &image).await;
    assert_eq!(registry.count(Kind::Token), 1);
    expect_no_secrets(&storage);
}

#[tokio::test]
async fn ghcr_refuses_tokens_for_what_is_absent_and_larder_says_404() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ghcr(&storage).start().await;
    push(&registry, "acme/app", "1");
    push(&registry, "acme/hidden", "1");
    registry.repository("acme/hidden").make_private();
    let proxy = TestProxy::of(&registry).await;
    expect_absence(&proxy, "acme/app", "none").await;
    expect_absence(&proxy, "acme/none", "1").await;
    expect_absence(&proxy, "acme/hidden", "1").await;
}

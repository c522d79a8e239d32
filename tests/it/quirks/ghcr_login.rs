//! GitHub's registry with a personal access token, which is a password.

use super::{expect_absence, expect_logins_at_tokens_only, expect_no_secrets, pull, push};
use crate::support::{FakeRegistry, TestProxy};

#[tokio::test]
async fn ghcr_refusal_of_a_token_puts_no_login_in_doubt() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ghcr(&storage).user("acme", "ghp_secret");
    let registry = registry.start().await;
    let proxy = TestProxy::builder()
        .upstream("ghcr.io", &registry)
        .login("acme", "ghp_secret")
        .shares("**")
        .start()
        .await;
    // Whether the login is wrong or the package is absent looks the same at first.
    for name in ["acme/none", "acme/nothing", "acme/null"] {
        expect_absence(&proxy, name, "1").await;
    }
    let image = push(&registry, "acme/hidden", "1");
    registry
        .repository("acme/hidden")
        .make_private_to(&["acme"]);
    pull(&proxy, "acme/hidden", "1", &image).await;
    assert_eq!(registry.users().logins().wrong, 0);
    expect_logins_at_tokens_only(&registry, "acme");
    expect_no_secrets(&storage);
}

#[tokio::test]
async fn ghcr_login_that_is_wrong_is_left_alone_and_public_images_go_on() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ghcr(&storage).user("acme", "ghp_secret");
    let registry = registry.start().await;
    let proxy = TestProxy::builder()
        .upstream("ghcr.io", &registry)
        .login("acme", "ghp_revoked")
        .start()
        .await;
    for name in ["acme/one", "acme/two", "acme/three", "acme/four"] {
        let image = push(&registry, name, "1");
        pull(&proxy, name, "1", &image).await;
    }
    let wrong = registry.users().logins().wrong;
    assert!((1..=4).contains(&wrong), "{wrong} wrong logins");
}

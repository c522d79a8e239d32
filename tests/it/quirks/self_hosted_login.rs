//! Registries that people run themselves, and Red Hat's, with logins.

use super::{expect_absence, expect_logins_at_tokens_only, expect_no_secrets, pull, push, refusal};
use crate::support::proxy::TestProxyBuilder;
use crate::support::{FakeRegistry, TestProxy};

/// A larder with a login at this registry.
fn logged_in(registry: &FakeRegistry, user: &str, password: &str) -> TestProxyBuilder {
    TestProxy::builder()
        .upstream("up.test", registry)
        .login(user, password)
        .shares("**")
}

#[tokio::test]
async fn red_hat_io_wants_a_login_always_and_has_its_own_words_for_absence() {
    let registry = FakeRegistry::red_hat_io().user("123|robot", "secret");
    let registry = registry.start().await;
    let image = push(&registry, "ubi9/ubi", "9.4");
    let proxy = TestProxy::of(&registry).await;
    expect_absence(&proxy, "ubi9/ubi", "9.4").await;
    let proxy = logged_in(&registry, "123|robot", "secret").start().await;
    pull(&proxy, "ubi9/ubi", "9.4", &image).await;
    expect_absence(&proxy, "ubi9/ubi", "none").await;
    expect_absence(&proxy, "ubi9/none", "1").await;
    assert_eq!(registry.users().logins().wrong, 0);
    expect_logins_at_tokens_only(&registry, "123|robot");
}

#[tokio::test]
async fn open_shift_takes_any_name_with_a_token() {
    let registry = FakeRegistry::open_shift("sha256~secret").start().await;
    let image = push(&registry, "project/app", "1");
    registry.repository("project/app").make_private();
    for user in ["developer", "unused"] {
        let proxy = logged_in(&registry, user, "sha256~secret").start().await;
        pull(&proxy, "project/app", "1", &image).await;
        expect_absence(&proxy, "project/app", "none").await;
        expect_logins_at_tokens_only(&registry, user);
        registry.clear_log();
    }
    assert_eq!(registry.users().logins().wrong, 0);
}

#[tokio::test]
async fn harbor_robot_is_logged_in() {
    let registry = FakeRegistry::harbor().user("robot$acme+ci", "secret");
    let registry = registry.start().await;
    let image = push(&registry, "library/hidden", "1");
    registry.repository("library/hidden").make_private();
    let proxy = logged_in(&registry, "robot$acme+ci", "secret")
        .start()
        .await;
    pull(&proxy, "library/hidden", "1", &image).await;
    expect_absence(&proxy, "library/hidden", "none").await;
    expect_logins_at_tokens_only(&registry, "robot$acme+ci");
}

#[tokio::test]
async fn artifactory_absence_puts_no_login_in_doubt() {
    let registry = FakeRegistry::artifactory().user("acme", "secret");
    let registry = registry.start().await;
    let proxy = logged_in(&registry, "acme", "secret").start().await;
    for name in ["docker-remote/none", "docker-remote/nothing"] {
        expect_absence(&proxy, name, "1").await;
    }
    let image = push(&registry, "docker-remote/hidden", "1");
    registry.repository("docker-remote/hidden").make_private();
    pull(&proxy, "docker-remote/hidden", "1", &image).await;
    assert_eq!(registry.users().logins().wrong, 0);
    expect_logins_at_tokens_only(&registry, "acme");
}

#[tokio::test]
async fn gitlab_assumed_login_goes_to_the_host_that_is_listed() {
    let storage = FakeRegistry::start().await;
    let issuer = FakeRegistry::gitlab_tokens().user("deploy", "secret");
    let issuer = issuer.start().await;
    let registry = FakeRegistry::gitlab(&issuer, &storage).start().await;
    let image = push(&registry, "group/hidden", "1");
    registry
        .repository("group/hidden")
        .make_private_to(&["deploy"]);

    // The host of the tokens is another one, and not of the same domain: it is asked without the login.
    let proxy = logged_in(&registry, "deploy", "secret").start().await;
    let hidden = proxy.get("/v2/group/hidden/manifests/1").await;
    assert_eq!(refusal(hidden).await, (502, "DENIED".to_owned()));
    expect_no_secrets(&issuer);

    let host = issuer.host();
    let proxy = logged_in(&registry, "deploy", "secret");
    let proxy = proxy.with(|settings| settings.token_hosts.push(host.as_str().into()));
    let proxy = proxy.start().await;
    pull(&proxy, "group/hidden", "1", &image).await;
    expect_logins_at_tokens_only(&issuer, "deploy");
    expect_no_secrets(&storage);
    let shown = registry.requests();
    let shown = shown.iter().filter_map(|request| request.authorization());
    assert!(shown.into_iter().all(|shown| shown.starts_with("Bearer ")));
}

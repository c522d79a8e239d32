//! Registries of clouds with logins.

use larder::upstream::{CredentialSource, Secret, SecretSource};

use super::{expect_absence, expect_logins_at_tokens_only, expect_no_secrets, pull, push};
use crate::support::fake::ACR_TOKEN_USER;
use crate::support::{FakeRegistry, Kind, TestProxy};

/// Pulls a private image with a user and a password.
async fn pull_private(registry: &FakeRegistry, user: &str, password: &str) {
    let image = push(registry, "acme/hidden", "1");
    registry.repository("acme/hidden").make_private();
    let proxy = TestProxy::builder()
        .upstream("up.test", registry)
        .login(user, password)
        .shares("**")
        .start()
        .await;
    pull(&proxy, "acme/hidden", "1", &image).await;
    expect_absence(&proxy, "acme/hidden", "none").await;
    assert_eq!(registry.users().logins().wrong, 0);
}

fn posts(registry: &FakeRegistry) -> usize {
    let requests = registry.requests();
    let posts = requests.iter().filter(|request| request.method == "POST");
    posts.count()
}

#[tokio::test]
async fn gcr_login_goes_by_get_after_a_ping() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::gcr(&storage).user("_json_key", "{\"type\": \"service_account\"}");
    let registry = registry.start().await;
    pull_private(&registry, "_json_key", "{\"type\": \"service_account\"}").await;
    expect_logins_at_tokens_only(&registry, "_json_key");
    expect_no_secrets(&storage);
    assert_eq!((posts(&registry), registry.count(Kind::Ping)), (0, 1));
}

#[tokio::test]
async fn ecr_private_password_goes_to_the_registry_and_not_to_the_bucket() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ecr_private(&storage, "secret").start().await;
    pull_private(&registry, "AWS", "secret").await;
    expect_no_secrets(&storage);
    assert_eq!(registry.count(Kind::Token), 0);
    // Once it is known that the password is wanted, it is shown unasked.
    let requests = registry.requests();
    let bare = requests.iter().filter(|request| request.user().is_none());
    let bare: Vec<_> = bare.map(ToString::to_string).collect();
    assert!(bare.len() <= 2, "{bare:?}");
}

#[tokio::test]
async fn ecr_private_without_a_password_is_an_absence() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ecr_private(&storage, "secret").start().await;
    push(&registry, "acme/hidden", "1");
    let proxy = TestProxy::of(&registry).await;
    expect_absence(&proxy, "acme/hidden", "1").await;
}

#[tokio::test]
async fn ecr_private_password_that_ran_out_is_read_again() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::ecr_private(&storage, "morning").start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "morning").unwrap();
    let source = CredentialSource::Password {
        username: "AWS".into(),
        password: SecretSource::File(file.clone()),
        next: None,
    };
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .credential("**", source)
        .shares("**")
        .start()
        .await;
    for (name, password) in [("acme/one", "morning"), ("acme/two", "evening, and longer")] {
        std::fs::write(&file, password).unwrap();
        registry.users().set_password("AWS", password);
        let image = push(&registry, name, "1");
        pull(&proxy, name, "1", &image).await;
    }
    assert!(registry.users().logins().wrong <= 2);
}

#[tokio::test]
async fn acr_identity_token_is_posted() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::acr(&storage, "refresh/1+2=").start().await;
    let image = push(&registry, "acme/hidden", "1");
    registry
        .repository("acme/hidden")
        .make_private_to(&["acme"]);
    let token = SecretSource::Value(Secret::new("refresh/1+2="));
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .credential("**", CredentialSource::IdentityToken(token))
        .shares("**")
        .start()
        .await;
    pull(&proxy, "acme/hidden", "1", &image).await;
    let requests = registry.requests();
    let post = requests.iter().find(|request| request.method == "POST");
    let post = post.unwrap();
    assert_eq!(post.path, "/oauth2/token");
    assert_eq!(post.form("scope"), ["repository:acme/hidden:pull"]);
    assert_eq!(post.form("service"), ["acme.azurecr.io"]);
    assert_eq!(registry.users().logins().wrong, 0);
    expect_no_secrets(&storage);
}

#[tokio::test]
async fn acr_password_is_not_posted() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::acr(&storage, "refresh").user("principal", "secret");
    let registry = registry.start().await;
    pull_private(&registry, "principal", "secret").await;
    expect_logins_at_tokens_only(&registry, "principal");
    assert_eq!(posts(&registry), 0);
}

#[tokio::test]
async fn acr_assumed_identity_token_is_the_password_of_a_user() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::acr(&storage, "refresh").start().await;
    pull_private(&registry, ACR_TOKEN_USER, "refresh").await;
    expect_logins_at_tokens_only(&registry, ACR_TOKEN_USER);
}

#[tokio::test]
async fn quay_robot_has_a_plus_in_its_name() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::quay(&storage).user("acme+robot", "secret");
    let registry = registry.start().await;
    pull_private(&registry, "acme+robot", "secret").await;
    expect_logins_at_tokens_only(&registry, "acme+robot");
    let requests = registry.requests();
    let accounts: Vec<_> = requests
        .iter()
        .flat_map(|request| request.query("account"))
        .collect();
    assert!(
        accounts.iter().all(|account| account == "acme+robot"),
        "{accounts:?}"
    );
}

#[tokio::test]
async fn nvcr_assumed_user_has_a_dollar_in_its_name() {
    let registry = FakeRegistry::nvcr().user("$oauthtoken", "nvapi-secret");
    let registry = registry.start().await;
    pull_private(&registry, "$oauthtoken", "nvapi-secret").await;
    expect_logins_at_tokens_only(&registry, "$oauthtoken");
}

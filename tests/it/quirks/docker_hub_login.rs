//! Docker Hub with a login.

use larder::upstream::{CredentialSource, SecretSource};

use super::{expect_absence, expect_logins_at_tokens_only, expect_no_secrets, pull, push, refusal};
use crate::support::fake::Logins;
use crate::support::{FakeRegistry, Kind, TestProxy};

async fn start() -> [FakeRegistry; 2] {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).user("acme", "s:cret");
    [registry.start().await, storage]
}

#[tokio::test]
async fn docker_hub_login_is_shown_to_the_token_service_alone() {
    let [registry, storage] = start().await;
    let image = push(&registry, "acme/hidden", "1");
    registry
        .repository("acme/hidden")
        .make_private_to(&["acme"]);
    let proxy = TestProxy::builder()
        .upstream("docker.io", &registry)
        .login("acme", "s:cret")
        .shares("**")
        .start()
        .await;
    pull(&proxy, "acme/hidden", "1", &image).await;
    expect_logins_at_tokens_only(&registry, "acme");
    expect_no_secrets(&storage);
    let requests = registry.requests();
    let login = requests.iter().find(|request| request.user().is_some());
    let login = login.unwrap();
    assert_eq!(login.query("scope"), ["repository:acme/hidden:pull"]);
    assert_eq!(login.query("account"), ["acme"]);
    // The pull is the user's, not one of everybody at this address.
    assert_eq!(registry.quota().remaining(Some("acme")), 99);
    assert_eq!(registry.quota().remaining(None), 100);
    expect_absence(&proxy, "acme/none", "1").await;
    assert_eq!(registry.users().logins().wrong, 0);
}

#[tokio::test]
async fn docker_hub_login_that_is_wrong_is_left_alone_and_public_images_go_on() {
    let [registry, _storage] = start().await;
    let proxy = TestProxy::builder()
        .upstream("docker.io", &registry)
        .login("acme", "wrong")
        .start()
        .await;
    for name in ["one", "two", "three", "four"] {
        let image = push(&registry, &format!("library/{name}"), "1");
        pull(&proxy, name, "1", &image).await;
    }
    push(&registry, "acme/hidden", "1");
    registry.repository("acme/hidden").make_private();
    let hidden = proxy.get("/v2/acme/hidden/manifests/1").await;
    assert!(hidden.header("retry-after").is_some());
    let expected = (502, "TOOMANYREQUESTS".to_owned());
    assert_eq!(refusal(hidden).await, expected);
    let Logins { right, wrong } = registry.users().logins();
    assert_eq!(right, 0);
    assert!((1..=4).contains(&wrong), "{wrong} wrong logins");
    assert_eq!(registry.quota().remaining(None), 96);
}

#[tokio::test]
async fn docker_hub_password_that_was_changed_is_followed_by_the_next() {
    let [registry, _storage] = start().await;
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    std::fs::write(&old, "s:cret\n").unwrap();
    std::fs::write(&new, "n:ew\n").unwrap();
    let source = CredentialSource::Password {
        username: "acme".into(),
        password: SecretSource::File(old),
        next: Some(new),
    };
    let proxy = TestProxy::builder()
        .upstream("docker.io", &registry)
        .credential("**", source)
        .shares("**")
        .start()
        .await;
    for (name, password) in [("acme/one", "s:cret"), ("acme/two", "n:ew")] {
        registry.users().set_password("acme", password);
        registry.tokens().revoke_all();
        let image = push(&registry, name, "1");
        registry.repository(name).make_private_to(&["acme"]);
        pull(&proxy, name, "1", &image).await;
    }
    assert!(registry.users().logins().wrong <= 2);
    assert!(registry.count(Kind::Token) >= 2);
}

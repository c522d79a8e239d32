//! What any token service may do with a login: not every one takes it by GET, not every one by POST.

use larder::upstream::CredentialSource;
use tempfile::TempDir;

use super::{pull, push};
use crate::support::{FakeRegistry, TestProxy};

/// Returns the methods by which tokens were asked for with the login of `acme`.
fn methods(registry: &FakeRegistry) -> Vec<String> {
    let requests = registry.requests();
    let tokens = requests.iter().filter(|request| request.path == "/token");
    let with_login =
        tokens.filter(|request| request.method == "POST" || request.user() == Some("acme"));
    with_login
        .map(|request| request.method.to_string())
        .collect()
}

#[tokio::test]
async fn any_token_service_that_takes_no_post_gets_an_identity_token_as_a_password() {
    for status in [400, 401, 404, 405] {
        let registry = FakeRegistry::builder()
            .bearer()
            .user("acme", "refresh")
            .identity("acme", "refresh")
            .tokens(|tokens| tokens.refuse_post(status))
            .start()
            .await;
        let image = push(&registry, "acme/hidden", "1");
        registry.repository("acme/hidden").make_private();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.json");
        // "acme:" in base64, as `docker login` writes it beside an identity token.
        let text = r#"{"auths":{"up.test":{"auth":"YWNtZTo=","identitytoken":"refresh"}}}"#;
        std::fs::write(&file, text).unwrap();
        let proxy = TestProxy::builder()
            .upstream("up.test", &registry)
            .credential("**", CredentialSource::AuthFile(file))
            .shares("**")
            .start()
            .await;
        pull(&proxy, "acme/hidden", "1", &image).await;
        assert_eq!(methods(&registry), ["POST", "GET"], "{status}");
        assert_eq!(registry.users().logins().wrong, 0, "{status}");
    }
}

#[tokio::test]
async fn any_token_service_that_takes_no_get_is_posted_to() {
    for status in [404, 405] {
        let registry = FakeRegistry::builder()
            .bearer()
            .user("acme", "s:cret")
            .tokens(|tokens| tokens.refuse_get(status))
            .start()
            .await;
        let image = push(&registry, "acme/hidden", "1");
        registry.repository("acme/hidden").make_private();
        let proxy = TestProxy::builder()
            .upstream("up.test", &registry)
            .login("acme", "s:cret")
            .shares("**")
            .start()
            .await;
        pull(&proxy, "acme/hidden", "1", &image).await;
        assert_eq!(methods(&registry), ["GET", "POST"], "{status}");
        assert_eq!(registry.users().logins().wrong, 0, "{status}");
    }
}

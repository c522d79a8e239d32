//! Registries that people run themselves.

use super::{expect_absence, expect_no_secrets, pull, push};
use crate::support::{FakeRegistry, Kind, TestProxy};

#[tokio::test]
async fn harbor_has_its_own_words_for_absence() {
    let registry = FakeRegistry::harbor().start().await;
    let image = push(&registry, "library/app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "library/app", "1", &image).await;
    expect_absence(&proxy, "library/app", "none").await;
    expect_absence(&proxy, "library/none", "1").await;
}

#[tokio::test]
async fn harbor_says_a_packed_length_of_a_head_and_it_goes_no_further() {
    let registry = FakeRegistry::harbor().start().await;
    let image = push(&registry, "library/app", "1");
    let proxy = TestProxy::of(&registry).await;
    let head = proxy.head("/v2/library/app/manifests/1").await;
    let length = image.bytes.len().to_string();
    assert_eq!(head.header("content-length"), Some(&*length));
    assert_eq!(head.header("content-encoding"), None);
}

#[tokio::test]
async fn artifactory_says_403_of_what_is_absent_and_larder_404() {
    let registry = FakeRegistry::artifactory().start().await;
    let image = push(&registry, "docker-remote/library/alpine", "3.20");
    let proxy = TestProxy::of(&registry).await;
    let name = "docker-remote/library/alpine";
    pull(&proxy, name, "3.20", &image).await;
    expect_absence(&proxy, name, "none").await;
    expect_absence(&proxy, "docker-remote/library/none", "1").await;
    let requests = registry.requests();
    let tokens = requests
        .iter()
        .filter(|request| request.kind == Kind::Token);
    assert!(tokens.into_iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn nexus_images_come_whole() {
    let registry = FakeRegistry::nexus().start().await;
    let image = push(&registry, "acme/app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "acme/app", "1", &image).await;
}

#[tokio::test]
async fn gitlab_assumed_tokens_come_from_another_host() {
    let storage = FakeRegistry::start().await;
    let issuer = FakeRegistry::gitlab_tokens().start().await;
    let registry = FakeRegistry::gitlab(&issuer, &storage).start().await;
    let image = push(&registry, "group/project", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "group/project", "1", &image).await;
    expect_absence(&proxy, "group/project", "none").await;
    let token = &issuer.requests()[0];
    assert_eq!((token.kind, &*token.path), (Kind::Token, "/jwt/auth"));
    assert_eq!(token.query("service"), ["container_registry"]);
    expect_no_secrets(&issuer);
    expect_no_secrets(&storage);
}

#[tokio::test]
async fn nvcr_assumed_tokens_come_from_a_path_of_its_own() {
    let registry = FakeRegistry::nvcr().start().await;
    let image = push(&registry, "nvidia/cuda", "12.4");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "nvidia/cuda", "12.4", &image).await;
    assert_eq!(registry.requests()[1].path, "/proxy_auth");
}

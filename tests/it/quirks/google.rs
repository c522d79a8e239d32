//! Google's registries, and its mirror of a part of Docker Hub.

use http::header;

use super::{expect_absence, expect_no_secrets, pull, push};
use crate::support::{FakeRegistry, Kind, TestProxy};

#[tokio::test]
async fn gcr_explains_with_the_ping_alone_what_it_wants() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::gcr(&storage).start().await;
    let proxy = TestProxy::of(&registry).await;
    for name in ["acme/one", "acme/two"] {
        let image = push(&registry, name, "1");
        pull(&proxy, name, "1", &image).await;
    }
    expect_absence(&proxy, "acme/one", "none").await;
    // The challenge is asked for once and remembered; nobody POSTs for an anonymous token.
    assert_eq!(registry.count(Kind::Ping), 1);
    let tokens = registry.requests();
    let tokens = tokens.iter().filter(|request| request.kind == Kind::Token);
    assert!(tokens.clone().all(|request| request.method == "GET"));
    let scopes: Vec<_> = tokens.flat_map(|request| request.query("scope")).collect();
    let expected = ["repository:acme/one:pull", "repository:acme/two:pull"];
    assert_eq!(scopes, expected);
}

#[tokio::test]
async fn gcr_assumed_blobs_are_in_a_bucket() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::gcr(&storage).start().await;
    let image = push(&registry, "acme/app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "acme/app", "1", &image).await;
    assert_eq!(storage.count(Kind::Storage), 3);
    expect_no_secrets(&storage);
}

#[tokio::test]
async fn gcr_mirror_of_docker_hub_is_asked_first_and_not_believed_about_absence() {
    let storage = FakeRegistry::start().await;
    let mirror = FakeRegistry::start().await;
    let hub = FakeRegistry::docker_hub(&storage).start().await;
    let popular = push(&mirror, "library/alpine", "3.20");
    let rare = push(&hub, "acme/rare", "1");
    let mirror_url = mirror
        .url()
        .parse::<larder::upstream::EndpointUrl>()
        .unwrap();
    let proxy = TestProxy::builder()
        .upstream("docker.io", &hub)
        .with(|settings| settings.endpoints.insert(0, mirror_url.into()))
        .start()
        .await;
    pull(&proxy, "alpine", "3.20", &popular).await;
    assert_eq!(hub.lines(), Vec::<String>::new());
    pull(&proxy, "acme/rare", "1", &rare).await;
    expect_absence(&proxy, "acme/none", "1").await;
    assert_eq!(hub.quota().remaining(None), 99);
    let shown = mirror.requests();
    let shown = shown
        .iter()
        .filter_map(|request| request.header(header::AUTHORIZATION.as_str()));
    assert_eq!(shown.collect::<Vec<_>>(), Vec::<String>::new());
}

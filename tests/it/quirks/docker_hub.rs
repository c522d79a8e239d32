//! Docker Hub without a login.

use std::time::Duration;

use super::{expect_absence, expect_no_secrets, pull, push, refusal};
use crate::support::{FakeRegistry, Fault, Kind, TestProxy};

async fn proxy(registry: &FakeRegistry) -> TestProxy {
    let builder = TestProxy::builder().upstream("docker.io", registry);
    let quick = |limits: &mut larder::upstream::Limits| {
        limits.same_token = Duration::from_millis(1);
    };
    builder.limits(quick).start().await
}

#[tokio::test]
async fn docker_hub_assumed_images_come_by_way_of_a_content_network() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).start().await;
    let image = push(&registry, "library/alpine", "3.20");
    let proxy = proxy(&registry).await;
    pull(&proxy, "alpine", "3.20", &image).await;
    // The token stays behind: the network would refuse a request with it.
    expect_no_secrets(&storage);
    assert_eq!(storage.count(Kind::Storage), 3);
    let requests = registry.requests();
    let tokens = requests
        .iter()
        .filter(|request| request.kind == Kind::Token);
    let tokens: Vec<_> = tokens.collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].query("service"), ["registry.docker.io"]);
    assert_eq!(tokens[0].query("scope"), ["repository:library/alpine:pull"]);
}

#[tokio::test]
async fn docker_hub_says_401_of_what_is_absent_and_larder_404() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).start().await;
    push(&registry, "acme/app", "1");
    push(&registry, "acme/hidden", "1");
    registry.repository("acme/hidden").make_private();
    let proxy = proxy(&registry).await;
    expect_absence(&proxy, "acme/app", "none").await;
    expect_absence(&proxy, "acme/none", "1").await;
    expect_absence(&proxy, "acme/hidden", "1").await;
    // Somebody may have made it meanwhile: a refusal is not remembered.
    let image = push(&registry, "acme/none", "1");
    pull(&proxy, "acme/none", "1", &image).await;
}

#[tokio::test]
async fn docker_hub_tokens_may_begin_in_the_next_second() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).start().await;
    let image = push(&registry, "library/alpine", "3.20");
    let early = Fault::on(Kind::MANIFEST).authorized().times(2);
    let early = registry.inject(early.refuse_token("invalid_token"));
    let proxy = proxy(&registry).await;
    pull(&proxy, "alpine", "3.20", &image).await;
    assert_eq!(early.hits(), 2);
    assert_eq!(registry.count(Kind::Token), 1);
}

#[tokio::test]
async fn docker_hub_pulls_are_spent_once_for_all_and_not_by_asking_again() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).start().await;
    let image = push(&registry, "library/alpine", "latest");
    let proxy = proxy(&registry).await;
    for _ in 0..5 {
        pull(&proxy, "alpine", "latest", &image).await;
        proxy.advance(Duration::from_hours(1));
    }
    assert_eq!(registry.count(Kind::ManifestGet), 1);
    assert_eq!(registry.quota().remaining(None), 99);
    assert!(registry.count(Kind::ManifestHead) >= 5);
}

#[tokio::test]
async fn docker_hub_limits_are_told_as_limits_and_what_is_here_goes_out() {
    for is_abuse in [false, true] {
        let storage = FakeRegistry::start().await;
        let registry = FakeRegistry::docker_hub(&storage).start().await;
        let image = push(&registry, "library/alpine", "3.20");
        push(&registry, "library/busybox", "1");
        let proxy = proxy(&registry).await;
        pull(&proxy, "alpine", "3.20", &image).await;
        if is_abuse {
            registry.inject(Fault::abuse_limit());
        } else {
            registry.quota().set(1, 21_600);
        }
        let missing = proxy.get("/v2/busybox/manifests/1").await;
        assert!(missing.header("retry-after").is_some());
        let expected = (429, "TOOMANYREQUESTS".to_owned());
        assert_eq!(refusal(missing).await, expected, "abuse: {is_abuse}");
        proxy.advance(Duration::from_hours(48));
        pull(&proxy, "alpine", "3.20", &image).await;
    }
}

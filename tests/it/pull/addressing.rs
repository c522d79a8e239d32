//! One repository, whatever the client calls it; and TLS, tokens and redirects on the way there.

use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise};

#[tokio::test]
async fn all_spellings_share_one_cache() {
    let registry = FakeRegistry::start().await;
    let image =
        Image::with_layers([noise(1, 10)]).push_as(&registry.repository("library/alpine"), "3.20");
    let proxy = TestProxy::builder()
        .upstream("docker.io", &registry)
        .alias("hub")
        .host("hub.larder.test")
        .start()
        .await;
    let client = proxy.client();
    for (host, path) in [
        (
            "larder:5000",
            "/v2/library/alpine/manifests/3.20?ns=docker.io",
        ),
        ("larder:5000", "/v2/library/alpine/manifests/3.20"),
        ("larder:5000", "/v2/alpine/manifests/3.20"),
        (
            "larder:5000",
            "/v2/docker.io/library/alpine/manifests/3.20?ns=docker.io",
        ),
        ("larder:5000", "/v2/docker.io/alpine/manifests/3.20"),
        (
            "larder:5000",
            "/v2/index.docker.io/library/alpine/manifests/3.20",
        ),
        (
            "larder:5000",
            "/v2/hub/library/alpine/manifests/3.20?ns=docker.io",
        ),
        ("larder:5000", "/v2/hub/alpine/manifests/3.20"),
        (
            "larder:5000",
            "/hub/v2/library/alpine/manifests/3.20?ns=docker.io",
        ),
        ("hub.larder.test", "/v2/alpine/manifests/3.20"),
        ("hub.larder.test:5000", "/v2/library/alpine/manifests/3.20"),
    ] {
        let reply = client.get(path).header("host", host).send().await;
        assert_eq!(reply.status, 200, "{host} {path}");
        assert_eq!(reply.body().await, image.bytes, "{host} {path}");
    }
    assert_eq!(registry.lines(), ["GET library/alpine/manifests/3.20"]);
}

#[tokio::test]
async fn the_authorization_of_a_client_goes_nowhere() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let ask = client
        .get("/v2/app/manifests/1")
        .header("authorization", "Basic c2VjcmV0OnNlY3JldA==");
    assert_eq!(ask.send().await.status, 200);
    assert!(
        registry
            .requests()
            .iter()
            .all(|request| request.authorization().is_none())
    );
}

#[tokio::test]
async fn a_registry_with_tls_and_tokens_is_pulled_from() {
    let registry = FakeRegistry::builder().tls().http2().bearer().start().await;
    let image = Image::with_layers([noise(1, 3_000_000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .trusts(registry.ca_pem())
        .start()
        .await;
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        image.bytes
    );
    let blob = proxy
        .get(&format!("/v2/app/blobs/{}", image.layers[0]))
        .await;
    assert_eq!(blob.body().await, noise(1, 3_000_000));
    assert_eq!(registry.count(Kind::Token), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_a_502() {
    let registry = FakeRegistry::builder().tls().start().await;
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 502);
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_token() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::builder().bearer().start().await;
    let content = noise(1, 200_000);
    let digest = registry.repository("app").blob(content.clone());
    storage.store(content.clone());
    let target = format!("{}/storage/{digest}?signature=x", storage.url());
    registry.inject(Fault::on(Kind::BlobGet).authorized().redirect(307, target));
    let proxy = TestProxy::of(&registry).await;
    let part = proxy
        .client()
        .get(&format!("/v2/app/blobs/{digest}"))
        .header("range", "bytes=10-")
        .send()
        .await;
    assert_eq!(part.body().await, content[10..]);
    assert_eq!(storage.count(Kind::Storage), 1);
    assert!(
        storage
            .requests()
            .iter()
            .all(|request| request.authorization().is_none())
    );
}

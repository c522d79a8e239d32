//! What a registry says once does not spoil what was verified, nor what others get.

use std::time::Duration;

use larder::oci::MediaType;

use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise};

/// Longer than a tag is believed.
const ELEVEN_MINUTES: Duration = Duration::from_mins(11);

#[tokio::test]
async fn a_manifest_that_lies_about_a_layer_keeps_it_from_nobody() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 300_000);
    let digest = registry.repository("app").blob(content.clone());
    let config = format!(
        r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":1}}"#
    );
    let body = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
    let evil = registry.repository("evil");
    evil.tag("1", evil.manifest(MediaType::OCI_MANIFEST, body));
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(proxy.get("/v2/evil/manifests/1").await.status, 200);
    assert_eq!(
        proxy
            .get(&format!("/v2/app/blobs/{digest}"))
            .await
            .body()
            .await,
        content
    );
}

#[tokio::test]
async fn a_head_that_lies_changes_nothing_of_a_manifest_that_is_here() {
    type Lie = fn(Fault) -> Fault;
    let lies: [(&str, Lie); 3] = [
        ("shorter", |fault| fault.wrong_length(5)),
        ("longer", |fault| fault.wrong_length(100_000)),
        ("another type", |fault| {
            fault.content_type(MediaType::DOCKER_LIST)
        }),
    ];
    for (name, lie) in lies {
        let registry = FakeRegistry::start().await;
        let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
        let mut proxy = TestProxy::of(&registry).await;
        proxy.get("/v2/app/manifests/1").await.body().await;
        proxy.advance(ELEVEN_MINUTES);
        registry.inject(lie(Fault::on(Kind::ManifestHead)));
        for _ in 0..2 {
            for reference in ["1".to_owned(), image.digest.to_string()] {
                let path = format!("/v2/app/manifests/{reference}");
                for reply in [proxy.get(&path).await, proxy.head(&path).await] {
                    let length = image.bytes.len().to_string();
                    assert_eq!(
                        reply.header("content-length"),
                        Some(length.as_str()),
                        "{name} {reference}"
                    );
                    assert_eq!(
                        reply.header("content-type"),
                        Some(MediaType::OCI_MANIFEST),
                        "{name} {reference}"
                    );
                }
                assert_eq!(
                    proxy.get(&path).await.body().await,
                    image.bytes,
                    "{name} {reference}"
                );
            }
            proxy = proxy.restart().await;
        }
    }
}

#[tokio::test]
async fn a_head_that_lies_about_a_cold_tag_does_not_cut_what_follows() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on(Kind::ManifestHead).wrong_length(5));
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(
        proxy
            .head("/v2/app/manifests/1")
            .await
            .header("content-length"),
        Some("5")
    );
    let mut connection = proxy.client().connect().await;
    for path in [
        "/v2/app/manifests/1".to_owned(),
        format!("/v2/app/manifests/{}", image.digest),
    ] {
        assert_eq!(connection.get(&path).send().await.body().await, image.bytes);
    }
    let head = proxy.head("/v2/app/manifests/1").await;
    assert_eq!(
        head.header("content-length"),
        Some(image.bytes.len().to_string().as_str())
    );
}

#[tokio::test]
async fn what_came_as_a_blob_is_no_manifest_unless_it_can_be_one() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let bad = r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#;
    let digest = repository.manifest(MediaType::OCI_INDEX, bad);
    repository.blob(bad);
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(
        proxy
            .get(&format!("/v2/app/blobs/{digest}"))
            .await
            .body()
            .await,
        bad
    );
    let proxy = proxy.restart().await;
    assert_eq!(
        proxy
            .get(&format!("/v2/app/manifests/{digest}"))
            .await
            .status,
        502
    );
}

#[tokio::test]
async fn an_absence_for_old_clients_is_not_one_for_all() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on(Kind::ManifestGet).once().status(404));
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let old = client
        .get("/v2/app/manifests/1")
        .header("accept", MediaType::DOCKER_MANIFEST)
        .send()
        .await;
    assert_eq!(old.status, 404);
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 200);
}

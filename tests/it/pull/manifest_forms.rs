//! Manifests that come in a form of their own: packed, or of a kind that nobody reads any more.

use std::io::Read;

use flate2::Compression;
use flate2::read::GzEncoder;
use larder::oci::MediaType;

use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

#[tokio::test]
async fn a_packed_manifest_is_served_as_it_is_named() {
    for names_digest in [true, false] {
        let registry = FakeRegistry::start().await;
        let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
        let fault = Fault::on(Kind::ManifestGet)
            .claims_gzip()
            .body(packed(&image.bytes));
        registry.inject(if names_digest {
            fault
        } else {
            let fault = fault.no_digest_header();
            fault.without_header(http::header::ETAG)
        });
        let proxy = TestProxy::of(&registry).await;
        let digest = image.digest.to_string();
        for reference in ["1", &digest] {
            let path = format!("/v2/app/manifests/{reference}");
            let reply = proxy.get(&path).await;
            assert_eq!(reply.header("content-encoding"), None);
            assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
            assert_eq!(reply.body().await, image.bytes);
        }
        assert_eq!(registry.count(Kind::ManifestGet), 1);
    }
}

#[tokio::test]
async fn a_packed_blob_is_not_touched() {
    let registry = FakeRegistry::start().await;
    let layer = packed(&noise(1, 100_000));
    let digest = registry.repository("app").blob(layer.clone());
    registry.inject(Fault::on(Kind::BLOB).claims_gzip());
    let proxy = TestProxy::of(&registry).await;
    for _ in 0..2 {
        let reply = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
        assert_eq!(reply.header("content-encoding"), None);
        assert_eq!(reply.body().await, layer);
    }
}

#[tokio::test]
async fn schema_1_is_refused_whatever_it_is_called() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let body = r#"{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[],"signatures":[]}"#;
    let proxy = TestProxy::of(&registry).await;
    for (tag, media_type) in [
        ("signed", MediaType::DOCKER_SCHEMA1_SIGNED),
        ("plain", MediaType::DOCKER_SCHEMA1),
        ("text", "text/plain"),
    ] {
        let digest = repository.manifest(media_type, body);
        repository.tag(tag, digest);
        for reference in [tag, &digest.to_string()] {
            let reply = proxy.get(&format!("/v2/app/manifests/{reference}")).await;
            assert_eq!(reply.status, 404, "{media_type} {reference}");
            let said = String::from_utf8_lossy(&reply.body().await).into_owned();
            assert!(said.contains("MANIFEST_UNKNOWN"), "{said}");
            assert!(said.contains("push the image again"), "{said}");
        }
    }
}

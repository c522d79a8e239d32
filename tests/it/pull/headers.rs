//! The headers of answers, which clients read more strictly than the specification asks.

use larder::oci::{Algorithm, MediaType};

use crate::support::{FakeRegistry, Image, TestProxy, noise};

#[tokio::test]
async fn the_ping_is_answered_here() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for path in ["/v2/", "/v2", "/v2/?ns=up.test"] {
        let reply = proxy.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(
            reply.header("docker-distribution-api-version"),
            Some("registry/2.0")
        );
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(&reply.body().await[..], b"{}");
        let head = proxy.head(path).await;
        assert_eq!(
            (head.status.as_u16(), head.header("content-length")),
            (200, Some("2"))
        );
    }
    assert_eq!(registry.lines().len(), 0);
}

#[tokio::test]
async fn head_and_get_say_the_same() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 200_000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let paths = [
        "/v2/app/manifests/1".to_owned(),
        format!("/v2/app/manifests/{}", image.digest),
        format!("/v2/app/blobs/{}", image.layers[0]),
        format!("/v2/app/blobs/{}", image.config),
    ];
    // Cold, then warm.
    for _ in 0..2 {
        for path in &paths {
            let head = proxy.head(path).await;
            let get = proxy.get(path).await;
            assert_eq!(
                (head.status.as_u16(), get.status.as_u16()),
                (200, 200),
                "{path}"
            );
            for name in [
                "content-length",
                "content-type",
                "docker-content-digest",
                "etag",
                "accept-ranges",
            ] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
            let digest = get.header("docker-content-digest").unwrap().to_owned();
            assert_eq!(
                get.header("etag"),
                Some(format!("\"{digest}\"").as_str()),
                "{path}"
            );
            assert_eq!(
                get.header("docker-distribution-api-version"),
                Some("registry/2.0"),
                "{path}"
            );
            assert_eq!(get.header("content-encoding"), None, "{path}");
            let length: usize = get.header("content-length").unwrap().parse().unwrap();
            assert_eq!(get.body().await.len(), length, "{path}");
            assert!(head.body().await.is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn sha512_works_to_the_end() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let content = noise(5, 300_000);
    let digest = repository.blob_by(Algorithm::Sha512, content.clone());
    let image = Image::with_layers([noise(6, 10)])
        .sha512()
        .push_as(&repository, "1");
    let proxy = TestProxy::of(&registry).await.restart().await;
    for _ in 0..2 {
        let blob = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
        assert_eq!(
            blob.header("docker-content-digest"),
            Some(digest.to_string().as_str())
        );
        assert_eq!(blob.body().await, content);
        for reference in [image.digest.to_string(), "1".to_owned()] {
            let manifest = proxy.get(&format!("/v2/app/manifests/{reference}")).await;
            assert_eq!(
                manifest.header("docker-content-digest"),
                Some(image.digest.to_string().as_str())
            );
            assert_eq!(manifest.body().await, image.bytes);
        }
    }
}

#[tokio::test]
async fn conditions_are_honoured() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 1_000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let layer = image.layers[0];
    for (path, digest) in [
        ("/v2/app/manifests/1".to_owned(), image.digest),
        (format!("/v2/app/blobs/{layer}"), layer),
    ] {
        for value in [
            format!("\"{digest}\""),
            digest.to_string(),
            format!("W/\"{digest}\""),
            "*".into(),
        ] {
            let reply = client
                .get(&path)
                .header("if-none-match", &value)
                .send()
                .await;
            assert_eq!(reply.status, 304, "{path} {value}");
            assert_eq!(reply.header("etag"), Some(format!("\"{digest}\"").as_str()));
            assert_eq!(
                reply.header("docker-content-digest"),
                Some(digest.to_string().as_str())
            );
            assert!(reply.body().await.is_empty());
        }
        let reply = client
            .get(&path)
            .header("if-none-match", "\"sha256:other\"")
            .send()
            .await;
        assert_eq!(reply.status, 200, "{path}");
    }
    let reply = client
        .get(&format!("/v2/app/blobs/{layer}"))
        .header("if-match", "\"x\"")
        .send()
        .await;
    assert_eq!(reply.status, 412);
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 200_000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    for client in [proxy.client(), proxy.client().http2()] {
        let mut connection = client.connect().await;
        for _ in 0..3 {
            let reply = connection
                .get("/v2/app/manifests/1")
                .header("accept", MediaType::OCI_MANIFEST)
                .send()
                .await;
            assert_eq!(reply.body().await, image.bytes);
            let reply = connection
                .get(&format!("/v2/app/blobs/{}", image.layers[0]))
                .send()
                .await;
            assert_eq!(reply.body().await, noise(1, 200_000));
        }
    }
}

#[tokio::test]
async fn every_accept_line_counts() {
    let registry = FakeRegistry::builder().negotiates().start().await;
    let index = crate::support::Index::of([("linux/amd64", Image::with_layers([noise(1, 10)]))]);
    let index = index.push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let lines = [
        MediaType::DOCKER_MANIFEST,
        MediaType::OCI_MANIFEST,
        MediaType::DOCKER_LIST,
        MediaType::OCI_INDEX,
    ];
    let ask = lines
        .iter()
        .fold(client.get("/v2/app/manifests/1"), |ask, line| {
            ask.header("accept", line)
        });
    assert_eq!(
        ask.send().await.header("content-type"),
        Some(MediaType::OCI_INDEX)
    );
    // A client that reads no index gets the manifest for linux/amd64, and does not change what the others get.
    for _ in 0..2 {
        let reply = client
            .get("/v2/app/manifests/1")
            .header("accept", MediaType::OCI_MANIFEST)
            .send()
            .await;
        assert_eq!(reply.header("content-type"), Some(MediaType::OCI_MANIFEST));
        assert_eq!(reply.body().await, index.images[0].bytes);
        assert_eq!(
            proxy.get("/v2/app/manifests/1").await.body().await,
            index.bytes
        );
    }
}

#[tokio::test]
async fn an_index_is_narrowed_here_when_the_registry_does_not() {
    let registry = FakeRegistry::start().await;
    let index = crate::support::Index::of([
        ("linux/arm64", Image::with_layers([noise(2, 10)])),
        ("linux/amd64", Image::with_layers([noise(1, 10)])),
    ]);
    let index = index.push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    for _ in 0..2 {
        let get = client
            .get("/v2/app/manifests/1")
            .header("accept", MediaType::OCI_MANIFEST)
            .send()
            .await;
        assert_eq!(
            get.header("docker-content-digest"),
            Some(index.images[1].digest.to_string().as_str())
        );
        assert_eq!(get.body().await, index.images[1].bytes);
        let head = client
            .head("/v2/app/manifests/1")
            .header("accept", MediaType::OCI_MANIFEST)
            .send()
            .await;
        assert_eq!(
            head.header("docker-content-digest"),
            Some(index.images[1].digest.to_string().as_str())
        );
    }
    // By digest there is one representation, whatever is accepted; and no client gets 406.
    let path = format!("/v2/app/manifests/{}", index.digest);
    let reply = client
        .get(&path)
        .header("accept", MediaType::DOCKER_MANIFEST)
        .send()
        .await;
    assert_eq!(reply.body().await, index.bytes);
    let old = client
        .get("/v2/app/manifests/1")
        .header("accept", MediaType::DOCKER_SCHEMA1_SIGNED)
        .send()
        .await;
    assert_eq!(old.status, 404);
}

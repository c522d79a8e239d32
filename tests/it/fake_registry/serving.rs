//! What the registry says when nothing goes wrong.

use bytes::Bytes;
use http::{Method, StatusCode};
use larder::oci::{Digest, ManifestKind, ManifestView, MediaType};
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::{Client, FakeRegistry, Image, Index, Kind, noise};

async fn json(reply: Reply) -> Value {
    serde_json::from_slice(&reply.body().await).unwrap()
}

#[tokio::test]
async fn manifests_come_by_tag_and_by_digest_with_all_their_headers() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 100)]);
    let image = image.push_as(&registry.repository("library/alpine"), "3.20");
    let client = Client::new(registry.address());
    let digest = image.digest.to_string();
    for reference in ["3.20", &digest] {
        let path = format!("/v2/library/alpine/manifests/{reference}");
        for method in [Method::GET, Method::HEAD] {
            let reply = client.request(method.clone(), &path).send().await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.header("content-type"), Some(MediaType::OCI_MANIFEST));
            assert_eq!(reply.header("docker-content-digest"), Some(&*digest));
            assert_eq!(reply.header("etag"), Some(&*format!("\"{digest}\"")));
            let length = image.bytes.len().to_string();
            assert_eq!(reply.header("content-length"), Some(&*length));
            let expected = if method == Method::GET {
                image.bytes.clone()
            } else {
                Bytes::new()
            };
            assert_eq!(reply.body().await, expected);
        }
        let unchanged = client
            .get(&path)
            .header("if-none-match", &format!("W/\"{digest}\""));
        let unchanged = unchanged.send().await;
        assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
        assert_eq!(unchanged.header("docker-content-digest"), Some(&*digest));
        assert_eq!(unchanged.body().await, "");
        let changed = client
            .get(&path)
            .header("if-none-match", "\"else\"")
            .send()
            .await;
        assert_eq!(changed.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_tag_moves_and_things_go_away() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let client = Client::new(registry.address());
    let digest_of = async |reference: &str| {
        let reply = client
            .head(&format!("/v2/app/manifests/{reference}"))
            .send()
            .await;
        reply.header("docker-content-digest").map(String::from)
    };
    let old = repository.manifest(MediaType::OCI_MANIFEST, "{\"old\":1}");
    let new = repository.manifest(MediaType::OCI_MANIFEST, "{\"new\":1}");
    repository.tag("latest", old);
    assert_eq!(digest_of("latest").await, Some(old.to_string()));
    repository.tag("latest", new);
    assert_eq!(digest_of("latest").await, Some(new.to_string()));
    repository.remove_tag("latest");
    assert_eq!(digest_of("latest").await, None);
    assert_eq!(digest_of(&new.to_string()).await, Some(new.to_string()));
    repository.remove_manifest(&new);
    assert_eq!(digest_of(&new.to_string()).await, None);

    let blob = repository.blob("layer");
    let path = format!("/v2/app/blobs/{blob}");
    assert_eq!(client.get(&path).send().await.body().await, "layer");
    repository.remove_blob(&blob);
    assert_eq!(
        client.head(&path).send().await.status,
        StatusCode::NOT_FOUND
    );
    repository.remove();
    assert_eq!(
        client.get("/v2/app/tags/list").send().await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn blobs_come_whole_and_in_ranges() {
    let registry = FakeRegistry::start().await;
    let content = noise(2, 2048);
    let digest = registry.repository("app").blob(content.clone());
    let client = Client::new(registry.address());
    let path = format!("/v2/app/blobs/{digest}");
    for (range, content_range, expected) in [
        ("", None, 0..2048),
        ("bytes=500-1499", Some("bytes 500-1499/2048"), 500..1500),
        ("bytes=500-", Some("bytes 500-2047/2048"), 500..2048),
        ("bytes=-500", Some("bytes 1548-2047/2048"), 1548..2048),
        ("bytes=2000-5000", Some("bytes 2000-2047/2048"), 2000..2048),
        ("bytes=0-1,5-6", None, 0..2048),
    ] {
        let reply = client.get(&path).header("range", range).send().await;
        let status = if content_range.is_some() { 206 } else { 200 };
        assert_eq!(reply.status, status, "{range}");
        assert_eq!(reply.header("content-range"), content_range, "{range}");
        assert_eq!(reply.header("accept-ranges"), Some("bytes"), "{range}");
        let length = expected.len().to_string();
        assert_eq!(reply.header("content-length"), Some(&*length), "{range}");
        assert_eq!(reply.body().await, content.slice(expected), "{range}");
    }
    for (tag, length) in [(format!("\"{digest}\""), 1), ("\"other\"".into(), 2048)] {
        let ask = client.get(&path).header("range", "bytes=1-1");
        let reply = ask.header("if-range", &tag).send().await;
        assert_eq!(reply.body().await.len(), length, "{tag}");
    }
}

#[tokio::test]
async fn ranges_that_cannot_be_and_heads_and_empty_blobs() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(2, 2048));
    let client = Client::new(registry.address());
    let path = format!("/v2/app/blobs/{digest}");
    let beyond = client
        .get(&path)
        .header("range", "bytes=2048-")
        .send()
        .await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), Some("bytes */2048"));
    let head = client.head(&path).header("range", "bytes=0-9").send().await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (StatusCode::OK, Some("2048"))
    );
    let empty = registry.repository("app").blob("");
    let reply = client.get(&format!("/v2/app/blobs/{empty}")).send().await;
    assert_eq!(reply.header("content-length"), Some("0"));
    assert_eq!(reply.body().await, "");
}

#[tokio::test]
async fn tags_come_sorted_and_in_pages() {
    let registry = FakeRegistry::builder().tags_per_page(2).start().await;
    let repository = registry.repository("app");
    let digest = repository.manifest(MediaType::OCI_MANIFEST, "{}");
    for tag in ["c", "a", "e", "b", "d"] {
        repository.tag(tag, digest);
    }
    let client = Client::new(registry.address());
    for (query, tags, next) in [
        ("", vec!["a", "b"], Some("last=b&n=2")),
        ("?last=b&n=2", vec!["c", "d"], Some("last=d&n=2")),
        ("?last=d&n=2", vec!["e"], None),
        ("?n=5", vec!["a", "b", "c", "d", "e"], None),
        ("?last=bb&n=10", vec!["c", "d", "e"], None),
        ("?n=0", vec![], None),
    ] {
        let reply = client
            .get(&format!("/v2/app/tags/list{query}"))
            .send()
            .await;
        let link = next.map(|next| format!("</v2/app/tags/list?{next}>; rel=\"next\""));
        assert_eq!(reply.header("link"), link.as_deref(), "{query}");
        assert_eq!(
            json(reply).await,
            json!({"name": "app", "tags": tags}),
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_words_of_the_specification() {
    let registry = FakeRegistry::start().await;
    registry.repository("app").blob("here");
    let elsewhere = registry.repository("other").blob("there");
    let client = Client::new(registry.address());
    let digest = Digest::Sha256([7; 32]);
    let app = |rest: &str| format!("/v2/app/{rest}");
    for (path, code) in [
        (app("manifests/1.0"), "MANIFEST_UNKNOWN"),
        (app(&format!("manifests/{digest}")), "MANIFEST_UNKNOWN"),
        (app(&format!("blobs/{digest}")), "BLOB_UNKNOWN"),
        (app(&format!("blobs/{elsewhere}")), "BLOB_UNKNOWN"),
        (app("blobs/nonsense"), "BLOB_UNKNOWN"),
        (app(&format!("referrers/{digest}")), "NAME_UNKNOWN"),
        ("/v2/nothing/tags/list".to_owned(), "NAME_UNKNOWN"),
        ("/somewhere".to_owned(), "NAME_UNKNOWN"),
    ] {
        let reply = client.get(&path).send().await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json(reply).await["errors"][0]["code"], code, "{path}");
    }
    let write = client
        .request(Method::POST, "/v2/app/blobs/uploads/")
        .send()
        .await;
    assert_eq!(write.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(json(write).await["errors"][0]["code"], "UNSUPPORTED");
    let ping = client.get("/v2/").send().await;
    assert_eq!(
        ping.header("docker-distribution-api-version"),
        Some("registry/2.0")
    );
    assert_eq!(json(ping).await, json!({}));
}

#[tokio::test]
async fn only_a_registry_that_negotiates_looks_at_what_clients_read() {
    let images = || [("linux/arm64", 3), ("linux/amd64", 4)];
    let index =
        || Index::of(images().map(|(name, seed)| (name, Image::with_layers([noise(seed, 9)]))));
    let plain = FakeRegistry::start().await;
    let negotiating = FakeRegistry::builder().negotiates().start().await;
    for (registry, old_client_gets_child) in [(plain, false), (negotiating, true)] {
        let pushed = index().push_as(&registry.repository("app"), "1");
        let client = Client::new(registry.address());
        let (child, whole) = (pushed.images[1].digest, pushed.digest);
        let by_digest = whole.to_string();
        let old = if old_client_gets_child { child } else { whole };
        for (reference, accepts, expected) in [
            ("1", vec![MediaType::OCI_MANIFEST], old),
            (
                "1",
                vec![MediaType::OCI_MANIFEST, MediaType::OCI_INDEX],
                whole,
            ),
            ("1", vec![], whole),
            (&*by_digest, vec![MediaType::OCI_MANIFEST], whole),
        ] {
            let ask = client.get(&format!("/v2/app/manifests/{reference}"));
            let ask = accepts
                .iter()
                .fold(ask, |ask, line| ask.header("accept", line));
            let found = ask
                .send()
                .await
                .header("docker-content-digest")
                .map(String::from);
            assert_eq!(found, Some(expected.to_string()), "{accepts:?}");
        }
    }
}

#[tokio::test]
async fn images_are_whole_in_every_flavour() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let image = || Image::with_layers([noise(5, 300), noise(6, 400)]);
    let pushed = Index::of([
        ("linux/amd64", image()),
        ("linux/arm/v7", image().docker()),
        ("linux/arm64", image().sha512()),
    ]);
    let (oci, docker) = (
        pushed.push(&repository),
        pushed.clone().docker().sha512().push(&repository),
    );
    assert_eq!(
        (oci.media_type, docker.media_type),
        (MediaType::OCI_INDEX, MediaType::DOCKER_LIST)
    );
    assert!(oci.digest.to_string().starts_with("sha256:"));
    assert!(docker.digest.to_string().starts_with("sha512:"));
    let view = ManifestView::parse(&oci.bytes, None).unwrap();
    assert_eq!(view.kind, ManifestKind::Index);
    assert_eq!(
        view.default_platform().unwrap().digest,
        oci.images[0].digest
    );
    let variant = &view.manifests[1].platform.as_ref().unwrap().variant;
    assert_eq!(variant.as_deref(), Some("v7"));
    let client = Client::new(registry.address());
    for (image, described) in oci.images.iter().zip(&view.manifests) {
        assert_eq!(described.digest, image.digest);
        assert_eq!(described.size, image.bytes.len() as u64);
        let manifest = ManifestView::parse(&image.bytes, None).unwrap();
        assert_eq!(Some(&manifest.media_type), described.media_type.as_ref());
        assert_eq!(manifest.blobs.len(), 3);
        assert_eq!(manifest.blobs[0].digest, image.config);
        for blob in manifest.blobs {
            assert_eq!(blob.digest.algorithm(), image.digest.algorithm());
            let path = format!("/v2/app/blobs/{}", blob.digest);
            assert_eq!(
                client.get(&path).send().await.body().await.len() as u64,
                blob.size
            );
        }
    }
    assert_eq!(oci.images[1].media_type, MediaType::DOCKER_MANIFEST);
    assert_eq!(registry.count(Kind::BlobGet), 9);
}

#[test]
fn noise_is_the_same_for_a_seed_and_different_everywhere_else() {
    const BLOCK: usize = 1 << 16;
    for length in [0, 1, 7, 8, 9, 1 << 20, (1 << 20) + 3, (3 << 20) + BLOCK + 5] {
        let bytes = noise(1, length);
        assert_eq!(bytes.len(), length);
        assert_eq!(bytes, noise(1, length));
        assert!(length < 8 || bytes != noise(2, length));
        let blocks: std::collections::HashSet<&[u8]> = bytes.chunks(BLOCK).collect();
        assert_eq!(blocks.len(), length.div_ceil(BLOCK));
    }
}

//! Registries that send something else than they should: never kept, never served whole, and told as it is.

use std::sync::{Arc, Mutex};

use larder::oci::MediaType;

use crate::support::{Ending, FakeRegistry, Fault, Image, Kind, TestProxy, noise};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_wrong_byte_never_reaches_the_end_of_a_body() {
    for place in [0, MIB as u64, 2 * MIB as u64 - 1] {
        let registry = FakeRegistry::start().await;
        let content = noise(1, 2 * MIB);
        let digest = registry.repository("app").blob(content.clone());
        let lie = registry.inject(Fault::on(Kind::BlobGet).wrong_byte_at(place));
        let proxy = TestProxy::of(&registry).await;
        let path = format!("/v2/app/blobs/{digest}");
        let (bytes, ending) = proxy.get(&path).await.rest().await;
        assert!(bytes.len() <= content.len() - 64 * 1024, "{place}");
        assert_ne!(ending, Ending::Complete, "{place}");
        // Suspected now: the next fill is verified before its first byte goes out.
        let reply = proxy.get(&path).await;
        assert_eq!(reply.status, 502, "{place}");
        let error = String::from_utf8(reply.body().await.to_vec()).unwrap();
        assert!(
            error.contains("DIGEST_INVALID") && error.contains("up.test/app"),
            "{error}"
        );
        lie.lift();
        assert_eq!(proxy.get(&path).await.body().await, content, "{place}");
        assert_eq!(proxy.get(&path).await.body().await, content, "{place}");
        assert_eq!(registry.requests_for(&digest).len(), 3, "{place}");
    }
}

#[tokio::test]
async fn a_small_wrong_blob_is_told_by_a_status() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 1000));
    registry.inject(Fault::on(Kind::BlobGet).wrong_byte_at(500));
    let proxy = TestProxy::of(&registry).await;
    for range in ["bytes=0-", "bytes=0-9", "bytes=990-"] {
        let reply = proxy
            .client()
            .get(&format!("/v2/app/blobs/{digest}"))
            .header("range", range)
            .send()
            .await;
        assert_eq!(reply.status, 502, "{range}");
    }
}

#[tokio::test]
async fn wrong_sizes_are_never_served_whole() {
    type Lie = fn(Fault) -> Fault;
    let lies: [(&str, Lie); 5] = [
        ("short", |fault| fault.short_by(10)),
        ("long", |fault| fault.long_by(10)),
        ("short, without a length", |fault| {
            fault.short_by(10).no_content_length()
        }),
        ("long, without a length", |fault| {
            fault.long_by(1_000_000).no_content_length()
        }),
        ("endless and wrong", |fault| {
            fault.wrong_byte_at(5).endless()
        }),
    ];
    for (name, lie) in lies {
        let registry = FakeRegistry::start().await;
        let repository = registry.repository("app");
        let image = Image::with_layers([noise(1, 300_000)]).push_as(&repository, "1");
        let layer = image.layers[0];
        let lie = registry.inject(lie(Fault::on(Kind::BlobGet).of(&layer)));
        let proxy = TestProxy::of(&registry).await;
        // The manifest tells the size; a registry that does not announce one is held to it.
        proxy.get("/v2/app/manifests/1").await.body().await;
        let path = format!("/v2/app/blobs/{layer}");
        let reply = proxy.get(&path).await;
        if reply.status == 200 {
            let (bytes, ending) = reply.rest().await;
            assert!(
                bytes.len() < 300_000 && ending != Ending::Complete,
                "{name}"
            );
        } else {
            assert_eq!(reply.status, 502, "{name}");
        }
        lie.lift();
        assert_eq!(
            proxy.get(&path).await.body().await,
            noise(1, 300_000),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_announces_no_length_is_served_all_the_same() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 3 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    registry.inject(Fault::everywhere().no_content_length());
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(proxy.get(&path).await.body().await, content);
    let warm = proxy.get(&path).await;
    assert_eq!(warm.header("content-length"), Some("3145728"));
    // HEAD needs a length: the content is fetched for it.
    let other = registry.repository("app").blob(noise(2, 1000));
    let head = proxy.head(&format!("/v2/app/blobs/{other}")).await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, Some("1000"))
    );
    // So does a range.
    let third = registry.repository("app").blob(noise(3, 1000));
    let part = proxy
        .client()
        .get(&format!("/v2/app/blobs/{third}"))
        .header("range", "bytes=10-19")
        .send()
        .await;
    assert_eq!(part.header("content-range"), Some("bytes 10-19/1000"));
}

#[tokio::test]
async fn manifests_that_lie_are_refused() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let ambiguous = r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#;
    let differs = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
        MediaType::OCI_INDEX
    );
    for (tag, media_type, body, message) in [
        ("ambiguous", MediaType::OCI_INDEX, ambiguous, "two things"),
        (
            "differs",
            MediaType::DOCKER_LIST,
            differs.as_str(),
            "Content-Type says",
        ),
        (
            "garbage",
            MediaType::OCI_INDEX,
            "{\"schemaVersion\":",
            "cannot be read",
        ),
        (
            "page",
            "text/html",
            "<html>Please log in</html>",
            "not a JSON object",
        ),
        ("array", MediaType::OCI_INDEX, "[]", "not a JSON object"),
    ] {
        let digest = repository.manifest(media_type, body.as_bytes().to_vec());
        repository.tag(tag, digest);
        let proxy = TestProxy::of(&registry).await;
        for _ in 0..2 {
            let reply = proxy.get(&format!("/v2/app/manifests/{tag}")).await;
            assert_eq!(reply.status, 502, "{tag}");
            let error = String::from_utf8(reply.body().await.to_vec()).unwrap();
            assert!(
                error.contains("MANIFEST_INVALID") && error.contains(message),
                "{tag}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_refused_until_it_is_right() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let lie = registry.inject(
        Fault::on(Kind::ManifestGet)
            .of(&image.digest)
            .wrong_byte_at(20),
    );
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/manifests/{}", image.digest);
    for _ in 0..2 {
        let reply = proxy.get(&path).await;
        assert_eq!(reply.status, 502);
        assert!(String::from_utf8_lossy(&reply.body().await).contains("DIGEST_INVALID"));
    }
    lie.lift();
    assert_eq!(proxy.get(&path).await.body().await, image.bytes);
}

#[tokio::test]
async fn the_digest_of_a_tag_is_computed_and_not_believed() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on(Kind::ManifestGet).wrong_digest_header());
    let proxy = TestProxy::of(&registry).await;
    let reply = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(
        reply.header("docker-content-digest"),
        Some(image.digest.to_string().as_str())
    );
    assert_eq!(reply.body().await, image.bytes);
}

#[tokio::test]
async fn a_manifest_too_large_is_refused() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let padded = |size: usize| {
        format!(
            "{{\"schemaVersion\":2,\"manifests\":[],\"x\":\"{}\"}}",
            "y".repeat(size)
        )
    };
    let (large, too_large) = (padded(4 * MIB), padded(9 * MIB));
    repository.tag(
        "large",
        repository.manifest(MediaType::OCI_INDEX, large.clone()),
    );
    repository.tag(
        "too-large",
        repository.manifest(MediaType::OCI_INDEX, too_large),
    );
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(
        proxy.get("/v2/app/manifests/large").await.body().await,
        large
    );
    assert_eq!(proxy.get("/v2/app/manifests/too-large").await.status, 502);
}

#[tokio::test]
async fn registries_that_do_less_than_they_should_are_borne() {
    type Quirk = fn(Fault) -> Fault;
    let quirks: [(&str, Quirk); 6] = [
        ("no HEAD", Fault::no_head),
        ("no digest header", Fault::no_digest_header),
        ("unquoted ETag", Fault::unquoted_etag),
        ("text/plain", |fault| {
            fault.content_type("text/plain; charset=utf-8")
        }),
        ("no length", Fault::no_content_length),
        ("ignores Range", Fault::ignores_range),
    ];
    for (name, quirk) in quirks {
        let registry = FakeRegistry::start().await;
        let image =
            Image::with_layers([noise(1, 200_000)]).push_as(&registry.repository("app"), "1");
        registry.inject(quirk(Fault::everywhere()));
        let proxy = TestProxy::of(&registry).await;
        for _ in 0..2 {
            let head = proxy.head("/v2/app/manifests/1").await;
            assert_eq!(
                head.header("content-type"),
                Some(MediaType::OCI_MANIFEST),
                "{name}"
            );
            assert_eq!(
                head.header("docker-content-digest"),
                Some(image.digest.to_string().as_str()),
                "{name}"
            );
            assert_eq!(
                proxy.get("/v2/app/manifests/1").await.body().await,
                image.bytes,
                "{name}"
            );
            let blob = format!("/v2/app/blobs/{}", image.layers[0]);
            assert_eq!(
                proxy.head(&blob).await.header("content-length"),
                Some("200000"),
                "{name}"
            );
            let part = proxy
                .client()
                .get(&blob)
                .header("range", "bytes=5-9")
                .send()
                .await;
            assert_eq!(part.body().await, noise(1, 200_000)[5..10], "{name}");
        }
    }
}

/// Collects what the log says, in this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_lie_is_told_in_one_line_of_the_log() {
    const ALONE: &str = "LARDER_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // Whether a line is wanted is remembered for all threads of a process: the log is read in one of its own.
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        own.args([
            "--exact",
            "pull::lies::a_lie_is_told_in_one_line_of_the_log",
        ])
        .env(ALONE, "1");
        let ended = own.output().unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stdout)
        );
        return;
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(log);
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 1_000)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on([Kind::BlobGet, Kind::ManifestGet]).wrong_byte_at(20));
    let proxy = TestProxy::of(&registry).await;
    for (path, digest) in [("blobs", image.layers[0]), ("manifests", image.digest)] {
        lines.0.lock().unwrap().clear();
        assert_eq!(
            proxy.get(&format!("/v2/app/{path}/{digest}")).await.status,
            502
        );
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("app") && text.contains(&digest.to_string()),
            "{text}"
        );
    }
}

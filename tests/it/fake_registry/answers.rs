//! Faults that can be seen in the status and the headers, and which requests meet them.

use bytes::Bytes;
use http::{Method, StatusCode, header};

use crate::support::client::Ask;
use crate::support::{Client, FakeRegistry, Fault, Image, Kind, Progress, noise};

async fn status_of(ask: Ask<'_>) -> u16 {
    ask.send().await.status.as_u16()
}

#[tokio::test]
async fn counted_faults_play_in_order_and_standing_ones_stay() {
    let registry = FakeRegistry::start().await;
    let blob = registry.repository("app").blob("content");
    let path = format!("/v2/app/blobs/{blob}");
    let client = Client::new(registry.address());
    registry.inject(Fault::on(Kind::BlobGet).header("x-standing", "yes"));
    let first = registry.inject(
        Fault::on(Kind::BlobGet)
            .times(2)
            .status(503)
            .retry_after("7"),
    );
    let second = registry.inject(Fault::on(Kind::BlobGet).once().status(429));
    let late = registry.inject(Fault::on(Kind::BlobGet).after(4).once().status(500));
    let mut seen = Vec::new();
    for _ in 0..6 {
        let reply = client.get(&path).send().await;
        let retry_after = reply.header("retry-after").map(String::from);
        seen.push((
            reply.status.as_u16(),
            retry_after,
            reply.headers.contains_key("x-standing"),
        ));
    }
    let seven = || Some("7".to_owned());
    // The standing fault bends content only, and so leaves answers that are none alone.
    assert_eq!(
        seen,
        [
            (503, seven(), false),
            (503, seven(), false),
            (429, None, false),
            (200, None, true),
            (500, None, false),
            (200, None, true),
        ]
    );
    assert_eq!((first.hits(), second.hits(), late.hits()), (2, 1, 1));
}

#[tokio::test]
async fn faults_meet_only_the_requests_that_they_are_for() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]);
    let pushed = image.push_as(&registry.repository("app"), "1");
    image.push_as(&registry.repository("other"), "1");
    let layer = pushed.layers[0];
    let client = Client::new(registry.address());
    let blob = format!("/v2/app/blobs/{layer}");
    let config = format!("/v2/app/blobs/{}", pushed.config);
    let elsewhere = format!("/v2/other/blobs/{layer}");
    for (fault, expected) in [
        (
            Fault::everywhere(),
            "get head config elsewhere ranged authorized tag",
        ),
        (
            Fault::on(Kind::BlobGet),
            "get config elsewhere ranged authorized",
        ),
        (
            Fault::on(Kind::BLOB),
            "get head config elsewhere ranged authorized",
        ),
        (Fault::on(Kind::MANIFEST), "tag"),
        (
            Fault::on(Kind::BlobGet).of(&layer),
            "get elsewhere ranged authorized",
        ),
        (Fault::everywhere().in_repository("other"), "elsewhere"),
        (Fault::everywhere().method(Method::HEAD), "head"),
        (Fault::everywhere().ranged(), "ranged"),
        (Fault::on(Kind::BLOB).authorized(), "authorized"),
    ] {
        let fault = registry.inject(fault.status(503));
        let mut met = Vec::new();
        for (name, ask) in [
            ("get", client.get(&blob)),
            ("head", client.head(&blob)),
            ("config", client.get(&config)),
            ("elsewhere", client.get(&elsewhere)),
            ("ranged", client.get(&blob).header("range", "bytes=0-1")),
            (
                "authorized",
                client.get(&blob).header("authorization", "Bearer x"),
            ),
            ("tag", client.get("/v2/app/manifests/1")),
        ] {
            let is_met = status_of(ask).await == 503;
            met.extend(is_met.then_some(name));
        }
        assert_eq!(met.join(" "), expected);
        fault.lift();
        assert_eq!(status_of(client.get(&blob)).await, 200);
    }
}

#[tokio::test]
async fn faults_of_content_wait_for_content() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let absent = repository.blob("content");
    repository.remove_blob(&absent);
    let path = format!("/v2/app/blobs/{absent}");
    let client = Client::new(registry.address());
    let short = registry.inject(Fault::on(Kind::BlobGet).once().short_by(3));
    assert_eq!(status_of(client.get(&path)).await, 404);
    assert_eq!(short.hits(), 0);
    repository.blob("content");
    assert_eq!(client.get(&path).send().await.body().await, "cont");
    assert_eq!(short.hits(), 1);
}

#[tokio::test]
async fn clearing_takes_all_faults_away() {
    let registry = FakeRegistry::start().await;
    let client = Client::new(registry.address());
    registry.inject(Fault::everywhere().status(503));
    registry.inject(Fault::on(Kind::Ping).times(5).status(500));
    assert_eq!(status_of(client.get("/v2/")).await, 500);
    registry.clear_faults();
    assert_eq!(status_of(client.get("/v2/")).await, 200);
}

#[tokio::test]
async fn headers_lie_or_are_missing() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 100);
    let digest = registry.repository("app").blob(content.clone());
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    let everywhere = Fault::everywhere;
    let wrong = format!("sha256:{}", "bd".repeat(32));
    let digest = digest.to_string();
    for (fault, name, value) in [
        (
            everywhere().wrong_digest_header(),
            "docker-content-digest",
            Some(&*wrong),
        ),
        (
            everywhere().no_digest_header(),
            "docker-content-digest",
            None,
        ),
        (everywhere().without_header(header::ETAG), "etag", None),
        (everywhere().unquoted_etag(), "etag", Some(&*digest)),
        (
            everywhere().content_type("text/plain"),
            "content-type",
            Some("text/plain"),
        ),
        (everywhere().claims_gzip(), "content-encoding", Some("gzip")),
        (everywhere().header("x-other", "1"), "x-other", Some("1")),
        (
            everywhere().wrong_content_range(),
            "content-range",
            Some("bytes 11-19/100"),
        ),
    ] {
        let description = format!("{fault:?}");
        let fault = registry.inject(fault);
        let reply = client
            .get(&path)
            .header("range", "bytes=10-19")
            .send()
            .await;
        assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT, "{description}");
        assert_eq!(reply.header(name), value, "{description}");
        assert_eq!(reply.body().await, content.slice(10..20), "{description}");
        fault.lift();
    }
}

#[tokio::test]
async fn a_registry_may_know_neither_head_nor_range() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 100);
    let digest = registry.repository("app").blob(content.clone());
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    registry.inject(Fault::everywhere().no_head());
    registry.inject(Fault::on(Kind::BlobGet).ignores_range());
    assert_eq!(status_of(client.head(&path)).await, 405);
    for range in ["bytes=10-19", "bytes=1000-"] {
        let reply = client.get(&path).header("range", range).send().await;
        assert_eq!(
            (reply.status, reply.header("content-range")),
            (StatusCode::OK, None)
        );
        assert_eq!(reply.body().await, content);
    }
}

#[tokio::test]
async fn redirects_lead_where_they_say() {
    let (registry, network) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let content = noise(1, 1000);
    let digest = registry.repository("app").blob(content.clone());
    assert_eq!(network.store(content.clone()), digest);
    let client = Client::new(registry.address());
    let path = format!("/v2/app/blobs/{digest}");
    let own = format!("/storage/{digest}");
    for (status, target, location) in [
        (
            307,
            format!("{}/storage/{{digest}}", network.url()),
            format!("{}{own}", network.url()),
        ),
        (302, "/storage/{digest}".to_owned(), own.clone()),
        (308, "{path}".to_owned(), path.clone()),
        (
            301,
            "/v2/mirror/{repository}/x".to_owned(),
            "/v2/mirror/app/x".to_owned(),
        ),
    ] {
        let fault = registry.inject(Fault::on(Kind::BlobGet).redirect(status, target));
        let reply = client.get(&path).send().await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("location"), Some(&*location));
        assert_eq!(reply.body().await, "");
        fault.lift();
    }
    for client in [client, Client::new(network.address())] {
        assert_eq!(client.get(&own).send().await.body().await, content);
        let part = client.get(&own).header("range", "bytes=0-9").send().await;
        assert_eq!(part.body().await, content.slice(..10));
        assert_eq!(
            status_of(client.get(&own).header("authorization", "Bearer x")).await,
            400
        );
    }
    assert_eq!(
        (network.count(Kind::Storage), network.blob_bytes(&digest)),
        (3, 1010)
    );
}

#[tokio::test]
async fn error_pages_are_not_always_json() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob("content");
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    registry.inject(Fault::everywhere().once().status(502).html());
    registry.inject(Fault::everywhere().once().html());
    registry.inject(
        Fault::everywhere()
            .once()
            .status(404)
            .body(Bytes::from_static(b"{\"err")),
    );
    let mut seen = Vec::new();
    for _ in 0..3 {
        let reply = client.get(&path).send().await;
        let content_type = reply.header("content-type").unwrap().to_owned();
        seen.push((reply.status.as_u16(), content_type, reply.body().await));
    }
    let html = "text/html; charset=utf-8".to_owned();
    let page = Bytes::from("<html><body><h1>It works!</h1></body></html>");
    assert_eq!(
        seen,
        [
            (502, html.clone(), page.clone()),
            (200, html, page),
            (404, "application/json".into(), Bytes::from("{\"err")),
        ]
    );
}

#[tokio::test]
async fn a_registry_may_hang_up_without_a_word() {
    let registry = FakeRegistry::start().await;
    let client = Client::new(registry.address());
    registry.inject(Fault::everywhere().once().hang_up());
    let error = client.get("/v2/").try_send().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(status_of(client.get("/v2/")).await, 200);
    assert_eq!(registry.requests()[0].progress, Progress::Broken);
}

//! The log tells what was asked, and how far the answers went.

use http::Method;

use crate::support::{Client, FakeRegistry, Fault, Image, Kind, Progress, noise};

#[tokio::test]
async fn requests_are_written_down_with_all_their_lines() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("library/alpine").blob("content");
    let client = Client::new(registry.address());
    let ask = client.head("/v2/library/alpine/manifests/3.20?ns=docker.io");
    ask.header("accept", "a/b")
        .header("accept", "c/d, e/f")
        .send()
        .await;
    let path = format!("/v2/library/alpine/blobs/{digest}");
    client
        .get(&path.replace(':', "%3A"))
        .header("range", "bytes=0-3")
        .send()
        .await;
    client.get("/v2/").send().await;
    client
        .get("/token?scope=repository%3Aa%2Fb%3Apull&scope=x+y&service=s")
        .send()
        .await;
    client.get("/v2/library/alpine/tags/list?n=3").send().await;
    client.request(Method::DELETE, &path).send().await;
    assert_eq!(
        registry.lines(),
        [
            "HEAD library/alpine/manifests/3.20?ns=docker.io".to_owned(),
            format!("GET library/alpine/blobs/{digest} bytes=0-3"),
            "GET /v2/".to_owned(),
            "GET /token?scope=repository%3Aa%2Fb%3Apull&scope=x+y&service=s".to_owned(),
            "GET library/alpine/tags/list?n=3".to_owned(),
            format!("DELETE library/alpine/blobs/{digest}"),
        ]
    );
    let requests = registry.requests();
    let kinds: Vec<Kind> = requests.iter().map(|request| request.kind).collect();
    let expected = [
        Kind::ManifestHead,
        Kind::BlobGet,
        Kind::Ping,
        Kind::Token,
        Kind::Tags,
        Kind::Other,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        requests[0].header("accept").as_deref(),
        Some("a/b, c/d, e/f")
    );
    assert_eq!(requests[0].reference.as_deref(), Some("3.20"));
    assert_eq!(requests[0].status.unwrap(), 404);
    assert_eq!(requests[1].repository.as_deref(), Some("library/alpine"));
    assert_eq!(requests[1].digest(), Some(digest));
    assert_eq!(requests[3].query("scope"), ["repository:a/b:pull", "x y"]);
    assert_eq!(registry.count([Kind::Ping, Kind::BlobGet]), 2);
    registry.clear_log();
    assert!(registry.lines().is_empty());
}

#[tokio::test]
async fn bytes_are_counted_as_they_are_handed_out() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 50_000), noise(2, 20)]);
    let image = image.push(&registry.repository("app"));
    let layer = image.layers[0];
    let path = format!("/v2/app/blobs/{layer}");
    let client = Client::new(registry.address());
    client.head(&path).send().await;
    client.get(&path).send().await.body().await;
    client
        .get(&path)
        .header("range", "bytes=-10")
        .send()
        .await
        .body()
        .await;
    client
        .get(&format!("/v2/app/blobs/{}", image.layers[1]))
        .send()
        .await
        .body()
        .await;
    assert_eq!(
        (
            registry.blob_bytes(&layer),
            registry.blob_bytes(&image.layers[1])
        ),
        (50_010, 20)
    );
    let requests = registry.requests_for(&layer);
    let sent: Vec<u64> = requests.iter().map(|request| request.sent).collect();
    assert_eq!(sent, [0, 50_000, 10]);
    assert!(
        requests
            .iter()
            .all(|request| request.progress == Progress::Complete)
    );
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_to_leave() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 1 << 20);
    let digest = registry.repository("app").blob(content);
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(1000));
    let mut reply = client.get(&path).send().await;
    reply.read_exactly(10).await;
    gate.reached().await;
    assert_eq!(registry.requests()[0].progress, Progress::Sending);
    drop(reply);
    registry
        .wait_for(|log| log.requests()[0].progress == Progress::Broken)
        .await;
    assert_eq!(registry.blob_bytes(&digest), 1000);

    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_before_headers());
    tokio::select! {
        _ = client.get(&path).send() => panic!("there is no answer yet"),
        () = gate.reached() => {}
    }
    registry
        .wait_for(|log| log.requests()[1].progress == Progress::Broken)
        .await;
}

#[tokio::test]
async fn waiting_sees_requests_and_pieces_of_bodies() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 30_000));
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    let gate = registry.inject(Fault::on(Kind::BlobGet).drip(10_000));
    let watch = async {
        registry.wait_for(|log| log.count(Kind::BlobGet) == 1).await;
        gate.step();
        registry
            .wait_for(|log| log.blob_bytes(&digest) == 10_000)
            .await;
        gate.open();
        registry
            .wait_for(|log| log.blob_bytes(&digest) == 30_000)
            .await;
    };
    let read = async { client.get(&path).send().await.body().await };
    let (body, ()) = tokio::join!(read, watch);
    assert_eq!(body.len(), 30_000);
}

#[tokio::test]
async fn a_log_that_was_cleared_forgets_the_answers_on_their_way() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 30_000));
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(10_000));
    let reply = client.get(&path).send().await;
    gate.reached().await;
    registry.clear_log();
    client.get("/v2/").send().await;
    gate.open();
    assert_eq!(reply.body().await.len(), 30_000);
    assert_eq!(registry.blob_bytes(&digest), 0);
    assert_eq!(
        (registry.lines(), registry.requests()[0].sent),
        (vec!["GET /v2/".to_owned()], 2)
    );
}

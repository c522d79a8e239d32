//! Registries on bad days: what is here stays there.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn what_is_here_is_served_while_the_registry_is_gone_also_after_a_restart() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 300_000)]).push_as(&registry.repository("app"), "1");
    let mut proxy = TestProxy::of(&registry).await;
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    proxy.get("/v2/app/manifests/1").await.body().await;
    proxy.get(&layer).await.body().await;
    registry.stop().await;
    for _ in 0..2 {
        proxy.advance(HOUR);
        let reply = proxy.get("/v2/app/manifests/1").await;
        assert_eq!(
            reply.header("cache-status"),
            Some("larder; hit; detail=stale_unreachable")
        );
        assert!(
            reply
                .header("warning")
                .is_some_and(|warning| warning.starts_with("299 - "))
        );
        let age: u64 = reply.header("age").unwrap().parse().unwrap();
        assert!(age >= 3_600);
        assert_eq!(reply.body().await, image.bytes);
        assert_eq!(
            proxy
                .get(&format!("/v2/app/manifests/{}", image.digest))
                .await
                .body()
                .await,
            image.bytes
        );
        assert_eq!(proxy.get(&layer).await.body().await, noise(1, 300_000));
        proxy = proxy.restart().await;
    }
}

#[tokio::test]
async fn an_old_answer_goes_out_when_the_registry_fails() {
    type Failure = fn(Fault) -> Fault;
    let failures: [(Failure, &str); 4] = [
        (|fault| fault.status(429), "stale_rate_limited"),
        (|fault| fault.status(503), "stale_unreachable"),
        (|fault| fault.hang_up(), "stale_unreachable"),
        (|fault| fault.stall_before_headers(), "stale_slow"),
    ];
    for (failure, reason) in failures {
        let registry = FakeRegistry::start().await;
        let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
        let proxy = TestProxy::of(&registry).await;
        proxy.get("/v2/app/manifests/1").await.body().await;
        proxy.advance(HOUR);
        let gate = registry.inject(failure(Fault::everywhere()));
        let reply = proxy.get("/v2/app/manifests/1").await;
        let outcome = reply.header("cache-status").unwrap().to_owned();
        assert!(
            outcome.starts_with("larder; hit; detail=stale_"),
            "{outcome}"
        );
        // A failure that takes longer to establish than a client waits is told as slowness.
        assert!(
            outcome.ends_with(reason) || outcome.ends_with("stale_slow"),
            "{outcome} {reason}"
        );
        assert_eq!(reply.body().await, image.bytes);
        gate.open();
    }
}

#[tokio::test]
async fn a_registry_that_comes_back_is_asked_again() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    proxy.advance(HOUR);
    registry.stop().await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    registry.restart().await;
    let new = Image::with_layers([noise(2, 10)]).push_as(&repository, "1");
    crate::support::within("the new manifest", async {
        while proxy.get("/v2/app/manifests/1").await.body().await != new.bytes {}
    })
    .await;
}

#[tokio::test]
async fn a_damaged_file_is_noticed_and_fetched_again() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 300_000);
    let digest = registry.repository("app").blob(content.clone());
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    proxy.get(&path).await.body().await;
    let proxy = proxy.restart().await;
    let hex = digest.hex();
    let file = proxy
        .folder()
        .join("cache/blobs-v1/sha256")
        .join(&hex[..2])
        .join(&hex);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[150_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    registry.clear_log();
    assert_eq!(proxy.get(&path).await.body().await, content);
    assert_eq!(registry.count(Kind::BlobGet), 1);
    // Whole again on disk, also for the next process.
    let proxy = proxy.restart().await;
    assert_eq!(
        proxy.get(&path).await.header("cache-status"),
        Some("larder; hit")
    );
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_tried_again() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 100_000)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on(Kind::ManifestGet).once().hang_up());
    registry.inject(Fault::on(Kind::BlobGet).once().status(503));
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        image.bytes
    );
    let blob = proxy
        .get(&format!("/v2/app/blobs/{}", image.layers[0]))
        .await;
    assert_eq!(blob.body().await, noise(1, 100_000));
    assert_eq!(
        (
            registry.count(Kind::ManifestGet),
            registry.count(Kind::BlobGet)
        ),
        (2, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn no_client_waits_long_for_a_registry_that_is_silent() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 1_000));
    let _silent = registry.inject(Fault::everywhere().stall_before_headers());
    let proxy = TestProxy::of(&registry).await;
    let blob = format!("/v2/app/blobs/{digest}");
    for path in [blob.as_str(), "/v2/app/manifests/1"] {
        for method in ["HEAD", "GET"] {
            // Over a bare socket: the tests' own client has no more patience than larder.
            let mut socket = proxy.socket().await;
            let ask =
                format!("{method} {path} HTTP/1.1\r\nhost: larder\r\nconnection: close\r\n\r\n");
            socket.write_all(ask.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 504 "),
                "{method} {path}: {answer}"
            );
            assert!(
                answer.contains("retry-after: "),
                "{method} {path}: {answer}"
            );
        }
    }
}

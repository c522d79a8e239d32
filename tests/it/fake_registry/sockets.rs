//! Outages, connections, TLS and HTTP/2.

use std::io;

use bytes::Bytes;
use http::{StatusCode, Version};

use crate::support::{Client, Ending, FakeRegistry, Fault, Kind, noise};

#[tokio::test]
async fn a_stopped_registry_refuses_and_a_restarted_one_goes_on_where_it_was() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob("content");
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    for _ in 0..3 {
        assert_eq!(client.get(&path).send().await.body().await, "content");
        registry.stop().await;
        let refused = client.get(&path).try_send().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        registry.restart().await;
    }
    registry.restart().await;
    assert_eq!(client.get(&path).send().await.body().await, "content");
    assert_eq!(registry.count(Kind::BlobGet), 4);
}

#[tokio::test]
async fn stopping_breaks_what_is_on_its_way() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 10_000);
    let digest = registry.repository("app").blob(content.clone());
    let path = format!("/v2/app/blobs/{digest}");
    let client = Client::new(registry.address());
    let mut idle = client.connect().await;
    idle.get("/v2/").send().await.body().await;
    registry.inject(Fault::on(Kind::BlobGet).stall_after(100));
    let mut reply = client.get(&path).send().await;
    assert_eq!(reply.read_exactly(100).await, content.slice(..100));
    assert_eq!(registry.open_connections(), 2);
    registry.stop().await;
    assert_eq!(registry.open_connections(), 0);
    let (rest, ending) = reply.rest().await;
    assert_eq!(rest, "");
    assert_ne!(ending, Ending::Complete);
    idle.get("/v2/").try_send().await.unwrap_err();
}

#[tokio::test]
async fn a_dropped_registry_is_gone() {
    let registry = FakeRegistry::start().await;
    let client = Client::new(registry.address());
    let mut connection = client.connect().await;
    connection.get("/v2/").send().await.body().await;
    registry.inject(Fault::everywhere().stall_before_headers());
    let drop_it = async {
        registry.wait_for(|log| log.count(Kind::Ping) == 2).await;
        drop(registry);
    };
    let (answer, ()) = tokio::join!(connection.get("/v2/").try_send(), drop_it);
    answer.unwrap_err();
}

#[tokio::test]
async fn connections_are_counted() {
    let registry = FakeRegistry::start().await;
    let client = Client::new(registry.address());
    let mut kept = client.connect().await;
    for _ in 0..3 {
        kept.get("/v2/").send().await.body().await;
    }
    assert_eq!(
        (registry.connections(), registry.open_connections()),
        (1, 1)
    );
    client.get("/v2/").send().await.body().await;
    assert_eq!(registry.connections(), 2);
    let numbers: Vec<usize> = registry
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(numbers, [1, 1, 1, 2]);
}

#[tokio::test]
async fn tls_and_http2_serve_the_same() {
    let tls = FakeRegistry::builder().tls().start().await;
    let both = FakeRegistry::builder().tls().http2().start().await;
    let h2c = FakeRegistry::builder().http2().start().await;
    let content = noise(1, 200_000);
    let secure = |registry: &FakeRegistry| Client::tls(registry.address(), registry.ca_pem());
    for (registry, client, scheme, version) in [
        (&tls, secure(&tls), "https", Version::HTTP_11),
        (&both, secure(&both), "https", Version::HTTP_11),
        (&both, secure(&both).http2(), "https", Version::HTTP_2),
        (
            &h2c,
            Client::new(h2c.address()).http2(),
            "http",
            Version::HTTP_2,
        ),
    ] {
        assert_eq!(registry.url(), format!("{scheme}://{}", registry.host()));
        let digest = registry.repository("app").blob(content.clone());
        let path = format!("/v2/app/blobs/{digest}");
        let reply = client.get(&path).send().await;
        assert_eq!((reply.status, reply.version), (StatusCode::OK, version));
        assert_eq!(reply.header("content-length"), Some("200000"));
        assert_eq!(reply.body().await, content);
        assert_eq!(registry.requests().last().unwrap().version, version);

        let gate = registry.inject(
            Fault::on(Kind::BlobGet)
                .once()
                .stall_after(5000)
                .cut_after(5000),
        );
        let mut reply = client.get(&path).send().await;
        assert_eq!(reply.read_exactly(5000).await, content.slice(..5000));
        gate.reached().await;
        gate.open();
        let (rest, ending) = reply.rest().await;
        assert_eq!((rest, ending), (Bytes::new(), Ending::Reset));
    }
}

#[tokio::test]
async fn nobody_trusts_a_certificate_of_another_authority() {
    let [registry, other] = [0, 1].map(|_| FakeRegistry::builder().tls().start());
    let (registry, other) = tokio::join!(registry, other);
    let client = Client::tls(registry.address(), other.ca_pem());
    client.get("/v2/").try_send().await.unwrap_err();
    assert_eq!((registry.count(Kind::Ping), registry.connections()), (0, 1));
}

//! What is counted is what happened.

use prometheus_client::encoding::text::encode;
use tokio::io::AsyncWriteExt;

use crate::support::{FakeRegistry, Fault, Kind, TestProxy, noise, within};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn requests_whose_client_left_are_not_counted_as_answered() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let (large, never) = (
        repository.blob(noise(1, 32 * MIB)),
        repository.blob(noise(2, MIB)),
    );
    let gate = registry.inject(Fault::on(Kind::BlobGet).of(&never).stall_before_headers());
    let proxy = TestProxy::of(&registry).await;
    let large = format!("/v2/app/blobs/{large}");
    for _ in 0..2 {
        proxy.get(&large).await.body().await;
    }
    proxy.head("/v2/").await;
    proxy.head("/v2/app/manifests/none").await;
    // One leaves in the middle of a body, another before there is an answer.
    proxy.get(&large).await.read_exactly(1).await;
    let mut stream = proxy.socket().await;
    let request = format!("GET /v2/app/blobs/{never} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    gate.reached().await;
    drop(stream);
    let counters = proxy.counters();
    let told = || {
        let mut text = String::new();
        encode(&mut text, &counters).unwrap();
        text
    };
    within("the end of both requests", async {
        while told().matches(r#"status="499""#).count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    proxy.stop().await;
    let text = told();
    let count = |labels: &str| -> u64 {
        let lines = text.lines().filter(|line| line.contains(labels));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    for (labels, requests) in [
        (r#"requests_total{route="blob",status="200""#, 2),
        (r#"requests_total{route="blob",status="499""#, 2),
        (r#"requests_total{route="ping",status="200""#, 1),
        (r#"requests_total{route="manifest",status="404""#, 1),
    ] {
        assert_eq!(count(labels), requests, "{labels} in {text}");
    }
}

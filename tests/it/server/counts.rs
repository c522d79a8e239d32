//! What is counted is what happened.

use prometheus_client::encoding::text::encode;
use tokio::io::AsyncWriteExt;

use crate::support::{FakeRegistry, Fault, Kind, TestProxy, noise};

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
    proxy.stop().await;
    let mut text = String::new();
    encode(&mut text, &counters).unwrap();
    for line in [
        r#"requests_total{route="blob",status="200",outcome="miss"} 1"#,
        r#"requests_total{route="blob",status="200",outcome="hit"} 1"#,
        r#"requests_total{route="blob",status="499",outcome="hit"} 1"#,
        r#"requests_total{route="blob",status="499",outcome="none"} 1"#,
        r#"requests_total{route="ping",status="200",outcome="none"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(text.contains(r#"route="manifest",status="404""#), "{text}");
}

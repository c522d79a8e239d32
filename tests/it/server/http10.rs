//! Clients of HTTP/1.0, for which the end of the connection is the end of a body.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{FakeRegistry, Fault, Kind, Progress, TestProxy, noise, within};

const MIB: usize = 1024 * 1024;

async fn get(proxy: &TestProxy, path: &str) -> (String, Vec<u8>) {
    let mut stream = proxy.socket().await;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    within("an answer", stream.read_to_end(&mut all))
        .await
        .unwrap();
    let head = all.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4;
    let body = all.split_off(head);
    (String::from_utf8(all).unwrap().to_lowercase(), body)
}

#[tokio::test]
async fn a_body_of_unknown_size_is_not_given_to_who_cannot_see_it_cut() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, MIB);
    let digest = registry.repository("app").blob(content.clone());
    registry.inject(Fault::on(Kind::BlobGet).no_content_length());
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let (head, body) = get(&proxy, &path).await;
    assert!(head.starts_with("http/1.0 503 "), "{head}");
    assert!(head.contains("\r\nretry-after: 5\r\n"), "{head}");
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("is not known yet"), "{body}");
    // The transfer goes on, and once it is over the size is known.
    registry
        .wait_for(|log| {
            let requests = log.requests_for(&digest);
            requests.iter().any(|r| r.progress == Progress::Complete)
        })
        .await;
    assert_eq!(proxy.get(&path).await.body().await, content);
    let (head, body) = get(&proxy, &path).await;
    assert!(head.starts_with("http/1.0 200 "), "{head}");
    assert!(head.contains("\r\ncontent-length: 1048576\r\n"), "{head}");
    assert_eq!(body, content);
}

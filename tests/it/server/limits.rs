//! How much one client can make larder hold.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Ending, FakeRegistry, TestProxy, within};

#[tokio::test]
async fn headers_that_are_too_large_are_refused_in_words_over_http1_and_http2() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for client in [proxy.client(), proxy.client().http2()] {
        for (size, status) in [(30_000, 200), (40_000, 431), (70_000, 431)] {
            let reply = client
                .get("/v2/")
                .header("authorization", &"x".repeat(size))
                .send()
                .await;
            assert_eq!(reply.status, status, "{size} {:?}", reply.version);
            let kind = reply.header("content-type");
            assert_eq!(kind, Some("application/json"), "{size}");
            assert_eq!(reply.rest().await.1, Ending::Complete);
        }
    }
}

#[tokio::test]
async fn http2_streams_are_few() {
    /// The identifier of SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, 6.5.2).
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    let mut stream = proxy.socket().await;
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&empty_settings).await.unwrap();
    let mut head = [0; 9];
    within("the settings", stream.read_exact(&mut head))
        .await
        .unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    let streams = settings.chunks(6).find_map(|setting| {
        let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
        (setting[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes()).then_some(value)
    });
    assert!(streams.is_some_and(|streams| streams <= 32), "{streams:?}");
}

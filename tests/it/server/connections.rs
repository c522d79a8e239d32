//! Connections on which nothing happens end; slow ones do not.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Client, Ending, FakeRegistry, TestProxy, noise};

const MIB: usize = 1024 * 1024;
/// Longer than any patience of the server.
const LONG: Duration = Duration::from_mins(10);

/// Reads to the end of a connection, which has to come. Time is paused: the server's timers fire without waiting.
async fn closed(mut stream: TcpStream) -> bool {
    let mut buffer = vec![0; 65536];
    let read = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    timeout(LONG, read).await.is_ok()
}

/// A larder that has this content, and the path of it.
async fn warm(size: usize) -> (TestProxy, String) {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, size));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(proxy.get(&path).await.body().await.len(), size);
    (proxy, path)
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let (proxy, _) = warm(10).await;
    tokio::time::pause();
    for sent in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nhost:",
        "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = proxy.socket().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert!(closed(stream).await, "after {sent:?}");
    }
}

#[tokio::test]
async fn an_idle_http2_connection_that_answers_pings_is_closed() {
    let (proxy, path) = warm(10).await;
    let mut connection = proxy.client().http2().connect().await;
    connection.get(&path).send().await.body().await;
    tokio::time::pause();
    sleep(LONG).await;
    let refused = connection.get(&path).try_send().await;
    assert!(refused.is_err(), "{:?}", refused.map(|reply| reply.status));
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    // More than the windows of HTTP/2, and than the buffers of the kernel.
    let (proxy, path) = warm(32 * MIB).await;
    let give_up = async |client: Client| {
        let reply = client.get(&path).send().await;
        tokio::time::pause();
        sleep(LONG).await;
        tokio::time::resume();
        let (bytes, ending) = reply.rest().await;
        assert!(bytes.len() < 32 * MIB && ending != Ending::Complete);
    };
    give_up(proxy.client()).await;
    give_up(proxy.client().http2()).await;
}

#[tokio::test]
async fn a_client_that_takes_an_answer_slowly_gets_all_of_it() {
    let (proxy, path) = warm(32 * MIB).await;
    for client in [proxy.client(), proxy.client().http2()] {
        let mut reply = client.get(&path).send().await;
        tokio::time::pause();
        let began = Instant::now();
        for _ in 0..8 {
            sleep(Duration::from_mins(2)).await;
            reply.read_exactly(4 * MIB).await;
        }
        assert!(began.elapsed() > LONG);
        tokio::time::resume();
        assert!(reply.body().await.is_empty());
    }
}

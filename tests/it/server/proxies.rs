//! Proxies in front of larder: for whom they ask, and what that changes.

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Authority, Client, FakeRegistry, Image, TestProxy, TestProxyBuilder, noise};
use crate::support::{Reply, within};

const TAG: &str = "/v2/app/manifests/1";
const PRIVATE: &str = "/v2/team/app/manifests/1";

/// A registry with a public image and a private one, and a larder that may pull both.
async fn larder(change: impl FnOnce(TestProxyBuilder) -> TestProxyBuilder) -> TestLarder {
    let registry = FakeRegistry::builder().bearer().basic("acme", "secret");
    let registry = registry.start().await;
    let image = Image::with_layers([noise(1, 1000)]);
    image.push_as(&registry.repository("app"), "1");
    let private = registry.repository("team/app");
    image.push_as(&private, "1");
    private.make_private();
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.login("acme", "secret").refresh_from("192.0.2.0/24");
    let proxy = change(proxy).start().await;
    TestLarder { registry, proxy }
}

struct TestLarder {
    registry: FakeRegistry,
    proxy: TestProxy,
}

impl TestLarder {
    /// Tells whether a client that asks for a tag at once, when it is fresh, has the registry asked.
    async fn refreshes(&self, client: &Client, header: Option<&str>) -> bool {
        client.get(TAG).send().await.body().await;
        self.registry.clear_log();
        let ask = client.get(TAG).header("cache-control", "no-cache");
        let reply: Reply = match header {
            Some(value) => ask.header("x-forwarded-for", value).send().await,
            None => ask.send().await,
        };
        assert_eq!(reply.status, 200);
        reply.body().await;
        !self.registry.lines().is_empty()
    }
}

/// A header of version 2 for a client at this address.
fn header(client: [u8; 4]) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&signature[..], &client, &[127, 0, 0, 1, 0x12, 0x34, 0, 80]].concat()
}

#[tokio::test]
async fn a_proxy_says_by_a_header_for_whom_it_asks() {
    let larder = larder(|builder| builder.trusts_proxies("127.0.0.0/8")).await;
    let client = larder.proxy.client();
    assert!(
        larder
            .refreshes(&client, Some("203.0.113.5, 192.0.2.7"))
            .await
    );
    assert!(
        !larder
            .refreshes(&client, Some("192.0.2.7, 203.0.113.5"))
            .await
    );
    assert!(
        !larder
            .refreshes(&client, Some("192.0.2.7, 127.0.0.1"))
            .await
    );
    // Nobody gets what is for this machine, not even a proxy that says nothing.
    for forwarded in ["192.0.2.7", "127.0.0.1", "::1", ""] {
        let ask = client.request(Method::GET, PRIVATE);
        let reply = ask.header("x-forwarded-for", forwarded).send().await;
        assert_eq!(reply.status, 403, "{forwarded}");
    }
    assert_eq!(client.get(PRIVATE).send().await.status, 403);
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_says_nothing() {
    let larder = larder(|builder| builder.trusts_proxies("10.0.0.0/8")).await;
    let client = larder.proxy.client();
    assert!(!larder.refreshes(&client, Some("192.0.2.7")).await);
    assert_eq!(client.get(PRIVATE).send().await.status, 200);
}

#[tokio::test]
async fn a_proxy_says_by_the_proxy_protocol_for_whom_it_connects() {
    let larder = larder(|b| b.trusts_proxies("127.0.0.1/32").proxy_protocol()).await;
    let client = larder.proxy.client();
    let line = b"PROXY TCP4 192.0.2.7 127.0.0.1 9 80\r\n";
    for (beginning, may) in [
        (&header([192, 0, 2, 7])[..], true),
        (&header([203, 0, 113, 5]), false),
        (&header([127, 0, 0, 1]), false),
        (line, true),
        (b"PROXY UNKNOWN\r\n", false),
    ] {
        for client in [client.clone(), client.clone().http2()] {
            let client = client.beginning(beginning);
            let shown = beginning.escape_ascii();
            assert_eq!(larder.refreshes(&client, None).await, may, "{shown}");
            assert_eq!(client.get(PRIVATE).send().await.status, 403, "{shown}");
            // What the client says of others is not what the proxy says.
            assert!(!larder.refreshes(&client, Some("192.0.2.9")).await);
        }
    }
}

#[tokio::test]
async fn the_proxy_protocol_comes_before_tls() {
    let authority = Authority::new();
    let tls = authority.settings();
    let larder = larder(|b| {
        let builder = b.trusts_proxies("127.0.0.1/32").proxy_protocol();
        builder.tls(tls)
    })
    .await;
    let client = larder.proxy.tls_client(&authority.pem());
    let told = client.clone().beginning(&header([192, 0, 2, 7]));
    assert!(larder.refreshes(&told, None).await);
    assert!(client.get(TAG).try_send().await.is_err());
}

/// Sends something, and returns what comes back before the end of the connection.
async fn answered(proxy: &TestProxy, sent: &[u8]) -> Vec<u8> {
    let mut socket = proxy.socket().await;
    socket.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is closed before all was read is reset.
    drop(within("the end", socket.read_to_end(&mut answer)).await);
    answer
}

#[tokio::test]
async fn who_does_not_speak_the_proxy_protocol_is_closed() {
    let builder = |network: &'static str| {
        move |b: TestProxyBuilder| b.trusts_proxies(network).proxy_protocol()
    };
    let request = b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n";
    let trusted = larder(builder("127.0.0.1/32")).await;
    assert_eq!(answered(&trusted.proxy, request).await, b"");
    assert_eq!(
        answered(&trusted.proxy, b"PROXY TCP4 1 2 3 4\r\n").await,
        b""
    );
    // Whoever is not trusted may not say so.
    let others = larder(builder("10.0.0.0/8")).await;
    let told = [&header([192, 0, 2, 7])[..], request].concat();
    assert_eq!(answered(&others.proxy, &told).await, b"");
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_closed() {
    let larder = larder(|b| b.trusts_proxies("127.0.0.1/32").proxy_protocol()).await;
    tokio::time::pause();
    for sent in [&b""[..], b"PROXY TCP4 ", &header([192, 0, 2, 7])[..20]] {
        let mut socket = larder.proxy.socket().await;
        socket.write_all(sent).await.unwrap();
        let limit = std::time::Duration::from_secs(30);
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(limit, socket.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{}", sent.escape_ascii());
    }
}

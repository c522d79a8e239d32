//! Networks whose only way out is a proxy.

use crate::support::{
    FakeRegistry, Fault, ForwardProxy, Image, Kind, PushedImage, TestProxy, noise,
};

/// A login at the proxy, and as it is shown.
const LOGIN: (&str, &str) = ("us%65r:pass", "Basic dXNlcjpwYXNz");

fn push(registry: &FakeRegistry) -> PushedImage {
    Image::with_layers([noise(1, 300_000)]).push_as(&registry.repository("app"), "1")
}

/// Returns the address of a registry under a name that only the proxy knows.
fn named(registry: &FakeRegistry) -> String {
    registry.url().replace("127.0.0.1", "registry.test.example")
}

async fn pull(larder: &TestProxy, image: &PushedImage) {
    let manifest = larder.get("/v2/app/manifests/1").await;
    assert_eq!(manifest.body().await, image.bytes);
    let layer = larder
        .get(&format!("/v2/app/blobs/{}", image.layers[0]))
        .await;
    assert_eq!(layer.body().await, noise(1, 300_000));
}

fn assert_no_login_at(registry: &FakeRegistry) {
    for request in registry.requests() {
        assert!(!request.headers.contains_key("proxy-authorization"));
    }
}

#[tokio::test]
async fn an_encrypted_registry_is_reached_through_a_tunnel() {
    let registry = FakeRegistry::builder().tls().http2().start().await;
    let (image, proxy) = (push(&registry), ForwardProxy::start().await);
    let larder = TestProxy::builder()
        .upstream_at("up.test", &named(&registry))
        .trusts(registry.ca_pem())
        .egress(proxy.egress(LOGIN.0))
        .start()
        .await;
    pull(&larder, &image).await;
    let port = registry.address().port();
    for tunnel in proxy.asked() {
        assert_eq!(tunnel.line, format!("CONNECT registry.test.example:{port}"));
        assert_eq!(tunnel.authorization.as_deref(), Some(LOGIN.1));
    }
    assert!(!proxy.asked().is_empty());
    assert_no_login_at(&registry);
}

#[tokio::test]
async fn a_plain_registry_is_reached_by_requests_to_the_proxy() {
    let registry = FakeRegistry::start().await;
    let (image, proxy) = (push(&registry), ForwardProxy::start().await);
    let larder = TestProxy::builder()
        .upstream_at("up.test", &named(&registry))
        .egress(proxy.egress(LOGIN.0))
        .start()
        .await;
    pull(&larder, &image).await;
    let asked = proxy.asked();
    let url = named(&registry);
    assert_eq!(asked[0].line, format!("GET {url}/v2/app/manifests/1"));
    for request in asked {
        assert_eq!(request.authorization.as_deref(), Some(LOGIN.1));
    }
    assert_no_login_at(&registry);
}

#[tokio::test]
async fn a_registry_behind_a_proxy_leads_nowhere_private() {
    let registry = FakeRegistry::start().await;
    let (image, proxy) = (push(&registry), ForwardProxy::start().await);
    let larder = TestProxy::builder()
        .upstream_at("up.test", &named(&registry))
        .egress(proxy.egress(LOGIN.0))
        .start()
        .await;
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "http://192.168.0.1/",
        "http://metadata.google.internal/",
    ] {
        let fault = Fault::on(Kind::BlobGet).redirect(307, target);
        let gate = registry.inject(fault);
        let reply = larder.get(&layer).await;
        assert_eq!(reply.status, 502, "{target}");
        assert!(
            reply
                .body()
                .await
                .starts_with(br#"{"errors":[{"code":"DENIED""#)
        );
        registry.clear_faults();
        drop(gate);
    }
    for request in proxy.asked() {
        assert!(request.line.contains(&named(&registry)), "{request:?}");
    }
}

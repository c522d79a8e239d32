//! Clients that read no index, of a tag that others have pulled: they get its image for linux/amd64.

use std::time::Duration;

use larder::cache::freshness::StaleLimit;
use larder::oci::MediaType;
use larder::upstream::Mode;

use super::{STALE, TAG};
use crate::support::{FakeRegistry, Fault, Image, Index, TestProxy, TestProxyBuilder, noise};

/// Starts a larder that knows an index and its image, and returns the bytes of the image.
async fn larder(
    registry: &FakeRegistry,
    change: impl FnOnce(TestProxyBuilder) -> TestProxyBuilder,
) -> (TestProxy, Vec<u8>) {
    let image = Image::with_layers([noise(1, 10)]);
    let index = Index::of([("linux/amd64", image)]).push_as(&registry.repository("app"), "1");
    let builder = TestProxy::builder().upstream("up.test", registry);
    let proxy = change(builder).start().await;
    proxy.get(TAG).await.body().await;
    let image = format!("/v2/app/manifests/{}", index.images[0].digest);
    let bytes = proxy.get(&image).await.body().await;
    (proxy, bytes.to_vec())
}

/// Asks for the tag as such a client, and returns the status, where the answer came from, and the answer.
async fn ask(proxy: &TestProxy) -> (u16, Option<String>, Vec<u8>) {
    let client = proxy.client();
    let ask = client.get(TAG).header("accept", MediaType::OCI_MANIFEST);
    let reply = ask.send().await;
    let outcome = reply.header("cache-status").map(str::to_owned);
    let status = reply.status.as_u16();
    (status, outcome, reply.body().await.to_vec())
}

fn told(detail: &str) -> Option<String> {
    Some(format!("larder; hit; detail={detail}"))
}

#[tokio::test]
async fn they_wait_for_a_slow_registry_no_longer_than_others() {
    let registry = FakeRegistry::start().await;
    let (proxy, image) = larder(&registry, |builder| {
        builder
            .limits(|limits| limits.headers = Duration::from_hours(1))
            .contract(|keys| keys.answer_within = Some(Duration::ZERO))
    })
    .await;
    registry.inject(Fault::everywhere().stall_before_headers());
    let found = ask(&proxy).await;
    assert_eq!(found, (200, told("stale_slow"), image));
}

#[tokio::test]
async fn what_was_refused_to_them_does_not_come_back_when_the_registry_is_gone() {
    for has_asked in [false, true] {
        let registry = FakeRegistry::start().await;
        let never = Some(StaleLimit::NEVER);
        let (mut proxy, image) = larder(&registry, |builder| {
            builder.contract(|keys| keys.stale_on_denied = never)
        })
        .await;
        if has_asked {
            assert_eq!(ask(&proxy).await.2, image);
        }
        proxy.advance(STALE);
        registry.inject(Fault::everywhere().status(403));
        assert_eq!(ask(&proxy).await.0, 404, "{has_asked}");
        registry.stop().await;
        for _ in 0..2 {
            assert_eq!(ask(&proxy).await.0, 502, "{has_asked}");
            assert_eq!(proxy.get(TAG).await.status, 502, "{has_asked}");
            proxy = proxy.restart().await;
        }
    }
}

#[tokio::test]
async fn they_get_it_offline_as_others_do() {
    let registry = FakeRegistry::start().await;
    let (proxy, image) = larder(&registry, |builder| {
        builder.contract(|keys| keys.stale_on_unreachable = Some(StaleLimit::NEVER))
    })
    .await;
    proxy.set_mode("up.test", Mode::Offline);
    registry.clear_log();
    let fresh = Some("larder; hit".to_owned());
    assert_eq!(ask(&proxy).await, (200, fresh, image.clone()));
    proxy.advance(STALE);
    assert_eq!(ask(&proxy).await, (200, told("offline"), image));
    assert_eq!(registry.lines(), Vec::<String>::new());
}

//! Registries whose HEAD is of no use: what it costs to check a tag there.

use std::time::Duration;

use larder::cache::freshness::Freshness;

use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise};

const MINUTE: Duration = Duration::from_mins(1);
const HEAD: &str = "HEAD app/manifests/1";
const GET: &str = "GET app/manifests/1";

async fn proxy(registry: &FakeRegistry) -> TestProxy {
    let builder = TestProxy::builder().upstream("up.test", registry);
    builder.freshness(Freshness::For(MINUTE)).start().await
}

/// Asks for the tag a minute later, and returns the outcome, the body, and what the registry was asked.
async fn check(registry: &FakeRegistry, proxy: &TestProxy) -> (String, Vec<u8>, Vec<String>) {
    registry.clear_log();
    proxy.advance(MINUTE * 2);
    let reply = proxy.get("/v2/app/manifests/1").await;
    let outcome = reply.header("cache-status").unwrap().to_owned();
    (outcome, reply.body().await.to_vec(), registry.lines())
}

#[tokio::test]
async fn a_tag_is_checked_by_one_get_that_brings_nothing() {
    for fault in [
        Fault::on(Kind::ManifestHead).no_head(),
        Fault::on(Kind::ManifestHead).status(404),
        Fault::on(Kind::ManifestHead)
            .no_digest_header()
            .without_header(http::header::ETAG),
        Fault::on(Kind::ManifestHead).no_content_length(),
        Fault::on(Kind::ManifestHead).content_type("text/plain"),
    ] {
        let shown = format!("{fault:?}");
        let registry = FakeRegistry::start().await;
        let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
        registry.inject(fault);
        let proxy = proxy(&registry).await;
        assert_eq!(
            proxy.get("/v2/app/manifests/1").await.body().await,
            image.bytes
        );
        for asked in [&[HEAD, GET] as &[_], &[GET], &[GET]] {
            let (outcome, body, lines) = check(&registry, &proxy).await;
            assert_eq!(outcome, "larder; fwd=stale; detail=revalidated", "{shown}");
            assert_eq!(body, image.bytes, "{shown}");
            assert_eq!(lines, asked, "{shown}");
            let last = registry.requests().pop().unwrap();
            assert_eq!(
                (last.status.unwrap().as_u16(), last.sent),
                (304, 0),
                "{shown}"
            );
        }
        // It may have been repaired meanwhile.
        registry.clear_faults();
        proxy.advance(Duration::from_mins(10));
        assert_eq!(check(&registry, &proxy).await.2, [HEAD], "{shown}");
    }
}

#[tokio::test]
async fn a_tag_that_moved_comes_with_the_check() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    registry.inject(Fault::on(Kind::ManifestHead).no_head());
    let proxy = proxy(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    check(&registry, &proxy).await;
    let new = Image::with_layers([noise(2, 10)]).push_as(&repository, "1");
    let (outcome, body, lines) = check(&registry, &proxy).await;
    assert_eq!(outcome, "larder; fwd=miss; stored");
    assert_eq!((body, lines), (new.bytes.to_vec(), vec![GET.to_owned()]));
    repository.remove_tag("1");
    registry.clear_log();
    proxy.advance(MINUTE * 2);
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 404);
    assert_eq!(registry.lines(), [GET]);
}

#[tokio::test]
async fn a_client_that_asks_for_the_head_gets_what_a_get_tells() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let image = Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    Image::with_layers([noise(2, 10)]).push_as(&repository, "2");
    registry.inject(Fault::on(Kind::ManifestHead).no_head());
    let proxy = proxy(&registry).await;
    let reply = proxy.head("/v2/app/manifests/1").await;
    let digest = image.digest.to_string();
    assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
    assert_eq!(registry.lines(), [HEAD, GET]);
    registry.clear_log();
    assert_eq!(proxy.head("/v2/app/manifests/2").await.status, 200);
    assert_eq!(registry.lines(), ["GET app/manifests/2"]);
}

//! How any registry is asked (protocol, "Upstream fetch"), where no other test is about it.

use std::time::Duration;

use futures_util::future::join_all;

use super::{pull, push, refusal};
use crate::support::{FakeRegistry, Fault, Image, Index, Kind, TestProxy, noise};

const ASKED: [Kind; 4] = [
    Kind::ManifestHead,
    Kind::ManifestGet,
    Kind::BlobHead,
    Kind::BlobGet,
];

#[tokio::test]
async fn a_status_that_passes_is_asked_again() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for status in [408, 500, 502, 503, 504] {
        let name = format!("app-{status}");
        for kind in ASKED {
            let passing = Fault::on(kind).in_repository(&name).once();
            registry.inject(passing.status(status));
        }
        let image = push(&registry, &name, "1");
        pull(&proxy, &name, "1", &image).await;
    }
}

#[tokio::test]
async fn a_status_that_stays_is_not_asked_again() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for status in [400, 402, 403, 404, 405, 410, 416, 418, 451, 501, 505] {
        let name = format!("app-{status}");
        let staying = Fault::on(ASKED).in_repository(&name);
        registry.inject(staying.status(status));
        let image = push(&registry, &name, "1");
        for path in [
            format!("/v2/{name}/manifests/{}", image.digest),
            format!("/v2/{name}/blobs/{}", image.config),
        ] {
            registry.clear_log();
            let (found, _) = refusal(proxy.get(&path).await).await;
            assert!(matches!(found, 404 | 502), "{status} became {found}");
            let asked = registry.lines();
            assert_eq!(asked.len(), 1, "{status}: {asked:?}");
        }
    }
}

#[tokio::test]
async fn a_transfer_that_breaks_behind_its_last_byte_is_whole() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 100_000);
    let digest = registry.repository("app").blob(content.clone());
    // Without a length, only asking for more shows that there is no more.
    registry.inject(
        Fault::on(Kind::BlobGet)
            .once()
            .no_content_length()
            .end_after(100_000),
    );
    let proxy = TestProxy::of(&registry).await;
    let reply = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
    assert_eq!(reply.body().await, content);
    let ranges: Vec<_> = registry
        .requests()
        .iter()
        .map(|asked| asked.range())
        .collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".to_owned())]);
}

#[tokio::test]
async fn a_crowd_learns_of_an_absence_by_one_request() {
    let registry = FakeRegistry::start().await;
    let stall = Fault::on(Kind::ManifestGet).stall_before_headers();
    let gate = registry.inject(stall);
    let proxy = TestProxy::of(&registry).await;
    let signature = format!("/v2/app/manifests/sha256-{}.sig", "a".repeat(64));
    let crowd = join_all((0..20).map(|_| proxy.get(&signature)));
    let release = async {
        gate.reached().await;
        gate.open();
    };
    let (replies, ()) = tokio::join!(crowd, release);
    for reply in replies {
        let expected = (404, "MANIFEST_UNKNOWN".to_owned());
        assert_eq!(refusal(reply).await, expected);
    }
    proxy.advance(Duration::from_secs(14));
    assert_eq!(proxy.get(&signature).await.status, 404);
    assert_eq!(registry.lines().len(), 1);
    proxy.advance(Duration::from_secs(2));
    assert_eq!(proxy.get(&signature).await.status, 404);
    assert_eq!(registry.lines().len(), 2);
}

#[tokio::test]
async fn a_token_service_that_is_silent_is_given_up() {
    let registry = FakeRegistry::builder().bearer().start().await;
    push(&registry, "app", "1");
    registry.inject(Fault::on(Kind::Token).stall_before_headers());
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .limits(|limits| limits.token = Duration::from_millis(20))
        .start()
        .await;
    let reply = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(refusal(reply).await.0, 504);
}

#[tokio::test]
async fn registries_hear_who_larder_is_and_not_who_asked_it() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let image = push(&registry, "app", "1");
    let proxy = TestProxy::of(&registry).await;
    for path in [
        "/v2/app/manifests/1".to_owned(),
        format!("/v2/app/blobs/{}", image.config),
    ] {
        let client = proxy.client();
        let ask = client.get(&path).header("user-agent", "docker/28.5.2");
        let ask = ask
            .header("cookie", "secret=1")
            .header("x-forwarded-for", "10.1.2.3");
        assert_eq!(ask.send().await.status, 200);
    }
    for request in registry.requests() {
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("larder/"), "{agent}");
        for name in ["cookie", "x-forwarded-for", "forwarded"] {
            assert_eq!(request.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn nothing_is_fetched_that_nobody_asked_for() {
    let registry = FakeRegistry::start().await;
    let image = |seed: u64| Image::with_layers([noise(seed, 10_000)]);
    let index = Index::of([("linux/amd64", image(1)), ("linux/arm64", image(2))]);
    let index = index.push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let [amd64, _arm64] = &index.images[..] else {
        panic!("two images");
    };
    proxy.get("/v2/app/manifests/1").await.body().await;
    let path = format!("/v2/app/manifests/{}", amd64.digest);
    proxy.get(&path).await.body().await;
    let path = format!("/v2/app/blobs/{}", amd64.config);
    proxy.get(&path).await.body().await;
    let expected = [
        "GET app/manifests/1".to_owned(),
        format!("GET app/manifests/{}", amd64.digest),
        format!("GET app/blobs/{}", amd64.config),
    ];
    assert_eq!(registry.lines(), expected);
}

#[tokio::test]
async fn a_registry_that_does_not_say_its_version_is_one_all_the_same() {
    let version = http::HeaderName::from_static("docker-distribution-api-version");
    let silent = Fault::everywhere().without_header(version.clone());
    let silent_refusal = Fault::everywhere().answered(404).without_header(version);
    let registry = FakeRegistry::builder()
        .habit(silent)
        .habit(silent_refusal)
        .start()
        .await;
    let image = push(&registry, "app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "app", "1", &image).await;
    super::expect_absence(&proxy, "app", "none").await;
}

//! Lists of private repositories: for those who may, and of the login that saw them.

use http::Method;

use super::{document, push, tags, texts};
use crate::pull::private::{elsewhere, has_login, larder, registry, status};
use crate::support::{FakeRegistry, Fault, Kind, TestProxy};

const PATH: &str = "/v2/team/app/tags/list";

#[tokio::test]
async fn what_is_private_is_listed_on_this_machine_alone() {
    let registry = registry().await;
    let image = push(&registry, "team/app", &["1"]);
    registry.repository("team/app").make_private();
    let referrers = format!("/v2/team/app/referrers/{}", image.digest);
    let proxy = larder(&registry).await;
    for _ in ["cold", "warm"] {
        for path in [PATH, &referrers] {
            registry.clear_log();
            for method in [Method::GET, Method::HEAD] {
                let reply = elsewhere(&proxy, method, path).await;
                assert_eq!(reply.status, 403, "{path}");
                assert_eq!(reply.header("cache-status"), None, "{path}");
            }
            assert!(!registry.requests().iter().any(has_login), "{path}");
            assert_eq!(proxy.get(path).await.status, 200, "{path}");
        }
    }
    assert_eq!(tags(&proxy, PATH).await.0, ["1"]);
}

#[tokio::test]
async fn what_is_shared_is_listed_to_everyone() {
    let registry = registry().await;
    push(&registry, "team/app", &["1"]);
    registry.repository("team/app").make_private();
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.login("acme", "secret").shares("team/*").start().await;
    let reply = elsewhere(&proxy, Method::GET, PATH).await;
    assert_eq!(texts(&document(reply).await, "tags"), ["1"]);
}

#[tokio::test]
async fn what_anybody_may_read_is_found_out_by_a_tag_and_listed_without_the_login() {
    let registry = registry().await;
    push(&registry, "app", &["1", "2"]);
    let proxy = larder(&registry).await;
    assert_eq!(status(&proxy, "/v2/app/tags/list").await, 200);
    let asked: Vec<String> = registry
        .lines()
        .into_iter()
        .filter(|line| line.contains("app/"))
        .collect();
    for line in ["GET app/tags/list?n=1", "HEAD app/manifests/1"] {
        assert!(asked.iter().any(|found| found == line), "{asked:?}");
    }
    // A manifest is not asked about again.
    registry.clear_log();
    assert_eq!(status(&proxy, "/v2/app/manifests/2").await, 200);
    assert_eq!(registry.count(Kind::ManifestHead), 0);
}

#[tokio::test]
async fn a_list_for_everybody_does_not_open_what_cannot_be_pulled() {
    // Lists tags to all who ask, and has manifests for users alone; or an empty list of what it hides.
    for body in [r#"{"tags":["1"]}"#, r#"{"tags":[]}"#] {
        let registry = registry().await;
        push(&registry, "team/app", &["1"]);
        registry.repository("team/app").make_private();
        registry.inject(
            Fault::on(Kind::Tags)
                .answered(401)
                .status(200)
                .content_type("application/json")
                .body(body),
        );
        let proxy = larder(&registry).await;
        assert_eq!(status(&proxy, PATH).await, 403, "{body}");
        assert_eq!(
            status(&proxy, "/v2/team/app/manifests/1").await,
            403,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_lists_nothing_does_not_close_what_can_be_pulled() {
    let registry = registry().await;
    push(&registry, "app", &["1"]);
    registry.inject(Fault::on(Kind::Tags).status(403));
    let proxy = larder(&registry).await;
    proxy.get("/v2/app/tags/list").await;
    assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 200);
}

#[tokio::test]
async fn a_login_does_not_see_what_another_one_saw() {
    let registry = registry().await;
    let repository = registry.repository("team/app");
    push(&registry, "team/app", &["1", "2"]);
    repository.make_private_to(&["acme"]);
    let proxy = larder(&registry).await;
    tags(&proxy, PATH).await;
    proxy.get("/v2/team/app/manifests/1").await.body().await;
    let other = |proxy: crate::support::proxy::TestProxyBuilder| {
        proxy
            .with(|settings| settings.credentials.clear())
            .login("other", "word")
    };
    let proxy = proxy.reconfigured(other).await;
    assert_eq!(proxy.get(PATH).await.status, 404);
    // Nor while the registry does not say no to it.
    registry.stop().await;
    assert_eq!(proxy.get(PATH).await.status, 502);
    registry.restart().await;
    let nobody = |proxy: crate::support::proxy::TestProxyBuilder| {
        proxy.with(|settings| settings.credentials.clear())
    };
    let proxy = proxy.reconfigured(nobody).await;
    assert_eq!(proxy.get(PATH).await.status, 404);
}

#[tokio::test]
async fn what_a_lost_login_listed_goes_out_no_more() {
    let registry = FakeRegistry::builder().basic("acme", "secret");
    let registry = registry.start().await;
    push(&registry, "team/app", &["1"]);
    registry.repository("team/app").make_private();
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.usual_contract().login("acme", "secret").start().await;
    tags(&proxy, PATH).await;
    proxy.get("/v2/team/app/manifests/1").await.body().await;
    registry.repository("team/app").make_private_to(&["boss"]);
    proxy.advance(std::time::Duration::from_secs(10));
    assert_eq!(proxy.get(PATH).await.status, 404);
}

#[tokio::test]
async fn a_tag_that_a_login_was_refused_is_not_named_when_the_registry_goes_down() {
    let registry = FakeRegistry::builder().basic("acme", "secret");
    let registry = registry.start().await;
    push(&registry, "team/app", &["1", "2"]);
    registry.repository("team/app").make_private();
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.usual_contract().login("acme", "secret").start().await;
    for tag in ["1", "2"] {
        let path = format!("/v2/team/app/manifests/{tag}");
        proxy.get(&path).await.body().await;
    }
    registry.repository("team/app").make_private_to(&["boss"]);
    proxy.advance(std::time::Duration::from_secs(10));
    assert_eq!(status_here(&proxy, "/v2/team/app/manifests/1").await, 404);
    registry.stop().await;
    assert_eq!(status_here(&proxy, "/v2/team/app/manifests/1").await, 502);
    // Of the other one it has not said so.
    assert_eq!(tags(&proxy, PATH).await.0, ["2"]);
}

async fn status_here(proxy: &TestProxy, path: &str) -> u16 {
    proxy.get(path).await.status.as_u16()
}

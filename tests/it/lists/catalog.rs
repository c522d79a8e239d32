//! Which repositories are here: for this machine all, for others what they could pull.

use http::Method;
use serde_json::Value;

use super::{document, push, refusal, texts};
use crate::pull::private;
use crate::support::{FakeRegistry, Reply, TestProxy};

const PATH: &str = "/v2/_catalog";

async fn names(reply: Reply) -> Vec<String> {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    texts(&document(reply).await, "repositories")
}

async fn pull(proxy: &TestProxy, name: &str) {
    let reply = proxy.get(&format!("/v2/{name}/manifests/1")).await;
    assert_eq!(reply.status, 200, "{name}");
    reply.body().await;
}

#[tokio::test]
async fn what_was_pulled_is_listed_in_pages_and_nobody_is_asked() {
    let [one, other] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let proxy = TestProxy::builder().upstream("up.test", &one);
    let proxy = proxy.upstream("up.test-b", &other).start().await;
    let pulled = [
        "up.test-b/app",
        "up.test/a/b",
        "up.test/a/b-c",
        "up.test/a/b/c",
        "up.test/z",
    ];
    assert_eq!(names(proxy.get(PATH).await).await, Vec::<String>::new());
    for name in pulled {
        let (registry, repository) = name.split_once('/').unwrap();
        let registry = if registry == "up.test" { &one } else { &other };
        push(registry, repository, &["1", "2", "3"]);
        pull(&proxy, name).await;
    }
    // What is not there leaves nothing here.
    for path in ["/v2/none/manifests/1", "/v2/none/tags/list"] {
        assert_eq!(proxy.get(path).await.status, 404);
    }
    one.stop().await;
    other.stop().await;
    let proxy = proxy.restart().await;
    assert_eq!(names(proxy.get(PATH).await).await, pulled);
    let (mut path, mut found, mut pages) = (format!("{PATH}?n=2"), Vec::new(), 0);
    loop {
        let reply = proxy.get(&path).await;
        let link = reply.header("link").map(str::to_owned);
        found.extend(names(reply).await);
        pages += 1;
        let Some(link) = link else { break };
        path = link
            .trim_start_matches('<')
            .split_once('>')
            .unwrap()
            .0
            .to_owned();
    }
    assert_eq!((found, pages), (pulled.map(String::from).to_vec(), 3));
    for (query, expected) in [
        ("n=0", &pulled[..0]),
        ("last=up.test/a/b", &pulled[2..]),
        ("last=up.test/a/bb", &pulled[4..]),
        ("last=up.test", &pulled[..]),
        ("last=up.test/", &pulled[1..]),
        ("last=a", &pulled[..]),
        ("last=up.test/z", &pulled[..0]),
        ("n=1&last=up.test-b%2Fapp", &pulled[1..2]),
    ] {
        let found = names(proxy.get(&format!("{PATH}?{query}")).await).await;
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn others_are_told_only_where_the_setting_says_so() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1"]);
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "app").await;
    for method in [Method::GET, Method::HEAD] {
        let reply = private::elsewhere(&proxy, method, PATH).await;
        assert_eq!(reply.status, 403);
    }
    let reply = private::elsewhere(&proxy, Method::GET, PATH).await;
    let told: Value = document(reply).await;
    assert_eq!(told["errors"][0]["code"], "DENIED");
    let message = told["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("catalog") && message.contains("[server]"),
        "{message}"
    );
    let proxy = proxy.reconfigured(|builder| builder.public_catalog()).await;
    let reply = private::elsewhere(&proxy, Method::GET, PATH).await;
    assert_eq!(names(reply).await, ["up.test/app"]);
    let (status, _, _) = refusal(&proxy, "/v2/_catalog?n=x").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn others_see_what_they_could_pull() {
    let registry = private::registry().await;
    for name in ["open", "secret", "team/shared", "closing"] {
        push(&registry, name, &["1"]);
    }
    for name in ["secret", "team/shared"] {
        registry.repository(name).make_private();
    }
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy
        .public_catalog()
        .login("acme", "secret")
        .shares("team/*");
    let proxy = proxy.start().await;
    for name in ["open", "secret", "team/shared", "closing"] {
        pull(&proxy, name).await;
    }
    let all = ["closing", "open", "secret", "team/shared"].map(|name| format!("up.test/{name}"));
    assert_eq!(names(proxy.get(PATH).await).await, all);
    let shown = async || names(private::elsewhere(&proxy, Method::GET, PATH).await).await;
    assert_eq!(
        shown().await,
        ["up.test/closing", "up.test/open", "up.test/team/shared"]
    );
    // It is found out that one is private now.
    registry.repository("closing").make_private();
    registry.tokens().revoke_all();
    proxy.advance(std::time::Duration::from_hours(72));
    let refused = private::status(&proxy, "/v2/closing/manifests/1").await;
    assert_eq!(refused, 403);
    pull(&proxy, "closing").await;
    assert_eq!(shown().await, ["up.test/open", "up.test/team/shared"]);
    // What another login saw is nobody's on other machines.
    let other = |proxy: crate::support::proxy::TestProxyBuilder| {
        proxy
            .with(|settings| settings.credentials.clear())
            .login("other", "word")
    };
    let proxy = proxy.reconfigured(other).await;
    let reply = private::elsewhere(&proxy, Method::GET, PATH).await;
    assert!(
        !names(reply)
            .await
            .contains(&"up.test/team/shared".to_owned())
    );
}

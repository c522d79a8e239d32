//! Lists in pages: as many as the client wants, from where it says, and where the next page is.

use super::{document, push, refusal, texts};
use crate::support::{FakeRegistry, Kind, TestProxy};

const TAGS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[tokio::test]
async fn clients_say_how_much_they_want() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &TAGS);
    let proxy = TestProxy::of(&registry).await;
    for (query, found, next) in [
        ("", "abcde", None),
        ("?n=2", "ab", Some("last=b&n=2")),
        ("?n=2&last=b", "cd", Some("last=d&n=2")),
        ("?n=2&last=d", "e", None),
        ("?n=5", "abcde", None),
        ("?last=c", "de", None),
        ("?last=bb", "cde", None),
        ("?last=e", "", None),
        ("?last=z", "", None),
        ("?n=0", "", None),
        ("?n=", "abcde", None),
        ("?n=18446744073709551616", "abcde", None),
        ("?n=2&other=x&last=", "ab", Some("last=b&n=2")),
    ] {
        let path = format!("/v2/app/tags/list{query}");
        let (get, head) = (proxy.get(&path).await, proxy.head(&path).await);
        let link = next.map(|next| format!("</v2/app/tags/list?{next}>; rel=\"next\""));
        for reply in [&get, &head] {
            assert_eq!(reply.header("link"), link.as_deref(), "{path}");
        }
        let tags = texts(&document(get).await, "tags");
        assert_eq!(tags.concat(), found, "{path}");
    }
    for query in ["n=-1", "n=x", "n=1e9", "last=%zz"] {
        let (status, code, message) = refusal(&proxy, &format!("/v2/app/tags/list?{query}")).await;
        assert_eq!(
            (status, code.as_str()),
            (400, "UNSUPPORTED"),
            "{query}: {message}"
        );
    }
    assert_eq!(registry.count(Kind::Tags), 1);
}

#[tokio::test]
async fn links_lead_through_the_whole_list_by_the_way_that_the_client_came() {
    let registry = FakeRegistry::start().await;
    push(&registry, "team/app", &TAGS);
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.alias("hub").start().await;
    for (first, part) in [
        ("/v2/team/app/tags/list?n=2", "/v2/team/app/"),
        ("/v2/team/app/tags/list?n=2&ns=up.test", "ns=up.test"),
        (
            "/v2/up.test/team/app/tags/list?n=2",
            "/v2/up.test/team/app/",
        ),
        ("/hub/v2/team/app/tags/list?n=2", "/hub/v2/team/app/"),
    ] {
        let (mut path, mut found, mut pages) = (first.to_owned(), Vec::new(), 0);
        loop {
            let reply = proxy.get(&path).await;
            assert_eq!(reply.status, 200, "{path}");
            let link = reply.header("link").map(str::to_owned);
            found.extend(texts(&document(reply).await, "tags"));
            pages += 1;
            let Some(link) = link else { break };
            assert!(link.contains(part), "{link}");
            let target = link.strip_prefix('<').unwrap();
            path = target.split_once('>').unwrap().0.to_owned();
        }
        assert_eq!((found.concat().as_str(), pages), ("abcde", 3), "{first}");
    }
}

#[tokio::test]
async fn what_is_no_list_says_so() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (path, status, code) in [
        ("/v2/a/referrers/sha256:bad", 400, "DIGEST_INVALID"),
        ("/v2/local/a/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/evil.example/a/tags/list", 403, "DENIED"),
        ("/v2/_catalog?n=-1", 400, "UNSUPPORTED"),
        ("/v2/_oci/ext/other", 404, "NAME_UNKNOWN"),
    ] {
        let (found, found_code, message) = refusal(&proxy, path).await;
        assert_eq!(
            (found, found_code.as_str()),
            (status, code),
            "{path}: {message}"
        );
    }
    let extensions = document(proxy.get("/v2/_oci/ext/discover").await).await;
    assert_eq!(extensions, serde_json::json!({"extensions": []}));
    assert_eq!(registry.lines(), Vec::<String>::new());
    let list = "/v2/a/tags/list";
    for (path, requests) in [(list, 0), ("/v2/_catalog", 0)] {
        let client = proxy.client();
        let reply = client.request(http::Method::PUT, path).send().await;
        assert_eq!(reply.status, 405, "{path}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{path}");
        assert_eq!(registry.lines().len(), requests);
    }
}

#[tokio::test]
async fn lists_are_counted_by_their_routes() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "app", &["1"]);
    let proxy = TestProxy::of(&registry).await;
    for (path, line) in [
        (
            "/v2/app/tags/list".to_owned(),
            r#"route="tags",status="200",outcome="miss""#,
        ),
        (
            "/v2/app/tags/list".to_owned(),
            r#"route="tags",status="200",outcome="hit""#,
        ),
        (
            format!("/v2/app/referrers/{}", image.digest),
            r#"route="referrers",status="200",outcome="miss""#,
        ),
        (
            "/v2/_catalog".to_owned(),
            r#"route="catalog",status="200",outcome="none""#,
        ),
    ] {
        let body = proxy.get(&path).await.body().await;
        assert!(!body.is_empty());
        let line = format!("requests_total{{{line}}}");
        crate::support::within("the closing line", async {
            while proxy.counted(&line) != Some(1) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

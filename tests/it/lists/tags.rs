//! The list of tags: what the registry says, put in order, asked for once and for as long as it counts.

use std::time::Duration;

use super::{HIT, MISS, REVALIDATED, push, refusal, tags};
use crate::support::{FakeRegistry, Fault, Kind, TestProxy};

const TEN_MINUTES: Duration = Duration::from_mins(10);
/// Beyond the freshness, which differs by a tenth.
const LATER: Duration = Duration::from_mins(12);
const PATH: &str = "/v2/app/tags/list";

#[tokio::test]
async fn a_list_is_in_order_and_has_the_name_that_the_client_wrote() {
    let registry = FakeRegistry::start().await;
    push(
        &registry,
        "library/app",
        &["b", "B", "a-1", "a", "a_1", "1.10", "1.9"],
    );
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.alias("hub").start().await;
    for (path, name) in [
        ("/v2/library/app/tags/list", "library/app"),
        ("/v2/up.test/library/app/tags/list", "up.test/library/app"),
        ("/hub/v2/library/app/tags/list", "library/app"),
    ] {
        let reply = proxy.get(path).await;
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("link"), None);
        let length = reply.header("content-length").unwrap().to_owned();
        let body = reply.body().await;
        assert_eq!(length, body.len().to_string());
        let expected =
            format!(r#"{{"name":"{name}","tags":["1.10","1.9","B","a","a-1","a_1","b"]}}"#);
        assert_eq!(body, expected);
        let head = proxy.head(path).await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(length.as_str()));
        assert!(head.body().await.is_empty());
    }
    assert_eq!(registry.lines(), ["GET library/app/tags/list?n=1000"]);
}

#[tokio::test]
async fn what_is_no_tag_is_left_out() {
    for (body, found) in [
        (r#"{"tags":null}"#, vec![]),
        (r#"{"tags":[]}"#, vec![]),
        (r#"{}"#, vec![]),
        (
            r#"{"tags":[null,"2","","sha256:77","a/b",7,"1","2"]}"#,
            vec!["1", "2"],
        ),
    ] {
        let registry = FakeRegistry::start().await;
        push(&registry, "app", &["1"]);
        registry.inject(Fault::on(Kind::Tags).body(body));
        let proxy = TestProxy::of(&registry).await;
        assert_eq!(tags(&proxy, PATH).await.0, found, "{body}");
    }
}

#[tokio::test]
async fn all_pages_of_the_registry_are_one_list() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["c", "d"]);
    // As registries do that do not sort as we do; the second page is the truth.
    let first = Fault::on(Kind::Tags).body(r#"{"tags":["d","a","B"]}"#);
    registry.inject(
        first
            .once()
            .header("link", r#"<?last=B&n=1000>; rel="next""#),
    );
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(tags(&proxy, PATH).await.0, ["B", "a", "c", "d"]);
    assert_eq!(
        registry.lines(),
        [
            "GET app/tags/list?n=1000",
            "GET app/tags/list?last=B&n=1000"
        ]
    );
}

#[tokio::test]
async fn a_list_counts_for_the_freshness_and_costs_one_request_however_many_ask() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1"]);
    let proxy = TestProxy::of(&registry).await;
    let gate = registry.inject(Fault::on(Kind::Tags).stall_before_headers());
    let ask = async |_| tags(&proxy, PATH).await.0;
    let open = async {
        gate.reached().await;
        gate.open();
    };
    let (lists, ()) = tokio::join!(futures_util::future::join_all((0..20).map(ask)), open);
    assert!(lists.iter().all(|list| list == &["1"]), "{lists:?}");
    assert_eq!(registry.count(Kind::Tags), 1);
    push(&registry, "app", &["2"]);
    proxy.advance(TEN_MINUTES - Duration::from_secs(90));
    assert_eq!(tags(&proxy, PATH).await, (vec!["1".into()], HIT.into()));
    proxy.advance(LATER - TEN_MINUTES + Duration::from_secs(90));
    let new = vec!["1".to_owned(), "2".to_owned()];
    assert_eq!(tags(&proxy, PATH).await, (new.clone(), MISS.into()));
    proxy.advance(LATER);
    assert_eq!(tags(&proxy, PATH).await, (new, REVALIDATED.into()));
    assert_eq!(registry.count(Kind::Tags), 3);
}

#[tokio::test]
async fn a_client_on_this_machine_has_the_registry_asked_now() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1"]);
    let proxy = TestProxy::of(&registry).await;
    tags(&proxy, PATH).await;
    push(&registry, "app", &["2"]);
    let client = proxy.client();
    for (forwarded, requests) in [(true, 1), (false, 2)] {
        let mut ask = client.get(PATH).header("cache-control", "no-cache");
        if forwarded {
            ask = ask.header("x-forwarded-for", "192.0.2.1");
        }
        assert_eq!(ask.send().await.status, 200);
        assert_eq!(registry.count(Kind::Tags), requests, "{forwarded}");
    }
    assert_eq!(tags(&proxy, PATH).await.0, ["1", "2"]);
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_remembered_for_a_while() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (outcome, requests) in [("larder; fwd=miss", 1), ("larder; hit; detail=negative", 1)] {
        let reply = proxy.get(PATH).await;
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("cache-status"), Some(outcome));
        assert_eq!(registry.count(Kind::Tags), requests);
    }
    let (status, code, message) = refusal(&proxy, PATH).await;
    assert_eq!((status, code.as_str()), (404, "NAME_UNKNOWN"), "{message}");
    assert!(message.contains("up.test/app"), "{message}");
    // It is pushed.
    push(&registry, "app", &["1"]);
    proxy.advance(Duration::from_secs(15));
    assert_eq!(tags(&proxy, PATH).await.0, ["1"]);
}

#[tokio::test]
async fn a_list_that_is_too_long_is_an_error_and_no_part_of_it() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1"]);
    let long = "t".repeat(120);
    for page in 0..3 {
        let tags: Vec<String> = (0..30_000)
            .map(|tag| format!("{page}{tag:05}{long}"))
            .collect();
        let body = serde_json::json!({ "tags": tags }).to_string();
        let fault = Fault::on(Kind::Tags).body(body).once();
        registry.inject(fault.header("link", &format!("<?n=1000&last={page}>; rel=\"next\"")));
    }
    let proxy = TestProxy::of(&registry).await;
    let (status, code, message) = refusal(&proxy, PATH).await;
    assert_eq!((status, code.as_str()), (502, "SIZE_INVALID"), "{message}");
    assert!(
        message.contains("more than 8388608 bytes of tags"),
        "{message}"
    );
}

#[tokio::test]
async fn a_list_that_was_fetched_for_a_client_that_left_is_kept() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1"]);
    let gate = registry.inject(Fault::on(Kind::Tags).stall_before_headers());
    let proxy = TestProxy::of(&registry).await;
    let client = proxy.client();
    let asking = tokio::spawn(async move { client.get(PATH).try_send().await.is_ok() });
    gate.reached().await;
    asking.abort();
    asking.await.unwrap_err();
    gate.open();
    assert_eq!(tags(&proxy, PATH).await.0, ["1"]);
    assert_eq!(registry.count(Kind::Tags), 1);
}

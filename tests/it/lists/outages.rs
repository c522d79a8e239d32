//! Lists while their registry does not answer: the last one, with what was pulled since.

use std::time::Duration;

use larder::cache::freshness::StaleLimit;

use super::{
    DENIED, HIT, MISS, NOT_FOUND, OFFLINE, RATE_LIMITED, SLOW, UNREACHABLE, document, push,
    refusal, tags, texts,
};
use crate::support::{FakeRegistry, Fault, Kind, TestProxy};

const PATH: &str = "/v2/app/tags/list";
const LATER: Duration = Duration::from_mins(12);

async fn pull(proxy: &TestProxy, tag: &str) {
    let reply = proxy.get(&format!("/v2/app/manifests/{tag}")).await;
    assert_eq!(reply.status, 200, "{tag}");
    reply.body().await;
}

#[tokio::test]
async fn the_last_list_goes_out_with_what_was_pulled_since() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["b", "c"]);
    let mut proxy = TestProxy::of(&registry).await;
    tags(&proxy, PATH).await;
    push(&registry, "app", &["a"]);
    for tag in ["a", "b"] {
        pull(&proxy, tag).await;
    }
    // Another repository has nothing to do with it.
    push(&registry, "app2", &["z"]);
    proxy.get("/v2/app2/manifests/z").await.body().await;
    registry.stop().await;
    assert_eq!(tags(&proxy, PATH).await.1, HIT);
    proxy.advance(LATER);
    for _ in 0..2 {
        let reply = proxy.get(PATH).await;
        assert_eq!(reply.header("cache-status"), Some(UNREACHABLE));
        assert_eq!(reply.header("age"), Some("720"));
        let warning = reply.header("warning").unwrap();
        assert!(warning.contains("could not be asked"), "{warning}");
        assert_eq!(texts(&document(reply).await, "tags"), ["a", "b", "c"]);
        proxy = proxy.restart().await;
    }
    registry.restart().await;
    let (found, outcome) = tags(&proxy, PATH).await;
    assert_eq!((found.concat().as_str(), outcome.as_str()), ("abc", MISS));
}

#[tokio::test]
async fn each_failure_is_told_by_its_name() {
    type Failure = fn(Fault) -> Fault;
    let failures: [(&str, Failure, &str); 8] = [
        ("hangs up", |fault| fault.hang_up(), UNREACHABLE),
        ("500", |fault| fault.status(500), UNREACHABLE),
        ("503", |fault| fault.status(503), UNREACHABLE),
        ("a page for people", |fault| fault.html(), UNREACHABLE),
        (
            "429",
            |fault| fault.status(429).retry_after("7"),
            RATE_LIMITED,
        ),
        ("401", |fault| fault.status(401), DENIED),
        ("403", |fault| fault.status(403), DENIED),
        ("silence", |fault| fault.stall_before_headers(), SLOW),
    ];
    for (name, failure, expected) in failures {
        let registry = FakeRegistry::start().await;
        push(&registry, "app", &["1", "2"]);
        let proxy = TestProxy::builder().upstream("up.test", &registry);
        let within = Duration::from_millis(if expected == SLOW { 50 } else { 9_000 });
        let proxy = proxy.contract(|keys| keys.answer_within = Some(within));
        let proxy = proxy.start().await;
        tags(&proxy, PATH).await;
        proxy.advance(LATER);
        registry.inject(failure(Fault::everywhere()));
        let (found, outcome) = tags(&proxy, PATH).await;
        assert_eq!(found, ["1", "2"], "{name}");
        assert_eq!(outcome, expected, "{name}");
    }
}

#[tokio::test]
async fn asking_goes_on_behind_an_answer_that_was_given() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1"]);
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.contract(|keys| keys.answer_within = Some(Duration::from_millis(50)));
    let proxy = proxy.start().await;
    tags(&proxy, PATH).await;
    proxy.advance(LATER);
    push(&registry, "app", &["2"]);
    let gate = registry.inject(Fault::on(Kind::Tags).stall_before_headers());
    assert_eq!(tags(&proxy, PATH).await, (vec!["1".into()], SLOW.into()));
    gate.open();
    let asked = async { while tags(&proxy, PATH).await.1 != HIT {} };
    crate::support::within("the list", asked).await;
    assert_eq!(tags(&proxy, PATH).await.0, ["1", "2"]);
    assert_eq!(registry.count(Kind::Tags), 2);
}

#[tokio::test]
async fn without_a_list_nobody_waits_for_it_who_can_have_the_tags_that_are_here() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1", "2"]);
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.contract(|keys| keys.answer_within = Some(Duration::ZERO));
    let proxy = proxy.start().await;
    pull(&proxy, "1").await;
    let gate = registry.inject(Fault::on(Kind::Tags).stall_before_headers());
    for _ in 0..2 {
        assert_eq!(tags(&proxy, PATH).await, (vec!["1".into()], SLOW.into()));
    }
    gate.open();
    let asked = async { while tags(&proxy, PATH).await.1 != HIT {} };
    crate::support::within("the list", asked).await;
    assert_eq!(tags(&proxy, PATH).await.0, ["1", "2"]);
    assert_eq!(registry.count(Kind::Tags), 1);
}

#[tokio::test]
async fn without_a_list_the_tags_that_are_here_are_one() {
    for (name, fault, status, expected) in [
        ("stopped", None, 502, UNREACHABLE),
        ("429", Some(429), 429, RATE_LIMITED),
        ("404", Some(404), 404, NOT_FOUND),
        ("405", Some(405), 404, NOT_FOUND),
        ("501", Some(501), 404, NOT_FOUND),
        ("403", Some(403), 404, DENIED),
    ] {
        let registry = FakeRegistry::start().await;
        push(&registry, "app", &["2", "1", "never-pulled"]);
        let mut proxy = TestProxy::of(&registry).await;
        for tag in ["2", "1"] {
            pull(&proxy, tag).await;
        }
        match fault {
            None => registry.stop().await,
            Some(status) => drop(registry.inject(Fault::on(Kind::Tags).status(status))),
        }
        for _ in 0..2 {
            let (found, outcome) = tags(&proxy, PATH).await;
            assert_eq!(found, ["1", "2"], "{name}");
            assert_eq!(outcome, expected, "{name}");
            let other = refusal(&proxy, "/v2/other/tags/list").await;
            assert_eq!(other.0, status, "{name}: {other:?}");
            proxy = proxy.restart().await;
        }
    }
}

#[tokio::test]
async fn what_the_contract_says_of_the_last_list_holds() {
    for (limit, later, status) in [
        (None, 404, 404),
        (Some(Duration::from_hours(1)), 404, 200),
        (Some(Duration::ZERO), 403, 404),
        (None, 403, 200),
    ] {
        let registry = FakeRegistry::start().await;
        push(&registry, "app", &["1"]);
        let proxy = TestProxy::builder().upstream("up.test", &registry);
        let proxy = proxy.contract(|keys| {
            let limit = limit.map(StaleLimit::For);
            match later {
                404 => keys.stale_on_not_found = limit,
                _ => keys.stale_on_denied = limit,
            }
        });
        let mut proxy = proxy.start().await;
        tags(&proxy, PATH).await;
        pull(&proxy, "1").await;
        proxy.advance(LATER);
        registry.inject(Fault::on(Kind::Tags).status(later));
        // What is known of tags does not stand for a list that is over.
        for _ in 0..2 {
            let found = proxy.get(PATH).await.status;
            assert_eq!(found, status, "{limit:?} {later}");
            proxy = proxy.restart().await;
        }
        // Nor does it come back when the registry goes down.
        registry.stop().await;
        let found = proxy.get(PATH).await.status;
        let expected = if status == 200 { 200 } else { 502 };
        assert_eq!(found, expected, "{limit:?} {later}");
    }
}

#[tokio::test]
async fn offline_lists_are_what_is_here() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app", &["1", "2"]);
    push(&registry, "pulled", &["1", "2"]);
    let proxy = TestProxy::of(&registry).await;
    tags(&proxy, PATH).await;
    proxy.get("/v2/pulled/manifests/1").await.body().await;
    let proxy = proxy.reconfigured(|builder| builder.offline()).await;
    registry.clear_log();
    assert_eq!(tags(&proxy, PATH).await.1, HIT);
    proxy.advance(Duration::from_hours(100));
    let (found, outcome) = tags(&proxy, PATH).await;
    assert_eq!((found.concat().as_str(), outcome.as_str()), ("12", OFFLINE));
    let (found, outcome) = tags(&proxy, "/v2/pulled/tags/list").await;
    assert_eq!((found.concat().as_str(), outcome.as_str()), ("1", OFFLINE));
    let (status, _, message) = refusal(&proxy, "/v2/none/tags/list").await;
    assert_eq!(status, 504, "{message}");
    assert!(message.contains("offline"), "{message}");
    assert_eq!(registry.lines(), Vec::<String>::new());
}

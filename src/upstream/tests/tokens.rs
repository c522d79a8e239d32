//! The dance with token services, counted.

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::upstream::TrustRule;

const SCOPE: &str = "repository:library/alpine:pull";

/// Starts a token service; the token is `t0`, `t1` and so on.
async fn token_service() -> Registry {
    let count = Counter::default();
    Registry::start(move |_| {
        let token = format!(r#"{{"token":"t{}","expires_in":300}}"#, count.next());
        Reply::ok(token)
    })
    .await
}

fn challenge(realm: &str, more: &str) -> Reply {
    let value = format!(r#"Bearer realm="{realm}/token",service="fake",scope="{SCOPE}"{more}"#);
    Reply::status(401).header("WWW-Authenticate", &value)
}

/// Starts a registry that takes a token and wants one otherwise.
async fn guarded(
    realm: String,
    is_good: impl Fn(&Seen, &str) -> bool + Send + Sync + 'static,
    refusal: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> Registry {
    Registry::start(move |seen| match seen.header("authorization") {
        Some(token) if is_good(seen, token) => Reply::ok("{}"),
        Some(_) => refusal(&realm),
        None => challenge(&realm, ""),
    })
    .await
}

async fn get(upstream: &Upstream, name: &str) -> Result<bool, UpstreamError> {
    Ok(manifest_of(upstream, name).await?.is_some())
}

#[tokio::test]
async fn a_token_is_got_once_and_then_shown_unasked() {
    let service = token_service().await;
    let is_good = |_: &Seen, token: &str| token == "Bearer t0";
    let registry = guarded(service.url(), is_good, |realm| challenge(realm, "")).await;
    let upstream = upstream(&[registry.url()]);
    for _ in 0..3 {
        assert!(get(&upstream, "library/alpine").await.unwrap());
    }
    let target = "/token?service=fake&scope=repository%3Alibrary%2Falpine%3Apull";
    assert_eq!(service.log(), [format!("GET {target}")]);
    assert_eq!(registry.log().len(), 4);
    assert_eq!(service.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_crowd_gets_one_token() {
    let service = token_service().await;
    let is_good = |_: &Seen, token: &str| token == "Bearer t0";
    let registry = guarded(service.url(), is_good, |realm| challenge(realm, "")).await;
    let upstream = upstream(&[registry.url()]);
    let tasks = Tasks::new();
    let crowd = (0..20).map(|_| {
        let upstream = upstream.clone();
        tasks.spawn("one of many", async move {
            get(&upstream, "library/alpine").await
        })
    });
    for one in futures_util::future::join_all(crowd).await {
        assert!(one.unwrap().unwrap());
    }
    assert_eq!(service.log().len(), 1);
}

#[tokio::test]
async fn every_waiter_learns_that_there_is_no_token() {
    let service = Registry::start(|_| Reply::status(403).body(r#"{"details":"go away"}"#)).await;
    let registry = guarded(service.url(), |_, _| true, |realm| challenge(realm, "")).await;
    let upstream = upstream(&[registry.url()]);
    let crowd = (0..5).map(|_| get(&upstream, "library/alpine"));
    for one in futures_util::future::join_all(crowd).await {
        let error = one.unwrap_err();
        let host = service.url().replace("http://", "");
        assert_eq!(
            error.to_string(),
            format!("{host} refused with 403 Forbidden: 'go away'")
        );
    }
    assert_eq!(service.log().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_no_longer_valid_is_replaced_once() {
    let service = token_service().await;
    let valid = Arc::new(std::sync::Mutex::new("Bearer t0"));
    let current = valid.clone();
    let is_good = move |_: &Seen, token: &str| token == *current.lock().unwrap();
    let refusal = |realm: &str| challenge(realm, r#",error="insufficient_scope""#);
    let registry = guarded(service.url(), is_good, refusal).await;
    let upstream = upstream(&[registry.url()]);
    assert!(get(&upstream, "library/alpine").await.unwrap());
    *valid.lock().unwrap() = "Bearer t1";
    assert!(get(&upstream, "library/alpine").await.unwrap());
    assert_eq!(service.log().len(), 2);
    *valid.lock().unwrap() = "Bearer never";
    let error = get(&upstream, "library/alpine").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Refused { .. }), "{error}");
    assert_eq!(service.log().len(), 3);
    // Refused twice in a row: once with the old one, once with the new one.
    let shown = registry.seen();
    let shown: Vec<_> = shown
        .iter()
        .map(|seen| seen.header("authorization"))
        .collect();
    let t = |number: &'static str| Some(number);
    assert_eq!(
        shown,
        [
            None,
            t("Bearer t0"),
            t("Bearer t0"),
            t("Bearer t1"),
            t("Bearer t1"),
            t("Bearer t2")
        ]
    );
}

#[tokio::test]
async fn a_token_from_the_future_is_shown_again() {
    let service = token_service().await;
    let count = Counter::default();
    let is_good = move |_: &Seen, token: &str| token == "Bearer t0" && count.next() == 2;
    let refusal = |realm: &str| challenge(realm, r#",error="invalid_token""#);
    let registry = guarded(service.url(), is_good, refusal).await;
    assert!(
        get(&upstream(&[registry.url()]), "library/alpine")
            .await
            .unwrap()
    );
    assert_eq!((service.log().len(), registry.log().len()), (1, 4));
}

#[tokio::test]
async fn a_refusal_without_a_challenge_is_explained_by_the_ping() {
    let service = token_service().await;
    let realm = service.url();
    let registry = Registry::start(move |seen| match seen.header("authorization") {
        Some(_) => Reply::ok("{}"),
        None if seen.target == "/v2/" => challenge(&realm, ""),
        None => Reply::status(401),
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    for name in ["library/alpine", "library/alpine", "library/busybox"] {
        assert!(get(&upstream, name).await.unwrap());
    }
    let pings = registry.log().into_iter().filter(|line| line == "GET /v2/");
    assert_eq!(pings.count(), 1);
}

#[tokio::test]
async fn a_realm_is_not_believed_blindly() {
    let metadata = "http://169.254.169.254";
    let registry = guarded(metadata.into(), |_, _| true, |realm| challenge(realm, "")).await;
    let error = get(&upstream(&[registry.url()]), "library/alpine")
        .await
        .unwrap_err();
    let UpstreamError::Forbidden { rule, url } = error else {
        panic!("{error}");
    };
    assert_eq!(
        (rule, &*url),
        (TrustRule::Address, "http://169.254.169.254/token")
    );
}

#[tokio::test]
async fn answers_of_token_services_are_bounded_and_checked() {
    for (reply, message) in [
        (Reply::ok("{}"), "answered without a token"),
        (Reply::ok("<html>"), "answered something else than a token"),
        (
            Reply::ok(vec![b' '; 200_000]),
            "sent more than 131072 bytes of a token",
        ),
        (Reply::status(404), "refused with 404 Not Found"),
    ] {
        let service = Registry::start(move |_| reply.clone()).await;
        let registry = guarded(service.url(), |_, _| true, |realm| challenge(realm, "")).await;
        let error = get(&upstream(&[registry.url()]), "library/alpine")
            .await
            .unwrap_err();
        let host = service.url().replace("http://", "");
        assert_eq!(error.to_string(), format!("{host} {message}"));
    }
}

#[tokio::test]
async fn a_token_service_in_trouble_is_asked_again() {
    let count = Counter::default();
    let service = Registry::start(move |_| match count.next() {
        0 => Reply::status(503),
        _ => Reply::ok(r#"{"access_token":"a"}"#),
    })
    .await;
    let registry = guarded(service.url(), |_, _| true, |realm| challenge(realm, "")).await;
    let limits = Limits {
        token_failure: Duration::ZERO,
        ..quick()
    };
    let upstream = upstream_with(&[registry.url()], limits, None);
    assert!(get(&upstream, "library/alpine").await.unwrap());
}

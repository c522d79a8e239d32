//! What becomes of logins, counted where they are shown.

use futures_util::future::join_all;

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::upstream::{CredentialSettings, CredentialSource, Secret, SecretSource};

/// Makes an upstream that is asked with a user and a password.
fn upstream_with_password(registry: &Registry) -> Arc<Upstream> {
    upstream_with_login(
        registry,
        CredentialSource::Password {
            username: "acme".into(),
            password: SecretSource::Value(Secret::new("hunter2")),
            next: None,
        },
    )
}

/// Makes an upstream that is asked with a login.
fn upstream_with_login(registry: &Registry, source: CredentialSource) -> Arc<Upstream> {
    let mut settings = endpoint(&registry.url());
    settings.credentials = vec![CredentialSettings {
        repositories: "**".parse().unwrap(),
        source,
    }];
    upstream_of(vec![settings], quick(), Egress::default()).unwrap()
}

/// Wants a token, of the registry itself.
fn bearer(seen: &Seen) -> Reply {
    let host = seen.header("host").unwrap();
    Reply::status(401).header(
        "WWW-Authenticate",
        &format!(r#"Bearer realm="http://{host}/token",service="fake""#),
    )
}

/// Counts the requests that showed a password.
fn with_password(registry: &Registry) -> usize {
    let is_shown = |seen: &&Seen| {
        let shown = seen.header("authorization");
        shown.is_some_and(|shown| shown.starts_with("Basic "))
    };
    registry.seen().iter().filter(is_shown).count()
}

/// Asks for 32 repositories at once, and returns how many were found.
async fn crowd(upstream: &Upstream) -> usize {
    let names: Vec<String> = (0..32).map(|number| format!("acme/r{number}")).collect();
    let asking = names.iter().map(|name| manifest_of(upstream, name));
    let found = join_all(asking).await.into_iter();
    found.filter(|found| matches!(found, Ok(Some(_)))).count()
}

/// Nobody knows yet whether a login is right when a crowd comes with it. Two refusals suspend it, and each is of two
/// requests: one that was refused, and one that found out that the login is what was wrong.
const MOST_WRONG: usize = 4;

#[tokio::test]
async fn a_crowd_does_not_show_a_wrong_password_to_a_token_service_at_once() {
    let registry = Registry::start(|seen| {
        let is_token = seen.target.starts_with("/token");
        match (is_token, seen.header("authorization")) {
            (true, Some(_)) => Reply::status(401),
            (true, None) => Reply::ok(r#"{"token":"t"}"#),
            (false, Some(_)) => Reply::ok("{}"),
            (false, None) => bearer(seen),
        }
    })
    .await;
    let upstream = upstream_with_password(&registry);
    // Those without the login are served: each repository is public.
    assert_eq!(crowd(&upstream).await, 32);
    let wrong = with_password(&registry);
    assert!((1..=MOST_WRONG).contains(&wrong), "{wrong} wrong passwords");
}

#[tokio::test]
async fn a_crowd_does_not_show_a_wrong_password_to_a_registry_at_once() {
    let basic = || Reply::status(401).header("WWW-Authenticate", r#"Basic realm="x""#);
    let registry = Registry::start(move |_| basic()).await;
    let upstream = upstream_with_password(&registry);
    for _ in 0..2 {
        assert_eq!(crowd(&upstream).await, 0);
    }
    let wrong = with_password(&registry);
    assert!((1..=MOST_WRONG).contains(&wrong), "{wrong} wrong passwords");
}

#[tokio::test]
async fn a_crowd_whose_password_is_right_is_served() {
    let registry = Registry::start(|seen| match seen.header("authorization") {
        Some(_) => Reply::ok("{}"),
        None => Reply::status(401).header("WWW-Authenticate", r#"Basic realm="x""#),
    })
    .await;
    let upstream = upstream_with_password(&registry);
    for _ in 0..2 {
        assert_eq!(crowd(&upstream).await, 32);
    }
    // Once it is known that the login is wanted, it is shown unasked.
    assert!(registry.seen().len() <= 3 * 32);
}

#[tokio::test]
async fn a_ping_that_failed_is_not_remembered() {
    let pings = Counter::default();
    let registry = Registry::start(move |seen| {
        if seen.target.starts_with("/token") {
            return Reply::ok(r#"{"token":"t"}"#);
        }
        match (&*seen.target, seen.header("authorization")) {
            ("/v2/", _) if pings.next() == 0 => Reply::status(503),
            ("/v2/", _) => bearer(seen),
            (_, Some(_)) => Reply::ok("{}"),
            (_, None) => Reply::status(401),
        }
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let refused = manifest_of(&upstream, "a/b").await.unwrap_err();
    assert!(
        matches!(refused, UpstreamError::Refused { .. }),
        "{refused}"
    );
    assert!(manifest_of(&upstream, "a/b").await.unwrap().is_some());
}

/// Starts a registry that gives `acme/` to the token `good`, and everything else to the tokens of its service.
async fn with_registry_token() -> Registry {
    Registry::start(|seen| {
        let shown = seen.header("authorization").unwrap_or_default();
        let is_acme = seen.target.starts_with("/v2/acme/");
        match (&*seen.target, shown) {
            ("/v2/", "Bearer good") => Reply::ok("{}"),
            (target, "") if target.starts_with("/token") => Reply::ok(r#"{"token":"anybody"}"#),
            (_, "Bearer good") if is_acme => Reply::ok("{}"),
            (_, "Bearer anybody") if !is_acme => Reply::ok("{}"),
            _ => bearer(seen),
        }
    })
    .await
}

#[tokio::test]
async fn a_wrong_token_for_the_registry_is_left_alone() {
    let registry = with_registry_token().await;
    let token = SecretSource::Value(Secret::new("bad"));
    let upstream = upstream_with_login(&registry, CredentialSource::RegistryToken(token));
    for _ in 0..6 {
        let refused = manifest_of(&upstream, "acme/a").await.unwrap_err();
        let is_told = matches!(refused, UpstreamError::LoginRefused { .. });
        assert!(is_told, "{refused}");
        assert!(manifest_of(&upstream, "open/a").await.unwrap().is_some());
    }
    let shown = registry.seen().into_iter();
    let shown = shown.filter(|seen| seen.header("authorization") == Some("Bearer bad"));
    let shown = shown.count();
    assert!((1..=MOST_WRONG).contains(&shown), "{shown} times");
}

#[tokio::test]
async fn a_token_for_some_repositories_does_not_close_the_others() {
    let registry = with_registry_token().await;
    let token = SecretSource::Value(Secret::new("good"));
    let upstream = upstream_with_login(&registry, CredentialSource::RegistryToken(token));
    for name in ["acme/a", "open/a", "acme/b", "open/b"] {
        assert!(manifest_of(&upstream, name).await.unwrap().is_some());
    }
}

//! Logins and their tokens as time goes by.

use std::sync::atomic::AtomicBool;

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::upstream::{CredentialSettings, CredentialSource, Secret, SecretSource};

/// Starts a registry that shows everything to the tokens of a login, and to nobody else, who have spent all pulls too. Its tokens live for ten minutes,
/// and it knows the login while it is in the mood.
async fn start(knows_login: Arc<AtomicBool>) -> Registry {
    let count = Counter::default();
    Registry::start(move |seen| {
        let shown = seen.header("authorization").unwrap_or_default();
        if seen.target.starts_with("/token") {
            let is_login = shown.starts_with("Basic ");
            if is_login && !knows_login.load(Ordering::Relaxed) {
                return Reply::status(401);
            }
            let whose = if is_login { "acme" } else { "anybody" };
            let token = format!("{whose}-{}", count.next());
            return Reply::ok(format!(r#"{{"token":"{token}","expires_in":600}}"#));
        }
        if shown.starts_with("Bearer acme-") {
            return Reply::ok("{}");
        }
        if shown.starts_with("Bearer anybody-") && seen.target.starts_with("/v2/open/") {
            let words = r#"{"errors":[{"message":"You have reached your pull rate limit."}]}"#;
            return Reply::status(429).body(words);
        }
        let host = seen.header("host").unwrap();
        let value = format!(r#"Bearer realm="http://{host}/token",service="fake""#);
        Reply::status(401).header("WWW-Authenticate", &value)
    })
    .await
}

fn logged_in(registry: &Registry, repositories: &str) -> Arc<Upstream> {
    let mut settings = endpoint(&registry.url());
    settings.credentials.push(CredentialSettings {
        repositories: repositories.parse().unwrap(),
        source: CredentialSource::Password {
            username: "acme".into(),
            password: SecretSource::Value(Secret::new("secret")),
            next: None,
        },
    });
    upstream_of(vec![settings], quick(), Egress::default()).unwrap()
}

/// Lets time go by while nothing is under way.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Counts requests: those that show this, as `Basic ` or nothing at all.
fn showing(registry: &Registry, what: &str) -> usize {
    let shown = |seen: &&Seen| match seen.header("authorization") {
        Some(shown) => !what.is_empty() && shown.starts_with(what),
        None => what.is_empty(),
    };
    registry.seen().iter().filter(shown).count()
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends() {
    let registry = start(Arc::new(AtomicBool::new(true))).await;
    let upstream = logged_in(&registry, "**");
    // The last ten seconds of its life are left out.
    for (seconds, tokens) in [(0, 1), (500, 1), (95, 2), (500, 2)] {
        pass(Duration::from_secs(seconds)).await;
        manifest_of(&upstream, "team/app").await.unwrap().unwrap();
        assert_eq!(showing(&registry, "Basic "), tokens, "{seconds}");
    }
    assert_eq!(showing(&registry, ""), 1, "only the first was without");
}

#[tokio::test]
async fn a_login_that_works_again_is_used_again() {
    let knows_login = Arc::new(AtomicBool::new(false));
    let registry = start(knows_login.clone()).await;
    let upstream = logged_in(&registry, "**");
    for name in ["team/a", "team/b", "team/c", "team/a"] {
        manifest_of(&upstream, name).await.unwrap_err();
    }
    let before = showing(&registry, "Basic ");
    knows_login.store(true, Ordering::Relaxed);
    manifest_of(&upstream, "team/a").await.unwrap_err();
    assert_eq!(showing(&registry, "Basic "), before, "it is left alone");
    // One use is let through; its token is got before the registry asks for one, as it did when it was asked without.
    pass(Duration::from_mins(1)).await;
    for name in ["team/a", "team/b", "team/c"] {
        manifest_of(&upstream, name).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_login_is_asked_for_how_when_nobody_else_may_pull() {
    let registry = start(Arc::new(AtomicBool::new(true))).await;
    let upstream = logged_in(&registry, "acme/*");
    let is_limited = async |name| {
        let asked = manifest_of(&upstream, name).await;
        matches!(asked, Err(UpstreamError::RateLimited { .. }))
    };
    assert!(is_limited("open/a").await);
    manifest_of(&upstream, "acme/a").await.unwrap().unwrap();
    let before = registry.log().len();
    assert!(is_limited("open/b").await);
    assert_eq!(registry.log().len(), before);
}

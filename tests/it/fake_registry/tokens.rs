//! Registries that want to know who asks.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::fake::basic;
use crate::support::{Bearer, Client, FakeRegistry, Fault, Kind};

const SCOPE: &str = "repository:app:pull";

/// Asks for a tag of `app`, with an `Authorization` if there is one.
async fn pull(registry: &FakeRegistry, authorization: Option<&str>) -> Reply {
    registry
        .repository("app")
        .tag("1", registry.repository("app").manifest("a/b", "{}"));
    let client = Client::new(registry.address());
    let ask = client.get("/v2/app/manifests/1");
    match authorization {
        Some(authorization) => ask.header("authorization", authorization).send().await,
        None => ask.send().await,
    }
}

/// Asks for a token and returns the whole answer.
async fn ask_token(registry: &FakeRegistry, scope: &str, authorization: Option<&str>) -> Value {
    let client = Client::new(registry.address());
    let path = format!("/token?service=fake&scope={scope}");
    let ask = client.get(&path);
    let reply = match authorization {
        Some(authorization) => ask.header("authorization", authorization).send().await,
        None => ask.send().await,
    };
    serde_json::from_slice(&reply.body().await).unwrap()
}

/// Gets a token as the `Authorization` header of a request.
async fn token(registry: &FakeRegistry, scope: &str, authorization: Option<&str>) -> String {
    let answer = ask_token(registry, scope, authorization).await;
    format!("Bearer {}", answer["token"].as_str().unwrap())
}

fn challenge(reply: &Reply) -> Option<&str> {
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    reply.header("www-authenticate")
}

#[tokio::test]
async fn a_token_for_the_repository_lets_in_and_no_other() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let ours = format!("Bearer realm=\"{}/token\",service=\"fake\"", registry.url());
    let scoped = format!("{ours},scope=\"{SCOPE}\"");
    let reply = pull(&registry, None).await;
    assert_eq!(challenge(&reply), Some(&*scoped));
    let good = token(&registry, SCOPE, None).await;
    assert_eq!(pull(&registry, Some(&good)).await.status, StatusCode::OK);
    for (scope, error) in [
        ("repository:other:pull", "insufficient_scope"),
        ("repository:app:push", "insufficient_scope"),
        ("", "insufficient_scope"),
    ] {
        let other = token(&registry, scope, None).await;
        let reply = pull(&registry, Some(&other)).await;
        assert_eq!(
            challenge(&reply),
            Some(&*format!("{scoped},error=\"{error}\"")),
            "{scope}"
        );
    }
    let wide = token(
        &registry,
        "repository:other:pull&scope=repository:app:push,pull",
        None,
    )
    .await;
    assert_eq!(pull(&registry, Some(&wide)).await.status, StatusCode::OK);
    for forged in ["Bearer forged", &*basic("user", "secret")] {
        let reply = pull(&registry, Some(forged)).await;
        assert_eq!(
            challenge(&reply),
            Some(&*format!("{scoped},error=\"invalid_token\""))
        );
    }
    let client = Client::new(registry.address());
    let ping = client.get("/v2/").send().await;
    assert_eq!(challenge(&ping), Some(&*ours));
    assert_eq!(
        ping.header("docker-distribution-api-version"),
        Some("registry/2.0")
    );
    let ping = client
        .get("/v2/")
        .header("authorization", &good)
        .send()
        .await;
    assert_eq!(ping.status, StatusCode::OK);
}

#[tokio::test]
async fn token_answers_take_many_shapes() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let tokens = registry.tokens();
    let answer = ask_token(&registry, SCOPE, None).await;
    assert_eq!(answer, json!({"token": "token-1", "expires_in": 300}));
    tokens.expire_in(60);
    tokens.in_fields(&["access_token"]);
    let answer = ask_token(&registry, SCOPE, None).await;
    assert_eq!(answer, json!({"access_token": "token-2", "expires_in": 60}));
    tokens.without_expiry();
    let answer = ask_token(&registry, SCOPE, None).await;
    assert_eq!(answer, json!({"access_token": "token-3"}));
    tokens.without_token();
    assert_eq!(ask_token(&registry, SCOPE, None).await, json!({}));
    assert_eq!(registry.count(Kind::Token), 4);
    assert_eq!(registry.requests()[0].query("service"), ["fake"]);
}

#[tokio::test]
async fn tokens_are_revoked_and_refused() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let good = token(&registry, SCOPE, None).await;
    let early = registry.inject(
        Fault::on(Kind::ManifestGet)
            .authorized()
            .times(2)
            .refuse_token("invalid_token"),
    );
    pull(&registry, None).await;
    for status in [401, 401, 200] {
        let reply = pull(&registry, Some(&good)).await;
        assert_eq!(reply.status, status);
        let challenge = reply.header("www-authenticate");
        assert_eq!(
            challenge.is_some_and(|line| line.ends_with("error=\"invalid_token\"")),
            status == 401
        );
    }
    assert_eq!(early.hits(), 2);
    registry.tokens().revoke_all();
    assert_eq!(
        pull(&registry, Some(&good)).await.status,
        StatusCode::UNAUTHORIZED
    );
    registry.inject(Fault::on(Kind::Token).once().status(503));
    let down = Client::new(registry.address()).get("/token").send().await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn private_repositories_need_a_token_of_a_user() {
    let registry = FakeRegistry::builder()
        .bearer()
        .user("acme", "s:cret")
        .start()
        .await;
    registry.repository("app").make_private();
    let anonymous = token(&registry, SCOPE, None).await;
    assert_eq!(
        pull(&registry, Some(&anonymous)).await.status,
        StatusCode::UNAUTHORIZED
    );
    let known = token(&registry, SCOPE, Some(&basic("acme", "s:cret"))).await;
    assert_eq!(pull(&registry, Some(&known)).await.status, StatusCode::OK);
    let refused = ask_token(&registry, SCOPE, Some(&basic("acme", "wrong"))).await;
    assert_eq!(refused["errors"][0]["code"], "UNAUTHORIZED");
    assert_eq!(
        registry.requests().last().unwrap().authorization(),
        Some(basic("acme", "wrong"))
    );
}

#[tokio::test]
async fn a_password_lets_in_where_it_is_asked_for() {
    let registry = FakeRegistry::builder().basic("AWS", "secret").start().await;
    let reply = pull(&registry, None).await;
    assert_eq!(challenge(&reply), Some("Basic realm=\"fake\""));
    let right = basic("AWS", "secret");
    assert_eq!(right, "Basic QVdTOnNlY3JldA==");
    assert_eq!(pull(&registry, Some(&right)).await.status, StatusCode::OK);
    for wrong in [
        basic("AWS", "other"),
        basic("aws", "secret"),
        "Bearer token-1".into(),
    ] {
        assert_eq!(
            pull(&registry, Some(&wrong)).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn challenges_come_in_company_or_on_the_ping_only() {
    let negotiate = Bearer::own()
        .realm("https://auth.example/token?x=1")
        .beside("Negotiate");
    let registry = FakeRegistry::builder()
        .bearer_with(negotiate)
        .basic("u", "p")
        .start()
        .await;
    let reply = pull(&registry, None).await;
    let expected = format!(
        "Negotiate, Bearer realm=\"https://auth.example/token?x=1\",service=\"fake\",scope=\"{SCOPE}\", \
         Basic realm=\"fake\""
    );
    assert_eq!(challenge(&reply), Some(&*expected));
    assert_eq!(
        pull(&registry, Some(&basic("u", "p"))).await.status,
        StatusCode::OK
    );

    let shy = FakeRegistry::builder()
        .bearer_with(Bearer::own().on_ping_only())
        .start()
        .await;
    assert_eq!(challenge(&pull(&shy, None).await), None);
    let ping = Client::new(shy.address()).get("/v2/").send().await;
    assert!(challenge(&ping).unwrap().starts_with("Bearer realm="));
}

#[tokio::test]
async fn another_registry_can_issue_the_tokens() {
    let issuer = FakeRegistry::builder().user("acme", "secret").start().await;
    let bearer = Bearer::issued_by(&issuer);
    let registry = FakeRegistry::builder().bearer_with(bearer).start().await;
    let reply = pull(&registry, None).await;
    let realm = format!("Bearer realm=\"{}/token\"", issuer.url());
    assert!(challenge(&reply).unwrap().starts_with(&realm));
    let own = token(&registry, SCOPE, None).await;
    assert_eq!(
        pull(&registry, Some(&own)).await.status,
        StatusCode::UNAUTHORIZED
    );
    let good = token(&issuer, SCOPE, Some(&basic("acme", "secret"))).await;
    assert_eq!(pull(&registry, Some(&good)).await.status, StatusCode::OK);
}

//! Registries that know their users: passwords and identity tokens at the token endpoint, and what they open.

use serde_json::Value;

use crate::support::fake::{Logins, Shown, basic};
use crate::support::{Bearer, Client, FakeRegistry, Fault, Kind, noise};

const APP: &str = "repository:app:pull";

/// A registry with tokens, a user, and a repository `app`.
async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::builder()
        .bearer()
        .user("acme", "s:cret")
        .start()
        .await;
    registry.repository("app").blob(noise(1, 10));
    registry
}

/// Asks for a token by GET and returns the status, and the token if there is one.
async fn get(registry: &FakeRegistry, scope: &str, login: Option<&str>) -> (u16, Option<String>) {
    let client = Client::new(registry.address());
    let ask = client.get(&format!("/token?service=fake&scope={scope}"));
    let reply = match login {
        Some(login) => ask.header("authorization", login).send().await,
        None => ask.send().await,
    };
    let status = reply.status.as_u16();
    let answer: Value = serde_json::from_slice(&reply.body().await).unwrap();
    (status, answer["token"].as_str().map(String::from))
}

/// Asks for a token by POST and returns the status, and the token if there is one.
async fn post(registry: &FakeRegistry, form: &str) -> (u16, Option<String>) {
    let client = Client::new(registry.address());
    let form = format!("service=fake&client_id=larder&{form}");
    let reply = client
        .request(http::Method::POST, "/token")
        .form(&form)
        .send()
        .await;
    let status = reply.status.as_u16();
    let answer: Value = serde_json::from_slice(&reply.body().await).unwrap();
    (status, answer["access_token"].as_str().map(String::from))
}

/// Asks for a blob of a repository with a token and returns the status.
async fn pull(registry: &FakeRegistry, repository: &str, token: &str) -> u16 {
    let digest = registry.store(noise(1, 10));
    let client = Client::new(registry.address());
    let ask = client.get(&format!("/v2/{repository}/blobs/{digest}"));
    let reply = ask
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await;
    reply.status.as_u16()
}

#[tokio::test]
async fn a_password_changes_and_logins_are_counted() {
    let registry = registry().await;
    let old = basic("acme", "s:cret");
    assert_eq!(get(&registry, APP, Some(&old)).await.0, 200);
    registry.users().set_password("acme", "new");
    assert_eq!(get(&registry, APP, Some(&old)).await, (401, None));
    assert_eq!(get(&registry, APP, Some("Basic garbage")).await.0, 401);
    assert_eq!(
        get(&registry, APP, Some(&basic("acme", "new"))).await.0,
        200
    );
    assert_eq!(get(&registry, APP, None).await.0, 200);
    assert_eq!(registry.users().logins(), Logins { right: 2, wrong: 1 });
    registry.users().accept_any_name("sha256~token");
    let any = basic("whoever", "sha256~token");
    assert_eq!(get(&registry, APP, Some(&any)).await.0, 200);
}

#[tokio::test]
async fn the_log_says_who_asked() {
    let registry = registry().await;
    let (_, token) = get(&registry, APP, Some(&basic("acme", "s:cret"))).await;
    let (_, anonymous) = get(&registry, APP, None).await;
    get(&registry, APP, Some(&basic("mallory", "guess"))).await;
    let client = Client::new(registry.address());
    for authorization in [token.unwrap(), anonymous.unwrap(), "forged".into()] {
        let ask = client.get("/v2/").header("via", "1.1 larder");
        ask.header("authorization", &format!("Bearer {authorization}"))
            .send()
            .await;
    }
    let requests = registry.requests();
    let users: Vec<_> = requests.iter().map(|request| request.user()).collect();
    assert_eq!(
        users,
        [
            Some("acme"),
            None,
            Some("mallory"),
            Some("acme"),
            None,
            None
        ]
    );
    assert_eq!(requests[1].shown, Shown::Nothing);
    assert!(matches!(
        requests[2].shown,
        Shown::Password {
            is_right: false,
            ..
        }
    ));
    assert!(matches!(requests[4].shown, Shown::Token(_)));
    assert_eq!(requests[5].shown, Shown::Unknown);
    assert_eq!(requests[5].via().as_deref(), Some("1.1 larder"));
    assert_eq!(requests[0].via(), None);
}

#[tokio::test]
async fn private_repositories_may_be_for_some_users() {
    let registry = registry().await;
    registry.users().set_password("other", "s");
    let app = registry.repository("app");
    for (prepare, statuses) in [
        (None, [200, 200, 200]),
        (Some(&["acme"][..]), [401, 200, 401]),
        (Some(&["other", "acme"][..]), [401, 200, 200]),
    ] {
        app.make_public();
        if let Some(users) = prepare {
            app.make_private_to(users);
        }
        let mut found = Vec::new();
        for login in [
            None,
            Some(basic("acme", "s:cret")),
            Some(basic("other", "s")),
        ] {
            let (status, token) = get(&registry, APP, login.as_deref()).await;
            assert_eq!(status, 200, "the token service decides nothing");
            found.push(pull(&registry, "app", &token.unwrap()).await);
        }
        assert_eq!(found, statuses, "{prepare:?}");
    }
}

#[tokio::test]
async fn what_is_private_may_look_like_what_is_not_there() {
    for (status, of_absent) in [(None, 404), (Some(401), 401), (Some(403), 403)] {
        let mut builder = FakeRegistry::builder().bearer();
        if let Some(status) = status {
            builder = builder.hides_absence(status);
        }
        let registry = builder.start().await;
        registry.repository("app").blob(noise(1, 10));
        registry.repository("hidden").blob(noise(1, 10));
        registry.repository("hidden").make_private();
        let scopes = "repository:app:pull&scope=repository:hidden:pull&scope=repository:none:*";
        let token = get(&registry, scopes, None).await.1.unwrap();
        assert_eq!(pull(&registry, "app", &token).await, 200);
        assert_eq!(pull(&registry, "none", &token).await, of_absent);
        let of_hidden = status.unwrap_or(401);
        assert_eq!(pull(&registry, "hidden", &token).await, of_hidden);
    }
}

#[tokio::test]
async fn a_form_is_changed_for_a_token() {
    let registry = registry().await;
    registry.repository("app").make_private();
    registry.users().accept_identity("acme", "refresh-1");
    for form in [
        "grant_type=password&username=acme&password=s%3Acret&scope=repository:app:pull",
        "grant_type=refresh_token&refresh_token=refresh-1&scope=repository:other:pull+repository:app:pull",
    ] {
        let (status, token) = post(&registry, form).await;
        assert_eq!(status, 200, "{form}");
        assert_eq!(pull(&registry, "app", &token.unwrap()).await, 200, "{form}");
        assert_eq!(registry.requests()[0].kind, Kind::Token);
    }
    for (form, status) in [
        ("grant_type=password&username=acme&password=wrong", 401),
        ("grant_type=refresh_token&refresh_token=other", 401),
        ("grant_type=refresh_token", 400),
        ("grant_type=authorization_code&code=1", 400),
        ("scope=repository:app:pull", 400),
    ] {
        assert_eq!(post(&registry, form).await.0, status, "{form}");
    }
    let typeless = Client::new(registry.address())
        .request(http::Method::POST, "/token?grant_type=password")
        .send()
        .await;
    assert_eq!(typeless.status, 400);
    assert_eq!(registry.users().logins(), Logins { right: 2, wrong: 2 });
}

#[tokio::test]
async fn a_token_endpoint_turns_away_as_it_is_told() {
    let registry = registry().await;
    registry.users().accept_identity("acme", "refresh-1");
    let tokens = registry.tokens();
    let password = "grant_type=password&username=acme&password=s%3Acret";
    let identity = "grant_type=refresh_token&refresh_token=refresh-1";
    tokens.refuse_grant("password", 400);
    assert_eq!(post(&registry, password).await.0, 400);
    assert_eq!(post(&registry, identity).await.0, 200);
    tokens.refuse_post(404);
    assert_eq!(post(&registry, identity).await.0, 404);
    let login = basic("acme", "s:cret");
    tokens.refuse_anonymous(401);
    assert_eq!(get(&registry, APP, None).await.0, 401);
    assert_eq!(get(&registry, APP, Some(&login)).await.0, 200);
    tokens.refuse_get(405);
    assert_eq!(get(&registry, APP, Some(&login)).await.0, 405);
}

#[tokio::test]
async fn a_token_endpoint_may_refuse_what_is_hidden() {
    let registry = registry().await;
    registry.repository("hidden").blob(noise(1, 10));
    registry.repository("hidden").make_private();
    registry.tokens().refuse_hidden(403);
    let login = basic("acme", "s:cret");
    for (scope, login, status) in [
        (APP, None, 200),
        ("", None, 200),
        ("repository:hidden:pull", None, 403),
        ("repository:hidden:pull", Some(&*login), 200),
        ("repository:none:pull", Some(&*login), 403),
    ] {
        assert_eq!(get(&registry, scope, login).await.0, status, "{scope}");
    }
    registry.tokens().read_first_scope_only();
    let scopes = "repository:app:pull&scope=repository:hidden:pull";
    let (status, token) = get(&registry, scopes, None).await;
    assert_eq!(status, 200);
    let token = token.unwrap();
    assert_eq!(pull(&registry, "app", &token).await, 200);
    assert_eq!(pull(&registry, "hidden", &token).await, 401);
}

#[tokio::test]
async fn tokens_may_be_issued_elsewhere_and_for_a_named_service() {
    let registry = FakeRegistry::builder()
        .bearer_with(Bearer::own().service("registry.docker.io"))
        .tokens_at("/v2/auth")
        .tokens(|tokens| tokens.in_fields(&["token", "access_token"]))
        .start()
        .await;
    let client = Client::new(registry.address());
    let ping = client.get("/v2/").send().await;
    let expected = format!(
        "Bearer realm=\"{}/v2/auth\",service=\"registry.docker.io\"",
        registry.url()
    );
    assert_eq!(ping.header("www-authenticate"), Some(&*expected));
    let reply = client.get("/v2/auth").send().await;
    let answer: Value = serde_json::from_slice(&reply.body().await).unwrap();
    assert_eq!(answer["token"], answer["access_token"]);
    assert_eq!(registry.count(Kind::Token), 1);
    assert_eq!(client.get("/token").send().await.status, 401);
    let nameless = FakeRegistry::builder()
        .bearer_with(Bearer::own().service(""))
        .start()
        .await;
    let ping = Client::new(nameless.address()).get("/v2/").send().await;
    let expected = format!("Bearer realm=\"{}/token\"", nameless.url());
    assert_eq!(ping.header("www-authenticate"), Some(&*expected));
}

#[tokio::test]
async fn habits_stay_when_faults_are_cleared() {
    let absent = Fault::everywhere()
        .answered(404)
        .body(r#"{"code":"UNKNOWN","message":"Not Found"}"#);
    let registry = FakeRegistry::builder().habit(absent).start().await;
    registry.repository("app").blob(noise(1, 10));
    registry.clear_faults();
    let client = Client::new(registry.address());
    let reply = client.get("/v2/app/manifests/1").send().await;
    assert_eq!(reply.status, 404);
    let expected = r#"{"code":"UNKNOWN","message":"Not Found"}"#;
    assert_eq!(reply.body().await, expected);
    assert_eq!(client.get("/v2/").send().await.body().await, "{}");
}

//! What any registry may do.

use std::time::Duration;

use http::header::WWW_AUTHENTICATE;

use super::{expect_absence, pull, push, refusal};
use crate::support::{Bearer, FakeRegistry, Fault, Kind, TestProxy};

/// What registries send with a refusal, whatever the specification says.
const BODIES: [&str; 8] = [
    "",
    "denied",
    "<html><body>404</body></html>",
    "{",
    "{}",
    "[]",
    r#"{"details":"incorrect username or password"}"#,
    r#"{"errors":null,"message":7}"#,
];

#[tokio::test]
async fn any_body_of_a_refusal_is_borne() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (number, body) in BODIES.into_iter().enumerate() {
        for status in [401, 403, 404] {
            let name = format!("app{number}-{status}");
            let refusing = Fault::everywhere().in_repository(&name);
            registry.inject(refusing.status(status).body(body));
            push(&registry, &name, "1");
            expect_absence(&proxy, &name, "1").await;
        }
    }
}

#[tokio::test]
async fn any_body_of_a_refused_token_is_borne() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let proxy = TestProxy::of(&registry).await;
    for (number, body) in BODIES.into_iter().enumerate() {
        for status in [401, 403] {
            let name = format!("app{number}-{status}");
            let refusing = Fault::on(Kind::Token).status(status).body(body);
            let refusing = registry.inject(refusing);
            push(&registry, &name, "1");
            expect_absence(&proxy, &name, "1").await;
            refusing.lift();
        }
    }
}

#[tokio::test]
async fn any_challenge_may_stand_beside_the_one_for_a_token() {
    for beside in [
        "Negotiate",
        "Basic realm=\"a, b=\\\"c\\\"\"",
        "Digest realm=\"x\", nonce=\"y,z=\", qop=\"auth\"",
        "NTLM, Basic realm=\"x\"",
    ] {
        let registry = FakeRegistry::builder()
            .bearer_with(Bearer::own().beside(beside))
            .start()
            .await;
        let image = push(&registry, "app", "1");
        let proxy = TestProxy::of(&registry).await;
        pull(&proxy, "app", "1", &image).await;
    }
}

#[tokio::test]
async fn any_challenge_that_cannot_be_met_is_an_absence() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (number, challenge) in [
        "Basic realm=\"x\"",
        "Negotiate",
        "Bearer",
        "Bearer realm=\"\"",
        "garbage =,=",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("app{number}");
        let refusing = Fault::everywhere().in_repository(&name).status(401);
        registry.inject(refusing.header(WWW_AUTHENTICATE, challenge));
        push(&registry, &name, "1");
        expect_absence(&proxy, &name, "1").await;
    }
    assert_eq!(registry.count(Kind::Token), 0);
}

#[tokio::test]
async fn any_realm_that_is_no_address_is_a_fault_of_the_registry() {
    let nowhere = Bearer::own().realm("not an address");
    let registry = FakeRegistry::builder().bearer_with(nowhere).start().await;
    let proxy = TestProxy::of(&registry).await;
    let reply = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(refusal(reply).await.0, 502);
}

#[tokio::test]
async fn any_redirect_of_a_manifest_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let other = FakeRegistry::start().await;
        let image = push(&other, "elsewhere", "1");
        let target = format!("{}/v2/elsewhere", other.url());
        let manifests = format!("{target}/manifests/{{digest}}");
        let blobs = format!("{target}/blobs/{{digest}}");
        let registry = FakeRegistry::builder()
            .bearer()
            .habit(
                Fault::on(Kind::MANIFEST)
                    .authorized()
                    .redirect(status, manifests),
            )
            .habit(Fault::on(Kind::BLOB).authorized().redirect(status, blobs))
            .start()
            .await;
        let proxy = TestProxy::of(&registry).await;
        pull(&proxy, "app", "1", &image).await;
        super::expect_no_secrets(&other);
    }
}

#[tokio::test]
async fn any_token_answer_of_the_usual_shapes_will_do() {
    for (fields, expires_in) in [
        (&["token"][..], Some(300)),
        (&["access_token"][..], Some(0)),
        (&["token", "access_token"][..], None),
    ] {
        let builder = FakeRegistry::builder().bearer().tokens(|tokens| {
            tokens.in_fields(fields);
            match expires_in {
                Some(seconds) => tokens.expire_in(seconds),
                None => tokens.without_expiry(),
            }
        });
        let registry = builder.start().await;
        let image = push(&registry, "app", "1");
        let proxy = TestProxy::of(&registry).await;
        pull(&proxy, "app", "1", &image).await;
        assert_eq!(registry.count(Kind::Token), 1, "{fields:?}");
    }
}

#[tokio::test]
async fn any_token_service_may_read_one_scope_only() {
    let registry = FakeRegistry::builder()
        .bearer()
        .tokens(|tokens| tokens.read_first_scope_only())
        .start()
        .await;
    let image = push(&registry, "app", "1");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "app", "1", &image).await;
}

#[tokio::test]
async fn any_token_that_is_revoked_is_replaced() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let image = push(&registry, "app", "latest");
    let builder = TestProxy::builder().upstream("up.test", &registry);
    let quick = |limits: &mut larder::upstream::Limits| {
        limits.same_token = Duration::from_millis(1);
    };
    let proxy = builder.limits(quick).start().await;
    pull(&proxy, "app", "latest", &image).await;
    registry.tokens().revoke_all();
    proxy.advance(Duration::from_hours(1));
    pull(&proxy, "app", "latest", &image).await;
    assert_eq!(registry.count(Kind::Token), 2);
}

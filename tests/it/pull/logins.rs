//! Pulling with logins: what it costs the registry, counted, and who gets to see which login.

use std::time::Duration;

use larder::upstream::{CredentialSettings, CredentialSource, EndpointSettings};

use super::private::has_login;
use crate::support::fake::{Builder, Request, Shown, basic};
use crate::support::image::PushedIndex;
use crate::support::proxy::password_of;
use crate::support::{FakeRegistry, Fault, Image, Index, Kind, TestProxy, noise};

const HOUR: Duration = Duration::from_hours(1);

/// Puts an image for two platforms, of a config and two layers each, where `acme` alone sees it.
async fn start(registry: Builder) -> (FakeRegistry, PushedIndex, TestProxy) {
    let registry = registry.basic("acme", "secret").start().await;
    let repository = registry.repository("team/app");
    let image = |seed: u64| Image::with_layers([noise(seed, 100_000), noise(seed + 1, 100_000)]);
    let index = Index::of([("linux/amd64", image(1)), ("linux/arm64", image(10))]);
    let pushed = index.push_as(&repository, "1");
    repository.make_private_to(&["acme"]);
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.login("acme", "secret").start().await;
    (registry, pushed, proxy)
}

/// Fetches what comes after the tag: the index by its digest perhaps, one manifest, the config and the layers of that.
async fn pull_rest(proxy: &TestProxy, pushed: &PushedIndex, has_index: bool) {
    let image = &pushed.images[0];
    let index = (!has_index).then_some(&pushed.digest);
    let manifests = index.into_iter().chain([&image.digest]);
    let paths = manifests.map(|digest| format!("/v2/team/app/manifests/{digest}"));
    let blobs = [&image.config].into_iter().chain(&image.layers);
    let blobs = blobs.map(|digest| format!("/v2/team/app/blobs/{digest}"));
    for path in paths.chain(blobs) {
        let reply = proxy.get(&path).await;
        assert_eq!(reply.status, 200, "{path}");
        reply.body().await;
    }
}

/// Tells what the registry was asked since the last time, by the names of things, as whom, and what it answered.
fn told(registry: &FakeRegistry, pushed: &PushedIndex) -> Vec<String> {
    let image = &pushed.images[0];
    let names = [
        (pushed.digest, "INDEX"),
        (image.digest, "MANIFEST"),
        (image.config, "CONFIG"),
        (image.layers[0], "LAYER1"),
        (image.layers[1], "LAYER2"),
    ];
    let line = |request: &Request| {
        let mut line = request.to_string();
        for (digest, name) in names {
            line = line.replace(&digest.to_string(), name);
        }
        let line = line.split('?').next().unwrap().to_owned();
        let shown = match &request.shown {
            Shown::Nothing => "nobody".to_owned(),
            Shown::Password { user, .. } => format!("{user} by password"),
            Shown::Token(grant) => format!("{} by token", grant.user().unwrap_or("anybody")),
            Shown::Unknown => "unknown".to_owned(),
        };
        let status = request.status.map_or(0, |status| status.as_u16());
        format!("{line}: {shown}: {status}")
    };
    let lines = registry.requests().iter().map(line).collect();
    registry.clear_log();
    lines
}

/// A cold pull where tokens are wanted. The first three requests find out whether others may see the repository; they are
/// not made again for a day.
const COLD_WITH_TOKENS: [&str; 4] = [
    "HEAD team/app/manifests/1: nobody: 401",
    "GET /token: nobody: 200",
    "HEAD team/app/manifests/1: anybody by token: 401",
    "GET /token: acme by password: 200",
];

/// The same where every request needs the password.
const COLD_WITH_PASSWORD: [&str; 1] = ["HEAD team/app/manifests/1: nobody: 401"];

/// What every cold pull fetches after the tag.
const CONTENT: [&str; 4] = [
    "GET team/app/manifests/MANIFEST",
    "GET team/app/blobs/CONFIG",
    "GET team/app/blobs/LAYER1",
    "GET team/app/blobs/LAYER2",
];

/// Pulls cold, warm and stale, as a client that gets the tag or one that asks for its head first, and counts.
async fn expect_counts(registry: fn() -> Builder, opening: &[&str], how: &str, counts: [usize; 2]) {
    let ways: [(&[&str], usize); 2] = [
        (&["GET team/app/manifests/1"], counts[0]),
        (
            &["HEAD team/app/manifests/1", "GET team/app/manifests/INDEX"],
            counts[1],
        ),
    ];
    for (way, count) in ways {
        let is_head_first = way.len() > 1;
        let (registry, pushed, proxy) = start(registry()).await;
        let pull = async || {
            let tag = "/v2/team/app/manifests/1";
            let reply = if is_head_first {
                proxy.head(tag).await
            } else {
                proxy.get(tag).await
            };
            assert_eq!(reply.status, 200);
            reply.body().await;
            pull_rest(&proxy, &pushed, !is_head_first).await;
        };
        pull().await;
        let fetched = way.iter().chain(&CONTENT);
        let fetched = fetched.map(|line| format!("{line}: acme by {how}: 200"));
        let opening = opening.iter().map(|line| (*line).to_owned());
        let expected: Vec<_> = opening.chain(fetched).collect();
        let cold = told(&registry, &pushed);
        assert_eq!(cold, expected);
        assert_eq!(cold.len(), count);
        for _ in 0..2 {
            pull().await;
            assert_eq!(told(&registry, &pushed), Vec::<String>::new(), "warm");
        }
        proxy.advance(HOUR);
        pull().await;
        // Whoever is told of slowness does not wait for the answer of the registry.
        let is_answered = |request: &Request| request.status.is_some();
        registry
            .wait_for(|log| log.requests().iter().any(is_answered))
            .await;
        let stale = format!("HEAD team/app/manifests/1: acme by {how}: 200");
        assert_eq!(told(&registry, &pushed), [stale], "stale");
    }
}

#[tokio::test]
async fn a_private_image_behind_tokens_costs_as_many_requests_as_the_readme_says() {
    let registry = || FakeRegistry::builder().bearer();
    expect_counts(registry, &COLD_WITH_TOKENS, "token", [9, 10]).await;
}

#[tokio::test]
async fn a_private_image_behind_passwords_costs_as_many_requests_as_the_readme_says() {
    let registry = FakeRegistry::builder;
    expect_counts(registry, &COLD_WITH_PASSWORD, "password", [6, 7]).await;
}

#[tokio::test]
async fn fifty_clients_need_one_token() {
    let (registry, _, proxy) = start(FakeRegistry::builder().bearer()).await;
    let repository = registry.repository("team/app");
    let blobs = (100..150).map(|seed| repository.blob(noise(seed, 1_000)));
    let blobs: Vec<_> = blobs.collect();
    let pull = async |digest| {
        let reply = proxy.get(&format!("/v2/team/app/blobs/{digest}")).await;
        assert_eq!(reply.status, 200);
        reply.body().await;
    };
    futures_util::future::join_all(blobs.iter().map(pull)).await;
    let tokens = registry.requests();
    let tokens = tokens.iter().filter(|request| request.kind == Kind::Token);
    let users: Vec<_> = tokens.map(|token| token.user().map(String::from)).collect();
    assert_eq!(users, [None, Some("acme".to_owned())]);
    assert_eq!(registry.users().logins().right, 1);
}

#[tokio::test]
async fn each_repository_has_the_first_login_that_matches() {
    let registry = FakeRegistry::builder()
        .bearer()
        .user("robot-a", "one")
        .user("robot-b", "two")
        .start()
        .await;
    let repositories = [
        ("team-a/app", Some("robot-a")),
        ("team-a/deep/app", Some("robot-a")),
        ("team-a/open", None),
        ("team-b/app", Some("robot-b")),
        ("other", Some("robot-b")),
    ];
    for (name, user) in repositories {
        let repository = registry.repository(name);
        let seed = name.bytes().map(u64::from).sum();
        Image::with_layers([noise(seed, 1_000)]).push_as(&repository, "1");
        if let Some(user) = user {
            repository.make_private_to(&[user]);
        }
    }
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .credential("team-a/open", CredentialSource::Anonymous)
        .credential("team-a/**", password_of("robot-a", "one"))
        .credential("**", password_of("robot-b", "two"))
        // What comes later for the same repositories is never looked at.
        .credential("team-a/**", password_of("robot-b", "two"))
        .start()
        .await;
    for (name, user) in repositories {
        registry.clear_log();
        let reply = proxy.get(&format!("/v2/{name}/manifests/1")).await;
        assert_eq!(reply.status, 200, "{name}");
        reply.body().await;
        let requests = registry.requests();
        let logins = requests.iter().filter(|request| has_login(request));
        let mut users: Vec<_> = logins.filter_map(Request::user).collect();
        users.dedup();
        assert_eq!(users, Vec::from_iter(user), "{name}");
    }
    assert_eq!(registry.users().logins().wrong, 0);
}

/// Expects that each login, and whatever was got by it, was seen by its own registry alone.
fn expect_apart(own: &FakeRegistry, (user, password): (&str, &str), secrets: &[&str]) {
    for request in own.requests() {
        let shown = request.authorization().unwrap_or_default();
        let is_own = shown.is_empty()
            || shown == basic(user, password)
            || matches!(request.shown, Shown::Token(_));
        assert!(is_own, "{request}: {shown}");
        let whole = format!("{} {:?} {:?}", request.query, request.headers, request.body);
        for secret in secrets {
            assert!(!whole.contains(secret), "{request}: {whole}");
        }
    }
}

#[tokio::test]
async fn a_mirror_and_its_registry_see_their_own_logins_only() {
    type Failure = fn(Fault) -> Fault;
    let failures: [(&str, Failure); 6] = [
        ("absence", |fault| fault.status(404)),
        ("denial", |fault| fault.status(403)),
        ("refusal", |fault| fault.status(401)),
        ("refusal of a token", |fault| {
            fault.refuse_token("insufficient_scope")
        }),
        ("trouble", |fault| fault.status(503)),
        ("silence", |fault| fault.hang_up()),
    ];
    let (own, other) = (("mirror", "m1rror"), ("acme", "s3cret"));
    for (name, failure) in failures {
        for has_tokens in [false, true] {
            // One of both has tokens, so that nobody can mistake those of the other for its own.
            let guarded = |has_tokens: bool| match has_tokens {
                true => FakeRegistry::builder().bearer(),
                false => FakeRegistry::builder(),
            };
            let mirror = guarded(has_tokens).basic(own.0, own.1).start().await;
            let registry = guarded(!has_tokens).basic(other.0, other.1).start().await;
            for place in [&mirror, &registry] {
                let repository = place.repository("team/app");
                Image::with_layers([noise(1, 1_000)]).push_as(&repository, "1");
                repository.make_private();
            }
            mirror.inject(failure(Fault::on(Kind::MANIFEST).authorized()));
            let endpoint = EndpointSettings {
                credentials: vec![CredentialSettings {
                    repositories: "**".parse().unwrap(),
                    source: password_of(own.0, own.1),
                }],
                ..mirror.endpoint()
            };
            let proxy = TestProxy::builder()
                .upstream("up.test", &registry)
                .behind(endpoint)
                .login(other.0, other.1)
                .limits(|limits| limits.same_token = Duration::from_millis(1))
                .start()
                .await;
            let reply = proxy.get("/v2/team/app/manifests/1").await;
            assert_eq!(reply.status, 200, "{name}");
            reply.body().await;
            for place in [&mirror, &registry] {
                assert!(place.requests().iter().any(has_login), "{name}");
            }
            let encoded = |(user, password)| basic(user, password).split_off("Basic ".len());
            expect_apart(&mirror, own, &[other.0, other.1, &encoded(other)]);
            expect_apart(&registry, other, &[own.0, own.1, &encoded(own)]);
            assert_eq!(registry.users().logins().wrong, 0, "{name}");
        }
    }
}

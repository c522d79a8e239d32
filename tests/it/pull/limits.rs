//! Registries that allow no more: they are left alone as long as they say, and for as much as they say.

use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::proxy::password_of;
use crate::support::{
    Bearer, FakeRegistry, Fault, Image, Kind, PushedImage, Reply, TestProxy, noise, within,
};

const HOUR: Duration = Duration::from_hours(1);

fn push(registry: &FakeRegistry, name: &str) -> PushedImage {
    let seed = name.bytes().map(u64::from).sum();
    Image::with_layers([noise(seed, 1_000)]).push_as(&registry.repository(name), "1")
}

async fn tag(proxy: &TestProxy, name: &str) -> Reply {
    proxy.get(&format!("/v2/{name}/manifests/1")).await
}

/// Expects 429, and returns for how many seconds.
async fn limited(reply: Reply) -> u64 {
    assert_eq!(reply.status, 429);
    let wait = reply.header("retry-after").unwrap().parse().unwrap();
    let body = reply.body().await;
    assert!(body.starts_with(br#"{"errors":[{"code":"TOOMANYREQUESTS""#));
    wait
}

/// Expects what was here before, marked as such.
async fn stale(proxy: &TestProxy, name: &str, image: &PushedImage) {
    let reply = tag(proxy, name).await;
    let outcome = Some("larder; hit; detail=stale_rate_limited");
    assert_eq!(reply.header("cache-status"), outcome);
    assert_eq!(reply.body().await, image.bytes);
}

#[tokio::test]
async fn a_registry_is_left_alone_as_long_as_it_says() {
    // The clock of the larder, which dates are read by, and what comes half an hour later.
    let later = UNIX_EPOCH + Duration::from_millis(1_790_000_000_000) + 2 * HOUR - HOUR / 2;
    let date = httpdate::fmt_http_date(later);
    for (when, most) in [
        (Some("1800"), 1_800),
        (Some(date.as_str()), 1_800),
        (None, 60),
    ] {
        let registry = FakeRegistry::start().await;
        let here = push(&registry, "here");
        let proxy = TestProxy::of(&registry).await;
        assert_eq!(tag(&proxy, "here").await.body().await, here.bytes);
        proxy.advance(HOUR);
        let refusal = Fault::everywhere().status(429).once();
        registry.inject(match when {
            Some(when) => refusal.retry_after(when),
            None => refusal,
        });
        registry.clear_log();
        for _ in 0..5 {
            let wait = limited(tag(&proxy, "other").await).await;
            assert!((most / 2..=most).contains(&wait), "{when:?}: {wait}");
            stale(&proxy, "here", &here).await;
        }
        assert_eq!(registry.lines(), ["GET other/manifests/1"], "{when:?}");
    }
}

#[tokio::test]
async fn a_registry_is_asked_again_when_the_time_is_over() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "app");
    // A second is the least that counts.
    registry.inject(Fault::everywhere().status(429).retry_after("0").once());
    let proxy = TestProxy::of(&registry).await;
    limited(tag(&proxy, "app").await).await;
    within("the end of the second", async {
        while tag(&proxy, "app").await.status != 200 {}
    })
    .await;
    assert_eq!(tag(&proxy, "app").await.body().await, image.bytes);
    assert_eq!(registry.count(Kind::MANIFEST), 2);
}

#[tokio::test]
async fn docker_hub_allows_heads_and_blobs_when_no_pulls_are_left() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).start().await;
    let (here, _) = (push(&registry, "acme/here"), push(&registry, "acme/other"));
    let proxy = TestProxy::builder().upstream("docker.io", &registry);
    let proxy = proxy.start().await;
    assert_eq!(tag(&proxy, "acme/here").await.body().await, here.bytes);
    registry.quota().set(1, 21_600);
    registry.quota().retry_after("1800");
    limited(tag(&proxy, "acme/other").await).await;
    registry.clear_log();
    let layer = format!("/v2/acme/here/blobs/{}", here.layers[0]);
    let head = "/v2/acme/other/manifests/1";
    assert_eq!(proxy.get(&layer).await.status, 200);
    assert_eq!(proxy.head(head).await.status, 200);
    proxy.advance(HOUR);
    // The tag is still checked, by HEAD, and another pull is not tried.
    let checked = tag(&proxy, "acme/here").await;
    assert_eq!(checked.status, 200);
    assert_eq!(checked.body().await, here.bytes);
    let wait = limited(tag(&proxy, "acme/other").await).await;
    assert!((900..=1_800).contains(&wait), "{wait}");
    let asked = |kinds: &[Kind]| registry.count(kinds.iter().copied());
    assert_eq!(asked(&[Kind::ManifestGet]), 0, "{:#?}", registry.lines());
    assert_eq!(asked(&[Kind::BlobGet]), 1, "{:#?}", registry.lines());
    assert!(asked(&[Kind::ManifestHead]) >= 2, "{:#?}", registry.lines());
}

#[tokio::test]
async fn docker_hub_limit_against_abuse_closes_everything() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).start().await;
    let (here, other) = (push(&registry, "acme/here"), push(&registry, "acme/other"));
    let proxy = TestProxy::builder().upstream("docker.io", &registry);
    let proxy = proxy.start().await;
    assert_eq!(tag(&proxy, "acme/here").await.body().await, here.bytes);
    registry.clear_log();
    registry.inject(Fault::abuse_limit());
    let blob = format!("/v2/acme/here/blobs/{}", here.layers[0]);
    limited(proxy.get(&blob).await).await;
    limited(tag(&proxy, "acme/other").await).await;
    limited(proxy.get(&blob).await).await;
    assert_eq!(proxy.head("/v2/acme/other/manifests/1").await.status, 429);
    let by_digest = format!("/v2/acme/other/manifests/{}", other.digest);
    limited(proxy.get(&by_digest).await).await;
    proxy.advance(HOUR);
    stale(&proxy, "acme/here", &here).await;
    // With a token, and without: for the registry these are two.
    let lines = registry.lines();
    assert!(lines.len() <= 2, "{lines:#?}");
}

#[tokio::test]
async fn what_is_allowed_to_nobody_is_allowed_to_a_login() {
    for is_shared in [false, true] {
        let storage = FakeRegistry::start().await;
        let registry = FakeRegistry::docker_hub(&storage).user("acme", "secret");
        let registry = registry.start().await;
        registry.quota().set(1, 21_600);
        let names = ["open/one", "open/two", "acme/one"];
        let [one, _, private] = names.map(|name| push(&registry, name));
        registry.repository("acme/one").make_private_to(&["acme"]);
        let proxy = TestProxy::builder().upstream("docker.io", &registry);
        let proxy = proxy.credential("acme/*", password_of("acme", "secret"));
        // What is shared is not asked for without the login first.
        let proxy = if is_shared {
            proxy.shares("acme/*")
        } else {
            proxy
        };
        let proxy = proxy.start().await;
        assert_eq!(tag(&proxy, "open/one").await.body().await, one.bytes);
        limited(tag(&proxy, "open/two").await).await;
        let image = tag(&proxy, "acme/one").await;
        assert_eq!(image.status, 200, "shared: {is_shared}");
        assert_eq!(image.body().await, private.bytes);
        assert_eq!(registry.quota().remaining(Some("acme")), 0);
        registry.clear_log();
        limited(tag(&proxy, "open/two").await).await;
        assert_eq!(registry.lines(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_token_service_that_allows_no_more_is_left_alone() {
    let issuer = FakeRegistry::start().await;
    let registry = FakeRegistry::builder().bearer_with(Bearer::issued_by(&issuer));
    let registry = registry.start().await;
    let names = ["one", "two", "three"];
    for name in names {
        push(&registry, name);
    }
    let refusal = Fault::on(Kind::Token).status(429).retry_after("1800");
    issuer.inject(refusal.once());
    let proxy = TestProxy::of(&registry).await;
    for name in names {
        let wait = limited(tag(&proxy, name).await).await;
        assert!((900..=1_800).contains(&wait), "{wait}");
    }
    assert_eq!(issuer.count(Kind::Token), 1);
}

#[tokio::test]
async fn what_is_left_of_a_limit_is_counted() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::docker_hub(&storage).user("acme", "secret");
    let registry = registry.start().await;
    push(&registry, "open/one");
    push(&registry, "acme/one");
    let proxy = TestProxy::builder().upstream("docker.io", &registry);
    let proxy = proxy.credential("acme/*", password_of("acme", "secret"));
    let proxy = proxy.start().await;
    let counted = |what: &str, login: &str| {
        proxy.counted(&format!(
            "upstream_{what}{{upstream=\"docker.io\",login=\"{login}\"}}"
        ))
    };
    // A HEAD tells, and spends nothing.
    assert_eq!(proxy.head("/v2/open/one/manifests/1").await.status, 200);
    assert_eq!(counted("pulls_remaining", "anonymous"), Some(100));
    assert_eq!(counted("pull_limit", "anonymous"), Some(100));
    assert_eq!(counted("pull_window_seconds", "anonymous"), Some(21_600));
    tag(&proxy, "open/one").await.body().await;
    assert_eq!(counted("pulls_remaining", "anonymous"), Some(99));
    assert_eq!(counted("pulls_remaining", "user acme"), None);
    tag(&proxy, "acme/one").await.body().await;
    assert_eq!(counted("pulls_remaining", "user acme"), Some(99));
    registry.quota().set(1, 21_600);
    push(&registry, "open/two");
    limited(tag(&proxy, "open/two").await).await;
    assert_eq!(counted("pulls_remaining", "anonymous"), Some(0));
}

#[tokio::test]
async fn what_docker_hub_allows_is_told_in_the_log_at_the_start() {
    let login = "credentials = { username = 'acme', password_env = 'HUB' }\n";
    for (login, whose) in [("", "anonymous"), (login, "user acme")] {
        let storage = FakeRegistry::start().await;
        let registry = FakeRegistry::docker_hub(&storage).user("acme", "secret");
        let registry = registry.start().await;
        let sample = registry.repository("ratelimitpreview/test");
        Image::with_layers([noise(1, 10)]).push_as(&sample, "latest");
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nlisten = '127.0.0.1:0'\npublic_registries = false\n\
             [cache]\npath = '{}'\n\
             [[upstream]]\nname = 'docker.io'\nendpoints = ['{}']\n{login}",
            folder.path().join("cache").display(),
            registry.url(),
        );
        let file = folder.path().join("larder.toml");
        std::fs::write(&file, config).unwrap();
        let mut larder = Command::new(env!("CARGO_BIN_EXE_larder"))
            .args(["serve", "--config"])
            .arg(&file)
            .env_clear()
            .env("HUB", "secret")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(larder.stderr.take().unwrap()).lines();
        let expected = format!("{whose} to docker.io: about 100 pulls per 6h, 100 of them left");
        let mut lines = Vec::new();
        within("the line of the log", async {
            while !lines
                .last()
                .is_some_and(|line: &String| line.contains(&expected))
            {
                match log.next_line().await.unwrap() {
                    Some(line) => lines.push(line),
                    None => panic!("it is not there: {lines:#?}"),
                }
            }
        })
        .await;
        // To ask costs nothing.
        assert_eq!(registry.count(Kind::ManifestGet), 0);
        larder.kill().await.unwrap();
    }
}

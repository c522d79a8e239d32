//! Who may see what: decided in one place for every method and every kind of name, by the registry's word, and not by
//! what happens to be here.

use std::time::Duration;

use http::Method;

use super::{elsewhere, has_login, logged_in, push, refusal, status};
use crate::support::fake::basic;
use crate::support::{FakeRegistry, Image, TestProxy, noise, within};

const DAY: Duration = Duration::from_hours(24);

/// Every method that anybody uses, and one that nobody does.
const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::PUT,
    Method::POST,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

/// A registry where [`super::LOGIN`] sees everything.
async fn guarded() -> FakeRegistry {
    let registry = FakeRegistry::builder().bearer();
    registry.basic("acme", "hunter2").start().await
}

/// A larder that logs in there and shares nothing.
async fn larder(registry: &FakeRegistry) -> TestProxy {
    let proxy = TestProxy::builder().upstream("up.test", registry);
    proxy.login("acme", "hunter2").start().await
}

async fn status_elsewhere(proxy: &TestProxy, path: &str) -> u16 {
    elsewhere(proxy, Method::GET, path).await.status.as_u16()
}

/// Also CVE-2024-39897, and the part of mcronce where a digest opens everything.
#[tokio::test]
async fn ghsa_55r9_5mx9_qq7r_what_is_here_is_not_readable_through_another_repository() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "one");
    registry.repository("two").blob(noise(1, 10));
    let other = FakeRegistry::start().await;
    let builder = TestProxy::builder().upstream("up.test", &registry);
    let mut proxy = builder.upstream("other.test", &other).start().await;
    let things = [
        format!("manifests/{}", image.digest),
        format!("blobs/{}", image.config),
        format!("blobs/{}", image.layers[0]),
    ];
    for _ in 0..2 {
        for thing in &things {
            assert_eq!(status(&proxy, &format!("/v2/one/{thing}")).await, 200);
            for name in ["two", "none", "one/one", "other.test/one"] {
                let path = format!("/v2/{name}/{thing}");
                assert_eq!(status(&proxy, &path).await, 404, "{path}");
                assert_eq!(proxy.head(&path).await.status, 404, "{path}");
                let client = proxy.client();
                let part = client.get(&path).header("range", "bytes=0-9");
                assert_eq!(part.send().await.status, 404, "{path}");
                let known = client.get(&path).header("if-none-match", "*");
                assert_eq!(known.send().await.status, 404, "{path}");
            }
        }
        // Nor is it mounted from one to the other.
        let layer = image.layers[0];
        let mount = format!("/v2/two/blobs/uploads/?mount={layer}&from=one");
        let mount = proxy.client().request(Method::POST, &mount).send().await;
        assert_eq!(mount.status, 405);
        proxy = proxy.restart().await;
    }
}

/// Also CVE-2026-35172.
#[tokio::test]
async fn ghsa_f2g3_hh2r_cwgc_an_access_that_was_lost_does_not_come_back() {
    let registry = guarded().await;
    let repository = registry.repository("app");
    let image = push(&registry, "app");
    let paths = [
        format!("/v2/app/manifests/{}", image.digest),
        format!("/v2/app/blobs/{}", image.layers[0]),
        "/v2/app/manifests/1".to_owned(),
    ];
    let mut proxy = larder(&registry).await;
    for path in &paths {
        assert_eq!(status_elsewhere(&proxy, path).await, 200, "{path}");
        assert_eq!(status(&proxy, path).await, 200, "{path}");
    }
    repository.make_private();
    proxy.advance(DAY);
    let lost = async { while status_elsewhere(&proxy, &paths[0]).await != 403 {} };
    within("the loss", lost).await;
    // Everything is still here, and remembered to have been seen: by those who may.
    for moment in ["at once", "after a restart", "without the registry"] {
        for path in &paths {
            let found = status_elsewhere(&proxy, path).await;
            assert_eq!(found, 403, "{moment}: {path}");
            assert_eq!(status(&proxy, path).await, 200, "{moment}: {path}");
        }
        proxy = proxy.restart().await;
        if moment == "after a restart" {
            registry.stop().await;
        }
    }
}

/// Also CVE-2026-41888, GHSA-qg67-7m6v-qg25, and GHSA-85jx-fm8m-x8c6 / CVE-2026-31801.
#[tokio::test]
async fn ghsa_6pjf_3r9x_m592_no_method_and_no_reference_is_forgotten() {
    let registry = guarded().await;
    let image = push(&registry, "team/app");
    let repository = registry.repository("team/app");
    repository.tag("latest", image.digest);
    let absent = format!("sha256:{}", "a".repeat(64));
    repository.make_private();
    let proxy = larder(&registry).await;
    for round in 0..2 {
        for (thing, is_here) in [
            ("manifests/latest".to_owned(), true),
            ("manifests/1".to_owned(), true),
            ("manifests/none".to_owned(), false),
            (format!("manifests/{}", image.digest), true),
            (format!("manifests/{absent}"), false),
            (format!("blobs/{}", image.config), true),
            (format!("blobs/{}", image.layers[0]), true),
            (format!("blobs/{absent}"), false),
            ("blobs/uploads/".to_owned(), false),
            ("blobs/uploads/1".to_owned(), false),
            (format!("blobs/uploads/?digest={}", image.config), false),
            ("tags/list".to_owned(), true),
            (format!("referrers/{}", image.digest), true),
        ] {
            registry.clear_log();
            for name in ["team/app", "up.test/team/app"] {
                let path = format!("/v2/{name}/{thing}");
                for method in METHODS {
                    let reply = elsewhere(&proxy, method.clone(), &path).await;
                    let status = reply.status.as_u16();
                    let may = [403, 404, 405, 501];
                    assert!(may.contains(&status), "{method} {path}: {status}");
                    let is_pull = method == Method::GET || method == Method::HEAD;
                    if is_here && is_pull {
                        assert_eq!(status, 403, "{method} {path}");
                    }
                    for header in ["docker-content-digest", "etag", "location"] {
                        assert_eq!(reply.header(header), None, "{method} {path}");
                    }
                }
            }
            let mut requests = registry.requests().into_iter();
            assert!(!requests.any(|request| has_login(&request)), "{thing}");
            // The second time, it has been pulled by somebody who may.
            let path = format!("/v2/team/app/{thing}");
            let found = status(&proxy, &path).await;
            assert_eq!(found == 200, is_here, "{round}: {path}");
        }
    }
}

/// Also the part of mcronce where anybody deletes.
#[tokio::test]
async fn harbor_23675_nobody_writes_into_the_cache_whatever_he_is_called() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "app");
    let proxy = TestProxy::of(&registry).await;
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 200);
    assert_eq!(status(&proxy, &layer).await, 200);
    registry.clear_log();
    let users = [
        "scanner-1",
        "robot$scanner-1",
        "admin",
        "acme",
        "larder",
        "",
    ];
    for user in users.map(|user| basic(user, "x")) {
        for (method, path) in [
            (Method::PUT, "/v2/app/manifests/1"),
            (Method::PUT, "/v2/app/manifests/new"),
            (Method::PUT, &format!("/v2/app/manifests/{}", image.digest)),
            (Method::POST, "/v2/app/blobs/uploads/"),
            (
                Method::POST,
                &format!("/v2/app/blobs/uploads/?digest={}", image.config),
            ),
            (Method::PATCH, "/v2/app/blobs/uploads/1"),
            (Method::PUT, "/v2/app/blobs/uploads/1"),
            (Method::DELETE, "/v2/app/manifests/1"),
            (
                Method::DELETE,
                &format!("/v2/app/manifests/{}", image.digest),
            ),
            (Method::DELETE, &layer),
            (Method::DELETE, "/v2/app/tags/list"),
        ] {
            let client = proxy.client();
            let ask = client.request(method.clone(), path).form("{}");
            let reply = ask.header("authorization", &user).send().await;
            let found = refusal(reply).await;
            assert_eq!(found, (405, "UNSUPPORTED".to_owned()), "{method} {path}");
        }
    }
    let manifest = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(manifest.body().await, image.bytes);
    assert_eq!(status(&proxy, "/v2/app/manifests/new").await, 404);
    // It comes from here, perhaps still on its way to the disk.
    assert_eq!(status(&proxy, &layer).await, 200);
    assert_eq!(registry.lines(), ["GET app/manifests/new"]);
}

#[tokio::test]
async fn cve_2025_4374_who_pulls_first_gets_no_rights() {
    let registry = guarded().await;
    push(&registry, "open");
    push(&registry, "team/app");
    registry.repository("team/app").make_private();
    let proxy = larder(&registry).await;
    for (name, is_first, later) in [
        ("open", 200, 200),
        // Whoever was refused first is not let in by the one who may.
        ("team/app", 403, 403),
    ] {
        let path = format!("/v2/{name}/manifests/1");
        assert_eq!(status_elsewhere(&proxy, &path).await, is_first, "{path}");
        assert_eq!(status(&proxy, &path).await, 200, "{path}");
        assert_eq!(status_elsewhere(&proxy, &path).await, later, "{path}");
        for method in [Method::PUT, Method::DELETE] {
            let reply = elsewhere(&proxy, method, &path).await;
            assert_eq!(reply.status, 405, "{path}");
        }
        let upload = format!("/v2/{name}/blobs/uploads/");
        let upload = proxy.client().request(Method::POST, &upload).send().await;
        assert_eq!(upload.status, 405, "{name}");
    }
}

#[tokio::test]
async fn rpardini_the_same_name_at_two_registries_is_two_things() {
    let [one, two] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let image_of = |registry: &FakeRegistry, seed| {
        Image::with_layers([noise(seed, 1_000)]).push_as(&registry.repository("app"), "1")
    };
    let images = [image_of(&one, 1), image_of(&two, 2)];
    let proxy = TestProxy::builder().upstream("one.test", &one);
    let mut proxy = proxy.upstream("two.test", &two).start().await;
    for _ in 0..2 {
        for (name, image, other) in [
            ("one.test", &images[0], &images[1]),
            ("two.test", &images[1], &images[0]),
        ] {
            for path in [
                format!("/v2/{name}/app/manifests/1"),
                format!("/v2/app/manifests/1?ns={name}"),
            ] {
                let reply = proxy.get(&path).await;
                assert_eq!(reply.body().await, image.bytes, "{path}");
            }
            for thing in [
                format!("manifests/{}", other.digest),
                format!("blobs/{}", other.layers[0]),
            ] {
                let path = format!("/v2/{name}/app/{thing}");
                assert_eq!(status(&proxy, &path).await, 404, "{path}");
            }
        }
        proxy = proxy.restart().await;
    }
    for registry in [&one, &two] {
        let lines = registry.lines();
        let asked = lines.iter().filter(|line| *line == "GET app/manifests/1");
        assert_eq!(asked.count(), 1, "{lines:#?}");
    }
}

#[tokio::test]
async fn rpardini_what_one_login_has_fetched_another_does_not_get() {
    let registry = FakeRegistry::builder().bearer().user("acme", "hunter2");
    let registry = registry.user("other", "word").start().await;
    let image = push(&registry, "app");
    registry.repository("app").make_private_to(&["acme"]);
    let mut proxy = logged_in(&registry).start().await;
    for (user, password, expected) in [
        ("acme", "hunter2", 200),
        ("other", "word", 404),
        ("acme", "hunter2", 200),
    ] {
        proxy = proxy
            .reconfigured(|builder| {
                let builder = builder.with(|settings| settings.credentials.clear());
                builder.login(user, password)
            })
            .await;
        for path in [
            "/v2/app/manifests/1".to_owned(),
            format!("/v2/app/manifests/{}", image.digest),
            format!("/v2/app/blobs/{}", image.layers[0]),
        ] {
            assert_eq!(status(&proxy, &path).await, expected, "{user} {path}");
        }
    }
}

//! What is private goes to whom it may go, and what a login has seen stays with it.

use http::Method;
use larder::oci::Digest;
use serde_json::Value;

use crate::support::fake::{Request, Shown};
use crate::support::{FakeRegistry, Fault, Image, Kind, Reply, TestProxy, noise};

/// A registry with tokens, whose user `acme` sees everything.
pub async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::builder()
        .bearer()
        .basic("acme", "secret")
        .user("other", "word");
    registry.start().await
}

/// A larder that logs in there as `acme`.
pub async fn larder(registry: &FakeRegistry) -> TestProxy {
    let proxy = TestProxy::builder().upstream("up.test", registry);
    proxy.login("acme", "secret").start().await
}

/// Asks as a proxy does for a client on another machine.
pub async fn elsewhere(proxy: &TestProxy, method: Method, path: &str) -> Reply {
    let ask = proxy.client();
    let ask = ask.request(method, path);
    ask.header("x-forwarded-for", "192.0.2.1").send().await
}

/// Gets something for a client on another machine, and returns the status.
pub async fn status(proxy: &TestProxy, path: &str) -> u16 {
    let reply = elsewhere(proxy, Method::GET, path).await;
    let status = reply.status.as_u16();
    reply.body().await;
    status
}

/// Tells whether a request to the registry came with a login, or with a token that was got by one.
pub fn has_login(request: &Request) -> bool {
    match &request.shown {
        Shown::Password { .. } => true,
        Shown::Token(grant) => grant.user().is_some(),
        Shown::Nothing | Shown::Unknown => false,
    }
}

/// Asks for a path in all ways that there are, is refused, and returns the words.
async fn refused(proxy: &TestProxy, path: &str, digest: &Digest) -> String {
    let head = elsewhere(proxy, Method::HEAD, path).await;
    let get = elsewhere(proxy, Method::GET, path).await;
    for reply in [&head, &get] {
        assert_eq!(reply.status, 403, "{path}");
        for header in ["cache-status", "docker-content-digest", "etag"] {
            assert_eq!(reply.header(header), None, "{path}: {header}");
        }
    }
    for (name, value) in [
        ("range", "bytes=0-9"),
        ("if-none-match", "\"x\""),
        ("if-none-match", &format!("\"{digest}\"")),
        ("authorization", "Basic YWNtZTpzZWNyZXQ="),
    ] {
        let ask = proxy.client();
        let ask = ask.get(path).header("via", "1.1 gate").header(name, value);
        assert_eq!(ask.send().await.status, 403, "{path} {name}");
    }
    let body: Value = serde_json::from_slice(&get.body().await).unwrap();
    assert_eq!(body["errors"][0]["code"], "DENIED");
    body["errors"][0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn private_content_is_refused_to_others_on_every_way_to_it() {
    let registry = registry().await;
    let repository = registry.repository("team/app");
    let image = Image::with_layers([noise(1, 300_000)]).push_as(&repository, "1");
    repository.make_private();
    let absent = format!("sha256:{}", "a".repeat(64));
    let things = [
        ("manifests/1".to_owned(), 200),
        (format!("manifests/{}", image.digest), 200),
        (format!("blobs/{}", image.config), 200),
        (format!("blobs/{}", image.layers[0]), 200),
        ("manifests/none".to_owned(), 404),
        (format!("manifests/{absent}"), 404),
        (format!("blobs/{absent}"), 404),
    ];
    let proxy = larder(&registry).await;
    for moment in ["cold", "warm", "later"] {
        registry.clear_log();
        let mut messages = Vec::new();
        for (thing, _) in &things {
            let path = format!("/v2/team/app/{thing}");
            let message = refused(&proxy, &path, &image.digest).await;
            messages.push(message.split_once(": ").unwrap().1.to_owned());
        }
        // Whether there is such a thing makes no difference.
        messages.dedup();
        assert_eq!(messages.len(), 1, "{messages:?}");
        for words in [
            "not public",
            "its own machine only",
            "share = \"everyone\"",
            "up.test",
        ] {
            assert!(messages[0].contains(words), "{messages:?}");
        }
        let requests = registry.requests();
        assert!(!requests.iter().any(has_login), "{:#?}", registry.lines());
        assert_eq!(requests.is_empty(), moment != "cold", "{moment}");
        for (thing, status) in &things {
            let path = format!("/v2/team/app/{thing}");
            assert_eq!(proxy.head(&path).await.status, *status, "{moment}: {path}");
            let reply = proxy.get(&path).await;
            assert_eq!(reply.status, *status, "{moment}: {path}");
            reply.body().await;
        }
    }
}

#[tokio::test]
async fn what_is_shared_goes_to_everyone() {
    let registry = registry().await;
    let (mut images, names) = (Vec::new(), ["team/app", "other/app"]);
    for name in names {
        let repository = registry.repository(name);
        images.push(Image::with_layers([noise(1, 1000)]).push_as(&repository, "1"));
        repository.make_private();
    }
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.login("acme", "secret").shares("team/*");
    let proxy = proxy.start().await;
    for (name, expected) in names.iter().zip([200, 403]) {
        for path in [
            format!("/v2/{name}/manifests/1"),
            format!("/v2/{name}/blobs/{}", images[0].layers[0]),
        ] {
            assert_eq!(status(&proxy, &path).await, expected, "{path}");
        }
    }
}

#[tokio::test]
async fn without_a_login_everything_is_public() {
    let registry = registry().await;
    let image = Image::with_layers([noise(1, 1000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/manifests/{}", image.digest);
    assert_eq!(status(&proxy, &path).await, 200);
    assert_eq!(registry.count(Kind::ManifestHead), 0);
}

#[tokio::test]
async fn a_layer_of_a_private_image_is_read_through_the_public_one_that_has_it() {
    let registry = registry().await;
    let (shared, secret) = (noise(1, 300_000), noise(2, 300_000));
    let private = registry.repository("team/app");
    let image = Image::with_layers([shared.clone(), secret]).push_as(&private, "1");
    private.make_private();
    registry.repository("open/app").blob(shared.clone());
    let proxy = larder(&registry).await;
    for layer in &image.layers {
        let path = format!("/v2/team/app/blobs/{layer}");
        assert_eq!(proxy.get(&path).await.status, 200);
        assert_eq!(status(&proxy, &path).await, 403);
    }
    // Nobody has asked whether the public repository has it, until somebody wants it there.
    registry.clear_log();
    let [shared_layer, secret_layer] = [image.layers[0], image.layers[1]];
    for _ in 0..2 {
        let path = format!("/v2/open/app/blobs/{shared_layer}");
        let reply = elsewhere(&proxy, Method::GET, &path).await;
        assert_eq!(reply.body().await, shared);
    }
    let heads = registry.requests();
    let is_asked = |request: &&Request| has_login(request) && request.kind != Kind::Token;
    let heads = heads.iter().filter(is_asked);
    let heads: Vec<_> = heads.map(ToString::to_string).collect();
    assert_eq!(heads, [format!("HEAD open/app/blobs/{shared_layer}")]);
    for path in [
        format!("/v2/open/app/blobs/{secret_layer}"),
        format!("/v2/open/app/manifests/{}", image.digest),
    ] {
        assert_eq!(status(&proxy, &path).await, 404, "{path}");
        assert_eq!(proxy.get(&path).await.status, 404, "{path}");
    }
    for layer in &image.layers {
        let path = format!("/v2/team/app/blobs/{layer}");
        assert_eq!(status(&proxy, &path).await, 403);
    }
    let fetched = registry.requests();
    let mut fetched = fetched
        .iter()
        .filter(|request| request.kind == Kind::BlobGet);
    assert!(fetched.all(|request| request.status.unwrap() == 404));
}

#[tokio::test]
async fn a_private_fill_is_joined_only_by_those_who_have_the_content() {
    let registry = registry().await;
    let content = noise(1, 3_000_000);
    let private = registry.repository("team/app");
    let digest = private.blob(content.clone());
    private.make_private();
    registry.repository("open/one").blob(content.clone());
    let two = registry.repository("open/two");
    two.blob(noise(2, 10));
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(1_000_000));
    let proxy = larder(&registry).await;
    let begun = proxy.get(&format!("/v2/team/app/blobs/{digest}")).await;
    gate.reached().await;
    let one = format!("/v2/open/one/blobs/{digest}");
    let one = elsewhere(&proxy, Method::GET, &one).await;
    let other = |name: &str| format!("/v2/{name}/blobs/{digest}");
    // That it is not there for somebody without a login is no proof that the repository is public.
    assert_eq!(status(&proxy, &other("open/two")).await, 403);
    assert_eq!(proxy.get(&other("open/two")).await.status, 404);
    assert_eq!(status(&proxy, &other("team/app")).await, 403);
    gate.open();
    assert_eq!(begun.body().await, content);
    assert_eq!(one.body().await, content);
    assert_eq!(registry.count(Kind::BlobGet), 1);
}

#[tokio::test]
async fn what_a_login_has_seen_is_not_seen_without_it() {
    let registry = registry().await;
    let repository = registry.repository("team/app");
    let image = Image::with_layers([noise(1, 1000)]).push_as(&repository, "1");
    repository.make_private_to(&["acme"]);
    let paths = [
        "/v2/team/app/manifests/1".to_owned(),
        format!("/v2/team/app/manifests/{}", image.digest),
        format!("/v2/team/app/blobs/{}", image.layers[0]),
    ];
    let mut proxy = larder(&registry).await;
    for (login, expected) in [
        (Some(("acme", "secret")), 200),
        (Some(("other", "word")), 404),
        (None, 404),
        (Some(("acme", "secret")), 200),
    ] {
        let change = |builder: crate::support::proxy::TestProxyBuilder| {
            let builder = builder.with(|settings| settings.credentials.clear());
            match login {
                Some((name, password)) => builder.login(name, password),
                None => builder,
            }
        };
        proxy = proxy.reconfigured(change).await;
        for path in &paths {
            assert_eq!(proxy.head(path).await.status, expected, "{login:?} {path}");
            let reply = proxy.get(path).await;
            assert_eq!(reply.status, expected, "{login:?} {path}");
            reply.body().await;
        }
    }
    // What it had seen, it still sees.
    registry.clear_log();
    proxy = proxy.restart().await;
    for path in &paths {
        assert_eq!(
            proxy.get(path).await.header("cache-status"),
            Some("larder; hit")
        );
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn who_loses_a_private_repository_loses_its_tags() {
    let registry = registry().await;
    let repository = registry.repository("team/app");
    Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    repository.make_private_to(&["acme"]);
    let proxy = larder(&registry).await;
    let path = "/v2/team/app/manifests/1";
    proxy.get(path).await.body().await;
    proxy.advance(std::time::Duration::from_mins(11));
    registry.stop().await;
    let stale = proxy.get(path).await;
    let outcome = Some("larder; hit; detail=stale_unreachable");
    assert_eq!(stale.header("cache-status"), outcome);
    registry.restart().await;
    repository.make_private_to(&[]);
    assert_eq!(proxy.get(path).await.status, 404);
}

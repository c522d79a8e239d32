//! Nobody outside says how much is kept in memory: neither by a number nor by sending without an end.

use http::header::WWW_AUTHENTICATE;
use larder::oci::MediaType;
use larder::upstream::Limits;

use super::{push, refusal, status};
use crate::support::{Ending, FakeRegistry, Fault, Kind, TestProxy, noise};

/// More than is ever read of a manifest, and of what the sockets between hold.
const MUCH: u64 = 64 << 20;

/// Also CVE-2023-2253.
#[tokio::test]
async fn ghsa_hqxw_f8mx_cpmw_a_client_counts_for_nothing() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app");
    let proxy = TestProxy::of(&registry).await;
    for (n, expected) in [
        ("9223372036854775807", 200),
        ("18446744073709551616", 200),
        ("-1", 400),
        ("0", 200),
        ("1e9", 400),
        ("", 200),
    ] {
        for path in [
            format!("/v2/_catalog?n={n}"),
            format!("/v2/app/tags/list?n={n}"),
            format!("/v2/up.test/app/tags/list?n={n}&last=1"),
        ] {
            assert_eq!(status(&proxy, &path).await, expected, "{path}");
        }
    }
    // What the client says is not passed on.
    assert_eq!(registry.lines(), ["GET app/tags/list?n=1000"]);
}

/// Also #3977 and #3978 of Zot.
#[tokio::test]
async fn ghsa_hqxw_f8mx_cpmw_what_a_registry_sends_has_an_end() {
    let endless = |kinds: &[Kind]| Fault::on(kinds.iter().copied());
    for (what, fault, expected) in [
        ("manifest", endless(&[Kind::ManifestGet]).endless(), 502),
        ("token", endless(&[Kind::Token]).endless(), 502),
        (
            "refusal",
            endless(&[Kind::ManifestGet]).status(403).endless(),
            404,
        ),
        (
            "refused token",
            endless(&[Kind::Token]).status(403).endless(),
            404,
        ),
        ("ping", endless(&[Kind::Ping]).status(401).endless(), 404),
        (
            "redirect",
            endless(&[Kind::ManifestGet])
                .redirect(307, "{path}")
                .endless(),
            502,
        ),
    ] {
        let registry = FakeRegistry::builder().bearer().start().await;
        push(&registry, "app");
        if what == "ping" {
            let bare = Fault::on(Kind::ManifestGet).status(401);
            registry.inject(bare.without_header(WWW_AUTHENTICATE));
        }
        registry.inject(fault);
        // The size ends it and not the time, however slow this machine is.
        let proxy = TestProxy::builder()
            .upstream("up.test", &registry)
            .limits(|limits| limits.body_idle = Limits::default().body_idle);
        let proxy = proxy.start().await;
        let reply = proxy.get("/v2/app/manifests/1").await;
        let (found, code) = refusal(reply).await;
        assert_eq!(found, expected, "{what}: {code}");
        for request in registry.requests() {
            assert!(request.sent < MUCH, "{what}: {request}");
        }
    }
}

#[tokio::test]
async fn ghsa_hqxw_f8mx_cpmw_headers_of_a_registry_have_an_end() {
    let name = "www-authenticate";
    let many = "Bearer realm=\"http://127.0.0.1/\", ".repeat(5_000);
    let deep = format!("Bearer realm=\"{}\"", "\\\"".repeat(50_000));
    for challenge in [many, deep, ",".repeat(200_000), "x".repeat(500_000)] {
        let registry = FakeRegistry::start().await;
        push(&registry, "app");
        let fault = Fault::on(Kind::ManifestGet).status(401);
        registry.inject(fault.header(name, &challenge));
        let proxy = TestProxy::of(&registry).await;
        let reply = proxy.get("/v2/app/manifests/1").await;
        let (found, _) = refusal(reply).await;
        assert!(matches!(found, 404 | 502), "{found}");
    }
}

#[tokio::test]
async fn ghsa_f36w_mj3v_6jqv_sizes_in_manifests_are_only_words() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let content = noise(1, 100_000);
    let layer = repository.blob(content.clone());
    for size in [
        "-1",
        "0",
        "1",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "1e300",
        "0.5",
        "\"100000\"",
        "null",
        "[]",
    ] {
        let described = format!(r#"{{"mediaType":"x/y","digest":"{layer}","size":{size}}}"#);
        let document = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{described},"layers":[{described}]}}"#,
            MediaType::OCI_MANIFEST
        );
        let digest = repository.manifest(MediaType::OCI_MANIFEST, document);
        repository.tag("1", digest);
        let proxy = TestProxy::of(&registry).await;
        let found = status(&proxy, "/v2/app/manifests/1").await;
        assert!(matches!(found, 200 | 502), "{size}: {found}");
        let path = format!("/v2/app/blobs/{layer}");
        assert_eq!(proxy.get(&path).await.body().await, content, "{size}");
        let head = proxy.head(&path).await;
        assert_eq!(head.header("content-length"), Some("100000"), "{size}");
    }
}

#[tokio::test]
async fn ghsa_f36w_mj3v_6jqv_sizes_of_answers_are_only_words() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 100_000);
    let layer = registry.repository("app").blob(content.clone());
    let path = format!("/v2/app/blobs/{layer}");
    for size in [1 << 40, i64::MAX.cast_unsigned(), u64::MAX - 2] {
        let proxy = TestProxy::of(&registry).await;
        let lie = registry.inject(Fault::on(Kind::BLOB).wrong_length(size));
        let reply = proxy.get(&path).await;
        let is_good = reply.status == 200;
        let (bytes, ending) = reply.rest().await;
        assert!(!is_good || ending != Ending::Complete, "{size}");
        assert!(bytes.len() <= content.len(), "{size}");
        proxy.head(&path).await;
        lie.lift();
        assert_eq!(proxy.get(&path).await.body().await, content, "{size}");
    }
}

//! Bad requests and bad days: a status that is true, a body that says what was wrong.

use http::Method;
use serde_json::Value;

use crate::support::{FakeRegistry, Fault, Image, Kind, Reply, TestProxy, noise};

async fn told(reply: Reply) -> (u16, String, String) {
    let status = reply.status.as_u16();
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.header("docker-distribution-api-version"),
        Some("registry/2.0")
    );
    let body: Value = serde_json::from_slice(&reply.body().await).unwrap();
    let error = &body["errors"][0];
    (
        status,
        error["code"].as_str().unwrap().to_owned(),
        error["message"].as_str().unwrap().to_owned(),
    )
}

/// What is asked for, and what is told: the status, the code, and words of the message.
const REFUSED: &str = "
/                                             404 NAME_UNKNOWN     begins with /v2/
/v1/_ping                                     404 NAME_UNKNOWN     begins with /v2/
/v2/nothing                                   404 NAME_UNKNOWN     begins with /v2/
/v2/UPPER/manifests/1                         400 NAME_INVALID     'UPPER'
/v2/a%2Fb/manifests/1                         400 NAME_INVALID     encoded slash
/v2/a/../b/manifests/1                        400 NAME_INVALID     dot segment
/v2/a/%2e%2e/manifests/1                      400 NAME_INVALID     dot segment
/v2/a//b/manifests/1                          400 NAME_INVALID     empty segment
/v2/a%zz/manifests/1                          400 NAME_INVALID     percent-encoded
/v2/a/manifests/.bad                          404 MANIFEST_UNKNOWN a tag has
/v2/a/manifests/sha256:bad                    400 DIGEST_INVALID   64 hexadecimal
/v2/a/blobs/sha256:bad                        400 DIGEST_INVALID   64 hexadecimal
/v2/a/blobs/latest                            400 DIGEST_INVALID   no colon
/v2/a/blobs/blake3:HEX                        400 DIGEST_INVALID   not supported
/v2/a/manifests/1?ns=                         400 NAME_INVALID     is empty
/v2/a/manifests/1?ns=a.test&ns=b.test         400 NAME_INVALID     twice
/v2/a/manifests/1?ns=http%3A%2F%2Fup.test     400 NAME_INVALID     does not name a registry
/v2/a/manifests/1?ns=evil.example             403 DENIED           add an [[upstream]]
/v2/evil.example/a/manifests/1                403 DENIED           add an [[upstream]]
/v2/169.254.169.254/latest/manifests/1        403 DENIED           not configured
/v2/local/a/manifests/1                       404 NAME_UNKNOWN     pushed
/v2/up.test/v2/a/manifests/1                  404 NAME_UNKNOWN     override_path
/v2/a/tags/list?n=-1                          400 UNSUPPORTED      whole number
/v2/a/tags/list?last=%zz                      400 UNSUPPORTED      percent-encoded
/v2/_catalog?n=x                              400 UNSUPPORTED      whole number
/v2/a/referrers/sha256:bad                    400 DIGEST_INVALID   64 hexadecimal
/v2/a/referrers/sha256:HEX?artifactType=x     400 UNSUPPORTED      media type
/v2/local/a/tags/list                         404 NAME_UNKNOWN     pushed
/v2/local/a/referrers/sha256:HEX              404 NAME_UNKNOWN     pushed
";

#[tokio::test]
async fn what_is_malformed_is_refused_here_with_a_reason() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for row in REFUSED.lines().filter(|row| !row.is_empty()) {
        let row = row.replace("HEX", &"a".repeat(64));
        let (path, rest) = row.split_once(' ').unwrap();
        let (status, rest) = rest.trim_start().split_once(' ').unwrap();
        let (code, message) = rest.split_once(' ').unwrap();
        let (found, found_code, found_message) = told(proxy.get(path).await).await;
        assert_eq!(
            (found.to_string().as_str(), found_code.as_str()),
            (status, code),
            "{row}: {found_message}"
        );
        assert!(
            found_message.contains(message.trim()),
            "{row}: {found_message}"
        );
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
    for folder in ["staging-v1", "blobs-v1"] {
        let left = std::fs::read_dir(proxy.folder().join("cache").join(folder)).unwrap();
        assert_eq!(left.count(), 0, "{folder}");
    }
}

#[tokio::test]
async fn what_can_only_be_read_says_so() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    let blob = format!("/v2/a/blobs/sha256:{}", "a".repeat(64));
    let referrers = format!("/v2/a/referrers/sha256:{}", "a".repeat(64));
    for (method, path, allow) in [
        (Method::PUT, "/v2/a/manifests/1", "GET, HEAD"),
        (Method::DELETE, "/v2/a/manifests/1", "GET, HEAD"),
        (Method::DELETE, blob.as_str(), "GET, HEAD"),
        (Method::POST, "/v2/", "GET, HEAD"),
        (Method::POST, "/v2/a/blobs/uploads/", ""),
        (Method::PATCH, "/v2/a/blobs/uploads/1", ""),
        (Method::OPTIONS, "/v2/a/manifests/1", "GET, HEAD"),
        (Method::DELETE, "/v2/a/tags/list", "GET, HEAD"),
        (Method::DELETE, referrers.as_str(), "GET, HEAD"),
        (Method::POST, "/v2/_catalog", "GET, HEAD"),
        (Method::POST, "/v2/_oci/ext/discover", "GET, HEAD"),
    ] {
        let reply = proxy.client().request(method.clone(), path).send().await;
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
        let (status, code, _) = told(reply).await;
        assert_eq!(
            (status, code.as_str()),
            (405, "UNSUPPORTED"),
            "{method} {path}"
        );
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn errors_of_head_have_headers_and_no_body() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for path in ["/v2/UPPER/manifests/1", "/v2/a/manifests/none"] {
        let (head, get) = (proxy.head(path).await, proxy.get(path).await);
        assert_eq!(
            (head.status, head.header("content-length")),
            (get.status, get.header("content-length"))
        );
        assert!(head.body().await.is_empty());
    }
}

#[tokio::test]
async fn too_much_is_refused_with_a_body() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    let long = format!("/v2/{}/manifests/1", "a/".repeat(5_000) + "a");
    assert_eq!(told(proxy.get(&long).await).await.0, 414);
    let reply = proxy
        .client()
        .get("/v2/")
        .header("x-large", &"x".repeat(40_000))
        .send()
        .await;
    assert_eq!(told(reply).await.0, 431);
}

#[tokio::test]
async fn failures_of_the_registry_have_their_own_status() {
    type Failure = fn(Fault) -> Fault;
    let failures: [(&str, Failure, u16, &str); 6] = [
        ("401", |fault| fault.status(401), 404, "UNKNOWN"),
        ("403", |fault| fault.status(403), 404, "UNKNOWN"),
        ("404", |fault| fault.status(404), 404, "UNKNOWN"),
        (
            "429",
            |fault| fault.status(429).retry_after("7"),
            429,
            "TOOMANYREQUESTS",
        ),
        ("400", |fault| fault.status(400), 502, "UNSUPPORTED"),
        ("418", |fault| fault.status(418), 502, "UNSUPPORTED"),
    ];
    for (name, failure, status, code) in failures {
        let registry = FakeRegistry::start().await;
        let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
        registry.inject(failure(Fault::everywhere()));
        let proxy = TestProxy::of(&registry).await;
        for path in [
            "/v2/app/manifests/1".to_owned(),
            format!("/v2/app/blobs/{}", image.layers[0]),
        ] {
            let reply = proxy.get(&path).await;
            assert_eq!(reply.header("www-authenticate"), None, "{name}");
            assert_eq!(
                reply.header("retry-after").is_some(),
                status == 429,
                "{name}"
            );
            let (found, found_code, message) = told(reply).await;
            assert_eq!(found, status, "{name} {path}: {message}");
            assert!(found_code.ends_with(code), "{name} {path}: {found_code}");
            assert!(message.contains("up.test/app"), "{name} {path}: {message}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_is_gone_is_not_a_404() {
    let registry = FakeRegistry::start().await;
    registry.stop().await;
    let proxy = TestProxy::of(&registry).await;
    let blob = format!("/v2/app/blobs/sha256:{}", "a".repeat(64));
    for path in ["/v2/app/manifests/1", &blob] {
        let reply = proxy.get(path).await;
        let (status, _, message) = told(reply).await;
        assert_eq!(status, 502, "{path}: {message}");
    }
}

#[tokio::test]
async fn absence_is_asked_for_once_in_a_while() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    let digest = format!("sha256:{}", "a".repeat(64));
    for path in [
        "/v2/app/manifests/none".to_owned(),
        format!("/v2/app/manifests/{digest}"),
        format!("/v2/app/blobs/{digest}"),
    ] {
        registry.clear_log();
        for _ in 0..3 {
            assert_eq!(proxy.get(&path).await.status, 404);
        }
        assert_eq!(registry.lines().len(), 1, "{path}");
        proxy.advance(std::time::Duration::from_secs(31));
        assert_eq!(proxy.get(&path).await.status, 404);
        assert_eq!(registry.lines().len(), 2, "{path}");
    }
    // A failure is not an absence.
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on(Kind::ManifestGet).once().status(403));
    assert_eq!(proxy.get("/v2/app/manifests/1").await.status, 404);
    assert_eq!(
        proxy.get("/v2/app/manifests/1").await.body().await,
        image.bytes
    );
}

#[tokio::test]
async fn a_refused_push_says_whether_it_could_ever_be_taken() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (path, words) in [
        ("/v2/local/a/blobs/uploads/", "pushing is not available yet"),
        ("/v2/a/blobs/uploads/", "can be pulled only"),
    ] {
        let reply = proxy.client().request(Method::POST, path).send().await;
        let (_, _, message) = told(reply).await;
        assert!(message.contains(words), "{path}: {message}");
    }
}

#[tokio::test]
async fn the_namespace_is_told_once_it_led_somewhere() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (path, namespace) in [
        ("/v2/a/manifests/none?ns=up.test", Some("up.test")),
        ("/v2/a/manifests/none", None),
        ("/v2/a/manifests/none?ns=evil.example", None),
        ("/v2/?ns=evil.example", None),
    ] {
        let reply = proxy.get(path).await;
        assert_eq!(reply.header("oci-namespace"), namespace, "{path}");
    }
}

#[tokio::test]
async fn an_absence_says_whether_the_registry_was_asked() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for outcome in ["larder; fwd=miss", "larder; hit; detail=negative"] {
        let reply = proxy.get("/v2/app/manifests/none").await;
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("cache-status"), Some(outcome));
    }
    // A request that the registry was not asked about has no such header.
    let refused = proxy.get("/v2/UPPER/manifests/1").await;
    assert_eq!(refused.header("cache-status"), None);
}

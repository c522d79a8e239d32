//! Manifests: what is asked, what is made of the answers, and which endpoint decides.

use std::time::{Duration, Instant};

use super::server::{Registry, Reply};
use super::*;
use crate::oci::MediaType;
use crate::upstream::CircuitLimits;
use crate::upstream::packing::pack;
use crate::upstream::{ManifestHead, Phase};

const BODY: &[u8] = br#"{"schemaVersion":2}"#;

fn manifest() -> Reply {
    Reply::ok(BODY)
        .header("Content-Type", MediaType::OCI_INDEX)
        .header("Docker-Content-Digest", &digest(BODY).to_string())
}

/// The manifest, in a body that is said to be packed.
fn packed(body: Vec<u8>) -> Reply {
    manifest().header("Content-Encoding", "gzip").body(body)
}

async fn get(upstream: &Upstream) -> Result<Option<FetchedManifest>, UpstreamError> {
    manifest_of(upstream, "library/alpine").await
}

async fn head(upstream: &Upstream) -> Result<Option<ManifestHead>, UpstreamError> {
    upstream
        .head_manifest(&repository(), &tag(), VariantClass::Index)
        .await
}

#[tokio::test]
async fn a_manifest_comes_as_it_is() {
    let registry = Registry::start(|_| manifest()).await;
    let upstream = upstream(&[registry.url() + "/below/here"]);
    let found = get(&upstream).await.unwrap().unwrap();
    assert_eq!(found.bytes, BODY);
    assert_eq!(found.media_type.unwrap().as_str(), MediaType::OCI_INDEX);
    assert_eq!(found.declared, Some(digest(BODY)));
    let seen = registry.seen().remove(0);
    assert_eq!(seen.target, "/below/here/v2/library/alpine/manifests/3.20");
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.header("user-agent").unwrap().starts_with("larder/"));
    assert!(seen.header("accept").unwrap().ends_with("*/*"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let registry = Registry::start(|_| manifest()).await;
    let upstream = upstream(&[registry.url()]);
    for _ in 0..3 {
        get(&upstream).await.unwrap().unwrap();
        head(&upstream).await.unwrap().unwrap();
    }
    assert_eq!(registry.connections(), 1);
}

#[tokio::test]
async fn what_a_head_tells() {
    let described = |declared: &str| Reply::status(200).header("ETag", declared);
    let sum = digest(BODY).to_string();
    let known = Some(ManifestHead::Described {
        digest: digest(BODY),
        media_type: MediaType::parse(MediaType::OCI_INDEX),
        size: Some(BODY.len() as u64),
    });
    let bare = Some(ManifestHead::Described {
        digest: digest(BODY),
        media_type: None,
        size: None,
    });
    for (reply, expected) in [
        (manifest(), known),
        (described(&format!("\"{sum}\"")).unsized_(), bare.clone()),
        (described(&sum).unsized_(), bare),
        (described("\"x\""), Some(ManifestHead::Unsupported)),
        (Reply::status(405), Some(ManifestHead::Unsupported)),
        (Reply::status(501), Some(ManifestHead::Unsupported)),
        (Reply::status(404), None),
    ] {
        let shown = format!("{reply:?}");
        let registry = Registry::start(move |_| reply.clone()).await;
        let found = head(&upstream(&[registry.url()])).await.unwrap();
        assert_eq!(found, expected, "{shown}");
        assert_eq!(registry.log().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_head_by_digest_needs_no_digest_in_the_answer() {
    let registry = Registry::start(|_| Reply::ok(BODY)).await;
    let reference = Reference::Digest(digest(BODY));
    let found = upstream(&[registry.url()])
        .head_manifest(&repository(), &reference, VariantClass::Index)
        .await;
    let expected = ManifestHead::Described {
        digest: digest(BODY),
        media_type: None,
        size: Some(BODY.len() as u64),
    };
    assert_eq!(found.unwrap(), Some(expected));
}

#[tokio::test]
async fn trouble_before_the_answer_is_tried_again() {
    for trouble in [
        Reply::status(500),
        Reply::status(503),
        Reply::status(408),
        Reply::hang_up(),
        manifest().cut(5),
    ] {
        let (shown, count) = (format!("{trouble:?}"), Counter::default());
        let registry = Registry::start(move |_| match count.next() {
            0..2 => trouble.clone(),
            _ => manifest(),
        })
        .await;
        let found = get(&upstream(&[registry.url()])).await.unwrap().unwrap();
        assert_eq!(found.bytes, BODY, "{shown}");
        assert_eq!(registry.log().len(), 3, "{shown}");
    }
}

#[tokio::test]
async fn answers_that_stand() {
    let refusal = Reply::status(403).body(r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#);
    for (reply, message) in [
        (refusal, "refused with 403 Forbidden: 'not you'"),
        (Reply::status(401), "refused with 401 Unauthorized"),
        (Reply::status(400), "refused with 400 Bad Request"),
        (
            Reply::status(429).header("Retry-After", "7"),
            "allows no more requests for 7 seconds",
        ),
        (
            Reply::status(304),
            "answered 304 Not Modified, which was not asked for",
        ),
        (
            Reply::status(204),
            "answered 204 No Content to a request for a manifest",
        ),
        (
            Reply::ok(vec![b' '; (8 << 20) + 1]),
            "sent more than 8388608 bytes of a manifest",
        ),
        (
            manifest().header("Content-Encoding", "br").body("packed"),
            "packs a manifest although it was asked not to",
        ),
        (
            packed(b"not packed".to_vec()),
            "packs a manifest in a way that cannot be undone",
        ),
        (
            packed([pack(BODY), b"more".to_vec()].concat()),
            "packs a manifest in a way that cannot be undone",
        ),
        (
            packed(pack(b"another")),
            "packs a manifest that has another digest",
        ),
        (
            packed(pack(&vec![b' '; (8 << 20) + 1])),
            "sent more than 8388608 bytes of a manifest",
        ),
    ] {
        let registry = Registry::start(move |seen| match seen.target.as_str() {
            "/v2/" => Reply::ok(""),
            _ => reply.clone(),
        })
        .await;
        let host = registry.url().replace("http://", "");
        let error = get(&upstream(&[registry.url()])).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{host} {message}"));
        let asked = registry
            .log()
            .into_iter()
            .filter(|line| line.ends_with("3.20"));
        assert_eq!(asked.count(), 1, "{message}");
    }
}

#[tokio::test]
async fn a_body_that_is_only_called_packed_is_taken() {
    let registry = Registry::start(|_| manifest().header("Content-Encoding", "gzip")).await;
    let found = get(&upstream(&[registry.url()])).await.unwrap().unwrap();
    assert_eq!(found.bytes, BODY);
}

#[tokio::test]
async fn a_packed_manifest_is_unpacked() {
    let bare = Reply::ok(pack(BODY)).header("Content-Encoding", "gzip");
    for reply in [packed(pack(BODY)), bare] {
        let registry = Registry::start(move |_| reply.clone()).await;
        let upstream = upstream(&[registry.url()]);
        for reference in [tag(), Reference::Digest(digest(BODY))] {
            let found = upstream
                .get_manifest(&repository(), &reference, VariantClass::Index)
                .await;
            assert_eq!(found.unwrap().unwrap().bytes, BODY);
        }
    }
}

#[tokio::test]
async fn a_manifest_whose_digest_is_of_the_packed_bytes_stays_packed() {
    let bytes = pack(BODY);
    let reply = Reply::ok(bytes.clone())
        .header("Content-Encoding", "gzip")
        .header("Docker-Content-Digest", &digest(&bytes).to_string());
    let registry = Registry::start(move |_| reply.clone()).await;
    let found = get(&upstream(&[registry.url()])).await.unwrap().unwrap();
    assert_eq!(found.bytes, bytes);
}

#[tokio::test]
async fn a_head_of_a_packed_manifest_gives_no_size() {
    let registry = Registry::start(|_| packed(pack(BODY))).await;
    let found = head(&upstream(&[registry.url()])).await.unwrap();
    assert!(
        matches!(found, Some(ManifestHead::Described { size: None, .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_silent_registry_is_given_up() {
    for (reply, phase) in [
        (Reply::silence(), Phase::Headers),
        (manifest().stall(3), Phase::Body),
    ] {
        let registry = Registry::start(move |_| reply.clone()).await;
        let limits = Limits {
            headers: Duration::from_millis(50),
            body_idle: Duration::from_millis(50),
            retry: Schedule::once(),
            ..quick()
        };
        let started = Instant::now();
        let error = get(&upstream_with(&[registry.url()], limits, None))
            .await
            .unwrap_err();
        // Long before any other limit.
        assert!(started.elapsed() < Duration::from_secs(5), "{error}");
        assert!(
            matches!(error, UpstreamError::TimedOut { phase: found, .. } if found == phase),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unreachable() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = get(&upstream(&[format!("http://{gone}")]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        format!("the connection to {gone} failed")
    );
}

#[tokio::test]
async fn a_registry_that_is_left_alone_says_how_it_failed() {
    let registry = Registry::start(|_| Reply::status(503)).await;
    let upstream = upstream(&[registry.url()]);
    let host = registry.url().replace("http://", "");
    let told = format!("{host} is unavailable: 503");
    // One thing that fails again and again may be all that is wrong; several may not.
    let names = (0..CircuitLimits::default().failures).map(|number| format!("acme/r{number}"));
    for name in names {
        let error = manifest_of(&upstream, &name).await.unwrap_err();
        assert!(error.to_string().starts_with(&told), "{error}");
    }
    let error = get(&upstream).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Resting { .. }), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with(&told), "{cause}");
}

#[tokio::test]
async fn the_last_endpoint_decides() {
    let registry = Registry::start(|_| manifest()).await;
    for trouble in [401, 403, 404, 429, 500, 503] {
        let mirror = Registry::start(move |_| Reply::status(trouble)).await;
        let both = upstream(&[mirror.url(), registry.url()]);
        assert_eq!(get(&both).await.unwrap().unwrap().bytes, BODY, "{trouble}");
        let asked = mirror
            .log()
            .into_iter()
            .filter(|line| line.ends_with("3.20"));
        assert_eq!(asked.count(), 1, "{trouble}");
    }
    let absent = Registry::start(|_| Reply::status(404)).await;
    let broken = Registry::start(|_| Reply::status(403)).await;
    assert_eq!(
        get(&upstream(&[broken.url(), absent.url()])).await.unwrap(),
        None
    );
    assert!(get(&upstream(&[absent.url(), broken.url()])).await.is_err());
    let before = registry.log().len();
    let second = Registry::start(|_| manifest()).await;
    get(&upstream(&[registry.url(), second.url()]))
        .await
        .unwrap();
    assert_eq!((registry.log().len(), second.log().len()), (before + 1, 0));
}

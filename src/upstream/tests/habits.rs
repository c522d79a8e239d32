//! What a registry does not do well: noticed once, and not tried again for a while.

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::oci::MediaType;
use crate::upstream::{Fetched, ManifestHead};

const BODY: &[u8] = br#"{"schemaVersion":2}"#;

fn manifest() -> Reply {
    Reply::ok(BODY)
        .header("Content-Type", MediaType::OCI_INDEX)
        .header("Docker-Content-Digest", &digest(BODY).to_string())
}

async fn head(upstream: &Upstream) -> Option<ManifestHead> {
    let (repository, reference) = (repository(), tag());
    let head = upstream.head_manifest(&repository, &reference, VariantClass::Index);
    head.await.unwrap()
}

async fn renew(upstream: &Upstream) -> Result<Option<Fetched>, UpstreamError> {
    let (repository, reference, known) = (repository(), tag(), digest(BODY));
    upstream
        .get_manifest_unless(&repository, &reference, VariantClass::Index, &known)
        .await
}

/// Answers 304 to who has the manifest.
fn conditional(seen: &Seen) -> Reply {
    match seen.header("if-none-match") {
        Some(tag) if tag == format!("\"{}\"", digest(BODY)) => Reply::status(304).unsized_(),
        _ => manifest(),
    }
}

fn methods(registry: &Registry) -> Vec<String> {
    let seen = registry.seen().into_iter();
    seen.map(|seen| seen.method).collect()
}

#[tokio::test]
async fn heads_that_tell_too_little_are_not_asked_for_again() {
    let digest = digest(BODY).to_string();
    for poor in [
        Reply::status(405),
        Reply::status(501),
        Reply::status(200).header("Content-Type", MediaType::OCI_INDEX),
        manifest().unsized_(),
        Reply::ok(BODY).header("Docker-Content-Digest", &digest),
        Reply::ok(BODY)
            .header("Docker-Content-Digest", &digest)
            .header("Content-Type", "text/plain"),
    ] {
        let shown = format!("{poor:?}");
        let registry = Registry::start(move |_| poor.clone()).await;
        let upstream = upstream(&[registry.url()]);
        head(&upstream).await;
        assert_eq!(
            head(&upstream).await,
            Some(ManifestHead::Unsupported),
            "{shown}"
        );
        assert_eq!(methods(&registry), ["HEAD"], "{shown}");
    }
}

#[tokio::test]
async fn heads_that_tell_all_or_that_there_is_nothing_stay() {
    for reply in [manifest(), Reply::status(404)] {
        let registry = Registry::start(move |_| reply.clone()).await;
        let upstream = upstream(&[registry.url()]);
        let first = head(&upstream).await;
        manifest_of(&upstream, "library/alpine").await.unwrap();
        assert_eq!(head(&upstream).await, first);
        assert_eq!(methods(&registry), ["HEAD", "GET", "HEAD"]);
    }
}

#[tokio::test]
async fn a_head_that_denies_what_a_get_finds_is_not_asked_for_again() {
    for is_renewed in [false, true] {
        let registry = Registry::start(|seen| match seen.method.as_str() {
            "HEAD" => Reply::status(404),
            _ => conditional(seen),
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        assert_eq!(head(&upstream).await, None);
        if is_renewed {
            assert_eq!(renew(&upstream).await.unwrap(), Some(Fetched::Unchanged));
        } else {
            manifest_of(&upstream, "library/alpine")
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(head(&upstream).await, Some(ManifestHead::Unsupported));
        assert_eq!(methods(&registry), ["HEAD", "GET"]);
    }
}

#[tokio::test]
async fn a_manifest_that_is_here_is_not_sent_again() {
    let registry = Registry::start(conditional).await;
    let upstream = upstream(&[registry.url()]);
    assert_eq!(renew(&upstream).await.unwrap(), Some(Fetched::Unchanged));
    // Its connection is of use.
    assert_eq!(renew(&upstream).await.unwrap(), Some(Fetched::Unchanged));
    assert_eq!(registry.connections(), 1);
    let careless = Registry::start(|_| manifest()).await;
    let found = renew(&super::upstream(&[careless.url()])).await.unwrap();
    assert!(
        matches!(&found, Some(Fetched::Manifest(manifest)) if manifest.bytes == BODY),
        "{found:?}"
    );
    let absent = Registry::start(|_| Reply::status(404)).await;
    assert_eq!(
        renew(&super::upstream(&[absent.url()])).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn an_unchanged_manifest_with_another_digest_is_nonsense() {
    let other = digest(b"other").to_string();
    let registry = Registry::start(move |_| {
        Reply::status(304)
            .unsized_()
            .header("Docker-Content-Digest", &other)
    })
    .await;
    let error = renew(&upstream(&[registry.url()])).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Protocol { .. }), "{error}");
}

/// Asks for a part ahead of a transfer, and returns whether it begins.
async fn begins_ahead(upstream: &Upstream, blob: &[u8]) -> bool {
    let range = TransferRange {
        start: 10,
        end: Some(20),
    };
    let (repository, digest) = (repository(), digest(blob));
    let begun = upstream.get_blob_ahead(&repository, &digest, range, blob.len() as u64);
    begun.await.is_ok()
}

#[tokio::test]
async fn parts_are_not_asked_for_ahead_where_the_whole_came() {
    let blob = noise(1000);
    let (answer, count) = (blob.clone(), Counter::default());
    let registry = Registry::start(move |seen| match count.next() {
        0 => Reply::ok(answer.as_slice()),
        _ => Reply::range(&answer, seen),
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    assert!(begins_ahead(&upstream, &blob).await);
    assert!(!begins_ahead(&upstream, &blob).await);
    assert_eq!(registry.log().len(), 1);
    // What is needed is asked for all the same, and may show that it is better now.
    let rest = TransferRange {
        start: 990,
        end: None,
    };
    let mut transfer = transfer(&upstream, &blob, rest, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob[990..]);
    assert!(begins_ahead(&upstream, &blob).await);
}

#[tokio::test]
async fn a_whole_blob_for_a_good_reason_says_nothing_of_parts() {
    let blob = noise(1000);
    let answer = blob.clone();
    // Another entity tag each time: what is asked for under a condition comes whole.
    let count = Counter::default();
    let registry = Registry::start(move |seen| {
        let tag = format!("\"{}\"", count.next());
        let reply = match seen.header("if-range") {
            Some(_) => Reply::ok(answer.as_slice()),
            None if seen.method == "HEAD" => Reply::status(405),
            None if seen.target.ends_with(&digest(b"").to_string()) => Reply::ok(""),
            None if seen.first().is_none() => Reply::ok(answer.as_slice()).cut(500),
            None => Reply::range(&answer, seen),
        };
        reply.header("ETag", &tag)
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let whole = TransferRange::WHOLE;
    let mut transfer = transfer(&upstream, &blob, whole, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob);
    assert_eq!(transfer.resumes(), 1);
    // The empty blob has no first byte to ask for.
    let empty = upstream.head_blob(&repository(), &digest(b"")).await;
    assert_eq!(empty.unwrap().and_then(|head| head.size), Some(0));
    assert!(begins_ahead(&upstream, &blob).await);
}

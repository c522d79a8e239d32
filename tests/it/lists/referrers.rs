//! What refers to a manifest: by the API and by the tag that stands for it, sifted here, from one list.

use std::time::Duration;

use larder::oci::{Digest, MediaType, Tag};
use serde_json::{Value, json};

use super::{HIT, OFFLINE, UNREACHABLE, document, push, refusal};
use crate::support::{FakeRegistry, Fault, Kind, Reply, TestProxy};

const SIGNATURE: &str = "application/vnd.example.signature+json";
const PARTS: &str = "application/vnd.example.parts";
const LATER: Duration = Duration::from_mins(12);

/// Puts something into a repository that refers to a manifest, and returns its digest.
fn refer(registry: &FakeRegistry, subject: &Digest, kind: &str, note: &str) -> Digest {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": subject, "size": 2},
        "layers": [],
        "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": 7},
        "annotations": {"note": note},
    });
    let repository = registry.repository("app");
    repository.manifest(MediaType::OCI_MANIFEST, document.to_string())
}

/// Reads an index of referrers, and returns the notes on them, in order.
async fn notes(reply: Reply) -> Vec<String> {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some(MediaType::OCI_INDEX));
    let index = document(reply).await;
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], MediaType::OCI_INDEX);
    let entries = index["manifests"].as_array().unwrap().iter();
    let mut notes: Vec<String> = entries
        .map(|entry| entry["annotations"]["note"].as_str().unwrap().to_owned())
        .collect();
    notes.sort();
    notes
}

#[tokio::test]
async fn one_list_serves_all_filters() {
    let registry = FakeRegistry::builder().referrers().start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    for (kind, note) in [(SIGNATURE, "s1"), (SIGNATURE, "s2"), (PARTS, "p")] {
        refer(&registry, &subject, kind, note);
    }
    let proxy = TestProxy::of(&registry).await;
    let signature = SIGNATURE.replace('/', "%2F").replace('+', "%2B");
    for (query, expected, filter) in [
        (String::new(), vec!["p", "s1", "s2"], None),
        (
            format!("?artifactType={signature}"),
            vec!["s1", "s2"],
            Some("artifactType"),
        ),
        (
            format!("?artifactType={SIGNATURE}"),
            vec!["s1", "s2"],
            Some("artifactType"),
        ),
        (
            format!("?artifactType={signature}&artifactType={PARTS}&ns=up.test"),
            vec!["p", "s1", "s2"],
            Some("artifactType"),
        ),
        ("?artifactType=a/b".to_owned(), vec![], Some("artifactType")),
    ] {
        let path = format!("/v2/app/referrers/{subject}{query}");
        let (get, head) = (proxy.get(&path).await, proxy.head(&path).await);
        for reply in [&get, &head] {
            assert_eq!(reply.header("oci-filters-applied"), filter, "{path}");
            assert_eq!(reply.header("link"), None, "{path}");
        }
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(notes(get).await, expected, "{path}");
    }
    assert_eq!(registry.lines(), [format!("GET app/referrers/{subject}")]);
    let (status, code, _) = refusal(
        &proxy,
        &format!("/v2/app/referrers/{subject}?artifactType=x"),
    )
    .await;
    assert_eq!((status, code.as_str()), (400, "UNSUPPORTED"));
}

#[tokio::test]
async fn descriptors_are_as_the_registry_wrote_them() {
    let registry = FakeRegistry::builder().referrers().start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    let described = json!({
        "mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": 7,
        "artifactType": SIGNATURE, "annotations": {"a": "b"}, "platform": {"os": "x"}, "odd": [1, null],
    });
    let body = json!({"schemaVersion": 2, "manifests": [described, {"digest": "x"}]});
    registry.inject(Fault::on(Kind::Referrers).body(body.to_string()));
    let mut proxy = TestProxy::of(&registry).await;
    for _ in ["before a restart", "after it"] {
        let path = format!("/v2/app/referrers/{subject}");
        let index = document(proxy.get(&path).await).await;
        assert_eq!(index["manifests"], json!([described]));
        proxy = proxy.restart().await;
    }
    assert_eq!(registry.count(Kind::Referrers), 1);
}

#[tokio::test]
async fn the_tag_stands_for_the_list_where_there_is_no_api() {
    let registry = FakeRegistry::start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    let entry = json!({
        "mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": 7, "annotations": {"note": "n"},
    });
    let index =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [entry]});
    let repository = registry.repository("app");
    let index = repository.manifest(MediaType::OCI_INDEX, index.to_string());
    repository.tag(Tag::of_referrers(&subject).as_str(), index);
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/referrers/{subject}");
    for _ in 0..2 {
        assert_eq!(notes(proxy.get(&path).await).await, ["n"]);
    }
    assert_eq!(registry.lines().len(), 2, "{:?}", registry.lines());
}

#[tokio::test]
async fn what_nothing_refers_to_has_an_empty_list() {
    let registry = FakeRegistry::start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    let unknown = format!("sha256:{}", "a".repeat(64));
    let proxy = TestProxy::of(&registry).await;
    proxy.get("/v2/app/manifests/1").await.body().await;
    for path in [
        format!("/v2/app/referrers/{subject}"),
        format!("/v2/app/referrers/{unknown}"),
        format!("/v2/none/referrers/{unknown}"),
    ] {
        let reply = proxy.get(&path).await;
        let index = document(reply).await;
        assert_eq!(index["manifests"], json!([]), "{path}");
        assert_eq!(
            proxy.get(&path).await.header("cache-status"),
            Some(HIT),
            "{path}"
        );
    }
    // Of manifests that are here this is written down, of what clients think of it is not.
    registry.stop().await;
    let proxy = proxy.restart().await;
    proxy.advance(LATER);
    let reply = proxy.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!(reply.header("cache-status"), Some(UNREACHABLE));
    let reply = proxy.get(&format!("/v2/app/referrers/{unknown}")).await;
    assert_eq!(reply.status, 502);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_told_as_it_is_unless_a_list_is_here() {
    let registry = FakeRegistry::builder().referrers().start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    refer(&registry, &subject, SIGNATURE, "s");
    let path = format!("/v2/app/referrers/{subject}");
    for (failure, status) in [(503, 502), (429, 429), (403, 404)] {
        registry.inject(Fault::everywhere().status(failure));
        let proxy = TestProxy::of(&registry).await;
        assert_eq!(proxy.get(&path).await.status, status, "{failure}");
        registry.clear_faults();
    }
    let proxy = TestProxy::of(&registry).await;
    assert_eq!(notes(proxy.get(&path).await).await, ["s"]);
    registry.stop().await;
    proxy.advance(LATER);
    let proxy = proxy.restart().await;
    let reply = proxy.get(&path).await;
    assert_eq!(reply.header("cache-status"), Some(UNREACHABLE));
    assert_eq!(reply.header("age"), Some("720"));
    assert_eq!(notes(reply).await, ["s"]);
    let proxy = proxy.reconfigured(|builder| builder.offline()).await;
    let reply = proxy.get(&path).await;
    assert_eq!(reply.header("cache-status"), Some(OFFLINE));
    assert_eq!(notes(reply).await, ["s"]);
    let other = format!("/v2/app/referrers/sha256:{}", "a".repeat(64));
    assert_eq!(proxy.get(&other).await.status, 504);
}

#[tokio::test]
async fn a_signature_is_seen_a_minute_after_it_was_made() {
    let registry = FakeRegistry::builder().referrers().start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.usual_contract().start().await;
    let path = format!("/v2/app/referrers/{subject}");
    assert_eq!(notes(proxy.get(&path).await).await, Vec::<String>::new());
    refer(&registry, &subject, SIGNATURE, "s");
    proxy.advance(Duration::from_secs(53));
    assert_eq!(notes(proxy.get(&path).await).await, Vec::<String>::new());
    proxy.advance(Duration::from_secs(14));
    assert_eq!(notes(proxy.get(&path).await).await, ["s"]);
}

#[tokio::test]
async fn a_large_list_comes_in_pages() {
    let registry = FakeRegistry::builder().referrers().start().await;
    let subject = push(&registry, "app", &["1"]).digest;
    let long = "x".repeat(1_500_000);
    let entries: Vec<Value> = (1..=5_u8)
        .map(|number| {
            json!({
                "mediaType": MediaType::OCI_MANIFEST, "digest": Digest::Sha256([number; 32]), "size": 7,
                "artifactType": if number == 2 { PARTS } else { SIGNATURE },
                "annotations": {"note": number.to_string(), "long": long},
            })
        })
        .collect();
    let body = json!({"schemaVersion": 2, "manifests": entries});
    registry.inject(Fault::on(Kind::Referrers).body(body.to_string()));
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.alias("hub").start().await;
    let signature = SIGNATURE.replace('+', "%2B");
    for (first, expected) in [
        (
            format!("/v2/app/referrers/{subject}"),
            vec!["12", "34", "5"],
        ),
        (
            format!("/hub/v2/app/referrers/{subject}?artifactType={signature}"),
            vec!["13", "45"],
        ),
    ] {
        let (mut path, mut pages) = (first.clone(), Vec::new());
        loop {
            let reply = proxy.get(&path).await;
            let length: usize = reply.header("content-length").unwrap().parse().unwrap();
            assert!(length <= 4 << 20, "{length}");
            let link = reply.header("link").map(str::to_owned);
            pages.push(notes(reply).await.concat());
            let Some(link) = link else { break };
            path = link
                .trim_start_matches('<')
                .split_once('>')
                .unwrap()
                .0
                .to_owned();
            assert_eq!(path.starts_with("/hub/"), first.starts_with("/hub/"));
        }
        assert_eq!(pages, expected, "{first}");
    }
    assert_eq!(registry.count(Kind::Referrers), 1);
}

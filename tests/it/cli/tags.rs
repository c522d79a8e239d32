//! `larder tags`.

use serde_json::json;

use super::{Larder, UPSTREAM};
use crate::support::{FakeRegistry, Fault, Image, Kind, noise};

/// Puts an image with these tags into a repository.
fn tag(registry: &FakeRegistry, repository: &str, tags: &[&str]) {
    let repository = registry.repository(repository);
    let image = Image::with_layers([noise(1, 10)]).push(&repository);
    for tag in tags {
        repository.tag(tag, image.digest);
    }
}

#[tokio::test]
async fn tags_are_sorted_and_limited() {
    let registry = FakeRegistry::start().await;
    tag(
        &registry,
        "org/app",
        &[
            "1.10",
            "1.9",
            "1.9-alpine",
            "edge",
            "latest",
            "v2.0.0-rc.1",
            "v2.0.0",
        ],
    );
    let larder = Larder::knowing(&registry);
    let all = "v2.0.0\nv2.0.0-rc.1\n1.10\n1.9\n1.9-alpine\nedge\nlatest\n";
    for name in ["org/app", "up/org/app", "up.test/org/app"] {
        assert_eq!(larder.answer(&["tags", name]).await, all);
    }
    let some = larder.answer(&["tags", "org/app", "--limit", "2"]).await;
    assert_eq!(some, "v2.0.0\nv2.0.0-rc.1\n");
    let document = larder.json(&["tags", "org/app", "--limit", "1"]).await;
    assert_eq!(
        document,
        json!({"registry": UPSTREAM, "repository": "org/app", "tags": ["v2.0.0"]})
    );
}

#[tokio::test]
async fn all_pages_are_read() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let names: Vec<String> = (0..2500).map(|number| format!("1.{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    tag(&registry, "app", &names);
    let larder = Larder::knowing(&registry);
    let shown = larder.answer(&["tags", "app"]).await;
    let mut expected = names;
    expected.reverse();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    // The first is asked for without a token, too.
    assert_eq!(registry.count(Kind::Tags), 4);
}

#[tokio::test]
async fn a_repository_without_tags_has_an_empty_list() {
    let registry = FakeRegistry::start().await;
    tag(&registry, "app", &[]);
    registry.inject(Fault::on(Kind::Tags).body(r#"{"tags":null}"#));
    let larder = Larder::knowing(&registry);
    assert_eq!(larder.answer(&["tags", "app"]).await.trim(), "");
    let document = larder.json(&["tags", "app"]).await;
    assert_eq!(document["tags"], json!([]));
}

#[tokio::test]
async fn a_next_page_elsewhere_is_not_asked_for() {
    let (registry, other) = (FakeRegistry::start().await, FakeRegistry::start().await);
    tag(&registry, "app", &["1"]);
    tag(&other, "app", &["2"]);
    let link = format!("<{}/v2/app/tags/list?last=1>; rel=\"next\"", other.url());
    registry.inject(Fault::on(Kind::Tags).header("link", &link));
    let larder = Larder::knowing(&registry);
    let talk = larder.failure(1, &["tags", "app"]).await;
    assert!(talk.contains("not of the same list"), "{talk}");
    assert_eq!(other.requests().len(), 0);
}

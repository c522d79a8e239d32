//! Lists of tags of real registries. What each registry does stands in `support/fake/registries.rs`.

use super::Larder;
use crate::support::fake::Builder;
use crate::support::{FakeRegistry, Image, Kind, noise};

/// Starts a registry with an image of two tags.
async fn start(builder: Builder) -> FakeRegistry {
    let registry = builder.start().await;
    let app = registry.repository("acme/app");
    let image = Image::with_layers([noise(1, 10)]).push(&app);
    for tag in ["1.0", "1.1"] {
        app.tag(tag, image.digest);
    }
    registry
}

#[tokio::test]
async fn gcr_lists_more_than_tags() {
    let storage = FakeRegistry::start().await;
    let registry = start(FakeRegistry::gcr(&storage)).await;
    let larder = Larder::knowing(&registry);
    assert_eq!(larder.answer(&["tags", "acme/app"]).await, "1.1\n1.0\n");
    assert_eq!(registry.count(Kind::Ping), 1);
}

#[tokio::test]
async fn artifactory_lists_digests_among_tags() {
    let registry = start(FakeRegistry::artifactory()).await;
    let larder = Larder::knowing(&registry);
    assert_eq!(larder.answer(&["tags", "acme/app"]).await, "1.1\n1.0\n");
}

#[tokio::test]
async fn nexus_lists_nulls_among_tags() {
    let registry = start(FakeRegistry::nexus()).await;
    let larder = Larder::knowing(&registry);
    assert_eq!(larder.answer(&["tags", "acme/app"]).await, "1.1\n1.0\n");
}

#[tokio::test]
async fn mcr_assumed_lists_very_many_tags() {
    let regional = FakeRegistry::start().await;
    let registry = start(FakeRegistry::mcr(&regional).tags_per_page(100)).await;
    let app = registry.repository("acme/app");
    let image = Image::with_layers([noise(1, 10)]).push(&app);
    for number in 0..5_000 {
        app.tag(&format!("2.{number}"), image.digest);
    }
    let larder = Larder::knowing(&registry);
    let shown = larder.answer(&["tags", "acme/app"]).await;
    assert_eq!(shown.lines().count(), 5_002);
}

#[tokio::test]
async fn ecr_public_assumed_lists_nothing_for_anybody() {
    let storage = FakeRegistry::start().await;
    let registry = start(FakeRegistry::ecr_public(&storage)).await;
    let larder = Larder::knowing(&registry);
    let done = larder.run(&["tags", "acme/app"]).await;
    assert_ne!(done.code, 0);
    assert_eq!(done.data, "");
    assert!(done.talk.contains("401"), "{}", done.talk);
}

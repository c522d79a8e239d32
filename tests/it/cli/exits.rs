//! What is missing at a registry, or wrong with it: each has its exit code and its words.

use super::Larder;
use crate::support::{FakeRegistry, Fault, Image, Kind, noise};

/// A registry with one image.
async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("org/app"), "1");
    registry
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let absent = format!("org/app@sha256:{}", "0".repeat(64));
    for (code, arguments, told, hint) in [
        (2, ["tags", "org/app:1"], "give a name without tag", ""),
        (
            3,
            ["tags", "other.test/app"],
            "the registry other.test is not configured here",
            "",
        ),
        (
            4,
            ["tags", "org/other"],
            "the repository up.test/org/other does not exist, or needs a login",
            "\nhint: check the name; a login is configured with credentials in the [[upstream]] with name = \"up.test\"",
        ),
        (
            4,
            ["inspect", "org/other:1"],
            "the repository up.test/org/other does not exist, or needs a login: none is configured",
            "\nhint: check the name",
        ),
        (
            5,
            ["inspect", "org/app:2"],
            "error: up.test/org/app has no tag '2'",
            "\nhint: `larder tags up.test/org/app` lists the tags",
        ),
        (5, ["inspect", "org/app"], "no tag 'latest'", "\nhint: "),
        (5, ["inspect", &absent], "has no manifest sha256:000", ""),
    ] {
        let talk = larder.failure(code, &arguments).await;
        assert!(talk.contains(told), "{talk}");
        assert!(talk.contains(hint), "{talk}");
    }
}

#[tokio::test]
async fn what_may_not_be_seen_may_not_be_there() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let repository = registry.repository("org/app");
    Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    repository.make_private();
    let larder = Larder::knowing(&registry);
    for arguments in [["tags", "org/app"], ["inspect", "org/app:1"]] {
        let talk = larder.failure(4, &arguments).await;
        let told = "the repository up.test/org/app does not exist, or needs a login: none is configured for it\n  because: ";
        assert!(talk.contains(told), "{talk}");
        assert!(talk.contains("credentials"), "{talk}");
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_reached_has_its_own_code() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    registry.stop().await;
    let talk = larder.failure(3, &["tags", "org/app"]).await;
    assert!(
        talk.contains("up.test/org/app could not be asked for"),
        "{talk}"
    );
    assert!(
        talk.contains("\n  because: the connection to 127.0.0.1:"),
        "{talk}"
    );
    assert!(
        talk.contains("\nhint: check the name, the network"),
        "{talk}"
    );
}

#[tokio::test]
async fn a_registry_in_trouble_has_its_own_code() {
    let registry = registry().await;
    registry.inject(Fault::everywhere().status(503));
    let larder = Larder::knowing(&registry);
    let talk = larder.failure(3, &["inspect", "org/app:1"]).await;
    assert!(talk.contains("is unavailable: 503"), "{talk}");
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_told() {
    let registry = FakeRegistry::builder().tls().start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let talk = Larder::knowing(&registry)
        .failure(3, &["tags", "app"])
        .await;
    assert!(talk.contains("UnknownIssuer"), "{talk}");
    assert!(talk.contains("ca_file"), "{talk}");

    let plain = FakeRegistry::start().await;
    let larder = Larder::knowing_at(&plain.url().replace("http://", "https://"));
    let talk = larder.failure(3, &["tags", "app"]).await;
    assert!(talk.contains("\nhint: it seems not to speak TLS"), "{talk}");
}

#[tokio::test]
async fn what_is_no_answer_is_something_else() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    for (fault, arguments, told) in [
        (
            Fault::on(Kind::Tags).html(),
            ["tags", "org/app"],
            "a list of tags",
        ),
        (
            Fault::on(Kind::Tags).status(405),
            ["tags", "org/app"],
            "refused with 405",
        ),
        (
            Fault::on(Kind::ManifestGet).html(),
            ["inspect", "org/app:1"],
            "something else than a manifest",
        ),
        (
            Fault::on(Kind::BlobGet).wrong_byte_at(0),
            ["inspect", "org/app:1"],
            "sent something else than was asked for",
        ),
        (
            Fault::on(Kind::BlobGet).status(404),
            ["inspect", "org/app:1"],
            "lacks the config of the image",
        ),
    ] {
        registry.inject(fault);
        let talk = larder.failure(1, &arguments).await;
        assert!(talk.contains(told), "{talk}");
        registry.clear_faults();
    }
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_told_first() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry).and("nonsense = 1");
    for arguments in [["tags", "org/app"], ["inspect", "org/app:1"]] {
        let talk = larder.failure(2, &arguments).await;
        assert!(talk.contains("nonsense"), "{talk}");
    }
    assert_eq!(registry.requests().len(), 0);
}

//! What larder has is served when the registry is gone, and survives the end of larder, however it ends.

use std::collections::BTreeSet;

use larder::oci::Digest;

use super::support::image::ARCHITECTURES;
use super::support::{Gate, Image, Larder, Platforms, Podman, REPOSITORY, Skopeo, until};

/// How larder knows the registry of these tests, and clients that take it for a mirror too.
const UPSTREAM: &str = "up.test";

/// Pulls an image for the first platform with podman, which has nothing of it.
fn podman_pulls(reference: &str) -> BTreeSet<Digest> {
    Podman::new().pull(ARCHITECTURES[0], reference)
}

/// Returns the digests by which podman knows the image for the first platform when the index led to it.
fn known_by(image: &Image) -> BTreeSet<Digest> {
    BTreeSet::from([image.index(), image.manifests()[0]])
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn all_is_served_without_the_registry_and_after_a_restart_too() {
    let image = Image::published();
    let mut registry = image.registry();
    // Each pull would rather ask the registry.
    let mut larder = Larder::before(registry.port(), "always");
    let skopeo = Skopeo::new();
    let names = [
        format!("{REPOSITORY}:1"),
        format!("{REPOSITORY}@{}", image.index()),
    ];
    let tag = larder.reference(&names[0]);
    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());

    registry.stop();
    for name in &names {
        let pulled = skopeo.pull(Platforms::All, &larder.reference(name));
        assert_eq!(&pulled, image.pulled(), "{name}");
    }

    larder.stop();
    larder.start();
    for name in &names {
        let pulled = skopeo.pull(Platforms::All, &larder.reference(name));
        assert_eq!(&pulled, image.pulled(), "{name}");
    }
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_pull_completes_after_larder_was_killed_in_the_middle_of_a_layer() {
    let image = Image::published();
    let registry = image.registry();
    let gate = Gate::before(registry.port(), 8 << 20);
    let mut larder = Larder::before(gate.port(), "10m");
    let skopeo = Skopeo::new();
    let tag = larder.reference(&format!("{REPOSITORY}:1"));

    let pull = skopeo.start_pull(Platforms::All, &tag);
    gate.wait_until_holding();
    larder.kill();
    pull.fail();

    gate.open();
    larder.start();
    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());
}

#[test]
#[ignore = "needs docker-registry, podman and skopeo (.ci/run installs them)"]
fn clients_notice_nothing_while_the_registry_is_stopped_and_see_what_moved_when_it_is_back() {
    let image = Image::published();
    let mut registry = image.registry_of_its_own();
    let mut larder = Larder::before(registry.port(), "always");
    let skopeo = Skopeo::new();
    let names = [
        format!("{REPOSITORY}:1"),
        format!("{REPOSITORY}@{}", image.index()),
    ];
    let [tag, digest] = names.map(|name| larder.reference(&name));
    assert_eq!(podman_pulls(&tag), known_by(&image));

    registry.stop();
    let assert_all_here = |what: &str| {
        for name in [&tag, &digest] {
            assert_eq!(podman_pulls(name), known_by(&image), "{what}: {name}");
            assert_eq!(skopeo.digest(name), image.index(), "{what}: {name}");
        }
    };
    assert_all_here("stopped");
    larder.stop();
    larder.start();
    assert_all_here("stopped, and larder started again");

    registry.restart();
    skopeo.move_tag(&registry, "1", "docker");
    let moved = skopeo.digest(&registry.reference(&format!("{REPOSITORY}:1")));
    assert_ne!(moved, image.index());
    // A registry that failed again and again is left alone for a while.
    until("larder sees that the tag has moved", || {
        (skopeo.digest(&tag) == moved).then_some(())
    });
    assert!(podman_pulls(&tag).contains(&moved));
    assert_eq!(podman_pulls(&digest), known_by(&image));
}

#[test]
#[ignore = "needs docker-registry, podman and skopeo (.ci/run installs them)"]
fn what_is_not_here_cannot_be_had_while_the_registry_is_stopped_and_then_it_can() {
    let image = Image::published();
    let mut registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let tag = larder.reference(&format!("{REPOSITORY}:1"));

    registry.stop();
    let talk = Podman::new().refused(ARCHITECTURES[0], &tag);
    // Whoever reads that it does not exist looks for the mistake in the wrong place, and clients ask another registry.
    for claim in ["manifest unknown", "name unknown", "not found"] {
        assert!(!talk.contains(claim), "{talk}");
    }
    assert!(talk.contains("502 Bad Gateway"), "{talk}");

    // No client asks: larder finds out by itself, within the rest that it gives the registry.
    assert!(larder.lets_the_registry_rest());
    registry.restart();
    until("larder knows that the registry is back", || {
        (!larder.lets_the_registry_rest()).then_some(())
    });
    assert_eq!(podman_pulls(&tag), known_by(&image));
}

#[test]
#[ignore = "needs docker-registry, podman and skopeo (.ci/run installs them)"]
fn larder_is_a_mirror_for_podman_when_the_registry_itself_cannot_be_reached() {
    let image = Image::published();
    let mut registry = image.registry();
    let larder = Larder::before(registry.port(), "always");
    // Nothing has this name, so that there is nothing beside the mirror.
    let tag = format!("{UPSTREAM}/{REPOSITORY}:1");
    let pulls = || {
        let podman = Podman::new();
        podman.use_mirror(UPSTREAM, larder.port());
        podman.pull(ARCHITECTURES[0], &tag)
    };
    assert_eq!(pulls(), known_by(&image));
    registry.stop();
    assert_eq!(pulls(), known_by(&image));
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn the_commands_that_ask_the_registry_say_that_it_cannot_be_reached() {
    let image = Image::published();
    let mut registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let tagged = format!("{REPOSITORY}:1");
    let commands = [["tags", REPOSITORY], ["inspect", &tagged]];
    for command in &commands {
        larder.answer(command);
    }

    registry.stop();
    let place = format!("endpoints of the [[upstream]] with name = \"{UPSTREAM}\"");
    for command in &commands {
        let talk = larder.failure(3, command);
        let (error, hint) = talk.split_once("\nhint: ").unwrap_or_default();
        assert!(error.contains("Connection refused"), "{talk}");
        assert!(hint.contains(&place), "{talk}");
    }
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn tags_are_listed_while_the_registry_is_stopped() {
    let image = Image::published();
    let mut registry = image.registry_of_its_own();
    let mut larder = Larder::before(registry.port(), "always");
    let never_asked = Larder::before(registry.port(), "always");
    let skopeo = Skopeo::new();
    let list = larder.reference(REPOSITORY);
    assert_eq!(skopeo.tags(&list), ["1", "docker"]);
    // The one that is not asked for the list knows of a tag that was pulled through it.
    let tag = format!("{REPOSITORY}:1");
    skopeo.digest(&never_asked.reference(&tag));

    registry.stop();
    assert_eq!(skopeo.tags(&list), ["1", "docker"]);
    assert_eq!(skopeo.tags(&never_asked.reference(REPOSITORY)), ["1"]);
    larder.stop();
    larder.start();
    assert_eq!(skopeo.tags(&list), ["1", "docker"]);

    registry.restart();
    skopeo.move_tag(&registry, "2", "1");
    until("larder sees that there is another tag", || {
        (skopeo.tags(&list) == ["1", "2", "docker"]).then_some(())
    });
}

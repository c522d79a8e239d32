//! What larder has is served when the registry is gone, and survives the end of larder, however it ends.

use super::support::{Gate, Image, Larder, Platforms, REPOSITORY, Skopeo};

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

//! What `larder client-config` writes is what real clients understand.

use std::collections::BTreeSet;

use super::support::image::ARCHITECTURES;
use super::support::larder::UPSTREAM;
use super::support::{Image, Larder, Platforms, Podman, REPOSITORY, Skopeo};

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn skopeo_pulls_through_larder_in_both_modes() {
    let image = Image::published();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    // The name of the upstream leads nowhere but to larder.
    let tag = format!("docker://{UPSTREAM}/{REPOSITORY}:1");
    for mode in ["fallback", "strict"] {
        let skopeo = Skopeo::new();
        skopeo.use_registries(&larder.registries_conf(mode));
        assert_eq!(&skopeo.pull_as_configured(&tag), image.pulled(), "{mode}");
    }
}

#[test]
#[ignore = "needs docker-registry, podman and skopeo (.ci/run installs them)"]
fn podman_pulls_through_larder_in_both_modes() {
    let image = Image::published();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    for mode in ["fallback", "strict"] {
        let podman = Podman::new();
        podman.use_registries(&larder.registries_conf(mode));
        let tag = format!("docker://{UPSTREAM}/{REPOSITORY}:1");
        let pulled = podman.pull(ARCHITECTURES[0], &tag);
        let known_by = BTreeSet::from([image.index(), image.manifests()[0]]);
        assert_eq!(pulled, known_by, "{mode}");
    }
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn only_fallback_goes_around_larder() {
    let image = Image::published();
    let registry = image.registry();
    let home = tempfile::tempdir().unwrap();
    // Here the name of the upstream is its address.
    let mut larder = Larder::of_user(registry.port(), home.path());
    let [fallback, strict] = ["fallback", "strict"].map(|mode| {
        let skopeo = Skopeo::new();
        skopeo.use_registries(&larder.registries_conf(mode));
        skopeo
    });
    let tag = registry.reference(&format!("{REPOSITORY}:1"));
    assert_eq!(&strict.pull(Platforms::All, &tag), image.pulled());
    larder.stop();
    assert_eq!(&fallback.pull(Platforms::All, &tag), image.pulled());
    strict.start_pull(Platforms::All, &tag).fail();
}

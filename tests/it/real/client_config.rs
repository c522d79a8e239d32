//! What `larder client-config` writes is what real clients understand.

use std::collections::BTreeSet;

use super::support::containerd::{Containerd, Hosts};
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
#[ignore = "needs buildah, docker-registry and skopeo (.ci/run installs them)"]
fn buildah_pulls_through_larder_in_both_modes() {
    let image = Image::small();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let pull = |mode| {
        let buildah = Podman::buildah();
        buildah.use_registries(&larder.registries_conf(mode));
        let tag = format!("docker://{UPSTREAM}/{REPOSITORY}:1");
        buildah.pull_content(ARCHITECTURES[0], &tag, None).unwrap()
    };
    assert_eq!(pull("strict"), pull("fallback"));
}

#[test]
#[ignore = "needs root, containerd, docker-registry and skopeo (.ci/run installs them)"]
fn containerd_goes_around_larder_only_in_fallback() {
    let image = Image::small();
    let registry = image.registry();
    let home = tempfile::tempdir().unwrap();
    // Here the name of the upstream is its address.
    let mut larder = Larder::of_user(registry.port(), home.path());
    let pull = |larder: &Larder, mode| {
        let containerd = Containerd::start();
        let address = (larder.port(), None);
        larder.configure_client("containerd-1", mode, address, containerd.folder());
        let name = format!("127.0.0.1:{}/{REPOSITORY}:1", registry.port());
        containerd.pull(Hosts::Configured, &name)
    };
    let pulled = ["strict", "fallback"].map(|mode| pull(&larder, mode).unwrap());
    assert_eq!(pulled[0], pulled[1]);
    // Both came through larder, so that nothing was asked for twice.
    let asked = registry.requests().len();
    assert_eq!(asked, image.requests().len() + 1);

    larder.stop();
    pull(&larder, "strict").unwrap_err();
    assert_eq!(registry.requests().len(), asked);
    assert_eq!(pull(&larder, "fallback").unwrap(), pulled[0]);
    assert!(registry.requests().len() > asked);
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

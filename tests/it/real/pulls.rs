//! What comes through larder is what the registry has, however it is asked for.

use super::support::{Image, Larder, Platforms, REPOSITORY, Skopeo};

/// Pulls each of the names straight and through larder, under the name of the upstream and without it, and compares.
fn assert_same(platforms: Platforms, names: &[String]) {
    let image = Image::published();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let skopeo = Skopeo::new();
    for name in names {
        let straight = skopeo.pull(platforms, &registry.reference(name));
        for reference in [larder.reference(name), larder.default_reference(name)] {
            assert_eq!(skopeo.pull(platforms, &reference), straight, "{reference}");
        }
    }
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn an_index_comes_whole_by_tag_and_by_digest() {
    let index = Image::published().index();
    assert_same(
        Platforms::All,
        &[format!("{REPOSITORY}:1"), format!("{REPOSITORY}@{index}")],
    );
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_manifest_list_comes_as_a_manifest_list() {
    assert_same(Platforms::All, &[format!("{REPOSITORY}:docker")]);
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn one_platform_comes_by_tag_and_by_digest() {
    let image = Image::published();
    let mut names = vec![format!("{REPOSITORY}:1"), format!("{REPOSITORY}:docker")];
    names.push(format!("{REPOSITORY}@{}", image.index()));
    names.extend(
        image
            .manifests()
            .iter()
            .map(|it| format!("{REPOSITORY}@{it}")),
    );
    assert_same(Platforms::Linux("arm64"), &names);
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn larder_is_a_mirror_for_clients_that_know_the_upstream_only() {
    let image = Image::published();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let skopeo = Skopeo::new();
    skopeo.use_mirror("up.test", larder.port());
    let pulled = skopeo.pull(Platforms::All, &format!("docker://up.test/{REPOSITORY}:1"));
    assert_eq!(&pulled, image.pulled());
}

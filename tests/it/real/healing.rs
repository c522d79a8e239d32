//! A file of the cache that is damaged is noticed and fetched again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::support::content::sha256;
use super::support::{Image, Larder, Platforms, REPOSITORY, Skopeo, until};

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_file_that_is_damaged_on_disk_is_noticed_and_healed() {
    let image = Image::published();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let skopeo = Skopeo::new();
    let tag = larder.reference(&format!("{REPOSITORY}:1"));
    let layer = image.large_layer();
    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());

    let file = until("the layer is kept", || larder.kept(&layer));
    flip_a_byte(&file);
    let asked = registry.requests().len();
    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());
    assert_eq!(
        registry.requests()[asked..],
        [format!("GET /v2/{REPOSITORY}/blobs/{layer}")]
    );

    until("the layer is kept again", || {
        let bytes = fs::read(larder.kept(&layer)?).ok()?;
        (sha256(&bytes) == layer).then_some(())
    });
    let asked = registry.requests().len();
    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());
    assert_eq!(registry.requests().len(), asked);
}

/// Changes a file in its middle; its size stays.
fn flip_a_byte(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[!byte[0]], middle).unwrap();
}

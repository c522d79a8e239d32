//! What a pull brings: files whose names and bytes can be compared with those of another pull.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder::oci::Digest;
use sha2::{Digest as _, Sha256};

/// The files of a folder that skopeo's `dir:` form made, by name, each with the digest of its bytes.
///
/// Blobs are called by the hexadecimal digits of their digest, manifests of platforms likewise with
/// `.manifest.json`; the manifest that was asked for is `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content(BTreeMap<String, Digest>);

impl Content {
    /// Reads a folder, and fails when the bytes of a file are not those that its name promises.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let digest = sha256(&fs::read(entry.path()).unwrap());
            let promised = name.strip_suffix(".manifest.json").unwrap_or(&name);
            if promised.len() == 64 {
                assert_eq!(promised, digest.hex(), "{}", entry.path().display());
            }
            files.insert(name, digest);
        }
        Self(files)
    }

    /// Returns digests that were found by other means, each under the name that it goes by.
    pub(crate) fn of(digests: BTreeMap<String, Digest>) -> Self {
        Self(digests)
    }

    /// Adds a digest under a name of its own.
    pub(crate) fn with(mut self, name: &str, digest: Digest) -> Self {
        self.0.insert(name.to_owned(), digest);
        self
    }

    /// Returns the digest of the manifest or index that was asked for.
    pub(crate) fn manifest(&self) -> Digest {
        self.0["manifest.json"]
    }

    /// Returns whether a blob is among the files.
    pub(crate) fn has_blob(&self, blob: &Digest) -> bool {
        self.0.contains_key(&blob.hex())
    }
}

/// Returns the digest of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::Sha256(Sha256::digest(bytes).into())
}

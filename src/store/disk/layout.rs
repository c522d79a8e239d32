//! Where everything lies. No other file knows a path.
//!
//! ```text
//! <path>/
//!   lock                              held by the larder that uses the folder, with its process id
//!   larder.sock                       where that larder takes its operator's commands
//!   blobs-v1/<algorithm>/<first two hex>/<hex>
//!   staging-v1/                       spools of unfinished fills
//!   cache-v1.redb                     records that can be fetched again
//!   hosted-v1.redb                    records that cannot
//!   hosted-v1.snapshot                hosted-v1.redb as it was at the last start
//!   blobs-v1/probe staging-v1/probe   for a moment at the start, to see that the folders can be written
//! ```
//! The version is in the name: another format gets another name, and what an older larder left stays untouched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::oci::{Algorithm, Digest};
use crate::store::error::StoreError;

/// The paths in one cache folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    root: PathBuf,
}

/// What stands before and after the version of each name, and the version that is known.
const VERSIONED: [(&str, u32, &str); 6] = [
    ("blobs-v", 1, ""),
    ("staging-v", 1, ""),
    ("cache-v", 1, ".redb"),
    ("usage-v", 1, ".redb"),
    ("hosted-v", 1, ".redb"),
    ("hosted-v", 1, ".snapshot"),
];

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The socket for commands.
    pub(super) fn socket(&self) -> PathBuf {
        self.root.join("larder.sock")
    }

    /// The folder of all blobs.
    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs-v1")
    }

    /// The folders that have blobs of an algorithm, whether they are there or not, in order.
    pub(super) fn shards(&self, algorithm: Algorithm) -> impl Iterator<Item = PathBuf> + use<> {
        let folder = self.blobs().join(algorithm.name());
        (0..=u8::MAX).map(move |first| folder.join(hex::encode([first])))
    }

    /// The folder that has a blob.
    pub(super) fn shard(&self, digest: &Digest) -> PathBuf {
        let first = &digest.bytes()[..1];
        let folder = self.blobs().join(digest.algorithm().name());
        folder.join(hex::encode(first))
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.shard(digest).join(digest.hex())
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging-v1")
    }

    /// The file that shows that a folder of ours can be written. Neither a blob nor a spool has this name.
    pub(super) fn probe(folder: &Path) -> PathBuf {
        folder.join("probe")
    }

    pub(super) fn cache_records(&self) -> PathBuf {
        self.root.join("cache-v1.redb")
    }

    pub(super) fn usage_records(&self) -> PathBuf {
        self.root.join("usage-v1.redb")
    }

    pub(super) fn hosted_records(&self) -> PathBuf {
        self.root.join("hosted-v1.redb")
    }

    pub(super) fn hosted_snapshot(&self) -> PathBuf {
        self.root.join("hosted-v1.snapshot")
    }

    /// Looks for what a later version has written.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when there is such a thing.
    pub(super) fn refuse_newer(&self) -> Result<(), StoreError> {
        let read = |error: io::Error| StoreError::io("read the folder", &self.root, error);
        for entry in fs::read_dir(&self.root).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            let name = name.to_string_lossy();
            for (before, known, after) in VERSIONED {
                if version(&name, before, after).is_some_and(|version| version > known) {
                    return Err(StoreError::Newer {
                        path: self.root.clone(),
                        found: name.into_owned(),
                        known: format!("{before}{known}{after}"),
                    });
                }
            }
        }
        Ok(())
    }
}

fn version(name: &str, before: &str, after: &str) -> Option<u32> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_lie_by_algorithm_and_first_byte() {
        let layout = Layout::new(Path::new("/cache"));
        let digest = Digest::Sha256([0xab; 32]);
        let path = format!("/cache/blobs-v1/sha256/ab/{}", "ab".repeat(32));
        assert_eq!(layout.blob(&digest), Path::new(&path));
        for digest in [digest, Digest::Sha512([0; 64])] {
            let shard = layout.shard(&digest);
            assert!(
                layout
                    .shards(digest.algorithm())
                    .any(|found| found == shard)
            );
        }
    }

    #[test]
    fn what_a_later_version_wrote_is_refused() {
        for (name, known) in [
            ("blobs-v2", Some("blobs-v1")),
            ("staging-v10", Some("staging-v1")),
            ("cache-v3.redb", Some("cache-v1.redb")),
            ("hosted-v2.redb", Some("hosted-v1.redb")),
            ("hosted-v2.snapshot", Some("hosted-v1.snapshot")),
            ("cache-v99999999999999999999.redb", Some("cache-v1.redb")),
            ("blobs-v1", None),
            ("cache-v1.redb", None),
            ("blobs-v", None),
            ("blobs-v2.old", None),
            ("cache-v3.redb.bak", None),
            ("lost+found", None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "").unwrap();
            let refused = Layout::new(folder.path()).refuse_newer();
            match (refused, known) {
                (Ok(()), None) => {}
                (Err(StoreError::Newer { found, known, .. }), Some(expected)) => {
                    assert_eq!((found.as_str(), known.as_str()), (name, expected));
                }
                (refused, _) => panic!("{name}: {refused:?}"),
            }
        }
    }
}

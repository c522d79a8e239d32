//! Whether a file has changed, by what the file system says about it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is different after a file was written, replaced, or a link on the way to it was changed: Kubernetes swaps links.
///
/// Times are as coarse as the kernel's tick: who writes twice within one of them may leave the same stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Takes the stamp of what is at a path; `None` when nothing can be seen there. Blocks for as long as the file system
    /// takes.
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }

    /// Takes the stamp of a file, links followed.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_stamp_follows_links_and_tells_files_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let stamp = |name: &str| Stamp::at(&path(name)).unwrap();
        for version in ["one", "two"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("password"), "same").unwrap();
        }
        symlink("one", path("data")).unwrap();
        symlink("data/password", path("password")).unwrap();
        let before = stamp("password");
        assert_eq!(stamp("password"), before);
        symlink("two", path("new")).unwrap();
        fs::rename(path("new"), path("data")).unwrap();
        assert_ne!(stamp("password"), before);
        assert_eq!(stamp("one/password"), before);
        fs::write(path("one/password"), "longer").unwrap();
        assert_ne!(stamp("one/password"), before);
    }
}

//! The files that a configuration was read from, and whether they are still what they were.

use std::path::PathBuf;

use crate::runtime::Stamp;

/// Files, and what they looked like before they were read.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    read: Vec<Option<Stamp>>,
    /// When they were looked at last.
    seen: Vec<Option<Stamp>>,
}

impl Files {
    /// Looks at files that are read next. Blocks.
    pub(super) fn look(paths: Vec<PathBuf>) -> Self {
        let seen = stamps(&paths);
        Self {
            paths,
            read: seen.clone(),
            seen,
        }
    }

    /// Looks at them again: whether they changed since they were read, and not since they were looked at last. A file
    /// that is being written is not read half. Blocks.
    pub(super) fn have_changed(&mut self) -> bool {
        let now = stamps(&self.paths);
        let before = std::mem::replace(&mut self.seen, now);
        self.seen == before && self.seen != self.read
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| Stamp::at(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_counts_when_it_has_stood_for_one_look() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["larder.toml", "ca.pem"].map(|name| folder.path().join(name));
        let mut files = Files::look(paths.to_vec());
        assert!(!files.have_changed());
        fs::write(&paths[0], "first").unwrap();
        assert!(!files.have_changed(), "it may be half written");
        fs::write(&paths[0], "and more").unwrap();
        assert!(!files.have_changed(), "it may be half written");
        assert!(files.have_changed());
        let mut files = Files::look(paths.to_vec());
        assert!(!files.have_changed());
        fs::remove_file(&paths[0]).unwrap();
        fs::write(&paths[1], "other").unwrap();
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }
}

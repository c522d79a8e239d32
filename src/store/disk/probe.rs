//! Finding out at the start, and not in the middle of a pull, that a folder cannot be written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::layout::Layout;
use crate::store::space::is_full;

/// Writes a small file in a folder and removes it. Blocking.
///
/// A file system without room is no failure: what is there can be served. A file that a killed process left is used
/// again.
pub(super) fn write_in(folder: &Path) -> io::Result<()> {
    let path = Layout::probe(folder);
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(b"larder can write here\n"));
    match written {
        Ok(()) => fs::remove_file(&path),
        Err(error) if is_full(&error) => {
            fs::remove_file(&path).ok();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_can_be_written_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(Layout::probe(folder.path()), "of a killed process").unwrap();
        write_in(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        symlink(&elsewhere, Layout::probe(folder.path())).unwrap();
        write_in(folder.path()).unwrap_err();
        assert!(!elsewhere.exists(), "a link is not followed");
        // Nobody, whatever the rights, can make a file there.
        write_in(Path::new("/proc/self/fd")).unwrap_err();
    }
}

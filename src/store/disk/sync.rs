//! Making names survive a loss of power.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Syncs the names in a folder. Blocking.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // What stands above a relative path of one part.
    let is_here = folder.as_os_str().is_empty();
    let folder = if is_here { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it where they are missing, for this user alone, since private content may come to be
/// in it. Syncs their names. Blocking.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    let mut made = make(folder);
    if let Err(error) = &made
        && error.kind() == io::ErrorKind::NotFound
        && let Some(parent) = folder.parent()
    {
        create_folder(parent)?;
        // Once more and not again and again: some places say "not found" whatever is above them.
        made = make(folder);
    }
    match made {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if folder.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        Err(error) => Err(error),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_made_with_those_above_it() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a/b/c");
        create_folder(&folder).unwrap();
        assert!(folder.is_dir());
        create_folder(&folder).unwrap();
    }

    #[test]
    fn places_where_no_folder_can_be_are_refused() {
        let above = tempfile::tempdir().unwrap();
        let (link, file) = (above.path().join("link"), above.path().join("file"));
        symlink(above.path().join("nowhere"), &link).unwrap();
        std::fs::write(&file, "").unwrap();
        for (folder, refusal) in [
            (link.clone(), io::ErrorKind::NotADirectory),
            (link.join("below"), io::ErrorKind::NotADirectory),
            (file.clone(), io::ErrorKind::NotADirectory),
            (file.join("below"), io::ErrorKind::NotADirectory),
            ("/proc/larder/cache".into(), io::ErrorKind::NotFound),
            ("".into(), io::ErrorKind::NotFound),
        ] {
            let refused = create_folder(&folder).unwrap_err();
            assert_eq!(refused.kind(), refusal, "{}", folder.display());
        }
    }

    #[test]
    fn names_in_the_working_folder_are_synced_too() {
        sync_folder(Path::new("cache").parent().unwrap()).unwrap();
    }
}

//! Making names survive a loss of power.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Syncs the names in a folder. Blocking.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it where they are missing, for this user alone, since private content may come to be
/// in it. Syncs their names. Blocking.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => match (error.kind(), folder.parent()) {
            (io::ErrorKind::NotFound, Some(parent)) => {
                create_folder(parent)?;
                return create_folder(folder);
            }
            _ => return Err(error),
        },
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

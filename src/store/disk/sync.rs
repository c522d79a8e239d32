//! Making names survive a loss of power.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Syncs the names in a folder. Blocking.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it where they are missing, up to one that is there, and syncs their names. Blocking.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
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

//! The files of blobs: opened with care, hashed, listed. Everything here is blocking.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::oci::{Algorithm, Digest, Verifier};
use crate::store::content::StoredBlob;
use crate::store::disk::stamp::Stamp;
use crate::store::error::StoreError;

/// How much is read at once while hashing.
const BUFFER: usize = 256 * 1024;

/// Opens a file to read. Links are not followed, and what is not a file is not there.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, Stamp)>> {
    // Without NONBLOCK the opening of a pipe would wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let stamp = Stamp::of(&metadata);
    Ok(metadata.is_file().then_some((file, stamp)))
}

/// Tells whether a file has the content of a digest.
pub(super) fn hash(file: &File, digest: Digest) -> io::Result<bool> {
    let mut verifier = Verifier::new(digest);
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read_at(&mut buffer, verifier.position()) {
            Ok(0) => return Ok(verifier.finish().is_ok()),
            Ok(length) => verifier.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lists the blobs of one folder. What is not named like one is none.
pub(super) fn list(algorithm: Algorithm, folder: &Path) -> Result<Vec<StoredBlob>, StoreError> {
    let describe = |error| StoreError::io("list", folder, error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(describe(error)),
    };
    let mut blobs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(describe)?;
        let name = entry.file_name();
        let digest = name.to_str().map(|hex| Digest::from_hex(algorithm, hex));
        let Some(Ok(digest)) = digest else { continue };
        let is_its_folder = folder.ends_with(&digest.hex()[..2]);
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() && is_its_folder => blobs.push(StoredBlob {
                digest,
                size: metadata.len(),
            }),
            // Removed since the folder was read, or no file.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(describe(error)),
        }
    }
    Ok(blobs)
}

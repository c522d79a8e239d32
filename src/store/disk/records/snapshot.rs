//! The records that cannot be fetched again, and the copy that is taken of them at each start.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::file::{Loss, Opener, RecordFile};
use super::table;
use crate::store::disk::layout::Layout;
use crate::store::disk::sync::sync_folder;
use crate::store::error::StoreError;
use crate::telemetry::with_causes;

/// Opens the hosted records, or makes them in a new folder. When they are sound and there are any, the snapshot becomes
/// a copy of them. Blocking.
///
/// # Errors
/// [`StoreError::Damaged`] when they are damaged, or missing although there is a snapshot.
pub(super) fn open(layout: &Layout, opener: Opener) -> Result<RecordFile, StoreError> {
    let (path, snapshot) = (layout.hosted_records(), layout.hosted_snapshot());
    let is_missing = fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
    if is_missing && snapshot.exists() {
        let source = Arc::new(io::Error::from(io::ErrorKind::NotFound));
        return Err(StoreError::Damaged {
            path,
            snapshot: Some(snapshot),
            source,
        });
    }
    let loss = Loss::Unbearable {
        snapshot: snapshot.clone(),
    };
    let file = RecordFile::open(path.clone(), opener, loss)?;
    if !file.attempt("read", table::is_empty)? {
        let copied = file.while_closed(|| copy(&path, &snapshot))?;
        if let Err(error) = copied {
            tracing::warn!(path = %snapshot.display(), error = with_causes(&error), "could not take a snapshot of the hosted records");
        }
    }
    Ok(file)
}

/// Replaces a file by a copy of another, which survives a loss of power.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let new = to.with_added_extension("new");
    fs::copy(from, &new)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

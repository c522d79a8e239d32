//! The transfer of one blob, which goes on by itself after a break.

use bytes::Bytes;

use super::error::UpstreamError;

/// A blob, or a part of one, on its way here. Dropping it closes its connection.
#[derive(Debug)]
pub struct BlobTransfer {
    position: u64,
    total: Option<u64>,
    resumes: u32,
}

impl BlobTransfer {
    /// Returns the size of the whole blob, when the registry or the caller has said it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns which byte of the blob comes next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns how often the transfer broke and went on.
    pub fn resumes(&self) -> u32 {
        self.resumes
    }

    /// Returns the next bytes, `None` after the last. Dropping the future loses no bytes: call it again.
    ///
    /// # Errors
    /// [`UpstreamError`] when the transfer broke and did not go on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        unimplemented!("interface only")
    }
}

//! Content on its way out of a store.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::error::StoreError;
use crate::oci::{ContentRange, Digest, Unsatisfiable};

/// Some bytes of a content, or where they can be read.
///
/// A reader hands out files rather than bytes so that the server can choose how they reach the socket.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file that are there and will not change.
    File(FileSlice),
}

/// A part of an open file. The file stays readable after its name is gone.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The open file.
    pub file: Arc<File>,
    /// Where the part begins, in bytes.
    pub offset: u64,
    /// How long the part is, in bytes.
    pub length: u64,
}

impl Piece {
    /// Returns how many bytes the piece has.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.length,
        }
    }
}

/// The pieces of a content, in order and without gaps. Dropping it gives up what it holds open.
pub type ContentReader = BoxStream<'static, Result<Piece, StoreError>>;

/// A blob that was found.
#[derive(Debug)]
pub struct OpenBlob {
    /// The size of the whole blob, in bytes.
    pub total: u64,
    /// The part that was asked for.
    pub opened: Opened,
}

/// What opening a range of a blob gave.
pub enum Opened {
    /// The range, and its bytes. The reader holds a lease: the blob is not evicted under it.
    Range(ContentRange, ContentReader),
    /// The blob has no byte in that range.
    Unsatisfiable(Unsatisfiable),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range, _) => f.debug_tuple("Range").field(range).finish(),
            Self::Unsatisfiable(reason) => f.debug_tuple("Unsatisfiable").field(reason).finish(),
        }
    }
}

/// A blob in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its address.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
}

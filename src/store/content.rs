//! Content on its way out of a store.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

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

impl FileSlice {
    /// How far bytes lie apart that are asked for to know whether those between are in memory, in bytes: as much as
    /// kernels read ahead unless told otherwise.
    const STRIDE: usize = 128 * 1024;

    /// Reads a part of the slice, beginning `at` bytes into it. Blocks while the disk is asked.
    ///
    /// # Errors
    /// When the disk fails, or the file became shorter.
    pub fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, self.offset + at)?;
        Ok(buffer.into())
    }

    /// Reads a part of the slice if it is in memory. `None` when the disk would have to be asked; fewer bytes than
    /// asked for when only the first are in memory.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where the file system cannot tell; else as [`FileSlice::read`].
    pub fn read_now(&self, at: u64, length: usize) -> io::Result<Option<Bytes>> {
        let mut buffer = vec![0; length];
        let Some(read) = self.read_into(&mut buffer, at)? else {
            return Ok(None);
        };
        buffer.truncate(read);
        Ok(Some(buffer.into()))
    }

    /// Tells whether a part of the slice, beginning `at` bytes into it, seems to be in memory: a byte in every so many, and
    /// the last one, are.
    ///
    /// # Errors
    /// As [`FileSlice::read_now`].
    pub fn is_in_memory(&self, at: u64, length: u64) -> io::Result<bool> {
        let Some(last) = length.checked_sub(1) else {
            return Ok(true);
        };
        let samples = (0..last).step_by(Self::STRIDE).chain([last]);
        for sample in samples {
            if self.read_into(&mut [0], at + sample)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads what is in memory, into a buffer that is not empty. `None` when the first byte is not.
    fn read_into(&self, buffer: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let from = self.offset + at;
        match preadv2(&self.file, &mut parts, from, ReadWriteFlags::NOWAIT) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => Ok(Some(read)),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error.into()),
        }
    }
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

#[cfg(test)]
mod tests {
    use rustix::fs::{Advice, fadvise};

    use super::*;

    /// Returns whether the kernel forgot what the file has; it need not.
    fn forget(file: &File) -> bool {
        file.sync_all().unwrap();
        fadvise(file, 0, None, Advice::DontNeed).unwrap();
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut parts, 0, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
    }

    #[test]
    fn what_is_in_memory_is_told_from_what_is_not() {
        let file = tempfile::tempfile().unwrap();
        let length = 3 * FileSlice::STRIDE;
        file.write_all_at(&vec![7; length], 0).unwrap();
        let slice = FileSlice {
            file: Arc::new(file),
            offset: 10,
            length: length as u64 - 10,
        };
        let is_in_memory = |at, length| slice.is_in_memory(at, length);
        if let Err(error) = is_in_memory(0, 1) {
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
            return;
        }
        assert!(is_in_memory(0, slice.length).unwrap());
        assert!(is_in_memory(5, 0).unwrap());
        let beyond = is_in_memory(0, slice.length + 1).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        if forget(&slice.file) {
            assert!(!is_in_memory(0, slice.length).unwrap());
            assert!(slice.read_now(0, 100).unwrap().is_none());
            slice.read(0, bytes_of(&slice)).unwrap();
            assert!(is_in_memory(0, slice.length).unwrap());
        }
    }

    fn bytes_of(slice: &FileSlice) -> usize {
        slice.length.try_into().unwrap()
    }
}

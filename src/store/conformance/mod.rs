//! What every store has to do, as one suite that all of them run. A mistake found in one of them adds a check here.

mod blobs;
mod records;

use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;

pub(super) use blobs::blobs;
pub(super) use records::records;

use super::content::{ContentReader, Opened, Piece};
use super::space::SpaceFloor;
use super::spool::{SpoolArea, VerifiedSpool};
use super::{BlobStore, Durability};
use crate::oci::{Algorithm, ContentRange, Digest, Measurer};
use crate::runtime::{Clock, Tasks};

/// Makes a place for the spools of a test.
pub(super) fn spools(folder: &Path, tasks: Tasks) -> SpoolArea {
    SpoolArea::open(folder, SpaceFloor::new(0), tasks, Clock::system()).unwrap()
}

/// Spools some bytes.
pub(super) async fn spool(spools: &SpoolArea, algorithm: Algorithm, bytes: &[u8]) -> VerifiedSpool {
    let content = Measurer::measure(algorithm, bytes);
    let written = spools.write(content, Bytes::copy_from_slice(bytes)).await;
    written.unwrap()
}

/// Makes some bytes a blob and returns its digest.
pub(super) async fn keep(store: &dyn BlobStore, spools: &SpoolArea, bytes: &[u8]) -> Digest {
    let spool = spool(spools, Algorithm::Sha256, bytes).await;
    let digest = spool.content().digest();
    store.adopt(spool, Durability::Eventual).await.unwrap();
    digest
}

/// Reads a content to its end.
pub(super) async fn read(reader: ContentReader) -> Vec<u8> {
    let pieces: Vec<Piece> = reader.try_collect().await.unwrap();
    let mut content = Vec::new();
    for piece in pieces {
        let length = piece.length();
        let before = content.len() as u64;
        match piece {
            Piece::Bytes(bytes) => content.extend(bytes),
            Piece::File(slice) => {
                let mut bytes = vec![0; usize::try_from(slice.length).unwrap()];
                let read = slice.file.read_exact_at(&mut bytes, slice.offset);
                read.unwrap();
                content.extend(bytes);
            }
        }
        assert_eq!(content.len() as u64 - before, length);
    }
    content
}

/// Reads a whole blob, `None` when it is not kept.
pub(super) async fn whole(store: &dyn BlobStore, digest: &Digest) -> Option<Vec<u8>> {
    let blob = store.open(digest, None).await.unwrap()?;
    let Opened::Range(range, reader) = blob.opened else {
        panic!("the whole of a blob is always there");
    };
    assert_eq!(range, ContentRange::whole(blob.total));
    let bytes = read(reader).await;
    assert_eq!(bytes.len() as u64, blob.total);
    Some(bytes)
}

//! What is kept: immutable content by digest, and small values by key.
//!
//! Two traits, because the two kinds of data want different things: content is large, never changes and can be fetched
//! again; records are small, change, and are compared when they do. Nothing here knows why something is kept.

mod blocking;
#[cfg(test)]
mod conformance;
pub mod content;
pub mod disk;
pub mod error;
pub mod faulty;
pub mod lease;
pub mod memory;
pub mod records;
pub mod space;
pub mod spool;

use std::fmt::Debug;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

pub use content::{ContentReader, FileSlice, OpenBlob, Opened, Piece, StoredBlob};
pub use disk::DiskStore;
pub use error::StoreError;
pub use lease::LeaseTable;
pub use records::{Change, Edit, Expect, Record, RecordKey, Version};
pub use space::{Space, SpaceFloor};
pub use spool::{Intervals, Spool, SpoolArea, VerifiedSpool};

use crate::oci::{ByteRange, Digest};

/// When a change has to survive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Durable,
    /// Some time later: what is lost can be fetched again.
    Eventual,
}

/// Keeps blobs: content that never changes, found by its digest.
#[async_trait]
pub trait BlobStore: Debug + Send + Sync + 'static {
    /// Opens a range of a blob, all of it for `None`. Returns `None` when the blob is not kept.
    ///
    /// What comes out is what the digest names, or was when it came in; a store that finds out otherwise does not have
    /// the blob.
    async fn open(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<OpenBlob>, StoreError>;

    /// Returns the size of a blob, `None` when it is not kept.
    async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// Makes a verified spool a blob, visible on return. When the blob is there already, the spool is thrown away.
    ///
    /// A blob is there as a whole or not at all, whatever happens meanwhile. Dropping the future does not undo what was
    /// begun.
    async fn adopt(&self, spool: VerifiedSpool, durability: Durability) -> Result<(), StoreError>;

    /// Removes a blob; fine when it is not there. Readers that have it open go on.
    async fn remove(&self, digest: &Digest) -> Result<(), StoreError>;

    /// Returns all blobs, in no certain order. What is adopted or removed meanwhile may or may not be among them.
    fn list(&self) -> BoxStream<'static, Result<StoredBlob, StoreError>>;
}

/// Keeps records.
#[async_trait]
pub trait RecordStore: Debug + Send + Sync + 'static {
    /// Returns the record at a key, `None` when there is none.
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// Makes all changes or none, in one transaction where the store has them and in the order given where it has not.
    ///
    /// Dropping the future does not undo what was begun.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an expectation does not hold; nothing is changed then.
    async fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<(), StoreError>;

    /// Returns the keys that begin with `prefix`, in order, those after `after` only.
    fn list(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
    ) -> BoxStream<'static, Result<RecordKey, StoreError>>;
}

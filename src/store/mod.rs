//! What is kept: immutable content by digest, and small values by key.
//!
//! Two traits, because the two kinds of data want different things: content is large, never changes and can be fetched
//! again; records are small, change, and are compared when they do. Nothing here knows why something is kept.

pub mod content;
pub mod error;
pub mod records;

use std::fmt::Debug;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

pub use content::{ContentReader, FileSlice, OpenBlob, Opened, Piece, StoredBlob};
pub use error::StoreError;
pub use records::{Change, Edit, Expect, Record, RecordKey, Version};

use crate::oci::{ByteRange, Digest};

/// When a change has to survive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Durable,
    /// Some time later: what is lost can be fetched again.
    Eventual,
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

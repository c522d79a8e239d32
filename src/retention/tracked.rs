//! The store of blobs, with a note taken of what is used.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::usage::Usage;
use crate::oci::{ByteRange, Digest};
use crate::store::{BlobStore, Durability, OpenBlob, StoreError, StoredBlob, VerifiedSpool};
use crate::telemetry::with_causes;

/// A store of blobs that tells what is used, what comes and what goes.
#[derive(Clone, Debug)]
pub struct TrackedBlobs {
    store: Arc<dyn BlobStore>,
    usage: Arc<Usage>,
}

impl TrackedBlobs {
    /// Stands before a store.
    pub fn new(store: Arc<dyn BlobStore>, usage: Arc<Usage>) -> Self {
        Self { store, usage }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for TrackedBlobs {
    async fn open(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<OpenBlob>, StoreError> {
        let opened = self.store.open(digest, range).await?;
        if let Some(blob) = &opened {
            self.usage.used(*digest, blob.total);
        }
        Ok(opened)
    }

    /// Looking is no use.
    async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.store.size(digest).await
    }

    async fn adopt(&self, spool: VerifiedSpool, durability: Durability) -> Result<(), StoreError> {
        let content = spool.content();
        self.store.adopt(spool, durability).await?;
        self.usage.arrived(content.digest(), content.size());
        Ok(())
    }

    async fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        self.store.remove(digest).await?;
        if let Err(error) = self.usage.left(digest).await {
            // It is gone all the same, and that is noticed when all blobs are looked at.
            tracing::debug!(
                error = with_causes(&error),
                "could not write down that a blob is gone"
            );
        }
        Ok(())
    }

    fn list(&self) -> BoxStream<'static, Result<StoredBlob, StoreError>> {
        self.store.list()
    }
}

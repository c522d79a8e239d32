//! Records of one type, in memory in front of the store: a warm request reads no disk.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use moka::future::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Change, Durability, RecordKey, RecordStore, StoreError};

/// Records of type `T`, as JSON in the store.
///
/// The cache may lose its records at any time, so that they are written with [`Durability::Eventual`], and one that
/// cannot be read is treated as not there.
pub struct Remembered<T> {
    records: Arc<dyn RecordStore>,
    memory: Cache<RecordKey, Option<Arc<T>>>,
    kind: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Remembered<T> {
    /// Keeps at most this many records in memory.
    pub fn new(records: Arc<dyn RecordStore>, capacity: u64) -> Self {
        Self {
            records,
            memory: Cache::new(capacity),
            kind: PhantomData,
        }
    }

    /// Returns the record at a key.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be asked.
    pub async fn read(&self, key: &RecordKey) -> Result<Option<Arc<T>>, StoreError> {
        if let Some(found) = self.memory.get(key).await {
            return Ok(found);
        }
        let record = self.records.read(key).await?;
        let value = record.and_then(|record| match serde_json::from_slice(&record.value) {
            Ok(value) => Some(Arc::new(value)),
            Err(error) => {
                tracing::warn!(record.key = %key, %error, "a record of the cache cannot be read and is passed over");
                None
            }
        });
        // A write that came in between wins: it is newer than what was read.
        let entry = self.memory.entry_by_ref(key).or_insert(value).await;
        Ok(entry.into_value())
    }

    /// Sets the record at a key, for all readers from now on.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written down; it is in memory all the same.
    pub async fn write(&self, key: RecordKey, value: T) -> Result<Arc<T>, StoreError> {
        let json =
            serde_json::to_vec(&value).expect("records hold nothing that JSON does not have");
        let value = Arc::new(value);
        self.memory.insert(key.clone(), Some(value.clone())).await;
        self.records
            .commit(vec![Change::put(key, json)], Durability::Eventual)
            .await?;
        Ok(value)
    }

    /// Sets the record at a key in memory alone, until there is no more room for it.
    pub async fn hold(&self, key: RecordKey, value: T) {
        self.memory.insert(key, Some(Arc::new(value))).await;
    }

    /// Removes the record at a key.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not remove it; it is gone from memory all the same.
    pub async fn remove(&self, key: RecordKey) -> Result<(), StoreError> {
        self.memory.insert(key.clone(), None).await;
        self.records
            .commit(vec![Change::remove(key)], Durability::Eventual)
            .await
    }
}

impl<T> fmt::Debug for Remembered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

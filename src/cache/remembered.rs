//! Records of one type, in memory in front of the store: a warm request reads no disk.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use moka::future::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::Tasks;
use crate::store::{Change, Durability, RecordKey, RecordStore, StoreError};

/// Records of type `T`, as JSON in the store.
///
/// The cache may lose its records at any time, so that they are written with [`Durability::Eventual`], and one that
/// cannot be read is treated as not there.
pub struct Remembered<T> {
    records: Arc<dyn RecordStore>,
    memory: Cache<RecordKey, Held<T>>,
    /// Where JSON is read and written when records may be large: what takes long does not do so between two requests.
    pool: Option<Tasks>,
}

/// A record in memory, or that there is none.
struct Held<T> {
    value: Option<Arc<T>>,
    /// Its size in the store, in bytes.
    size: usize,
}

/// How many bytes in memory a byte of JSON stands for: short texts have more beside them than in them.
pub(super) const EXPANSION: usize = 4;

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Remembered<T> {
    /// Keeps at most this many records in memory.
    pub fn new(records: Arc<dyn RecordStore>, capacity: u64) -> Self {
        Self {
            records,
            memory: Cache::new(capacity),
            pool: None,
        }
    }

    /// Keeps records in memory that take at most about this many bytes, however large each one is: a quarter of it in the
    /// store. One that alone takes more is read from the store each time.
    pub fn in_bytes(records: Arc<dyn RecordStore>, tasks: Tasks, capacity: u64) -> Self {
        let weigh = |key: &RecordKey, held: &Held<T>| {
            let bytes = key.as_str().len() + size_of::<T>() + held.size.saturating_mul(EXPANSION);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            records,
            memory: Cache::builder()
                .max_capacity(capacity)
                .weigher(weigh)
                .build(),
            pool: Some(tasks),
        }
    }

    /// Returns the record at a key.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be asked.
    pub async fn read(&self, key: &RecordKey) -> Result<Option<Arc<T>>, StoreError> {
        if let Some(found) = self.memory.get(key).await {
            return Ok(found.value);
        }
        let record = self.records.read(key).await?;
        let size = record.as_ref().map_or(0, |record| record.value.len());
        let value = match record {
            Some(record) => self.parse(key, record.value).await,
            None => None,
        };
        // A write that came in between wins: it is newer than what was read.
        let read = Held { value, size };
        let entry = self.memory.entry_by_ref(key).or_insert(read).await;
        Ok(entry.into_value().value)
    }

    /// Sets the record at a key, for all readers from now on.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written down; it is in memory all the same.
    pub async fn write(&self, key: RecordKey, value: T) -> Result<Arc<T>, StoreError> {
        let value = Arc::new(value);
        let json = self.json(&value).await;
        self.memory
            .insert(key.clone(), Held::of(value.clone(), json.len()))
            .await;
        self.records
            .commit(vec![Change::put(key, json)], Durability::Eventual)
            .await?;
        Ok(value)
    }

    /// Sets the record at a key in memory alone, until there is no more room for it.
    pub async fn hold(&self, key: RecordKey, value: T) {
        let value = Arc::new(value);
        let size = self.json(&value).await.len();
        self.memory.insert(key, Held::of(value, size)).await;
    }

    /// Removes the record at a key.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not remove it; it is gone from memory all the same.
    pub async fn remove(&self, key: RecordKey) -> Result<(), StoreError> {
        self.memory.insert(key.clone(), Held::default()).await;
        self.records
            .commit(vec![Change::remove(key)], Durability::Eventual)
            .await
    }

    async fn parse(&self, key: &RecordKey, json: Bytes) -> Option<Arc<T>> {
        let parse = move || serde_json::from_slice(&json).map(Arc::new);
        let parsed = match &self.pool {
            // A task that did not come to its end says nothing of the record.
            Some(tasks) => tasks.spawn_blocking(parse).await.ok()?,
            None => parse(),
        };
        parsed
            .inspect_err(|error| {
                tracing::warn!(record.key = %key, %error, "a record of the cache cannot be read and is passed over");
            })
            .ok()
    }

    async fn json(&self, value: &Arc<T>) -> Vec<u8> {
        let written = match &self.pool {
            Some(tasks) => {
                let value = value.clone();
                tasks.spawn_blocking(move || json(&*value)).await.ok()
            }
            None => None,
        };
        written.unwrap_or_else(|| json(&**value))
    }
}

impl<T> Held<T> {
    fn of(value: Arc<T>, size: usize) -> Self {
        let value = Some(value);
        Self { value, size }
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self {
            value: None,
            size: 0,
        }
    }
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            size: self.size,
        }
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records hold nothing that JSON does not have")
}

impl<T> fmt::Debug for Remembered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryRecords;

    #[tokio::test]
    async fn large_records_leave_memory_for_one_another_and_stay_in_the_store() {
        let capacity = 64 * 1024;
        let records = Remembered::in_bytes(Arc::new(MemoryRecords::new()), Tasks::new(), capacity);
        let key = |number: u32| RecordKey::new(&["list", &number.to_string()]);
        let value = "x".repeat(8 * 1024);
        for number in 0..10 {
            records.write(key(number), value.clone()).await.unwrap();
        }
        records.memory.run_pending_tasks().await;
        assert!(records.memory.weighted_size() <= capacity);
        assert!((1..=2).contains(&records.memory.entry_count()));
        for number in 0..10 {
            let found = records.read(&key(number)).await.unwrap();
            assert_eq!(found.as_deref(), Some(&value), "{number}");
        }
    }
}

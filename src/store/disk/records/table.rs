//! Records in a redb database: the transactions, and nothing of when they happen. Everything here is blocking.

use std::ops::Bound;

use bytes::Bytes;
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    TableError, WriteTransaction,
};

use crate::store::Durability;
use crate::store::records::{Change, Edit, Expect, Record, RecordKey, Version};

/// Version and value of each record.
const RECORDS: TableDefinition<'static, &str, (u64, &[u8])> = TableDefinition::new("records");

/// Numbers of the whole file.
const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("counters");

/// The counter of versions: the last that was given to any record.
const LAST_VERSION: &str = "last version";

/// Makes the tables of a new file, and returns the last version that was given to a record.
pub(super) fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(COUNTERS) {
        Ok(counters) => {
            transaction.open_table(RECORDS)?;
            Ok(counters.get(LAST_VERSION)?.map_or(0, |last| last.value()))
        }
        Err(TableError::TableDoesNotExist(_)) => {
            let transaction = begin(database, Durability::Durable)?;
            transaction.open_table(RECORDS)?;
            transaction.open_table(COUNTERS)?.insert(LAST_VERSION, 0)?;
            transaction.commit()?;
            Ok(0)
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells whether there is no record.
pub(super) fn is_empty(database: &Database) -> Result<bool, redb::Error> {
    Ok(database.begin_read()?.open_table(RECORDS)?.is_empty()?)
}

/// Returns one record.
pub(super) fn read(database: &Database, key: &RecordKey) -> Result<Option<Record>, redb::Error> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    let found = records.get(key.as_str())?;
    Ok(found.map(|found| {
        let (version, value) = found.value();
        Record {
            version: Version(version),
            value: Bytes::copy_from_slice(value),
        }
    }))
}

/// Returns the first keys that begin with a prefix and come after another key.
pub(super) fn keys(
    database: &Database,
    prefix: &RecordKey,
    after: Option<&RecordKey>,
    limit: usize,
) -> Result<Vec<RecordKey>, redb::Error> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.as_str()),
        Some(_) | None => Bound::Included(prefix.as_str()),
    };
    let mut keys = Vec::new();
    for entry in records
        .range::<&str>((start, Bound::Unbounded))?
        .take(limit)
    {
        let (key, _) = entry?;
        if !key.value().starts_with(prefix.as_str()) {
            break;
        }
        keys.push(RecordKey::stored(key.value()));
    }
    Ok(keys)
}

/// Makes several commits in one transaction. One whose expectations do not hold changes nothing and gives the key.
///
/// New versions are counted from `last`, which is the last given one afterwards.
pub(super) fn commit<'a>(
    database: &Database,
    commits: impl Iterator<Item = &'a [Change]>,
    durability: Durability,
    last: &mut u64,
) -> Result<Vec<Option<RecordKey>>, redb::Error> {
    let transaction = begin(database, durability)?;
    let mut conflicts = Vec::new();
    {
        let mut records = transaction.open_table(RECORDS)?;
        for changes in commits {
            let conflict = conflict(&records, changes)?;
            if conflict.is_none() {
                for change in changes {
                    make(&mut records, change, last)?;
                }
            }
            conflicts.push(conflict);
        }
    }
    transaction
        .open_table(COUNTERS)?
        .insert(LAST_VERSION, *last)?;
    transaction.commit()?;
    Ok(conflicts)
}

/// Makes all earlier commits durable.
pub(super) fn sync(database: &Database) -> Result<(), redb::Error> {
    Ok(begin(database, Durability::Durable)?.commit()?)
}

fn begin(database: &Database, durability: Durability) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    // Opening after a crash takes seconds for millions of records without it.
    transaction.set_quick_repair(true);
    transaction.set_durability(match durability {
        Durability::Durable => redb::Durability::Immediate,
        Durability::Eventual => redb::Durability::None,
    })?;
    Ok(transaction)
}

type Records<'a> = Table<'a, &'static str, (u64, &'static [u8])>;

fn conflict(records: &Records<'_>, changes: &[Change]) -> Result<Option<RecordKey>, redb::Error> {
    for change in changes {
        let is_as_expected = match change.expect {
            Expect::Anything => true,
            Expect::Absent => records.get(change.key.as_str())?.is_none(),
            Expect::Unchanged(Version(expected)) => records
                .get(change.key.as_str())?
                .is_some_and(|found| found.value().0 == expected),
        };
        if !is_as_expected {
            return Ok(Some(change.key.clone()));
        }
    }
    Ok(None)
}

fn make(records: &mut Records<'_>, change: &Change, last: &mut u64) -> Result<(), redb::Error> {
    match &change.edit {
        Edit::Put(value) => {
            *last += 1;
            records.insert(change.key.as_str(), (*last, &value[..]))?;
        }
        Edit::Remove => {
            records.remove(change.key.as_str())?;
        }
    }
    Ok(())
}

//! Records: small values that change, found by ordered keys.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Where a record is. Keys are texts whose parts are separated by a character that no part has, ordered bytewise.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(Arc<str>);

impl RecordKey {
    /// Stands between the parts of a key: no name, tag, digest or host has it.
    const SEPARATOR: &str = "\u{1f}";

    /// Builds the key of one record from its parts.
    pub fn new(parts: &[&str]) -> Self {
        Self(parts.join(Self::SEPARATOR).into())
    }

    /// Builds the prefix that all keys with these first parts share.
    pub fn prefix(parts: &[&str]) -> Self {
        let mut text = parts.join(Self::SEPARATOR);
        text.push_str(Self::SEPARATOR);
        Self(text.into())
    }

    /// Returns the parts again.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(Self::SEPARATOR)
    }

    /// Returns the key as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a key as it is stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace(Self::SEPARATOR, " "))
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tells one state of a record from another. It never comes back for the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which state of the record this is.
    pub version: Version,
    /// Its value.
    pub value: Bytes,
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// What it has to be before.
    pub expect: Expect,
    /// What it is afterwards.
    pub edit: Edit,
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Sets the value.
    Put(Bytes),
    /// Takes the record away; fine when it is not there.
    Remove,
}

/// What a record has to be for a change to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever it is.
    Anything,
    /// Not there.
    Absent,
    /// As it was read.
    Unchanged(Version),
}

impl Change {
    /// Sets a record, whatever it was.
    pub fn put(key: RecordKey, value: impl Into<Bytes>) -> Self {
        Self {
            key,
            expect: Expect::Anything,
            edit: Edit::Put(value.into()),
        }
    }

    /// Removes a record, whatever it was.
    pub fn remove(key: RecordKey) -> Self {
        Self {
            key,
            expect: Expect::Anything,
            edit: Edit::Remove,
        }
    }

    /// Makes the change depend on what the record is.
    pub fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }
}

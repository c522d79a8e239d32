//! Lists of which some entries make no sense: the others are read one by one, and nothing is made of the rest. What a
//! registry sends takes no more room than what is kept of it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::oci::{Referrer, Tag};

/// The entries of a list that could be read.
#[derive(Debug)]
pub(super) struct Sifted<T> {
    /// These, in order.
    pub(super) kept: Vec<T>,
    /// How many others there were.
    pub(super) passed: usize,
}

/// An entry of a list.
pub(super) trait Entry: Sized {
    /// Reads one, `None` when it is something else.
    fn read(raw: &RawValue) -> Option<Self>;
}

impl Entry for Tag {
    fn read(raw: &RawValue) -> Option<Self> {
        let text: String = serde_json::from_str(raw.get()).ok()?;
        text.parse().ok()
    }
}

impl Entry for Referrer {
    fn read(raw: &RawValue) -> Option<Self> {
        raw.to_owned().try_into().ok()
    }
}

impl<T> Default for Sifted<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            passed: 0,
        }
    }
}

impl<'de, T: Entry> Deserialize<'de> for Sifted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Sieve(PhantomData))
    }
}

struct Sieve<T>(PhantomData<T>);

impl<'de, T: Entry> Visitor<'de> for Sieve<T> {
    type Value = Sifted<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Sifted<T>, A::Error> {
        let mut sifted = Sifted::default();
        while let Some(raw) = entries.next_element::<&'de RawValue>()? {
            match T::read(raw) {
                Some(entry) => sifted.kept.push(entry),
                None => sifted.passed += 1,
            }
        }
        Ok(sifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_leaves_nothing() {
        let text = r#"[null,"2",{"a":[{}]},7,"\u0031",["1"],"a/b"]"#;
        let list: Sifted<Tag> = serde_json::from_str(text).unwrap();
        let tags: Vec<&str> = list.kept.iter().map(Tag::as_str).collect();
        assert_eq!((tags, list.passed), (vec!["2", "1"], 5));
        let list: Sifted<Referrer> = serde_json::from_str("[{},null,7]").unwrap();
        assert_eq!((list.kept.len(), list.passed), (0, 3));
        for text in ["{}", "7", r#"["1"#, r#"["1",]"#] {
            assert!(serde_json::from_str::<Sifted<Tag>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn however_deep_an_entry_is_it_is_passed_over() {
        let deep = format!("[{}{},\"1\"]", "[".repeat(100_000), "]".repeat(100_000));
        let list: Sifted<Tag> = serde_json::from_str(&deep).unwrap();
        assert_eq!((list.kept.len(), list.passed), (1, 1));
    }
}

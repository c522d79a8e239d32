//! What a manifest is asked by: a tag or a digest (distribution-spec, "Pulling manifests", `<reference>`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::digest::{Digest, DigestError};

/// A name that its owner may move from one manifest to another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Returns the tag as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag under which clients list what refers to a manifest where its registry does not do it
    /// (distribution-spec, "Referrers Tag Schema").
    pub fn of_referrers(subject: &Digest) -> Self {
        /// How much of the digits goes into the tag.
        const DIGITS: usize = 64;
        let mut digits = subject.hex();
        digits.truncate(DIGITS);
        Self(format!("{}-{digits}", subject.algorithm()).into())
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let is_later = |b: u8| is_first(b) || b == b'.' || b == b'-';
        let bytes = text.as_bytes();
        match bytes.first() {
            None => Err(TagError::Empty),
            Some(_) if bytes.len() > Self::MAX_LENGTH => {
                Err(TagError::TooLong { found: bytes.len() })
            }
            Some(first) if !is_first(*first) => Err(TagError::Grammar),
            Some(_) if !bytes.iter().copied().all(is_later) => Err(TagError::Grammar),
            Some(_) => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a tag.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TagError {
    /// There is no tag.
    #[error("the tag is empty")]
    Empty,
    /// Longer than [`Tag::MAX_LENGTH`].
    #[error("the tag has {found} bytes, more than {}", Tag::MAX_LENGTH)]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A character that tags do not have.
    #[error("a tag has letters, digits, '_', '.' and '-' only, and does not start with '.' or '-'")]
    Grammar,
}

/// How a manifest is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// By a name that can move.
    Tag(Tag),
    /// By content: always the same bytes.
    Digest(Digest),
}

impl Reference {
    /// Returns the tag, when this is one.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReferenceError {
    /// It has a colon, as only digests do, and is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// A colon decides: no tag has one, every digest does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_of_tags() {
        for good in [
            "latest",
            "3.20",
            "_x",
            "V1.2.3-rc.1",
            "sha256-abc.sig",
            &"t".repeat(128),
        ] {
            assert_eq!(good.parse::<Tag>().unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("", TagError::Empty),
            (".a", TagError::Grammar),
            ("-a", TagError::Grammar),
            ("a/b", TagError::Grammar),
            ("a b", TagError::Grammar),
            ("a+b", TagError::Grammar),
            ("ä", TagError::Grammar),
            (&"t".repeat(129), TagError::TooLong { found: 129 }),
        ] {
            assert_eq!(bad.parse::<Tag>(), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn a_colon_makes_it_a_digest() {
        let digest = format!("sha256:{}", "b".repeat(64));
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        assert!(matches!("3.20".parse(), Ok(Reference::Tag(_))));
        assert!(matches!(
            "sha256:beef".parse::<Reference>(),
            Err(ReferenceError::Digest(_))
        ));
        assert!(matches!(
            "..".parse::<Reference>(),
            Err(ReferenceError::Tag(_))
        ));
    }

    proptest! {
        #[test]
        fn references_survive_printing(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}

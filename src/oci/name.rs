//! Repository names (distribution-spec, "Pulling manifests", `<name>`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The name of a repository within one registry, such as `library/alpine`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The longest name that is taken, in bytes. The specification asks clients to keep host and name within 255.
    pub const MAX_LENGTH: usize = 255;

    /// Returns the name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the name has one component only, as `alpine` and unlike `library/alpine`.
    pub fn is_single_component(&self) -> bool {
        !self.0.contains('/')
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong { found: text.len() });
        }
        match text.split('/').find(|component| !is_component(component)) {
            Some(component) => Err(NameError::Component(component.escape_default().to_string())),
            None => Ok(Self(text.into())),
        }
    }
}

/// Tells whether a text is `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well = |b: Option<&u8>| b.is_some_and(|b| is_alphanumeric(*b));
    if !ends_well(bytes.first()) || !ends_well(bytes.last()) {
        return false;
    }
    bytes
        .split(|b| is_alphanumeric(*b))
        .filter(|run| !run.is_empty())
        .all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-'))
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a repository name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// There is no name.
    #[error("the repository name is empty")]
    Empty,
    /// Longer than [`RepositoryName::MAX_LENGTH`].
    #[error(
        "the repository name has {found} bytes, more than {}",
        RepositoryName::MAX_LENGTH
    )]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A part between slashes breaks the grammar.
    #[error(
        "'{0}' is no component of a repository name: lower-case letters and digits, separated by one '.', \
         one or two '_', or any number of '-'"
    )]
    Component(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_of_names() {
        for good in [
            "a",
            "alpine",
            "library/alpine",
            "a.b/c_d/e__f/g-h/i---j",
            "0/1/2",
            "manifests",
            "x/blobs/uploads",
            "tags/list",
        ] {
            assert_eq!(good.parse::<RepositoryName>().unwrap().as_str(), good);
        }
        for bad in [
            "/", "a/", "/a", "a//b", ".", "..", "a/../b", "-a", "a-", "_a", "a_", ".a", "a.",
            "a..b", "a___b", "a._b", "a.-b", "A", "a/B", "a b", "a\0", "a%2fb", "é", "a:b", "a@b",
            "_catalog",
        ] {
            assert!(
                matches!(bad.parse::<RepositoryName>(), Err(NameError::Component(_))),
                "{bad:?}"
            );
        }
        assert_eq!("".parse::<RepositoryName>(), Err(NameError::Empty));
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!(
            "a".repeat(256).parse::<RepositoryName>(),
            Err(NameError::TooLong { found: 256 })
        );
    }

    proptest! {
        #[test]
        fn names_of_the_grammar_are_taken(
            name in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}){0,4}"
        ) {
            prop_assert!(name.parse::<RepositoryName>().is_ok());
        }

        #[test]
        fn a_name_never_leaves_its_folder(text in "\\PC{0,40}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert!(name.as_str().split('/').all(|c| !c.is_empty() && c != "." && c != ".."));
            }
        }
    }
}

//! Which repositories a rule is for: globs over their names.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::name::RepositoryName;

/// A glob over the names of repositories: `*` stands for anything within one part of a name, `**` for any parts.
///
/// `team-a/**` is everything below `team-a`, `**` is everything.
#[derive(Clone, Debug)]
pub struct RepositoryPattern {
    text: String,
    matcher: GlobMatcher,
}

/// Why a text is no pattern of repositories.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RepositoryPatternError {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is longer than names are.
    #[error("is longer than {} characters", RepositoryName::MAX_LENGTH)]
    TooLong,
    /// It has a character that no name has.
    #[error("has '{}', which no repository has", .0.escape_default())]
    Character(char),
    /// It begins or ends with '/', or has two of them in a row.
    #[error("has an empty part")]
    EmptyPart,
    /// It is no glob.
    #[error("is no glob: {0}")]
    Glob(String),
}

impl RepositoryPattern {
    /// Returns the pattern that all repositories match.
    pub fn all() -> Self {
        "**".parse().expect("'**' is a pattern")
    }

    /// Returns whether the rule is for this repository.
    pub fn matches(&self, repository: &RepositoryName) -> bool {
        self.matcher.is_match(repository.as_str())
    }

    /// Returns whether all repositories that match another pattern match this one, where the texts show it: the same
    /// pattern, one for everything, or one for everything below what the other begins with.
    pub fn plainly_covers(&self, other: &Self) -> bool {
        let is_below = |above: &str| {
            let rest = other.text.strip_prefix(above);
            !above.ends_with("**") && rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let above = self.text.strip_suffix("/**");
        self == other || self.text == "**" || above.is_some_and(is_below)
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for RepositoryPattern {
    type Err = RepositoryPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(RepositoryPatternError::Empty);
        }
        if text.len() > RepositoryName::MAX_LENGTH {
            return Err(RepositoryPatternError::TooLong);
        }
        let is_known =
            |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/*".contains(*c);
        if let Some(unknown) = text.chars().find(|c| !is_known(c)) {
            return Err(RepositoryPatternError::Character(unknown));
        }
        if text.split('/').any(str::is_empty) {
            return Err(RepositoryPatternError::EmptyPart);
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|error| RepositoryPatternError::Glob(error.kind().to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
        })
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for RepositoryPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RepositoryPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_repositories_match() {
        for (pattern, repository, matches) in [
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("team-a/**", "team-a/app", true),
            ("team-a/**", "team-a/x/app", true),
            ("team-a/**", "team-a", false),
            ("team-a/**", "team-ab/app", false),
            ("team-*/app", "team-a/app", true),
            ("team-*/app", "team-a/x/app", false),
            ("**/app", "x/y/app", true),
            ("**/app", "app", true),
            ("a.b", "a.b", true),
            ("a.b", "axb", false),
        ] {
            let parsed: RepositoryPattern = pattern.parse().unwrap();
            let found = parsed.matches(&repository.parse().unwrap());
            assert_eq!(found, matches, "{pattern} {repository}");
        }
    }

    #[test]
    fn which_patterns_plainly_cover_others() {
        for (pattern, other, covers) in [
            ("**", "a/b", true),
            ("**", "**", true),
            ("a/*", "a/*", true),
            ("a/**", "a/b/**", true),
            ("a/**", "a/b", true),
            ("a-*/**", "a-*/b", true),
            ("a/**", "a", false),
            ("a/**", "ab/c", false),
            ("a/**", "**", false),
            ("a/b/**", "a/**", false),
            ("a/*", "a/b/c", false),
            ("*", "a/b", false),
        ] {
            let parsed: RepositoryPattern = pattern.parse().unwrap();
            let found = parsed.plainly_covers(&other.parse().unwrap());
            assert_eq!(found, covers, "{pattern} {other}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        use RepositoryPatternError::{Character, Empty, EmptyPart, TooLong};
        for (text, error) in [
            ("", Empty),
            ("Team", Character('T')),
            ("a?", Character('?')),
            ("{a,b}", Character('{')),
            ("/a", EmptyPart),
            ("a//b", EmptyPart),
            ("a/", EmptyPart),
        ] {
            assert_eq!(text.parse::<RepositoryPattern>(), Err(error), "{text}");
        }
        let long = "a".repeat(RepositoryName::MAX_LENGTH + 1);
        assert_eq!(long.parse::<RepositoryPattern>(), Err(TooLong));
    }
}

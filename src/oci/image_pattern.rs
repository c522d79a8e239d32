//! Which tags of which repositories a rule is for: `repository:tag`, globs both.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::name::RepositoryName;
use super::reference::Tag;
use super::repository_pattern::{RepositoryPattern, RepositoryPatternError};

/// A glob over repositories and, behind a colon, one over their tags: `releases/*:v*`. Without a colon, all tags are
/// meant. `*` stops at `/`, which no tag has, and `**` does not.
#[derive(Clone, Debug)]
pub struct ImagePattern {
    repositories: RepositoryPattern,
    /// `None` for all tags.
    tags: Option<TagPattern>,
}

/// A glob over tags.
#[derive(Clone, Debug)]
struct TagPattern {
    text: String,
    matcher: GlobMatcher,
}

/// Why a text is no pattern of images.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImagePatternError {
    /// What is before the colon is no pattern of repositories.
    #[error("the repository {0}")]
    Repository(#[from] RepositoryPatternError),
    /// There is nothing behind the colon.
    #[error("the tag is empty: leave out the ':' for all tags")]
    NoTag,
    /// What is behind the colon is longer than tags are.
    #[error("the tag is longer than {} characters", Tag::MAX_LENGTH)]
    TagTooLong,
    /// What is behind the colon has a character that no tag has.
    #[error("the tag has '{}', which no tag has", .0.escape_default())]
    TagCharacter(char),
    /// What is behind the colon is no glob.
    #[error("the tag is no glob: {0}")]
    TagGlob(String),
}

impl ImagePattern {
    /// Returns whether the rule is for this tag of this repository.
    pub fn matches(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        let fits = |tags: &TagPattern| tags.matcher.is_match(tag.as_str());
        self.tags.as_ref().is_none_or(fits) && self.repositories.matches(repository)
    }

    /// Returns whether the rule is for all tags of this repository.
    pub fn matches_all_tags(&self, repository: &RepositoryName) -> bool {
        self.is_for_all_tags() && self.repositories.matches(repository)
    }

    /// Returns which repositories the rule is for, with some of their tags at least.
    pub fn repositories(&self) -> &RepositoryPattern {
        &self.repositories
    }

    /// Returns whether all tags that match another pattern match this one, where the texts show it: the same tags or
    /// all of them, of repositories that this one plainly covers.
    pub fn plainly_covers(&self, other: &Self) -> bool {
        let text = |pattern: &Self| pattern.tags.as_ref().map(|tags| tags.text.clone());
        (self.is_for_all_tags() || text(self) == text(other))
            && self.repositories.plainly_covers(&other.repositories)
    }

    fn is_for_all_tags(&self) -> bool {
        let is_all = |tags: &TagPattern| tags.text.bytes().all(|byte| byte == b'*');
        self.tags.as_ref().is_none_or(is_all)
    }
}

impl FromStr for ImagePattern {
    type Err = ImagePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (repositories, tags) = match text.split_once(':') {
            Some((repositories, tags)) => (repositories, Some(tags.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            repositories: repositories.parse()?,
            tags,
        })
    }
}

impl FromStr for TagPattern {
    type Err = ImagePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ImagePatternError::NoTag);
        }
        if text.len() > Tag::MAX_LENGTH {
            return Err(ImagePatternError::TagTooLong);
        }
        let is_known = |c: &char| c.is_ascii_alphanumeric() || "._-*".contains(*c);
        if let Some(unknown) = text.chars().find(|c| !is_known(c)) {
            return Err(ImagePatternError::TagCharacter(unknown));
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|error| ImagePatternError::TagGlob(error.kind().to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
        })
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tags {
            Some(tags) => write!(f, "{}:{}", self.repositories, tags.text),
            None => self.repositories.fmt(f),
        }
    }
}

impl PartialEq for ImagePattern {
    fn eq(&self, other: &Self) -> bool {
        let text = |pattern: &Self| pattern.tags.as_ref().map(|tags| tags.text.clone());
        self.repositories == other.repositories && text(self) == text(other)
    }
}

impl Eq for ImagePattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_images_match() {
        for (pattern, repository, tag, matches) in [
            ("releases/*:v*", "releases/app", "v1", true),
            ("releases/*:v*", "releases/app", "1", false),
            ("releases/*:v*", "releases/x/app", "v1", false),
            ("releases/**:v*", "releases/x/app", "v1", true),
            ("**:latest", "a/b", "latest", true),
            ("**:latest", "a/b", "latest-2", false),
            ("**:*-rc*", "a", "1.2-rc.1", true),
            ("library/alpine", "library/alpine", "3.20", true),
            ("**:**", "a/b", "x", true),
            ("a:1.2", "a", "1x2", false),
        ] {
            let parsed: ImagePattern = pattern.parse().unwrap();
            let (repository, tag) = (repository.parse().unwrap(), tag.parse().unwrap());
            let found = parsed.matches(&repository, &tag);
            assert_eq!(found, matches, "{pattern} {repository}:{tag}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn which_rules_are_for_a_whole_repository() {
        for (pattern, matches) in [
            ("a/*", true),
            ("a/*:*", true),
            ("a/*:v*", false),
            ("b", false),
        ] {
            let parsed: ImagePattern = pattern.parse().unwrap();
            let found = parsed.matches_all_tags(&"a/app".parse().unwrap());
            assert_eq!(found, matches, "{pattern}");
        }
    }

    #[test]
    fn which_rules_take_in_others() {
        for (first, second, covers) in [
            ("a", "a", true),
            ("a:v*", "a:v*", true),
            ("a", "a:v*", true),
            ("a:*", "a", true),
            ("**", "a/b:v*", true),
            ("a/**", "a/b:v*", true),
            ("**:v*", "a:v*", true),
            ("a:v*", "a", false),
            ("a:v*", "a:w*", false),
            ("a/**:v*", "b:v*", false),
        ] {
            let [one, other] = [first, second].map(|text| text.parse::<ImagePattern>().unwrap());
            assert_eq!(one.plainly_covers(&other), covers, "{first} {second}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        use ImagePatternError::{NoTag, Repository, TagCharacter, TagTooLong};
        for (text, error) in [
            ("", Repository(RepositoryPatternError::Empty)),
            (":v1", Repository(RepositoryPatternError::Empty)),
            ("a:", NoTag),
            ("a:b:c", TagCharacter(':')),
            ("a:{x,y}", TagCharacter('{')),
            ("a:x/y", TagCharacter('/')),
        ] {
            assert_eq!(text.parse::<ImagePattern>(), Err(error), "{text}");
        }
        let long = format!("a:{}", "v".repeat(129));
        assert_eq!(long.parse::<ImagePattern>(), Err(TagTooLong));
    }
}

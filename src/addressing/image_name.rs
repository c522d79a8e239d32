//! The name of an image as people write it: `NAME[:TAG][@DIGEST]`, as behind `docker pull` and larder's address.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::oci::{Digest, DigestError, Reference, Tag, TagError};

/// A name that has not been led anywhere yet, and what is meant of the repository there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The registry, if one is named, and the repository.
    pub name: String,
    /// The tag, if one is written.
    pub tag: Option<Tag>,
    /// The digest, if one is written.
    pub digest: Option<Digest>,
}

impl ImageName {
    /// The tag that is meant where neither tag nor digest is written.
    const DEFAULT_TAG: &str = "latest";

    /// Returns what to ask for: the digest counts before the tag.
    pub fn reference(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(*digest),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => {
                Reference::Tag(Self::DEFAULT_TAG.parse().expect("the default tag is a tag"))
            }
        }
    }
}

/// Why a text names no image.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImageNameError {
    /// It is a URL.
    #[error("write the name without what comes before '://'")]
    Url,
    /// There is nothing before the tag or digest.
    #[error("there is no name")]
    Empty,
    /// What is behind the colon is no tag.
    #[error("what is behind the ':' is no tag: {0}")]
    Tag(#[from] TagError),
    /// What is behind the '@' is no digest.
    #[error("what is behind the '@' is no digest: {0}")]
    Digest(#[from] DigestError),
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return Err(ImageNameError::Url);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port of the registry.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse()?)),
            _ => (rest, None),
        };
        if name.is_empty() {
            return Err(ImageNameError::Empty);
        }
        Ok(Self {
            name: name.to_owned(),
            tag,
            digest,
        })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_as_people_write_them() {
        let digest = format!("sha256:{}", "d".repeat(64));
        for (text, name, tag, has_digest, asked) in [
            ("alpine", "alpine", None, false, "latest"),
            ("alpine:3.20", "alpine", Some("3.20"), false, "3.20"),
            (
                "ghcr.io/org/app:v1",
                "ghcr.io/org/app",
                Some("v1"),
                false,
                "v1",
            ),
            (
                "localhost:5000/app",
                "localhost:5000/app",
                None,
                false,
                "latest",
            ),
            ("r.io:5000/a/b:1", "r.io:5000/a/b", Some("1"), false, "1"),
            (&format!("app@{digest}"), "app", None, true, &digest),
            (
                &format!("r.io:5000/app:1@{digest}"),
                "r.io:5000/app",
                Some("1"),
                true,
                &digest,
            ),
        ] {
            let image: ImageName = text.parse().unwrap();
            assert_eq!(image.name, name);
            assert_eq!(image.tag.as_ref().map(Tag::as_str), tag, "{text}");
            assert_eq!(image.digest.is_some(), has_digest, "{text}");
            assert_eq!(image.reference().to_string(), asked);
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_name_is_told() {
        for (text, told) in [
            ("", "there is no name"),
            (":1", "there is no name"),
            ("docker://alpine", "without what comes before '://'"),
            ("alpine:", "behind the ':' is no tag"),
            ("alpine:a b", "behind the ':' is no tag"),
            ("alpine@3.20", "behind the '@' is no digest"),
            ("alpine@sha256:77", "behind the '@' is no digest"),
        ] {
            let error = text.parse::<ImageName>().unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn names_survive_printing(text in "[a-z0-9.:/@_-]{0,40}") {
            if let Ok(image) = text.parse::<ImageName>() {
                prop_assert_eq!(image.to_string(), text);
            }
        }
    }
}

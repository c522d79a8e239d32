//! What kinds of manifest a client can read (distribution-spec, content-negotiation.md).
//!
//! Order and weights are ignored, as every registry does: clients send them in random order.

use serde::{Deserialize, Serialize};

use super::media_type::MediaType;

/// The media types that a request accepts, from all of its `Accept` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    types: Vec<MediaType>,
    takes_anything: bool,
}

/// Which of a tag's possible answers a client can read. A tag is remembered once per class, so that what was fetched for
/// an old client never reaches a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VariantClass {
    /// Reads indexes, and with them everything else.
    Index,
    /// Reads single manifests, no indexes.
    Manifest,
    /// Reads schema 1 only.
    Schema1,
}

impl VariantClass {
    /// Returns the name of the class in record keys, and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Schema1 => "schema1",
        }
    }
}

impl Accept {
    /// The most types that are remembered of one request; clients send 4 to 8.
    const MAX_TYPES: usize = 32;

    /// Reads all `Accept` lines of a request. What is not a media type is passed over.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut accept = Self::default();
        let mut is_empty = true;
        for item in lines.into_iter().flat_map(|line| line.split(',')) {
            let bare = item.split(';').next().unwrap_or_default().trim();
            if bare.is_empty() {
                continue;
            }
            is_empty = false;
            if bare == "*/*" || bare.eq_ignore_ascii_case("application/*") {
                accept.takes_anything = true;
            } else if let Some(kind) = MediaType::parse(bare)
                && accept.types.len() < Self::MAX_TYPES
            {
                accept.types.push(kind);
            }
        }
        accept.takes_anything |= is_empty;
        accept
    }

    /// Accepts everything, as a request without `Accept` does.
    pub fn anything() -> Self {
        Self {
            types: Vec::new(),
            takes_anything: true,
        }
    }

    /// Returns whether the client can read this type.
    pub fn takes(&self, kind: &MediaType) -> bool {
        self.takes_anything || self.types.contains(kind)
    }

    /// Returns the class of answers that fits this client.
    pub fn class(&self) -> VariantClass {
        if self.takes_anything || self.types.iter().any(MediaType::is_index) {
            VariantClass::Index
        } else if !self.types.is_empty() && self.types.iter().all(MediaType::is_schema1) {
            VariantClass::Schema1
        } else {
            VariantClass::Manifest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_real_clients() {
        let skopeo = [
            MediaType::OCI_MANIFEST,
            MediaType::DOCKER_MANIFEST,
            MediaType::DOCKER_SCHEMA1_SIGNED,
            MediaType::DOCKER_SCHEMA1,
            MediaType::DOCKER_LIST,
            MediaType::OCI_INDEX,
        ];
        let one_line = skopeo.join(", ");
        for lines in [skopeo.to_vec(), vec![one_line.as_str()]] {
            let accept = Accept::parse(lines);
            assert_eq!(accept.class(), VariantClass::Index);
            assert!(accept.takes(&MediaType::known(MediaType::OCI_MANIFEST)));
            assert!(!accept.takes(&MediaType::known(MediaType::OCI_ARTIFACT)));
        }
    }

    #[test]
    fn classes() {
        for (lines, class) in [
            (vec![], VariantClass::Index),
            (vec![""], VariantClass::Index),
            (vec!["*/*"], VariantClass::Index),
            (vec!["application/*;q=0.1"], VariantClass::Index),
            (vec![MediaType::DOCKER_MANIFEST, "*/*"], VariantClass::Index),
            (vec![MediaType::DOCKER_LIST], VariantClass::Index),
            (
                vec![MediaType::DOCKER_MANIFEST, MediaType::DOCKER_SCHEMA1],
                VariantClass::Manifest,
            ),
            (
                vec!["application/vnd.docker.distribution.manifest.v2+json;q=1.0"],
                VariantClass::Manifest,
            ),
            (
                vec![MediaType::DOCKER_SCHEMA1_SIGNED],
                VariantClass::Schema1,
            ),
            (vec!["garbage"], VariantClass::Manifest),
        ] {
            assert_eq!(
                Accept::parse(lines.iter().copied()).class(),
                class,
                "{lines:?}"
            );
        }
    }
}

//! Media types of manifests (image-spec, media-types.md). The set is open: any type is kept and served as it came.

use std::fmt;
use std::sync::Arc;

/// A media type in lower case and without parameters, such as `application/vnd.oci.image.index.v1+json`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// OCI image index: a list of manifests, mostly one a platform.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI artifact manifest, gone from the specification and still asked for by clients.
    pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// Docker's manifest list, the ancestor of the index.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's image manifest, schema 1, unsigned.
    pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
    /// Docker's image manifest, schema 1, signed.
    pub const DOCKER_SCHEMA1_SIGNED: &str =
        "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// Reads the value of a `Content-Type` or `mediaType`: parameters are dropped, letters made lower-case.
    ///
    /// Returns `None` when it is not of the form `type/subtype` with the characters of RFC 6838.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = bare.split_once('/')?;
        let is_name = |part: &str| {
            (1..=127).contains(&part.len())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        (is_name(kind) && is_name(subtype)).then(|| Self(bare.to_ascii_lowercase().into()))
    }

    /// Makes one of the constants of this type a value.
    pub fn known(constant: &'static str) -> Self {
        Self(constant.into())
    }

    /// Returns the type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is an index or a manifest list.
    pub fn is_index(&self) -> bool {
        matches!(&*self.0, Self::OCI_INDEX | Self::DOCKER_LIST)
    }

    /// Returns whether this is a manifest of one image, as it is written today.
    pub fn is_image(&self) -> bool {
        matches!(&*self.0, Self::OCI_MANIFEST | Self::DOCKER_MANIFEST)
    }

    /// Returns whether this is a schema 1 manifest.
    pub fn is_schema1(&self) -> bool {
        matches!(&*self.0, Self::DOCKER_SCHEMA1 | Self::DOCKER_SCHEMA1_SIGNED)
    }

    /// Returns whether registries send this type when they do not know better, so that the body has to tell.
    pub fn says_nothing(&self) -> bool {
        matches!(
            &*self.0,
            "text/plain" | "text/html" | "application/json" | "application/octet-stream"
        )
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl serde::Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for MediaType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a media type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_media_types() {
        for (text, parsed) in [
            (MediaType::OCI_INDEX, Some(MediaType::OCI_INDEX)),
            ("Application/JSON; charset=utf-8", Some("application/json")),
            (" text/plain ", Some("text/plain")),
            (
                "application/vnd.cncf.helm.config.v1+json",
                Some("application/vnd.cncf.helm.config.v1+json"),
            ),
            ("", None),
            ("json", None),
            ("a/", None),
            ("/b", None),
            ("a/b/c", None),
            ("a/b c", None),
            ("a/b\r\nX: y", None),
        ] {
            assert_eq!(
                MediaType::parse(text).as_ref().map(MediaType::as_str),
                parsed,
                "{text:?}"
            );
        }
    }
}

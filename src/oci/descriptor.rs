//! Descriptors: how manifests point at content (image-spec, descriptor.md).

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::media_type::MediaType;

/// A pointer to some content: what it is, its address and its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content; absent in some old lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The address of the content.
    pub digest: Digest,
    /// The size of the content, in bytes.
    pub size: u64,
    /// Which machines the content is for, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// The machines that a manifest is for (image-spec, image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, in Go's names.
    #[serde(default)]
    pub architecture: String,
    /// The operating system, in Go's names.
    #[serde(default)]
    pub os: String,
    /// A variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Returns whether this is linux/amd64, what registries hand to clients that cannot read an index.
    pub fn is_default(&self) -> bool {
        self.os == "linux" && self.architecture == "amd64"
    }
}

//! What is known of an image or artifact. As JSON it is what `larder inspect --output json` prints: its keys are a
//! promise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::oci::Referrer;
use crate::oci::{Descriptor, Digest, MediaType};

/// All that is known of what a tag or digest leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    pub(super) registry: String,
    pub(super) repository: String,
    /// `None` when the registry was asked anonymously.
    pub(super) login: Option<String>,
    /// `None` when it was asked for by digest.
    pub(super) tag: Option<String>,
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    pub(super) size_bytes: u64,
    pub(super) annotations: BTreeMap<String, String>,
    /// What an index lists.
    pub(super) platforms: Vec<Listed>,
    /// `None` for an empty index, and for kinds of manifests that are not known.
    pub(super) image: Option<Image>,
    /// `None` when they could not be asked for.
    pub(super) referrers: Option<Vec<Refers>>,
}

/// A manifest that an index lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Listed {
    pub(super) os: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) media_type: Option<MediaType>,
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
}

/// One image or artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    pub(super) size_bytes: u64,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) config_media_type: Option<MediaType>,
    pub(super) layers: Vec<Layer>,
    pub(super) layers_size_bytes: u64,
    /// `None` for artifacts, whose configs mean something to their programs alone.
    pub(super) config: Option<Config>,
}

/// A layer of an image, or a blob of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Layer {
    pub(super) media_type: Option<MediaType>,
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
}

/// How an image is run (image-spec, config.md).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Config {
    pub(super) created: Option<String>,
    pub(super) author: Option<String>,
    pub(super) os: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) user: Option<String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) working_dir: Option<String>,
    pub(super) exposed_ports: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) history_length: usize,
}

/// A manifest that refers to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refers {
    pub(super) artifact_type: Option<MediaType>,
    pub(super) media_type: Option<MediaType>,
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
}

impl From<&Descriptor> for Listed {
    fn from(descriptor: &Descriptor) -> Self {
        let platform = descriptor.platform.as_ref();
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            os: platform.and_then(|platform| said(&platform.os)),
            architecture: platform.and_then(|platform| said(&platform.architecture)),
            variant: platform.and_then(|platform| platform.variant.clone()),
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest,
            size_bytes: descriptor.size,
        }
    }
}

impl From<&Descriptor> for Layer {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest,
            size_bytes: descriptor.size,
        }
    }
}

impl From<Referrer> for Refers {
    fn from(referrer: Referrer) -> Self {
        Self {
            artifact_type: referrer.artifact_type,
            media_type: referrer.media_type,
            digest: referrer.digest,
            size_bytes: referrer.size,
        }
    }
}

impl Listed {
    /// Returns the platform that it is for, if the index says.
    pub(super) fn platform(&self) -> Option<String> {
        platform(
            self.os.as_deref(),
            self.architecture.as_deref(),
            self.variant.as_deref(),
        )
    }
}

impl Config {
    /// Returns the platform that it is for, if it says.
    pub(super) fn platform(&self) -> Option<String> {
        platform(
            self.os.as_deref(),
            self.architecture.as_deref(),
            self.variant.as_deref(),
        )
    }
}

/// Writes a platform as people do, `None` when it says nothing.
pub(super) fn platform(
    os: Option<&str>,
    architecture: Option<&str>,
    variant: Option<&str>,
) -> Option<String> {
    let parts: Vec<&str> = [os, architecture, variant].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

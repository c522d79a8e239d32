//! Content to put into a registry: noise, and whole images made of it.

use bytes::{BufMut, Bytes, BytesMut};
use larder::oci::{Algorithm, Digest, MediaType, Platform};
use serde_json::{Value, json};

use super::fake::Repository;

/// Returns bytes that look random and are always the same for the same seed.
///
/// Fast at any size: after the first MiB it is copied, with a number at the head of every 64 KiB so that no two blocks
/// are equal and a block in the wrong place is noticed.
pub fn noise(seed: u64, length: usize) -> Bytes {
    const PATTERN: usize = 1 << 20;
    const BLOCK: usize = 1 << 16;
    let mut bytes = BytesMut::with_capacity(length + size_of::<u64>());
    // xorshift64: a state of zero would stay zero.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < length.min(PATTERN) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.put_u64(state);
    }
    while bytes.len() < length {
        let start = bytes.len();
        bytes.extend_from_within(..PATTERN.min(length - start));
        for head in (start..bytes.len()).step_by(BLOCK) {
            let end = bytes.len().min(head + size_of::<u64>());
            bytes[head..end].copy_from_slice(&(head as u64).to_be_bytes()[..end - head]);
        }
    }
    bytes.truncate(length);
    bytes.freeze()
}

/// Whose media types an image is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Oci,
    Docker,
}

/// An image of one platform, not yet pushed: a config and layers.
#[derive(Clone, Debug)]
pub struct Image {
    layers: Vec<Bytes>,
    flavour: Flavour,
    algorithm: Algorithm,
}

impl Image {
    /// An OCI image with these layers, addressed by SHA-256.
    pub fn with_layers(layers: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            layers: layers.into_iter().collect(),
            flavour: Flavour::Oci,
            algorithm: Algorithm::Sha256,
        }
    }

    /// Writes the image in Docker's media types.
    pub fn docker(mut self) -> Self {
        self.flavour = Flavour::Docker;
        self
    }

    /// Addresses everything in the image by SHA-512.
    pub fn sha512(mut self) -> Self {
        self.algorithm = Algorithm::Sha512;
        self
    }

    /// Puts config, layers and manifest into a repository.
    pub fn push(&self, repository: &Repository) -> PushedImage {
        let (manifest_type, config_type, layer_type) = match self.flavour {
            Flavour::Oci => (
                MediaType::OCI_MANIFEST,
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ),
            Flavour::Docker => (
                MediaType::DOCKER_MANIFEST,
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
        };
        let push_blob = |bytes: &Bytes| repository.blob_by(self.algorithm, bytes.clone());
        let layers: Vec<Digest> = self.layers.iter().map(push_blob).collect();
        let config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": layers}});
        let config_bytes = Bytes::from(config.to_string());
        let config = push_blob(&config_bytes);
        let described: Vec<Value> = self
            .layers
            .iter()
            .zip(&layers)
            .map(|(bytes, digest)| descriptor(layer_type, digest, bytes.len()))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": descriptor(config_type, &config, config_bytes.len()),
            "layers": described,
        });
        let bytes = Bytes::from(manifest.to_string());
        PushedImage {
            digest: repository.manifest_by(self.algorithm, manifest_type, bytes.clone()),
            media_type: manifest_type,
            bytes,
            config,
            layers,
        }
    }

    /// Puts the image into a repository and lets a tag name it.
    pub fn push_as(&self, repository: &Repository, tag: &str) -> PushedImage {
        let pushed = self.push(repository);
        repository.tag(tag, pushed.digest);
        pushed
    }
}

/// An image that is in a registry.
#[derive(Clone, Debug)]
pub struct PushedImage {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The media type of the manifest.
    pub media_type: &'static str,
    /// The manifest.
    pub bytes: Bytes,
    /// The digest of the config.
    pub config: Digest,
    /// The digests of the layers, in order.
    pub layers: Vec<Digest>,
}

/// An index of images, not yet pushed.
#[derive(Clone, Debug)]
pub struct Index {
    images: Vec<(Platform, Image)>,
    flavour: Flavour,
    algorithm: Algorithm,
}

impl Index {
    /// An OCI index of images for platforms such as `linux/amd64` or `linux/arm/v7`.
    pub fn of<'a>(images: impl IntoIterator<Item = (&'a str, Image)>) -> Self {
        let images = images
            .into_iter()
            .map(|(name, image)| (platform(name), image));
        Self {
            images: images.collect(),
            flavour: Flavour::Oci,
            algorithm: Algorithm::Sha256,
        }
    }

    /// Writes the index, not its images, in Docker's media types.
    pub fn docker(mut self) -> Self {
        self.flavour = Flavour::Docker;
        self
    }

    /// Addresses the index, not its images, by SHA-512.
    pub fn sha512(mut self) -> Self {
        self.algorithm = Algorithm::Sha512;
        self
    }

    /// Puts the images and the index into a repository.
    pub fn push(&self, repository: &Repository) -> PushedIndex {
        let media_type = match self.flavour {
            Flavour::Oci => MediaType::OCI_INDEX,
            Flavour::Docker => MediaType::DOCKER_LIST,
        };
        let mut images = Vec::new();
        let mut described = Vec::new();
        for (platform, image) in &self.images {
            let pushed = image.push(repository);
            let mut child = descriptor(pushed.media_type, &pushed.digest, pushed.bytes.len());
            child["platform"] = json!(platform);
            described.push(child);
            images.push(pushed);
        }
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": described});
        let bytes = Bytes::from(index.to_string());
        PushedIndex {
            digest: repository.manifest_by(self.algorithm, media_type, bytes.clone()),
            media_type,
            bytes,
            images,
        }
    }

    /// Puts the index into a repository and lets a tag name it.
    pub fn push_as(&self, repository: &Repository, tag: &str) -> PushedIndex {
        let pushed = self.push(repository);
        repository.tag(tag, pushed.digest);
        pushed
    }
}

/// An index that is in a registry.
#[derive(Clone, Debug)]
pub struct PushedIndex {
    /// The digest of the index.
    pub digest: Digest,
    /// The media type of the index.
    pub media_type: &'static str,
    /// The index.
    pub bytes: Bytes,
    /// The images that it lists, in order.
    pub images: Vec<PushedImage>,
}

fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

fn platform(name: &str) -> Platform {
    let mut parts = name.split('/').map(String::from);
    let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
    Platform {
        architecture,
        os,
        variant: parts.next(),
    }
}

//! What is pulled: images whose layers are noise of a chosen size, the same in each run, and made as it is sent.

use std::sync::Arc;

use larder::oci::Digest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// After how many bytes noise comes again. No size of a block or slice divides it: bytes in a wrong place are noticed.
const PERIOD: usize = (1 << 20) + 7;

/// Bytes under their digest.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: &'static str,
    /// What it repeats.
    bytes: Arc<[u8]>,
}

/// An image for one platform, and the index that names it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    repository: &'static str,
    index: Content,
    manifest: Content,
    /// Configuration and layers.
    blobs: Vec<Content>,
}

impl Content {
    /// Returns noise.
    fn noise(seed: u64, size: u64) -> Self {
        // xorshift64: a state of zero would stay zero.
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let numbers = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        });
        let bytes: Arc<[u8]> = numbers.flat_map(u64::to_be_bytes).take(PERIOD).collect();
        let mut content = Self::of(LAYER, bytes, size);
        let mut hash = Sha256::new();
        content.parts().for_each(|part| hash.update(part));
        content.digest = Digest::Sha256(hash.finalize().into());
        content
    }

    /// Returns a document.
    fn document(media_type: &'static str, value: &Value) -> Self {
        let bytes: Arc<[u8]> = value.to_string().into_bytes().into();
        let size = bytes.len() as u64;
        Self::of(media_type, bytes, size)
    }

    fn of(media_type: &'static str, bytes: Arc<[u8]>, size: u64) -> Self {
        Self {
            digest: Digest::Sha256(Sha256::digest(&bytes).into()),
            size,
            media_type,
            bytes,
        }
    }

    /// Returns some of the bytes from an offset on: at least one, at most so many.
    pub(crate) fn part(&self, offset: u64, at_most: u64) -> &[u8] {
        let place = offset % self.bytes.len() as u64;
        let end = (place + at_most).min(self.bytes.len() as u64);
        let index = |place: u64| usize::try_from(place).expect("it is in memory");
        &self.bytes[index(place)..index(end)]
    }

    /// Returns all of the bytes, in parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.size)
            .step_by(self.bytes.len())
            .map(|offset| self.part(offset, self.size - offset))
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest.to_string(), "size": self.size })
    }
}

impl Image {
    /// Makes an image with layers of these sizes.
    pub(crate) fn new(repository: &'static str, layers: &[u64]) -> Self {
        let seed = repository.bytes().fold(7, |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(byte.into())
        });
        let layers = (seed..).zip(layers);
        let layers: Vec<Content> = layers
            .map(|(seed, size)| Content::noise(seed, *size))
            .collect();
        let described: Vec<Value> = layers.iter().map(Content::descriptor).collect();
        // Nothing that pulls through reads it; in each image it is another one.
        let config = json!({ "architecture": "amd64", "os": "linux", "author": repository });
        let config = Content::document(CONFIG, &config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": described
        });
        let manifest = Content::document(MANIFEST, &manifest);
        let mut entry = manifest.descriptor();
        entry["platform"] = json!({ "architecture": "amd64", "os": "linux" });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
        Self {
            repository,
            index: Content::document(INDEX, &index),
            manifest,
            blobs: [config].into_iter().chain(layers).collect(),
        }
    }

    /// Returns the first layer, and its path.
    pub(crate) fn layer(&self) -> (String, &Content) {
        let layer = &self.blobs[1];
        (self.blob(layer), layer)
    }

    /// Returns what the tag means, and its path.
    pub(crate) fn tag(&self) -> (String, &Content) {
        (format!("/v2/{}/manifests/1", self.repository), &self.index)
    }

    /// Returns all that a client asks for in a pull, in its order.
    pub(crate) fn pull(&self) -> Vec<(String, &Content)> {
        let blobs = self.blobs.iter().map(|blob| (self.blob(blob), blob));
        [self.tag(), (self.by_digest(&self.manifest), &self.manifest)]
            .into_iter()
            .chain(blobs)
            .collect()
    }

    /// Returns all that a registry has of it, each under its path.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (String, &Content)> {
        self.pull()
            .into_iter()
            .chain([(self.by_digest(&self.index), &self.index)])
    }

    fn by_digest(&self, manifest: &Content) -> String {
        format!("/v2/{}/manifests/{}", self.repository, manifest.digest)
    }

    fn blob(&self, blob: &Content) -> String {
        format!("/v2/{}/blobs/{}", self.repository, blob.digest)
    }
}

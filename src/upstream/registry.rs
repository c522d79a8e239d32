//! One registry, and what it can be asked.

use bytes::Bytes;

use super::error::UpstreamError;
use super::resume::BlobTransfer;
use crate::oci::{Digest, MediaType, Reference, RepositoryName, UpstreamName, VariantClass};

/// One registry that we pull from.
#[derive(Debug)]
pub struct Upstream {
    name: UpstreamName,
}

/// A manifest as the registry sent it. Nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The body.
    pub bytes: Bytes,
    /// Its `Content-Type`.
    pub media_type: Option<MediaType>,
    /// The digest that the registry says it has: `Docker-Content-Digest`, else `ETag` when that is a digest.
    pub declared: Option<Digest>,
}

/// What a HEAD request tells of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestHead {
    /// The registry has it, and says what it is.
    Described {
        /// Its digest, as the registry says.
        digest: Digest,
        /// Its `Content-Type`.
        media_type: Option<MediaType>,
        /// Its size in bytes.
        size: Option<u64>,
    },
    /// The registry does not do this: it refuses the method, or its answer names no digest. A GET will tell.
    Unsupported,
}

/// What a registry tells of a blob that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobHead {
    /// Its size in bytes, when the registry says.
    pub size: Option<u64>,
}

/// Which bytes of a blob to transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last, `None` for the end of the blob.
    pub end: Option<u64>,
}

impl TransferRange {
    /// The whole blob.
    pub const WHOLE: Self = Self {
        start: 0,
        end: None,
    };
}

impl Upstream {
    /// Returns the name of the upstream.
    pub fn name(&self) -> &UpstreamName {
        &self.name
    }

    /// Fetches a manifest of at most 8 MiB. `None` when the registry says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn get_manifest(
        &self,
        _repository: &RepositoryName,
        _reference: &Reference,
        _class: VariantClass,
    ) -> Result<Option<FetchedManifest>, UpstreamError> {
        unimplemented!("interface only")
    }

    /// Asks for the digest of a manifest without its body. `None` when the registry says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn head_manifest(
        &self,
        _repository: &RepositoryName,
        _reference: &Reference,
        _class: VariantClass,
    ) -> Result<Option<ManifestHead>, UpstreamError> {
        unimplemented!("interface only")
    }

    /// Asks whether the registry has a blob in a repository. `None` when it says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn head_blob(
        &self,
        _repository: &RepositoryName,
        _digest: &Digest,
    ) -> Result<Option<BlobHead>, UpstreamError> {
        unimplemented!("interface only")
    }

    /// Begins to transfer a blob. Returns when the registry has answered; `None` when it says 404.
    ///
    /// `known_total` is the size of the blob when the caller knows it: an answer with another size is an error.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn get_blob(
        &self,
        _repository: &RepositoryName,
        _digest: &Digest,
        _range: TransferRange,
        _known_total: Option<u64>,
    ) -> Result<Option<BlobTransfer>, UpstreamError> {
        unimplemented!("interface only")
    }
}

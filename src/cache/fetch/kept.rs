//! The bytes of a manifest that is here, and what a registry calls them.

use bytes::Bytes;

use crate::answer::ManifestHead;
use crate::oci::{Digest, ManifestKind, ManifestView, MediaType};

/// A manifest with its bytes.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it is.
    pub head: ManifestHead,
    /// The bytes as received.
    pub bytes: Bytes,
}

/// The bytes of a manifest that is here, whoever fetched it, and what they say of themselves.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) bytes: Bytes,
    declared: Option<MediaType>,
    is_index: bool,
}

impl Kept {
    pub(super) fn new(bytes: Bytes, view: &ManifestView) -> Self {
        Self {
            bytes,
            declared: view.declared.clone(),
            is_index: view.kind == ManifestKind::Index,
        }
    }

    /// Returns the manifest as one registry names it. What the bytes say counts more than what an answer without bytes
    /// said.
    pub(super) fn named(self, digest: &Digest, claimed: Option<&MediaType>) -> Manifest {
        let fits =
            |claimed: &&MediaType| !claimed.says_nothing() && claimed.is_index() == self.is_index;
        let usual = if self.is_index {
            MediaType::OCI_INDEX
        } else {
            MediaType::OCI_MANIFEST
        };
        let media_type = self
            .declared
            .or_else(|| claimed.filter(fits).cloned())
            .unwrap_or_else(|| MediaType::known(usual));
        let head = ManifestHead {
            digest: *digest,
            media_type,
            size: self.bytes.len() as u64,
        };
        Manifest {
            head,
            bytes: self.bytes,
        }
    }
}

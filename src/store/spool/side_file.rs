//! What lies beside the file of a spool, for the process that goes on with it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::claim::{Claim, Part};
use super::intervals::Intervals;
use crate::oci::Digest;
use crate::runtime::Timestamp;
use crate::store::error::StoreError;

/// Which content a spool is of, and how much of it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SideFile {
    version: u32,
    digest: Digest,
    pub(super) total: Option<u64>,
    pub(super) written: Intervals,
}

impl SideFile {
    const VERSION: u32 = 1;

    /// Far more ranges than a fill makes; what is larger was not written here.
    const SIZE_LIMIT: u64 = 1 << 20;

    pub(super) fn new(digest: Digest, total: Option<u64>, written: Intervals) -> Self {
        Self {
            version: Self::VERSION,
            digest,
            total,
            written,
        }
    }

    /// Replaces the side file, so that it is always a whole one.
    pub(super) fn write(&self, claim: &Claim) -> Result<(), StoreError> {
        let json = serde_json::to_vec(self).expect("numbers and texts can be written as JSON");
        let (new, path) = (claim.path(Part::NewSide), claim.path(Part::Side));
        let written = fs::write(&new, &json).and_then(|()| fs::rename(&new, &path));
        let describe = |error| {
            let floor = claim.floor();
            floor.describe("write", &path, json.len() as u64, error)
        };
        written.map_err(describe)
    }

    /// Reads the side file of a spool and when it was written; `None` when it is missing or of no use.
    pub(super) fn read(claim: &Claim) -> Option<(Self, Timestamp)> {
        let file = File::open(claim.path(Part::Side)).ok()?;
        let metadata = file.metadata().ok()?;
        let mut json = Vec::new();
        file.take(Self::SIZE_LIMIT).read_to_end(&mut json).ok()?;
        let side: Self = serde_json::from_slice(&json).ok()?;
        let total = side.total.unwrap_or(u64::MAX);
        let is_sound = side.version == Self::VERSION
            && side.digest == claim.name().digest
            && side.written.end() <= total;
        let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
        is_sound.then(|| (side, Timestamp::from_millis(seconds.saturating_mul(1000))))
    }
}

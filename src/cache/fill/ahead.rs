//! Segments: bounded parts far ahead of the transfer, for clients that begin to read there.
//!
//! A segment goes into the same spool, and the transfer skips it: no byte is fetched twice. One that breaks off leaves a
//! gap, which the transfer fills when it comes by.

use std::ops::Range;

use tokio::sync::mpsc;

use super::ingest::Batch;
use crate::upstream::{BlobTransfer, UpstreamError};

/// How far a reader has to be ahead of the transfer to get a segment. Nearer ones wait: the transfer is there soon, and
/// clients that fetch one blob in parallel parts stay within this.
pub const FAR_AHEAD: u64 = 16 * 1024 * 1024;

/// How long a segment is at most, in bytes.
pub const SEGMENT: u64 = 8 * 1024 * 1024;

/// How many segments of one fill are fetched at a time.
pub const AT_A_TIME: usize = 2;

/// Returns the segment that a reader at `wanted` needs, when the transfer stands at `transfer`, the content has `total`
/// bytes and `taken` is the next byte at or after `wanted` that is there or on its way.
///
/// A reader behind the transfer wants a gap that a broken segment left.
pub fn segment(wanted: u64, transfer: u64, total: u64, taken: Option<u64>) -> Option<Range<u64>> {
    let is_far = wanted >= transfer.saturating_add(FAR_AHEAD) || wanted < transfer;
    let end = wanted
        .saturating_add(SEGMENT)
        .min(total)
        .min(taken.unwrap_or(total));
    (is_far && wanted < end).then_some(wanted..end)
}

/// A segment that came to its end.
#[derive(Debug)]
pub struct Segment {
    /// What was to be fetched.
    pub claim: Range<u64>,
    /// What came of it.
    pub came: Range<u64>,
    /// Why not all of it.
    pub error: Option<UpstreamError>,
}

/// Brings a segment in.
pub async fn fetch(
    claim: Range<u64>,
    transfer: Result<Option<BlobTransfer>, UpstreamError>,
    queue: mpsc::Sender<Batch>,
) -> Segment {
    let mut came = claim.start..claim.start;
    let error = match transfer {
        // A registry without ranges sends everything before the segment as well.
        Ok(Some(transfer)) if transfer.is_skipping() => None,
        Ok(Some(transfer)) => carry(&claim, transfer, &queue, &mut came).await.err(),
        Ok(None) => None,
        Err(error) => Some(error),
    };
    Segment { claim, came, error }
}

async fn carry(
    claim: &Range<u64>,
    mut transfer: BlobTransfer,
    queue: &mpsc::Sender<Batch>,
    came: &mut Range<u64>,
) -> Result<(), UpstreamError> {
    while came.end < claim.end {
        let Some(mut bytes) = transfer.next().await? else {
            break;
        };
        bytes.truncate(usize::try_from(claim.end - came.end).unwrap_or(usize::MAX));
        let length = bytes.len() as u64;
        if queue
            .send(Batch {
                offset: came.end,
                bytes,
            })
            .await
            .is_err()
        {
            break;
        }
        came.end += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn only_far_readers_get_segments() {
        for (wanted, transfer, taken, expected) in [
            (0, 0, None, None),
            (15 * MIB, 0, None, None),
            (16 * MIB, 0, None, Some(16 * MIB..24 * MIB)),
            (99 * MIB, 0, None, Some(99 * MIB..100 * MIB)),
            (100 * MIB, 0, None, None),
            (50 * MIB, 40 * MIB, None, None),
            (50 * MIB, 10 * MIB, Some(51 * MIB), Some(50 * MIB..51 * MIB)),
            (50 * MIB, 10 * MIB, Some(50 * MIB), None),
            (5 * MIB, 10 * MIB, Some(7 * MIB), Some(5 * MIB..7 * MIB)),
        ] {
            assert_eq!(
                segment(wanted, transfer, 100 * MIB, taken),
                expected,
                "{wanted} {transfer}"
            );
        }
    }
}

//! Content that is handed through and not kept, because there is no room for it. It is verified all the same: the end is
//! held back until the digest is right.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::backing::Backing;
use super::error::{CacheError, Word};
use super::fill::transfer::UNANNOUNCED_LIMIT;
use super::fill::{FillError, HELD_BACK};
use super::patience::FIRST_ANSWER;
use super::sight::View;
use crate::answer::{BlobAnswer, Body, BodyError, CacheOutcome, PassReason};
use crate::oci::{ByteRange, ContentRange, Digest, Verifier};
use crate::store::Piece;
use crate::upstream::{BlobTransfer, TransferRange};

/// One client's own transfer. It begins at the first byte whatever the client wants, since only the whole can be
/// verified.
struct Passage {
    transfer: BlobTransfer,
    verifier: Option<Verifier>,
    /// What came and was not handed on yet.
    held: VecDeque<Bytes>,
    held_bytes: u64,
    /// The offset of the first byte that is held.
    position: u64,
    /// What the client wants.
    start: u64,
    end: u64,
}

/// Opens a blob at its registry and hands it through.
///
/// # Errors
/// [`CacheError`] when the registry does not have it or could not be asked.
pub async fn through(
    backing: &Arc<Backing>,
    view: &View,
    digest: &Digest,
    range: Option<ByteRange>,
) -> Result<BlobAnswer, CacheError> {
    let upstream = backing.upstream(&view.origin.upstream)?;
    let asking = upstream.get_blob(view.sought(), digest, TransferRange::WHOLE, None);
    let transfer = timeout(FIRST_ANSWER, asking)
        .await
        .map_err(|_| CacheError::TooSlow)??;
    let transfer = transfer.ok_or(CacheError::BlobUnknown(Word::Given))?;
    let size = transfer.total();
    // Without a size there is no Content-Range: the client gets the whole.
    let part = match (range, size) {
        (Some(range), Some(size)) => Some(range.resolve(size)?),
        _ => None,
    };
    let wanted = part.unwrap_or_else(|| ContentRange::whole(size.unwrap_or(u64::MAX)));
    let passage = Passage {
        transfer,
        verifier: Some(Verifier::new(*digest)),
        held: VecDeque::new(),
        held_bytes: 0,
        position: 0,
        start: wanted.start(),
        end: wanted.end(),
    };
    let outcome = CacheOutcome::Passed(PassReason::NoSpace);
    Ok(BlobAnswer {
        digest: *digest,
        size,
        range: part,
        body: Some(passage.into_body()),
        outcome,
    })
}

impl Passage {
    fn into_body(self) -> Body {
        let pieces = stream::unfold(Some(self), |passage| async {
            let mut passage = passage?;
            match passage.next().await {
                Ok(Some(bytes)) => Some((Ok(Piece::Bytes(bytes)), Some(passage))),
                Ok(None) => None,
                Err(error) => Some((Err(BodyError::Cut(Arc::new(error))), None)),
            }
        });
        pieces.boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, FillError> {
        loop {
            // An empty content is verified as well, before it is said to be complete.
            if self.position >= self.end && self.end > 0 {
                return Ok(None);
            }
            if let Some(bytes) = self.release() {
                let bytes = self.clip(bytes);
                if !bytes.is_empty() {
                    return Ok(Some(bytes));
                }
                continue;
            }
            let Some(verifier) = &mut self.verifier else {
                return Ok(None);
            };
            if let Some(bytes) = self.transfer.next().await? {
                verifier.update(&bytes);
                if verifier.position() > UNANNOUNCED_LIMIT && self.transfer.total().is_none() {
                    let found = verifier.position();
                    return Err(FillError::WrongSize {
                        expected: UNANNOUNCED_LIMIT,
                        found,
                    });
                }
                self.held_bytes += bytes.len() as u64;
                self.held.push_back(bytes);
            } else if let Some(verifier) = self.verifier.take() {
                verifier
                    .finish()
                    .map_err(|mismatch| FillError::Mismatch(Arc::from(mismatch)))?;
            }
        }
    }

    /// Lets go of the oldest bytes when enough came after them, or when all is verified.
    fn release(&mut self) -> Option<Bytes> {
        let oldest = self.held.front()?.len() as u64;
        let is_verified = self.verifier.is_none();
        if !is_verified && self.held_bytes < oldest + HELD_BACK {
            return None;
        }
        self.held_bytes -= oldest;
        self.held.pop_front()
    }

    /// Cuts off what the client does not want.
    fn clip(&mut self, bytes: Bytes) -> Bytes {
        let from = self.position;
        let until = from + bytes.len() as u64;
        self.position = until;
        let start = self.start.clamp(from, until) - from;
        let end = self.end.clamp(from, until) - from;
        let index = |offset: u64| usize::try_from(offset).unwrap_or(bytes.len());
        if start < end {
            bytes.slice(index(start)..index(end))
        } else {
            Bytes::new()
        }
    }
}

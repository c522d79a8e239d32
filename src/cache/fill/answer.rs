//! Answers from a fill while it grows: waits until it is known what to say, and says it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Fill, FillError, HELD_BACK, Progress, Verdict, reader};
use crate::answer::{BlobAnswer, CacheOutcome};
use crate::cache::backing::Backing;
use crate::cache::error::CacheError;
use crate::cache::patience::FIRST_ANSWER;
use crate::oci::{ByteRange, ContentRange};

/// Why there is no answer from a fill.
pub(in crate::cache) enum Failed {
    /// The fill ended.
    Fill(FillError),
    /// The client is told so.
    Told(CacheError),
}

/// Waits until it is known what to answer, and answers with the part of the fill that was asked for.
pub(in crate::cache) async fn from_fill(
    backing: &Backing,
    fill: &Arc<Fill>,
    range: Option<ByteRange>,
    outcome: CacheOutcome,
) -> Result<BlobAnswer, Failed> {
    let reading = fill.attend();
    let mut progress = fill.watch();
    let is_suspect = backing.suspects.contains_key(&fill.key());
    // While nobody knows the size, a range from the first byte on is answered with the whole.
    let is_whole = matches!(range, None | Some(ByteRange::From { first: 0 }));
    let first = wait(&mut progress, |progress| {
        progress.total.is_some() || (is_whole && progress.written.total() > 0)
    });
    let total = timeout(FIRST_ANSWER, first)
        .await
        .map_err(|_| Failed::Told(CacheError::TooSlow))??;
    let part = match (range, total) {
        (Some(range), Some(total)) => Some(
            range
                .resolve(total)
                .map_err(|error| Failed::Told(error.into()))?,
        ),
        _ => None,
    };
    // What cannot go out before the verdict waits for it here, where a failure can still be told by a status.
    if is_suspect || total.is_some_and(|total| total <= HELD_BACK) {
        let verdict = wait(&mut progress, |progress| {
            matches!(progress.verdict, Verdict::Right)
        });
        match timeout(FIRST_ANSWER, verdict).await {
            Ok(verdict) => drop(verdict?),
            Err(_) => {
                tracing::debug!(content.digest = %fill.digest(), "answering before the verdict")
            }
        }
    }
    let (start, end) = part.map_or((0, None), |part: ContentRange| {
        (part.start(), Some(part.end()))
    });
    let is_verified = matches!(progress.borrow().verdict, Verdict::Right);
    if !is_verified && end.is_some_and(|end| total.is_some_and(|total| end < total)) {
        backing.metrics.went_unverified();
    }
    let body = reader::read(fill, start, end);
    drop(reading);
    Ok(BlobAnswer {
        digest: fill.digest(),
        size: total,
        range: part,
        body: Some(body),
        outcome,
    })
}

/// Waits until the progress is as wanted, or the fill has failed. Returns the size, if it is known by then.
pub(in crate::cache) async fn wait(
    progress: &mut watch::Receiver<Progress>,
    is_ready: impl Fn(&Progress) -> bool,
) -> Result<Option<u64>, Failed> {
    let ready =
        |progress: &Progress| is_ready(progress) || !matches!(progress.verdict, Verdict::Running);
    let reached = progress
        .wait_for(ready)
        .await
        .map_err(|_| Failed::Fill(FillError::Stopping))?;
    match &reached.verdict {
        Verdict::Failed(error) => Err(Failed::Fill(error.clone())),
        Verdict::Running | Verdict::Right => Ok(reached.total),
    }
}

//! The task of a fill: from the first request to the verdict, and what happens to the spool at the end.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument;

use super::ingest::{self, Batch, Ingest};
use super::transfer::Transfer;
use super::{Fill, FillError, FillKey, Verdict};
use crate::cache::backing::Backing;
use crate::cache::flight::Landing;
use crate::cache::negative::Absent;
use crate::cache::sight::{Link, LinkKind};
use crate::oci::VerifiedContent;
use crate::store::spool::{Intervals, Spool};
use crate::store::{Durability, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{BlobTransfer, TransferRange, Upstream, UpstreamError};

/// What the task of a fill works on.
#[derive(Debug)]
pub struct Errand {
    /// The fill, as its readers see it.
    pub fill: Arc<Fill>,
    /// Where readers stand that are far ahead.
    pub asked: mpsc::Receiver<u64>,
    /// The fill's place in the flight table.
    pub landing: Landing<FillKey, Arc<Fill>>,
    /// What the cache works with.
    pub backing: Arc<Backing>,
}

/// Fetches the content of a fill, verifies it and gives it to the store. Readers see the verdict however this ends.
pub async fn run(errand: Errand) {
    let Errand {
        fill,
        asked,
        landing,
        backing,
    } = errand;
    let _told = AlwaysTold(fill.clone());
    // Of the highest level, so that it is there whatever of the log is wanted: what fails within says for whom.
    let span = tracing::error_span!(
        "fill",
        upstream.name = %fill.view().origin.upstream,
        repository.name = %fill.view().origin.repository,
        content.digest = %fill.digest(),
    );
    async {
        match fetch(&fill, asked, &backing).await {
            Ok((content, spool)) => {
                backing.metrics.filled(Ok(()));
                fill.publish_verdict(Verdict::Right);
                backing.suspects.invalidate(&fill.key());
                if let Err(error) = keep(&backing, &spool, content).await {
                    tracing::error!(
                        error = with_causes(&error),
                        "the content was served and could not be kept"
                    );
                }
                drop(landing);
            }
            Err(error) => {
                tell(&error);
                backing.metrics.filled(Err(&error));
                if matches!(error, FillError::Mismatch(_) | FillError::WrongSize { .. }) {
                    backing.suspects.insert(fill.key(), ());
                }
                // Before the verdict: whoever hears of it and asks again begins anew.
                drop(landing);
                fill.publish_verdict(Verdict::Failed(error));
            }
        }
    }
    .instrument(span)
    .await;
}

async fn keep(
    backing: &Backing,
    spool: &Spool,
    content: VerifiedContent,
) -> Result<(), StoreError> {
    backing
        .blobs
        .adopt(spool.seal(content)?, Durability::Eventual)
        .await
}

/// One line of the log for a fill that failed, as loud as it concerns somebody.
fn tell(error: &FillError) {
    match error {
        FillError::Unknown
        | FillError::Kept
        | FillError::NotConfigured(_)
        | FillError::Abandoned
        | FillError::Stopping => {
            tracing::debug!(
                error = with_causes(error),
                "a fill ended without its content"
            );
        }
        FillError::NoSpace(_) => tracing::warn!(
            error = with_causes(error),
            "a blob is handed through and not kept"
        ),
        FillError::Store(_) => tracing::error!(error = with_causes(error), "a fill failed"),
        FillError::Upstream(_) | FillError::Mismatch(_) | FillError::WrongSize { .. } => {
            tracing::warn!(
                error = with_causes(error),
                "a fill failed; nothing of it was kept as content"
            );
        }
    }
}

/// Tells the readers when the task ends without a verdict: it was dropped, or it panicked.
struct AlwaysTold(Arc<Fill>);

impl Drop for AlwaysTold {
    fn drop(&mut self) {
        self.0.publish_verdict(Verdict::Failed(FillError::Stopping));
    }
}

/// A spool, what it holds from an earlier life, and the registry's answer for the rest.
struct Opened {
    spool: Arc<Spool>,
    written: Intervals,
    /// `None` when nothing is missing.
    transfer: Option<BlobTransfer>,
    total: Option<u64>,
}

async fn fetch(
    fill: &Arc<Fill>,
    asked: mpsc::Receiver<u64>,
    backing: &Arc<Backing>,
) -> Result<(VerifiedContent, Spool), FillError> {
    let name = &fill.view().origin.upstream;
    let upstream = backing
        .upstreams
        .get(name)
        .ok_or_else(|| FillError::NotConfigured(name.clone()))?;
    if backing.blobs.size(&fill.digest()).await?.is_some() {
        return Err(seen(fill, backing, &upstream)
            .await
            .err()
            .unwrap_or(FillError::Kept));
    }
    let opened = open(fill, backing, &upstream).await?;
    let absent = Absent::Blob(fill.view().clone(), fill.digest());
    backing.negative.forget(&absent);
    let link = Link {
        seen: backing.clock.now(),
        size: opened.total,
        media_type: None,
    };
    backing
        .links
        .remember(fill.view(), LinkKind::Blob, &fill.digest(), link)
        .await;
    if let Some(total) = opened.total {
        opened.spool.reserve(total).await?;
    }
    fill.progress.send_modify(|progress| {
        progress.file = Some(opened.spool.file());
        progress.written = opened.written.clone();
        progress.total = opened.total;
    });

    let (queue, batches) = mpsc::channel::<Batch>(ingest::QUEUE);
    let ingest =
        Ingest::new(fill.clone(), opened.spool.clone()).run(backing.tasks.clone(), batches);
    let ingest = backing.tasks.spawn("ingest", ingest);
    let transfer = Transfer::new(
        fill.clone(),
        upstream,
        asked,
        queue,
        backing.tasks.stopping(),
    );
    let fetched = transfer.run(opened.spool.clone(), opened.transfer).await;
    // The transfer is gone and with it the last sender: the ingest comes to its end.
    let ingested = ingest.await.unwrap_or(Err(FillError::Stopping));
    let verdict = match (ingested, fetched) {
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        (Ok(ingest), Ok(())) => verify(fill, ingest),
    };
    let spool = Arc::into_inner(opened.spool)
        .expect("transfer and ingest have given back their shares of the spool");
    match verdict {
        Ok(content) => Ok((content, spool)),
        Err(error) => {
            put_away(fill, spool, &error);
            Err(error)
        }
    }
}

/// Makes sure that the repository may read content that is here already.
async fn seen(fill: &Fill, backing: &Backing, upstream: &Upstream) -> Result<(), FillError> {
    if backing
        .links
        .find(fill.view(), LinkKind::Blob, &fill.digest())
        .await?
        .is_some()
    {
        return Ok(());
    }
    let digest = fill.digest();
    let asking = upstream.head_blob(fill.view().sought(), &digest);
    let head = or_stop(backing, Box::pin(asking)).await?;
    let size = head.ok_or(FillError::Unknown)?.size;
    let link = Link {
        seen: backing.clock.now(),
        size,
        media_type: None,
    };
    backing
        .links
        .remember(fill.view(), LinkKind::Blob, &fill.digest(), link)
        .await;
    Ok(())
}

/// Gives up on a registry's answer when the program stops.
async fn or_stop<T, E>(
    backing: &Backing,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, FillError>
where
    FillError: From<E>,
{
    let answered = backing
        .tasks
        .stopping()
        .run_until_cancelled_owned(asking)
        .await;
    Ok(answered.ok_or(FillError::Stopping)??)
}

/// Asks the registry for what is missing of the content, with a spool from an earlier life or a new one.
async fn open(fill: &Fill, backing: &Backing, upstream: &Upstream) -> Result<Opened, FillError> {
    let told = backing.told_size(&fill.view().origin, &fill.digest());
    if let Some(spool) = backing.spools.resume(&fill.digest()).await? {
        let written = spool.intervals().clone();
        match or_stop(
            backing,
            Box::pin(ask(fill, upstream, &written, spool.total())),
        )
        .await
        {
            Ok((transfer, total)) => {
                backing.metrics.resumed();
                tracing::debug!(
                    size_bytes = written.total(),
                    "going on with a spool that was left"
                );
                return Ok(Opened {
                    spool: Arc::new(spool),
                    written,
                    transfer,
                    total: total.or(told),
                });
            }
            // The registry has another idea of this content than the spool: begin again without it.
            Err(FillError::Upstream(UpstreamError::Protocol { .. })) => drop(spool),
            Err(error) => {
                spool.keep();
                return Err(error);
            }
        }
    }
    let spool = backing.spools.create(fill.digest()).await?;
    let written = Intervals::default();
    let (transfer, total) = or_stop(backing, Box::pin(ask(fill, upstream, &written, None))).await?;
    Ok(Opened {
        spool: Arc::new(spool),
        written,
        transfer,
        total: total.or(told),
    })
}

/// Asks for the content from its first gap on. When nothing is missing, asks only whether this repository has it.
async fn ask(
    fill: &Fill,
    upstream: &Upstream,
    written: &Intervals,
    known: Option<u64>,
) -> Result<(Option<BlobTransfer>, Option<u64>), FillError> {
    let sought = fill.view().sought();
    let start = written.covered_until(0);
    if start > 0 && known == Some(start) {
        let head = upstream.head_blob(sought, &fill.digest()).await?;
        return head.map(|_| (None, known)).ok_or(FillError::Unknown);
    }
    let range = TransferRange { start, end: None };
    let transfer = upstream
        .get_blob(sought, &fill.digest(), range, known)
        .await?;
    let transfer = transfer.ok_or(FillError::Unknown)?;
    let total = transfer.total();
    Ok((Some(transfer), total))
}

fn verify(fill: &Fill, ingest: Ingest) -> Result<VerifiedContent, FillError> {
    let total = fill.progress.borrow().total;
    let verifier = ingest.into_verifier();
    let found = verifier.position();
    match total {
        Some(expected) if expected != found => Err(FillError::WrongSize { expected, found }),
        _ => verifier
            .finish()
            .map_err(|mismatch| FillError::Mismatch(Arc::from(mismatch))),
    }
}

/// Keeps a spool that a later fill can go on from, and throws away one that is wrong or in the way.
fn put_away(fill: &Fill, spool: Spool, error: &FillError) {
    match error {
        FillError::Upstream(_) | FillError::Abandoned | FillError::Stopping => {
            match ingest::persist(fill, &spool) {
                Ok(()) => spool.keep(),
                Err(error) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "a spool cannot be gone on from and is removed"
                    )
                }
            }
        }
        FillError::Unknown
        | FillError::Kept
        | FillError::NotConfigured(_)
        | FillError::Mismatch(_)
        | FillError::WrongSize { .. }
        | FillError::NoSpace(_)
        | FillError::Store(_) => drop(spool),
    }
}

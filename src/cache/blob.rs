//! Answers about blobs: from the store, from a fill that is under way, or from a new one.

use std::sync::Arc;

use tokio::time::timeout;
use tracing::Instrument;

use super::backing::Backing;
use super::error::{CacheError, Word};
use super::fill::answer::{Failed, from_fill, wait};
use super::fill::{self, Fill, FillError, FillKey, Verdict};
use super::flight::{Boarding, Flights, SharedWork};
use super::ledger::Wanted;
use super::negative::Absent;
use super::pass;
use super::patience::FIRST_ANSWER;
use super::sight::{Link, LinkKind, View};
use crate::addressing::{Grant, Origin};
use crate::answer::{BlobAnswer, CacheOutcome};
use crate::oci::{ByteRange, Digest};
use crate::store::Opened;
use crate::upstream::{Sample, UpstreamError};

/// How often a request begins anew because the fill that it joined ended for reasons of somebody else.
const ATTEMPTS: u32 = 3;

/// The blobs of all registries.
#[derive(Debug)]
pub struct Blobs {
    backing: Arc<Backing>,
    fills: Flights<FillKey, Arc<Fill>>,
    heads: SharedWork<(View, Digest), Result<Option<u64>, CacheError>>,
}

/// What is known of a repository's right to some content before the registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sighted {
    /// Its registry answered for it.
    Yes,
    /// Nobody asked yet.
    NotYet,
}

impl Blobs {
    /// Starts with no fill.
    pub fn new(backing: Arc<Backing>) -> Self {
        let heads = SharedWork::new(backing.tasks.clone());
        Self {
            backing,
            fills: Flights::default(),
            heads,
        }
    }

    /// Returns how many fills are under way.
    pub fn fills(&self) -> usize {
        self.fills.count()
    }

    /// Answers a GET.
    ///
    /// # Errors
    /// [`CacheError`]: the registry has no such blob, or could not be asked, or sent something else.
    pub async fn get(
        &self,
        grant: &Grant<Origin>,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<BlobAnswer, CacheError> {
        let work = async {
            let view = self.backing.view(grant, Sample::Blob(digest)).await?;
            let sighted = self.sight(&view, digest).await?;
            if sighted == Sighted::Yes
                && let Some(answer) = self.kept(digest, range).await?
            {
                return Ok(answer);
            }
            self.filled(&view, digest, range, sighted).await
        };
        let outcome = |answer: &BlobAnswer| answer.outcome;
        self.backing
            .noted(grant.target(), Wanted::Blob, outcome, work)
            .await
    }

    /// Answers a HEAD. Nothing is fetched for it but the size.
    ///
    /// # Errors
    /// As [`Blobs::get`].
    pub async fn head(
        &self,
        grant: &Grant<Origin>,
        digest: &Digest,
    ) -> Result<BlobAnswer, CacheError> {
        let view = self.backing.view(grant, Sample::Blob(digest)).await?;
        let head = |size, outcome| BlobAnswer {
            digest: *digest,
            size: Some(size),
            range: None,
            body: None,
            outcome,
        };
        if self.sight(&view, digest).await? == Sighted::Yes {
            if let Some(size) = self.backing.blobs.size(digest).await? {
                return Ok(head(size, CacheOutcome::Hit));
            }
            if let Some(size) = self
                .in_flight(&view, digest)
                .and_then(|fill| fill.watch().borrow().total)
            {
                return Ok(head(size, CacheOutcome::Joined));
            }
        }
        let announced = self.ask(&view, digest).await?;
        match announced.or_else(|| self.backing.told_size(&view.origin, digest)) {
            Some(size) => Ok(head(size, CacheOutcome::Miss)),
            // Nobody knows the size before the content is here.
            None => {
                let answer = self.filled(&view, digest, None, Sighted::Yes).await?;
                let size = self.measured(&view, digest, answer).await?;
                Ok(head(size, CacheOutcome::Miss))
            }
        }
    }

    /// Finds out whether the repository may read this digest, asking its registry only when the content is here because
    /// of another repository.
    async fn sight(&self, view: &View, digest: &Digest) -> Result<Sighted, CacheError> {
        let find = || self.backing.links.find(view, LinkKind::Blob, digest);
        if find().await?.is_some() {
            return Ok(Sighted::Yes);
        }
        let absent = Absent::Blob(view.clone(), *digest);
        if self
            .backing
            .negative
            .is_absent(&absent, self.backing.clock.now())
        {
            return Err(CacheError::BlobUnknown(Word::Remembered));
        }
        if self.backing.blobs.size(digest).await?.is_none() {
            return Ok(Sighted::NotYet);
        }
        // Perhaps a request of this repository brought it since we looked: links are there before bytes.
        if find().await?.is_some() {
            return Ok(Sighted::Yes);
        }
        self.ask(view, digest).await?;
        Ok(Sighted::Yes)
    }

    /// Asks the registry whether the repository has this blob, once for all who want to know. Returns its size, if told.
    async fn ask(&self, view: &View, digest: &Digest) -> Result<Option<u64>, CacheError> {
        let (backing, asked, digest) = (self.backing.clone(), view.clone(), *digest);
        let work = move || async move {
            let upstream = backing.upstream(&asked.origin.upstream)?;
            let absent = Absent::Blob(asked.clone(), digest);
            let Some(head) = upstream.head_blob(asked.sought(), &digest).await? else {
                backing.negative.remember(absent, backing.clock.now());
                return Err(CacheError::BlobUnknown(Word::Given));
            };
            backing.negative.forget(&absent);
            let link = Link {
                seen: backing.clock.now(),
                size: head.size,
                media_type: None,
            };
            backing
                .links
                .remember(&asked, LinkKind::Blob, &digest, link)
                .await;
            Ok(head.size)
        };
        let key = (view.clone(), digest);
        let asking = self.heads.run("head_blob", &key, work);
        let answered = timeout(FIRST_ANSWER, asking).await;
        answered
            .map_err(|_| CacheError::TooSlow)?
            .ok_or(CacheError::Stopping)?
            .0
    }

    async fn kept(
        &self,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<Option<BlobAnswer>, CacheError> {
        use futures_util::StreamExt;
        let Some(found) = self.backing.blobs.open(digest, range).await? else {
            return Ok(None);
        };
        match found.opened {
            Opened::Unsatisfiable(reason) => Err(reason.into()),
            Opened::Range(part, reader) => Ok(Some(BlobAnswer {
                digest: *digest,
                size: Some(found.total),
                range: range.map(|_| part),
                body: Some(reader.map(|piece| Ok(piece?)).boxed()),
                outcome: CacheOutcome::Hit,
            })),
        }
    }

    fn in_flight(&self, view: &View, digest: &Digest) -> Option<Arc<Fill>> {
        let upstream = view.origin.upstream.clone();
        self.fills.find(&FillKey {
            upstream,
            digest: *digest,
        })
    }

    /// Answers from a fill: one that is under way, or a new one.
    async fn filled(
        &self,
        view: &View,
        digest: &Digest,
        range: Option<ByteRange>,
        mut sighted: Sighted,
    ) -> Result<BlobAnswer, CacheError> {
        let mut failure = FillError::Stopping;
        for _ in 0..ATTEMPTS {
            let (fill, outcome) = self.board(view, digest);
            let is_ours = fill.view() == view;
            if !is_ours && sighted == Sighted::NotYet {
                self.ask(view, digest).await?;
                sighted = Sighted::Yes;
            }
            match from_fill(&self.backing, &fill, range, outcome).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Told(error)) => return Err(error),
                Err(Failed::Fill(FillError::NoSpace(_))) => {
                    let body = pass::through(&self.backing, view, digest, range).await?;
                    return Ok(body);
                }
                Err(Failed::Fill(error @ FillError::Kept)) => {
                    if let Some(answer) = self.kept(digest, range).await? {
                        return Ok(answer);
                    }
                    failure = error;
                }
                // The other repository does not have it, or its readers left: this one has to ask for itself.
                Err(Failed::Fill(error)) if may_begin_anew(&error, is_ours, outcome) => {
                    failure = error
                }
                Err(Failed::Fill(error)) => return Err(self.failed(view, digest, error, is_ours)),
            }
        }
        Err(failure.into())
    }

    fn board(&self, view: &View, digest: &Digest) -> (Arc<Fill>, CacheOutcome) {
        let key = FillKey {
            upstream: view.origin.upstream.clone(),
            digest: *digest,
        };
        let mut begun = None;
        let make = || {
            let (fill, asked) = Fill::new(view.clone(), *digest);
            begun = Some(asked);
            fill
        };
        match (self.fills.board(&key, make), begun) {
            (Boarding::Started(fill, landing), Some(asked)) => {
                let errand = fill::run::Errand {
                    fill: fill.clone(),
                    asked,
                    landing,
                    backing: self.backing.clone(),
                };
                // What it tells is told under the request that began it.
                let run = fill::run::run(errand).in_current_span();
                drop(self.backing.tasks.spawn("fill", run));
                (fill, CacheOutcome::Miss)
            }
            (Boarding::Started(fill, _) | Boarding::Joined(fill), _) => {
                self.backing.metrics.joined();
                (fill, CacheOutcome::Joined)
            }
        }
    }

    fn failed(&self, view: &View, digest: &Digest, error: FillError, is_ours: bool) -> CacheError {
        // What was said to another repository says nothing of this one.
        if is_ours && matches!(error, FillError::Unknown) {
            let absent = Absent::Blob(view.clone(), *digest);
            self.backing
                .negative
                .remember(absent, self.backing.clock.now());
        }
        error.into()
    }

    /// Returns the size of a content that is being fetched because nobody knows it.
    async fn measured(
        &self,
        view: &View,
        digest: &Digest,
        answer: BlobAnswer,
    ) -> Result<u64, CacheError> {
        if let Some(size) = answer.size {
            return Ok(size);
        }
        if let Some(fill) = self.in_flight(view, digest) {
            let mut progress = fill.watch();
            let whole = wait(&mut progress, |progress| {
                matches!(progress.verdict, Verdict::Right)
            });
            match timeout(FIRST_ANSWER, whole).await {
                Ok(Ok(Some(size))) => return Ok(size),
                Ok(Err(Failed::Fill(error))) => return Err(error.into()),
                Ok(Err(Failed::Told(error))) => return Err(error),
                Ok(Ok(None)) | Err(_) => return Err(CacheError::TooSlow),
            }
        }
        self.backing
            .blobs
            .size(digest)
            .await?
            .ok_or(CacheError::TooSlow)
    }
}

/// Decides whether a fill that failed says nothing about what another one would do.
fn may_begin_anew(error: &FillError, is_ours: bool, outcome: CacheOutcome) -> bool {
    match error {
        FillError::Unknown
        | FillError::Upstream(
            UpstreamError::Refused { .. }
            | UpstreamError::LoginRefused { .. }
            // Limits are those of a login.
            | UpstreamError::RateLimited { .. },
        ) => !is_ours,
        FillError::Abandoned => outcome == CacheOutcome::Joined,
        FillError::Kept
        | FillError::NotConfigured(_)
        | FillError::Upstream(_)
        | FillError::Mismatch(_)
        | FillError::WrongSize { .. }
        | FillError::NoSpace(_)
        | FillError::Store(_)
        | FillError::Stopping => false,
    }
}

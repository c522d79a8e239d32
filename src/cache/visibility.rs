//! Who may look at a repository: the one place that decides it, for every route, once per request.
//!
//! A repository that larder has no login for is public by definition: what larder gets there, anybody gets. Of another
//! one the registry is asked without the login, which costs no quota, and again after a day. What is public, everyone
//! may read; what is private, clients on this machine, and others where the configuration shares it. What was seen of a
//! private repository stays with the login that saw it. A [`View`] for answering a client comes from here alone.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::ShareRule;
use super::error::CacheError;
use super::flight::{Pending, SharedWork};
use super::remembered::Remembered;
use super::sight::{View, Visibility};
use crate::addressing::{Caller, Grant, Origin, Place};
use crate::oci::{Digest, Reference};
use crate::runtime::{Clock, Tasks, Timestamp};
use crate::store::{RecordStore, StoreError};
use crate::telemetry::with_causes;
use crate::upstream::{Openness, Sample, Upstream, UpstreamError};

/// How long the registry's word on whether a repository is public counts.
pub const VISIBILITY_COUNTS: Duration = Duration::from_hours(24);
/// How long it counts that the registry had nothing to show to somebody without a login, or could not be asked.
const NO_WORD_COUNTS: Duration = Duration::from_mins(1);
/// How long a client waits for the registry's word. Asking goes on behind it.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// How many repositories are kept in memory; about 300 bytes each.
const IN_MEMORY: u64 = 20_000;
/// How many things are remembered that were not there for somebody without a login. Names of things come from clients.
const UNSAID: u64 = 10_000;

/// What the configuration says of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// What is private goes to clients on this machine.
    OwnMachine,
    /// What is private goes to everyone.
    Everyone,
}

/// Decides who may read. All that is not said to be allowed here is refused.
pub fn may_read(caller: &Caller, visibility: Visibility, sharing: Sharing) -> bool {
    match (visibility, sharing, caller) {
        (Visibility::Public, Sharing::OwnMachine | Sharing::Everyone, Caller::Anonymous(_)) => true,
        (Visibility::Private, Sharing::Everyone, Caller::Anonymous(_)) => true,
        (Visibility::Private, Sharing::OwnMachine, Caller::Anonymous(Place::Loopback)) => true,
        (Visibility::Private, Sharing::OwnMachine, Caller::Anonymous(Place::Elsewhere)) => false,
    }
}

/// What is known of whether a repository is public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Finding {
    /// The last word of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<Said>,
    /// When the registry last said, since that word, that there is no such thing: so it may hide what is private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsaid: Option<Timestamp>,
}

/// A word of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    visibility: Visibility,
    at: Timestamp,
}

impl Finding {
    /// Returns the last word of the registry, if it counts without asking again.
    fn fresh(&self, now: Timestamp) -> Option<Visibility> {
        self.said
            .filter(|said| counts(said.at, VISIBILITY_COUNTS, now))
            .map(|said| said.visibility)
    }

    fn last(&self) -> Option<Visibility> {
        self.said.map(|said| said.visibility)
    }
}

/// Tells whether something of that moment still counts. A moment in the future means that the clock was set back: it
/// says nothing.
fn counts(at: Timestamp, period: Duration, now: Timestamp) -> bool {
    at <= now && now.since(at) < period
}

/// What came of asking in the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lately {
    /// Nobody asked.
    Nothing,
    /// Somebody without a login was told that the thing that is wanted now does not exist.
    Unsaid,
    /// The registry could not be asked.
    Failed,
}

/// How much a caller may see of a repository: what [`may_read`] says of it if it is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    All,
    PublicOnly,
}

/// What to do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Take the repository for this.
    Take(Visibility),
    /// Take it for this, and ask the registry behind the answer.
    TakeAndAsk(Visibility),
    /// Ask the registry first.
    Ask,
}

/// Decides what a repository is taken for. In doubt it is private; who may see that needs not wait for the truth.
fn decide(finding: &Finding, lately: Lately, reach: Reach, now: Timestamp) -> Step {
    if let Some(visibility) = finding.fresh(now) {
        return Step::Take(visibility);
    }
    match (finding.last(), lately, reach) {
        (_, Lately::Unsaid, _) => Step::Take(Visibility::Private),
        (Some(last), Lately::Failed, _) => Step::Take(last),
        (Some(Visibility::Public), Lately::Nothing, _) => match finding.unsaid {
            None => Step::TakeAndAsk(Visibility::Public),
            Some(_) => Step::Ask,
        },
        (Some(Visibility::Private), Lately::Nothing, Reach::All) => {
            Step::TakeAndAsk(Visibility::Private)
        }
        (Some(Visibility::Private), Lately::Nothing, Reach::PublicOnly) => Step::Ask,
        (None, Lately::Failed, Reach::All) => Step::Take(Visibility::Private),
        (None, Lately::Nothing, Reach::All) => match finding.unsaid {
            None => Step::Ask,
            Some(at) if counts(at, NO_WORD_COUNTS, now) => Step::Take(Visibility::Private),
            Some(_) => Step::TakeAndAsk(Visibility::Private),
        },
        (None, Lately::Nothing | Lately::Failed, Reach::PublicOnly) => Step::Ask,
    }
}

/// What a request is for: what the registry is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Thing {
    Manifest(Reference),
    Blob(Digest),
}

impl Thing {
    fn new(sample: Sample<'_>) -> Self {
        match sample {
            Sample::Manifest(reference) => Self::Manifest(reference.clone()),
            Sample::Blob(digest) => Self::Blob(*digest),
        }
    }

    fn sample(&self) -> Sample<'_> {
        match self {
            Self::Manifest(reference) => Sample::Manifest(reference),
            Self::Blob(digest) => Sample::Blob(digest),
        }
    }
}

/// What a question about a repository brought, and which thing was asked for. Asking is shared by those who name the
/// same repository, and the same thing or none.
type Asks = SharedWork<(View, Option<Thing>), Result<(Openness, Thing), CacheError>>;

/// What is known of all repositories that larder has a login for.
#[derive(Debug)]
pub struct Visibilities {
    share: Vec<ShareRule>,
    memory: Arc<Memory>,
    asks: Asks,
}

impl Visibilities {
    /// Starts with what the records say.
    pub fn new(
        records: Arc<dyn RecordStore>,
        share: Vec<ShareRule>,
        tasks: &Tasks,
        clock: &Clock,
    ) -> Self {
        Self {
            share,
            memory: Arc::new(Memory::new(records, clock.clone())),
            asks: SharedWork::new(tasks.clone()),
        }
    }

    /// Returns the view that a caller has of a repository, who asks for this of it. `upstream` is its registry.
    ///
    /// # Errors
    /// [`CacheError::Private`] when the caller may not look. Others when that cannot be found out.
    pub async fn view(
        &self,
        upstream: &Arc<Upstream>,
        grant: &Grant<Origin>,
        sample: Sample<'_>,
    ) -> Result<View, CacheError> {
        let origin = grant.target();
        let Some(login) = upstream.login(&origin.repository).await else {
            return Ok(View::public(origin.clone()));
        };
        let sharing = self.sharing(origin);
        let reach = if may_read(grant.caller(), Visibility::Private, sharing) {
            Reach::All
        } else {
            Reach::PublicOnly
        };
        let private = View::private(origin.clone(), login);
        let visibility = self.find(upstream, &private, sample, reach).await?;
        if !may_read(grant.caller(), visibility, sharing) {
            return Err(CacheError::Private(origin.upstream.clone()));
        }
        Ok(match visibility {
            Visibility::Public => View::public(origin.clone()),
            Visibility::Private => private,
        })
    }

    fn sharing(&self, origin: &Origin) -> Sharing {
        let is_shared = self.share.iter().any(|rule| {
            rule.upstreams.matches(&origin.upstream)
                && rule.repositories.matches(&origin.repository)
        });
        if is_shared {
            Sharing::Everyone
        } else {
            Sharing::OwnMachine
        }
    }

    /// Finds out whether a repository is public. The registry is asked only when what is known does not do.
    async fn find(
        &self,
        upstream: &Arc<Upstream>,
        view: &View,
        sample: Sample<'_>,
        reach: Reach,
    ) -> Result<Visibility, CacheError> {
        let finding = self.memory.finding(view).await?;
        let now = self.memory.clock.now();
        if let Some(visibility) = finding.fresh(now) {
            return Ok(visibility);
        }
        let thing = Thing::new(sample);
        match decide(&finding, self.memory.lately(view, &thing), reach, now) {
            Step::Take(visibility) => Ok(visibility),
            Step::TakeAndAsk(visibility) => {
                drop(self.ask(upstream, view, &thing, None));
                Ok(visibility)
            }
            Step::Ask => {
                let answer = self.asked(upstream, view, &thing, reach).await;
                conclude(answer, finding.last(), reach)
            }
        }
    }

    /// Asks the registry and waits for its word, together with all others who want to know.
    async fn asked(
        &self,
        upstream: &Arc<Upstream>,
        view: &View,
        thing: &Thing,
        reach: Reach,
    ) -> Result<Openness, CacheError> {
        let (openness, asked) = word(self.ask(upstream, view, thing, None)).await?;
        // That somebody else's thing is not there says nothing about this one.
        if openness == Openness::Unsaid && reach == Reach::PublicOnly && asked != *thing {
            let own = self.ask(upstream, view, thing, Some(thing.clone()));
            return Ok(word(own).await?.0);
        }
        Ok(openness)
    }

    /// Sees to it that the registry is being asked: for whatever the first who asks wants, or for one thing only.
    fn ask(
        &self,
        upstream: &Arc<Upstream>,
        view: &View,
        thing: &Thing,
        only: Option<Thing>,
    ) -> Pending<Result<(Openness, Thing), CacheError>> {
        let (memory, upstream) = (self.memory.clone(), upstream.clone());
        let (asked, thing) = (view.clone(), thing.clone());
        let work = move || async move {
            // Another request may have asked between our look and our start.
            if let Some(visibility) = memory.finding(&asked).await?.fresh(memory.clock.now()) {
                return Ok((openness(visibility), thing));
            }
            let asking = upstream.openness(&asked.origin.repository, thing.sample());
            let answer = Box::pin(asking).await;
            memory.note(&asked, &thing, &answer).await?;
            Ok((answer?, thing))
        };
        self.asks
            .begin("find_visibility", &(view.clone(), only), work)
            .0
    }
}

/// Waits for a word of the registry that was asked for.
async fn word(
    mut pending: Pending<Result<(Openness, Thing), CacheError>>,
) -> Result<(Openness, Thing), CacheError> {
    let told = timeout(ASK_WITHIN, pending.wait_for(Option::is_some));
    let told = told.await.map_err(|_| CacheError::TooSlow)?;
    let told = told.map_err(|_| CacheError::Stopping)?.clone();
    told.ok_or(CacheError::Stopping)?
}

/// Decides what a repository is taken for after the registry was asked. Where it could not be, its last word counts,
/// whatever its age.
fn conclude(
    answer: Result<Openness, CacheError>,
    last: Option<Visibility>,
    reach: Reach,
) -> Result<Visibility, CacheError> {
    match (answer, last, reach) {
        (Ok(Openness::Open), _, _) => Ok(Visibility::Public),
        (Ok(Openness::Closed | Openness::Unsaid), _, _) => Ok(Visibility::Private),
        (Err(_), Some(last), _) => Ok(last),
        (Err(_), None, Reach::All) => Ok(Visibility::Private),
        (Err(error), None, Reach::PublicOnly) => Err(error),
    }
}

fn openness(visibility: Visibility) -> Openness {
    match visibility {
        Visibility::Public => Openness::Open,
        Visibility::Private => Openness::Closed,
    }
}

/// What registries said, and what they did not say of late. Views in it are those with the login.
#[derive(Debug)]
struct Memory {
    findings: Remembered<Finding>,
    unsaid: moka::sync::Cache<(View, Thing), Timestamp>,
    failed: moka::sync::Cache<View, Timestamp>,
    /// Held while a finding is changed by what it was.
    changing: Mutex<()>,
    clock: Clock,
}

impl Memory {
    fn new(records: Arc<dyn RecordStore>, clock: Clock) -> Self {
        Self {
            findings: Remembered::new(records, IN_MEMORY),
            unsaid: moka::sync::Cache::builder()
                .max_capacity(UNSAID)
                .time_to_live(NO_WORD_COUNTS)
                .build(),
            failed: moka::sync::Cache::builder()
                .max_capacity(UNSAID)
                .time_to_live(NO_WORD_COUNTS)
                .build(),
            changing: Mutex::new(()),
            clock,
        }
    }

    async fn finding(&self, view: &View) -> Result<Finding, StoreError> {
        let found = self.findings.read(&view.visibility_key()).await?;
        Ok(found.map_or_else(Finding::default, |found| *found))
    }

    fn lately(&self, view: &View, thing: &Thing) -> Lately {
        let now = self.clock.now();
        let is_recent = |at| counts(at, NO_WORD_COUNTS, now);
        if self
            .unsaid
            .get(&(view.clone(), thing.clone()))
            .is_some_and(is_recent)
        {
            Lately::Unsaid
        } else if self.failed.get(view).is_some_and(is_recent) {
            Lately::Failed
        } else {
            Lately::Nothing
        }
    }

    /// Takes down what came of asking.
    async fn note(
        &self,
        view: &View,
        thing: &Thing,
        answer: &Result<Openness, UpstreamError>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let visibility = match answer {
            Ok(Openness::Open) => Visibility::Public,
            Ok(Openness::Closed) => Visibility::Private,
            Ok(Openness::Unsaid) => {
                self.unsaid.insert((view.clone(), thing.clone()), now);
                return self.doubt(view, now).await;
            }
            Err(error) => {
                tracing::debug!(repository.name = %view, error = with_causes(error), "could not find out whether a repository is public");
                self.failed.insert(view.clone(), now);
                return Ok(());
            }
        };
        self.failed.invalidate(view);
        let _changing = self.changing.lock().await;
        let before = self.finding(view).await?.last();
        if before != Some(visibility) {
            tracing::info!(repository.name = %view, ?visibility, "found out whether a repository is public");
        }
        let said = Some(Said {
            visibility,
            at: now,
        });
        self.write(view, Finding { said, unsaid: None }).await;
        Ok(())
    }

    /// Takes down that the registry had nothing to show; seldom, as names of things come from clients.
    async fn doubt(&self, view: &View, now: Timestamp) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let finding = self.finding(view).await?;
        let is_known = finding
            .unsaid
            .is_some_and(|at| counts(at, NO_WORD_COUNTS, now));
        if finding.fresh(now).is_none() && !is_known {
            let unsaid = Some(now);
            self.write(view, Finding { unsaid, ..finding }).await;
        }
        Ok(())
    }

    /// What cannot be written down is in memory all the same.
    async fn write(&self, view: &View, finding: Finding) {
        if let Err(error) = self.findings.write(view.visibility_key(), finding).await {
            tracing::warn!(repository.name = %view, error = with_causes(&error), "could not write down whether a repository is public");
        }
    }
}

//! Who may look at a repository: the one place that decides it, for every route, once per request.
//!
//! A repository that larder has no login for is public by definition: what larder gets there, anybody gets. Of another
//! one the registry is asked without the login, which costs no quota, and again after a day, or minutes for those who
//! were refused. What is public, everyone may read; what is private, clients on this machine, and others where the
//! configuration shares it. What was public goes out from the cache while the registry cannot be asked, but after two
//! days no login fetches more of it. What was seen of a private repository stays with the login that saw it. A [`View`]
//! for answering a client comes from here alone.

mod decision;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::decision::{Reach, Step, Verdict, conclude, decide};
use self::memory::{Memory, Thing};
use super::error::CacheError;
use super::flight::{Pending, SharedWork};
use super::share::{Audience, ShareRules};
use super::sight::{CredentialIdentity, View, Visibility};
use crate::addressing::{Caller, Grant, Origin, Place};
use crate::runtime::{Clock, Live, Tasks};
use crate::store::{RecordStore, StoreError};
use crate::upstream::{Mode, Openness, Sample, Upstream};

/// How long a client waits for the registry's word. Asking goes on behind it.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// The same where an older word of the registry tells something.
const ASK_AGAIN_WITHIN: Duration = Duration::from_millis(1_500);

/// Decides who may read. All that is not said to be allowed here is refused.
pub fn may_read(caller: &Caller, visibility: Visibility, audience: Audience) -> bool {
    match (visibility, audience, caller) {
        (Visibility::Public, Audience::ThisMachine | Audience::Everyone, Caller::Anonymous(_)) => {
            true
        }
        (Visibility::Private, Audience::Everyone, Caller::Anonymous(_)) => true,
        (Visibility::Private, Audience::ThisMachine, Caller::Anonymous(Place::Loopback)) => true,
        (Visibility::Private, Audience::ThisMachine, Caller::Anonymous(Place::Elsewhere)) => false,
    }
}

/// What a question about a repository brought, and which thing was asked for. Asking is shared by those who name the
/// same repository, and the same thing or none.
type Asks = SharedWork<(View, Option<Thing>), Result<(Openness, Thing), CacheError>>;

/// What is known of all repositories that larder has a login for.
#[derive(Debug)]
pub struct Visibilities {
    share: Live<ShareRules>,
    memory: Arc<Memory>,
    asks: Asks,
}

impl Visibilities {
    /// Starts with what the records say.
    pub fn new(
        records: Arc<dyn RecordStore>,
        share: ShareRules,
        tasks: &Tasks,
        clock: &Clock,
    ) -> Self {
        Self {
            share: Live::new(share),
            memory: Arc::new(Memory::new(records, clock.clone())),
            asks: SharedWork::new(tasks.clone()),
        }
    }

    /// Shares private content by other rules, from the next request on.
    pub fn share_by(&self, rules: ShareRules) {
        self.share.replace(rules);
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
        // Before the login: one of an earlier configuration is not judged by the rules of a later one.
        let audience = self.share.now().audience(origin);
        let Some(login) = upstream.login(&origin.repository).await else {
            return Ok(View::without_login(origin.clone()));
        };
        let reach = if may_read(grant.caller(), Visibility::Private, audience) {
            Reach::All
        } else {
            Reach::PublicOnly
        };
        let private = View::private(origin.clone(), login);
        let verdict = self.find(upstream, &private, sample, reach).await?;
        if !may_read(grant.caller(), verdict.visibility(), audience) {
            return Err(CacheError::Private(origin.upstream.clone()));
        }
        Ok(match verdict {
            Verdict::Public => View::public(origin.clone()),
            Verdict::OncePublic => View::without_login(origin.clone()),
            Verdict::Private => private,
        })
    }

    /// Tells whether a caller may hear that a repository is here, of which something was seen with this identity, as keys
    /// name it. That it is public is taken from what is known: nobody is asked. `upstream` is its registry, if there is
    /// one still.
    ///
    /// # Errors
    /// [`StoreError`] when what is known of it could not be read.
    pub async fn shows(
        &self,
        upstream: Option<&Upstream>,
        caller: &Caller,
        origin: &Origin,
        identity: &str,
    ) -> Result<bool, StoreError> {
        if may_read(caller, Visibility::Private, Audience::ThisMachine) {
            return Ok(true);
        }
        let Some(upstream) = upstream else {
            return Ok(false);
        };
        let is_anonymous = identity == CredentialIdentity::Anonymous.name();
        let Some(login) = upstream.login(&origin.repository).await else {
            return Ok(is_anonymous);
        };
        let private = View::private(origin.clone(), login);
        if !is_anonymous && identity != private.identity.name() {
            // By a login of before, of which nothing is shown any more.
            return Ok(false);
        }
        // What was seen without this login may have turned private since.
        let known = self.memory.finding(&private).await?.last();
        let visibility = known.unwrap_or(Visibility::Private);
        let audience = self.share.now().audience(origin);
        Ok(may_read(caller, visibility, audience))
    }

    /// Finds out whether a repository is public. The registry is asked only when what is known does not do.
    async fn find(
        &self,
        upstream: &Arc<Upstream>,
        view: &View,
        sample: Sample<'_>,
        reach: Reach,
    ) -> Result<Verdict, CacheError> {
        let finding = self.memory.finding(view).await?;
        let now = self.memory.clock.now();
        if let Some(visibility) = finding.fresh(reach, now) {
            return Ok(visibility.into());
        }
        if upstream.mode() == Mode::Offline {
            let nobody = CacheError::offline(upstream.name());
            return conclude(Err(nobody), &finding, reach, now);
        }
        let thing = Thing::new(sample);
        match decide(&finding, self.memory.lately(view, &thing), reach, now) {
            Step::Take(verdict) => Ok(verdict),
            Step::TakeAndAsk(verdict) => {
                drop(self.ask(upstream, view, &thing, None, reach));
                Ok(verdict)
            }
            Step::Ask => {
                // Who comes when the registry has been asked for a while already waits for the rest.
                let asked_for = self.asks.elapsed(&(view.clone(), None));
                let again = ASK_AGAIN_WITHIN.saturating_sub(asked_for);
                let patience = finding.last().map_or(ASK_WITHIN, |_| again);
                let asked = timeout(patience, self.asked(upstream, view, &thing, reach));
                let answer = asked.await.unwrap_or(Err(CacheError::TooSlow));
                conclude(answer, &finding, reach, now)
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
        let (openness, asked) = word(self.ask(upstream, view, thing, None, reach)).await?;
        // That somebody else's thing is not there says nothing about this one.
        if openness == Openness::Unsaid && reach == Reach::PublicOnly && asked != *thing {
            let own = self.ask(upstream, view, thing, Some(thing.clone()), reach);
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
        reach: Reach,
    ) -> Pending<Result<(Openness, Thing), CacheError>> {
        let (memory, upstream) = (self.memory.clone(), upstream.clone());
        let (asked, thing) = (view.clone(), thing.clone());
        let work = move || async move {
            // Another request may have asked between our look and our start.
            let finding = memory.finding(&asked).await?;
            if let Some(visibility) = finding.fresh(reach, memory.clock.now()) {
                return Ok((openness(visibility), thing));
            }
            let asking = upstream.openness(&asked.origin.repository, thing.sample());
            let answer = Box::pin(asking).await;
            memory.note(&asked, &thing, &answer, reach).await?;
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
    let told = pending.wait_for(Option::is_some).await;
    let told = told.map_err(|_| CacheError::Stopping)?.clone();
    told.ok_or(CacheError::Stopping)?
}

fn openness(visibility: Visibility) -> Openness {
    match visibility {
        Visibility::Public => Openness::Open,
        Visibility::Private => Openness::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read() {
        let (here, elsewhere) = (Place::Loopback, Place::Elsewhere);
        for (visibility, audience, place, may) in [
            (Visibility::Public, Audience::ThisMachine, here, true),
            (Visibility::Public, Audience::ThisMachine, elsewhere, true),
            (Visibility::Public, Audience::Everyone, here, true),
            (Visibility::Public, Audience::Everyone, elsewhere, true),
            (Visibility::Private, Audience::ThisMachine, here, true),
            (Visibility::Private, Audience::ThisMachine, elsewhere, false),
            (Visibility::Private, Audience::Everyone, here, true),
            (Visibility::Private, Audience::Everyone, elsewhere, true),
        ] {
            let found = may_read(&Caller::Anonymous(place), visibility, audience);
            assert_eq!(found, may, "{visibility:?} {audience:?} {place:?}");
        }
    }
}

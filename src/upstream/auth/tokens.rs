//! Bearer tokens: got where a registry says, once for all who need the same, and shown before they are asked for.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::{Instant, timeout};

use super::challenge::Challenge;
use super::exchange;
use super::token::Token;
use crate::oci::RepositoryName;
use crate::runtime::Tasks;
use crate::upstream::credentials::Login;
use crate::upstream::endpoint_url::Site;
use crate::upstream::error::{Phase, UpstreamError};
use crate::upstream::redirect;
use crate::upstream::settings::Limits;
use crate::upstream::trust::{Hop, Sender};
use crate::upstream::wire::Wire;

/// A token to get: from where, for whom, and what for.
///
/// Tokens of one site are never shown to another, even if both name the same service and scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::upstream) struct Errand {
    pub(super) site: Site,
    /// The token service, with the query that the registry gave it.
    pub(super) realm: Hop,
    pub(super) service: Option<String>,
    pub(super) scopes: Vec<String>,
    /// With which login.
    pub(super) login: Option<Login>,
}

/// Whose tokens for a repository are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Need {
    site: Site,
    repository: RepositoryName,
    login: Option<Login>,
}

/// The tokens of one endpoint, and of the hosts that it sends us to.
#[derive(Debug)]
pub(super) struct Tokens {
    wire: Arc<Wire>,
    tasks: Tasks,
    /// What was needed last time.
    remembered: Cache<Need, Errand>,
    fetches: Cache<Errand, Fetch>,
}

/// A token that is being fetched, or what became of that.
#[derive(Clone)]
struct Fetch(Shared<BoxFuture<'static, Outcome>>);

#[derive(Clone)]
struct Outcome {
    at: Instant,
    result: Result<Token, UpstreamError>,
}

impl Tokens {
    /// How many are kept. Each is a few kilobytes; the ones not used for longest go first.
    const MAX: u64 = 4096;

    /// Starts with no token.
    pub(super) fn new(wire: Arc<Wire>, tasks: Tasks) -> Self {
        // The default policy may refuse new entries, and a fetch that is not kept is not shared.
        let fetches = Cache::builder()
            .max_capacity(Self::MAX)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            wire,
            tasks,
            remembered: Cache::new(Self::MAX),
            fetches,
        }
    }

    /// Returns what was needed last time at a site for a repository, with this login or without one.
    pub(super) fn remembered(
        &self,
        site: &Site,
        repository: &RepositoryName,
        login: Option<&Login>,
    ) -> Option<Errand> {
        self.remembered.get(&Need {
            site: site.clone(),
            repository: repository.clone(),
            login: login.cloned(),
        })
    }

    /// Remembers what is needed at the site of an errand for a repository, with this login or without one, whether the
    /// token service sees it or not.
    pub(super) fn remember(
        &self,
        errand: &Errand,
        repository: &RepositoryName,
        login: Option<&Login>,
    ) {
        let need = Need {
            site: errand.site.clone(),
            repository: repository.clone(),
            login: login.cloned(),
        };
        self.remembered.insert(need, errand.clone());
    }

    /// Plans to get the token that a challenge wants, without a login.
    ///
    /// # Errors
    /// [`UpstreamError::Forbidden`] when the realm breaks the rules of trust.
    pub(super) fn errand(
        &self,
        sender: Sender<'_>,
        challenge: Challenge,
        scopes: Vec<String>,
    ) -> Result<Errand, UpstreamError> {
        let realm = challenge.realm.split('#').next().unwrap_or_default();
        let url = redirect::absolute(realm).ok_or_else(|| {
            UpstreamError::protocol(sender.site.name(), "names a token service that is no URL")
        })?;
        Ok(Errand {
            site: sender.site.clone(),
            realm: self.wire.trust.admit(sender, url)?,
            service: challenge.service,
            scopes,
            login: None,
        })
    }

    /// Returns the token of an errand: the one that is there, or a new one. However many ask, one request is made; it
    /// goes on when they are gone.
    pub(super) async fn obtain(&self, errand: &Errand) -> Result<Token, UpstreamError> {
        let limits = &self.wire.limits;
        let asked = Instant::now();
        loop {
            let fetch = self
                .fetches
                .entry_by_ref(errand)
                .or_insert_with_if(|| self.fetch(errand.clone()), |fetch| fetch.is_over(limits))
                .into_value();
            let outcome = fetch.0.await;
            // It may have ended long ago, with nobody left to see it.
            if outcome.at >= asked || !outcome.is_over(limits) {
                return outcome.result;
            }
        }
    }

    /// Returns whether the token of an errand is there, so that nobody has to be asked for it.
    pub(super) fn is_there(&self, errand: &Errand) -> bool {
        let fetch = self.fetches.get(errand);
        let outcome = fetch.as_ref().and_then(|Fetch(fetch)| fetch.peek());
        outcome.is_some_and(|outcome| outcome.result.is_ok() && !outcome.is_over(&self.wire.limits))
    }

    /// Gets a token anew, to see whether its login is still right.
    pub(super) async fn renew(&self, errand: &Errand) -> Result<Token, UpstreamError> {
        let kept = self.fetches.get(errand);
        if let Some(Fetch(fetch)) = kept
            && fetch.peek().is_some()
        {
            self.fetches.invalidate(errand);
        }
        self.obtain(errand).await
    }

    /// Drops a token that was refused, unless it was replaced already.
    pub(super) fn forget(&self, errand: &Errand, token: &Token) {
        if let Some(Fetch(fetch)) = self.fetches.get(errand)
            && let Some(Ok(kept)) = fetch.peek().map(|outcome| &outcome.result)
            && kept.authorization() == token.authorization()
        {
            self.fetches.invalidate(errand);
        }
    }

    fn fetch(&self, errand: Errand) -> Fetch {
        let wire = self.wire.clone();
        let host = errand.realm.site.name().clone();
        let late = UpstreamError::TimedOut {
            host: host.clone(),
            phase: Phase::Token,
        };
        let fetching = self.tasks.spawn("upstream token", async move {
            let fetching = timeout(wire.limits.token, Box::pin(exchange::fetch(&wire, &errand)));
            Outcome::now(fetching.await.unwrap_or(Err(late)))
        });
        let outcome = fetching.map(move |done| match done {
            Ok(outcome) => outcome,
            Err(error) => Outcome::now(Err(UpstreamError::unreachable(&host, error))),
        });
        Fetch(outcome.boxed().shared())
    }
}

impl Fetch {
    /// Returns whether it takes a new one.
    fn is_over(&self, limits: &Limits) -> bool {
        let outcome = self.0.peek();
        outcome.is_some_and(|outcome| outcome.is_over(limits))
    }
}

impl Outcome {
    fn now(result: Result<Token, UpstreamError>) -> Self {
        Self {
            at: Instant::now(),
            result,
        }
    }

    /// Returns whether the token is too old, or the failure was long enough ago.
    fn is_over(&self, limits: &Limits) -> bool {
        match &self.result {
            Ok(token) => token.is_spent(),
            Err(UpstreamError::Refused { .. }) => self.at.elapsed() >= limits.token_refusal,
            // Nobody was asked, so nobody is spared by waiting.
            Err(UpstreamError::Offline { .. }) => true,
            Err(_) => self.at.elapsed() >= limits.token_failure,
        }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").finish_non_exhaustive()
    }
}

impl Errand {
    /// Shows this login to the token service.
    pub(super) fn with_login(self, login: Option<Login>) -> Self {
        Self { login, ..self }
    }

    /// Asks for a token that allows nothing, to find out whether a login is right.
    pub(super) fn without_scopes(&self) -> Self {
        Self {
            scopes: Vec::new(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
impl Errand {
    /// Makes an errand to a place.
    pub(in crate::upstream) fn sample(path: &str) -> Self {
        let url: http::Uri = format!("https://auth.example/{path}")
            .parse()
            .expect("a URL");
        let site = Site::of(&url).expect("a site");
        Self {
            site: site.clone(),
            realm: Hop {
                url,
                site,
                reach: crate::upstream::trust::Reach::Public,
            },
            service: None,
            scopes: Vec::new(),
            login: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Clock, InstanceId};
    use crate::upstream::connect::Clients;
    use crate::upstream::endpoint_url::EndpointUrl;
    use crate::upstream::gates::Gates;
    use crate::upstream::health::{Health, Vigils};
    use crate::upstream::metrics::Metrics;
    use crate::upstream::quota::Quotas;
    use crate::upstream::settings::Limits;
    use crate::upstream::trust::{Reach, Trust};
    use crate::upstream::{Mode, Switch};

    #[tokio::test]
    async fn an_old_failure_that_nobody_saw_answers_nobody() {
        let (limits, tasks) = (Limits::default(), Tasks::new());
        let endpoint: EndpointUrl = "https://r.example".parse().unwrap();
        let wire = Wire {
            clients: Clients::sample(&limits, &tasks),
            trust: Trust::new(Vec::new()),
            limits: limits.clone(),
            clock: Clock::system(),
            health: Health::new(
                limits.circuit,
                Metrics::default().of("x").resting(),
                Clock::system(),
            ),
            vigils: Vigils::new(&endpoint.into(), tasks.clone()),
            gates: Gates::new(),
            quotas: Quotas::new(),
            metrics: Metrics::default().of("x"),
            switch: Arc::new(Switch::sample(Mode::Online)),
            instance: InstanceId::random(),
        };
        let tokens = Tokens::new(Arc::new(wire), tasks);
        // Nobody listens there, which the new failure tells.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let mut errand = Errand::sample("");
        errand.realm.url = url.parse().unwrap();
        errand.realm.reach = Reach::Anywhere;
        for (age, is_asked_again) in [
            (limits.token_failure / 2, false),
            (limits.token_failure, true),
        ] {
            let old = Outcome {
                at: Instant::now().checked_sub(age).unwrap(),
                result: Err(UpstreamError::protocol(&"old".into(), "failed")),
            };
            let unseen = std::future::ready(old).boxed().shared();
            tokens.fetches.insert(errand.clone(), Fetch(unseen));
            let error = tokens.obtain(&errand).await.unwrap_err();
            let is_new = matches!(error, UpstreamError::Unreachable { .. });
            assert_eq!(is_new, is_asked_again, "{error}");
        }
    }
}

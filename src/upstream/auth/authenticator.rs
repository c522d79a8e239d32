//! The conversation with a registry until it answers: what it demands, what it is shown, and what it says to that.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::challenge::{Challenge, Demand};
use super::doubt::Doubted;
use super::next::{self, Next, Proof, Shown, Wanted};
use super::realm::TokenHosts;
use super::token::Token;
use super::tokens::{Errand, Tokens};
use super::turns::Voice;
use crate::oci::RepositoryName;
use crate::runtime::Tasks;
use crate::telemetry::with_causes;
use crate::upstream::answer::Answer;
use crate::upstream::credentials::{CredentialState, Keyring, Login, LoginIdentity, Standing};
use crate::upstream::error::{LoginProblem, UpstreamError};
use crate::upstream::metrics::Kind;
use crate::upstream::request::{AsWhom, Ask, base_headers};
use crate::upstream::trust::Hop;
use crate::upstream::wire::{Message, Wire};

/// What goes wrong with a login while the registry is asked: the reason why it was asked without.
pub(in crate::upstream) type Trouble = Option<(LoginIdentity, LoginProblem)>;

/// Shows a registry what it wants to see.
#[derive(Debug)]
pub(in crate::upstream) struct Authenticator {
    pub(super) keyring: Keyring,
    token_hosts: TokenHosts,
    pub(super) tokens: Tokens,
    pub(super) wire: Arc<Wire>,
    /// What `GET /v2/` demands: some registries send no challenge with anything else.
    ping: moka::future::Cache<(), Option<Demand>>,
    /// Logins that were accepted a moment ago.
    pub(super) proven: Cache<Login, ()>,
    /// Whether the registry wants to see the login itself.
    wants_login: Cache<(), ()>,
    /// The one turn to show a login that is not proven.
    pub(super) turns: Arc<Semaphore>,
}

/// How a conversation goes on.
enum Proceeding {
    /// It does not: this is the answer.
    Answered(Box<Answer>),
    /// With another request that shows this, if anything.
    With(Option<Shown>),
}

impl Authenticator {
    /// How long the demand of `GET /v2/` is remembered.
    const PING_COUNTS: Duration = Duration::from_secs(600);
    /// How many logins are remembered as accepted.
    const MAX_PROVEN: u64 = 256;
    /// How many answers are taken as not the last: a token shown again, other tokens, other logins.
    const MAX_ROUNDS: u32 = 10;

    /// Starts with nothing known.
    pub(in crate::upstream) fn new(
        keyring: Keyring,
        token_hosts: TokenHosts,
        wire: Arc<Wire>,
        tasks: Tasks,
    ) -> Self {
        let authenticator = Self {
            keyring,
            token_hosts,
            tokens: Tokens::new(wire.clone(), tasks),
            ping: moka::future::Cache::builder()
                .max_capacity(1)
                .time_to_live(Self::PING_COUNTS)
                .build(),
            proven: Cache::builder()
                .max_capacity(Self::MAX_PROVEN)
                .time_to_live(wire.limits.login_proof)
                .build(),
            wants_login: Cache::builder()
                .max_capacity(1)
                .time_to_live(Self::PING_COUNTS)
                .build(),
            turns: Arc::new(Semaphore::new(1)),
            wire,
        };
        authenticator.tell_logins();
        authenticator
    }

    /// Shows in the metrics which logins are left alone.
    pub(super) fn tell_logins(&self) {
        for login in self.keyring.report() {
            let is_suspended = login.state == CredentialState::Suspended;
            self.wire
                .metrics
                .login_suspended(&login.identity, is_suspended);
        }
    }

    /// Returns the logins that there are.
    pub(in crate::upstream) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Asks at one place, and shows what that place wants to see. `home` is the registry's own place, where it is pinged:
    /// there alone the login is shown. What is wrong with the login is taken down in `trouble`; the registry is then asked
    /// without it.
    pub(in crate::upstream) async fn ask(
        &self,
        home: &Hop,
        hop: &Hop,
        ask: &Ask,
        trouble: &mut Trouble,
    ) -> Result<Answer, UpstreamError> {
        let is_own = hop.site == home.site;
        let login = match ask.as_whom {
            AsWhom::Configured if is_own => self.login(&ask.repository, trouble).await,
            AsWhom::Configured | AsWhom::Anonymous => None,
        };
        let mut voice = Voice::new(login, &ask.repository, trouble);
        let mut shown = self.first(hop, ask, &mut voice).await;
        let mut rounds = 0;
        loop {
            let pending = voice.login.as_ref().map(|login| &login.identity);
            let answer = self.send(hop, ask, shown.as_ref(), pending).await?;
            let wanted = match answer.status() {
                StatusCode::UNAUTHORIZED => self.wanted(&answer, home, ask, &mut voice).await?,
                _ => None,
            };
            let next = next::next(answer.status(), wanted, shown.as_ref());
            if self.note(&answer, shown.as_ref()) {
                voice.end_turn();
            }
            if rounds >= Self::MAX_ROUNDS {
                return Ok(answer);
            }
            rounds += 1;
            shown = match self.proceed(home, next, answer, shown, &mut voice).await? {
                Proceeding::Answered(answer) => return Ok(*answer),
                Proceeding::With(shown) => shown,
            };
        }
    }

    /// Prepares what is shown next, unless the answer stands.
    async fn proceed(
        &self,
        home: &Hop,
        next: Next,
        answer: Answer,
        shown: Option<Shown>,
        voice: &mut Voice<'_>,
    ) -> Result<Proceeding, UpstreamError> {
        let fetched = shown.as_ref().map_or(0, |shown| shown.fetched);
        let shown = match next {
            Next::Accept => return Ok(Proceeding::Answered(Box::new(answer))),
            Next::Repeat => {
                self.wire.drain(answer).await;
                tokio::time::sleep(self.wire.limits.same_token).await;
                shown.map(|shown| Shown {
                    repeated: shown.repeated + 1,
                    ..shown
                })
            }
            Next::Fetch(errand) => {
                self.wire.drain(answer).await;
                self.forget(shown.as_ref());
                let proof = self.token(*errand, voice).await?;
                voice.end_turn();
                Some(Shown {
                    proof,
                    fetched: fetched + 1,
                    repeated: 0,
                })
            }
            Next::Show => {
                self.wire.drain(answer).await;
                self.take_turn_unless_proven(voice).await;
                Self::login_of(voice)
            }
            Next::Doubt(login) => match self.doubted(home, &login, answer, voice).await {
                // It may be for other repositories: what anybody may pull is pulled without it.
                Doubted::Stands(answer) if login.is_registry_token() => {
                    self.leave(&login, *answer, voice).await;
                    None
                }
                Doubted::Stands(answer) => return Ok(Proceeding::Answered(answer)),
                Doubted::Wrong => Self::login_of(voice),
            },
        };
        Ok(Proceeding::With(shown))
    }

    /// Returns the login for a repository, if there is one that may be used.
    pub(super) async fn login(
        &self,
        repository: &RepositoryName,
        trouble: &mut Trouble,
    ) -> Option<Login> {
        let (identity, problem) = match self.keyring.standing(repository).await {
            Standing::Nobody => return None,
            Standing::Ready(login) => return Some(login),
            Standing::Suspended { identity, until } => {
                let left = until.saturating_duration_since(Instant::now());
                (identity, LoginProblem::Suspended { left })
            }
            Standing::Unreadable { identity, problem } => {
                (identity, LoginProblem::Unreadable(problem))
            }
        };
        *trouble = Some((identity, problem));
        None
    }

    pub(super) fn shown(proof: Proof) -> Shown {
        Shown {
            proof,
            fetched: 0,
            repeated: 0,
        }
    }

    /// Shows the login itself to the registry, where that is one that may be shown.
    fn login_of(voice: &Voice<'_>) -> Option<Shown> {
        let login = voice.login.as_ref()?;
        Proof::of_login(login).map(Self::shown)
    }

    /// Returns what to show before anything was demanded: what was wanted last time.
    async fn first(&self, hop: &Hop, ask: &Ask, voice: &mut Voice<'_>) -> Option<Shown> {
        if let Some(login) = &voice.login {
            let is_ready = login.is_registry_token();
            if is_ready {
                return Self::login_of(voice);
            }
            if self.wants_login.contains_key(&()) {
                self.take_turn_unless_proven(voice).await;
                return Self::login_of(voice);
            }
        }
        let errand = self.foreseen(hop, ask, voice.login.as_ref())?;
        let errand = self.in_turn(errand, voice).await;
        // Without success the registry is asked without: it may want another token by now.
        let token = self.obtain(&errand).await.ok()?;
        voice.end_turn();
        Some(Self::shown(Proof::Token(Box::new(errand), token)))
    }

    /// Returns the token of an errand. One that is new says that its login did; one that was kept says nothing of today.
    pub(super) async fn obtain(&self, errand: &Errand) -> Result<Token, UpstreamError> {
        let asked = Instant::now();
        let token = self.tokens.obtain(errand).await?;
        if let Some(login) = &errand.login
            && token.was_issued_since(asked)
        {
            self.accepted(login);
        }
        Ok(token)
    }

    /// Returns the errand that was needed last time: with this login, or else without one.
    fn foreseen(&self, hop: &Hop, ask: &Ask, login: Option<&Login>) -> Option<Errand> {
        let remembered = |login| self.tokens.remembered(&hop.site, &ask.repository, login);
        if let Some(errand) = remembered(login) {
            return Some(errand);
        }
        let errand = remembered(None)?;
        let service = &errand.realm.site;
        let may_see = self.token_hosts.may_see_login(&hop.site, service);
        // Without the login it was asked for already; whether that matters, an answer has to tell.
        may_see.then(|| errand.clone().with_login(login.cloned()))
    }

    /// Asks once. Before anything is shown, the login that will be is the one whose limits count: that nobody may pull
    /// any more is no reason not to ask what it may.
    async fn send(
        &self,
        hop: &Hop,
        ask: &Ask,
        shown: Option<&Shown>,
        pending: Option<&LoginIdentity>,
    ) -> Result<Answer, UpstreamError> {
        let authorization = shown.and_then(|shown| shown.proof.authorization());
        let message = Message::new(ask.kind, &ask.method, &ask.headers);
        let message = match shown {
            Some(shown) => message.paid_by(shown.proof.payer()),
            None => Message {
                account: pending,
                ..message
            },
        };
        let message = Message {
            authorization: authorization.as_ref(),
            ..message
        };
        self.wire.send(hop, message).await
    }

    /// Takes down that a login did, when it did. Returns whether it did.
    fn note(&self, answer: &Answer, shown: Option<&Shown>) -> bool {
        if let Some(Proof::Login(login)) = shown.map(|shown| &shown.proof)
            && (answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND)
        {
            self.accepted(login);
            // It counts from now on, so that those who use it all the time never wait for each other.
            self.proven.insert(login.clone(), ());
            return true;
        }
        false
    }

    pub(super) fn accepted(&self, login: &Login) {
        if !self.proven.contains_key(login) {
            self.proven.insert(login.clone(), ());
            self.keyring.accepted(login);
            self.tell_logins();
        }
    }

    /// Drops a token that was refused.
    fn forget(&self, shown: Option<&Shown>) {
        if let Some(Proof::Token(errand, token)) = shown.map(|shown| &shown.proof) {
            self.tokens.forget(errand, token);
        }
    }

    /// Returns what an answer of 401 wants to see, if it is something that there is.
    async fn wanted(
        &self,
        answer: &Answer,
        home: &Hop,
        ask: &Ask,
        voice: &mut Voice<'_>,
    ) -> Result<Option<Wanted>, UpstreamError> {
        let is_own = *answer.sender().site == home.site;
        let mut demand = Demand::of(answer.headers());
        if demand.is_empty && is_own {
            match self.ping(home).await {
                Some(ping) => demand = ping,
                None => return Ok(None),
            }
        }
        let Some(challenge) = demand.bearer else {
            if demand.has_basic && is_own {
                self.wants_login.insert((), ());
            }
            let login = voice.login.clone().filter(|_| demand.has_basic && is_own);
            let login = login.filter(|login| Proof::of_login(login).is_some());
            return Ok(login.map(|_| Wanted::Login));
        };
        let complaint = challenge.complaint;
        let errand = self.errand(answer, challenge, is_own, ask, voice)?;
        self.tokens
            .remember(&errand, &ask.repository, voice.login.as_ref());
        Ok(Some(Wanted::Token(Box::new(errand), complaint)))
    }

    fn errand(
        &self,
        answer: &Answer,
        challenge: Challenge,
        is_own: bool,
        ask: &Ask,
        voice: &mut Voice<'_>,
    ) -> Result<Errand, UpstreamError> {
        // Another host, that we were sent to, has names of its own: only it knows what to ask for.
        let scopes = if is_own {
            next::scopes(&challenge, &ask.repository)
        } else {
            challenge.scopes.clone()
        };
        let sender = answer.sender();
        let errand = self.tokens.errand(sender, challenge, scopes)?;
        let login = voice.login.clone();
        let Some(login) = login.filter(|login| !login.is_registry_token()) else {
            return Ok(errand);
        };
        let service = &errand.realm.site;
        if self.token_hosts.may_see_login(sender.site, service) {
            tracing::debug!(host = %sender.site.name(), token_service = %service.name(), login = %login.identity, "shows the login to the token service");
            return Ok(errand.with_login(Some(login)));
        }
        tracing::warn!(
            host = %sender.site.name(), token_service = %service.name(), login = %login.identity,
            "the registry names a token service of another domain: it is asked without the login (token_hosts would allow it)"
        );
        let problem = LoginProblem::Withheld(service.name().clone());
        *voice.trouble = Some((login.identity, problem));
        Ok(errand)
    }

    /// Returns what `GET /v2/` demands. It is asked once however many want to know; a failure is not remembered.
    async fn ping(&self, home: &Hop) -> Option<Demand> {
        let asking = async {
            let headers = base_headers("*/*");
            let message = Message::new(Kind::Ping, &Method::GET, &headers);
            let answer = self.wire.send(home, message).await?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                let demand = Demand::of(answer.headers());
                self.wire.drain(answer).await;
                return Ok(Some(demand));
            }
            // In trouble it says nothing of what it demands.
            match self.wire.judge(answer).await {
                Err(trouble @ UpstreamError::Unavailable { .. }) => Err(trouble),
                Err(_) => Ok(None),
                Ok(answer) => {
                    self.wire.drain(answer).await;
                    Ok(None)
                }
            }
        };
        match self.ping.try_get_with((), asking).await {
            Ok(demand) => demand,
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "no challenge to be had");
                None
            }
        }
    }
}

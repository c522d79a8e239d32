//! One endpoint of an upstream: tokens and redirects, until there is an answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;
use http::{Method, StatusCode};
use moka::future::Cache;

use super::auth::challenge::{Challenge, Complaint, Demand};
use super::auth::tokens::{Errand, Tokens};
use super::auth::{self, Next, Shown};
use super::credentials::{Keyring, LoginIdentity};
use super::endpoint_url::EndpointUrl;
use super::error::UpstreamError;
use super::redirect::MAX_REDIRECTS;
use super::refusal::{self, Refusal};
use super::request::{Ask, base_headers};
use super::settings::Limits;
use super::trust::{Hop, Reach};
use super::wire::{Answer, Step, Wire};
use crate::oci::RepositoryName;
use crate::runtime::Tasks;
use crate::telemetry::with_causes;

/// What registries say with every answer, and storage does not.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A place to ask, with its connections and tokens.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: EndpointUrl,
    keyring: Keyring,
    wire: Arc<Wire>,
    tokens: Tokens,
    /// What `GET /v2/` asks for: some registries send no challenge with anything else.
    ping: Cache<(), Option<Challenge>>,
}

impl Endpoint {
    /// How long the challenge of `GET /v2/` is remembered.
    const PING_COUNTS: Duration = Duration::from_secs(600);

    /// Makes an endpoint that has no connection yet.
    pub(super) fn new(url: EndpointUrl, keyring: Keyring, wire: Wire, tasks: Tasks) -> Self {
        let wire = Arc::new(wire);
        Self {
            url,
            keyring,
            tokens: Tokens::new(wire.clone(), tasks),
            wire,
            ping: Cache::builder()
                .max_capacity(1)
                .time_to_live(Self::PING_COUNTS)
                .build(),
        }
    }

    /// Returns its address.
    pub(super) fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Returns which login is for a repository here.
    pub(super) async fn login(&self, repository: &RepositoryName) -> Option<LoginIdentity> {
        self.keyring.identity(repository).await
    }

    /// Returns how patient we are.
    pub(super) fn limits(&self) -> &Limits {
        &self.wire.limits
    }

    /// Asks once, follows where that leads, and returns an answer that is 2xx, 404, 405, 416 or 501.
    pub(super) async fn request(&self, ask: &Ask) -> Result<Answer, UpstreamError> {
        let mut hop = self.hop(&ask.path);
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask(&hop, ask).await?;
            match self.wire.step(answer).await? {
                Step::Onward(next) => hop = next,
                Step::Arrived(answer) => {
                    let answer = self.believe(answer).await?;
                    return self.wire.judge(answer).await;
                }
            }
        }
        Err(Wire::too_many_redirects(&hop))
    }

    /// Passes on an answer, unless a host that we were sent to says no and does not speak for the registry. Storage does
    /// not: it refuses an address that ran out, and lacks what is not copied there yet. Another registry does.
    async fn believe(&self, mut answer: Answer) -> Result<Answer, UpstreamError> {
        let status = answer.status();
        let says_no = matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::GONE
        );
        let is_own = answer.sender().site == self.url.site();
        if !says_no || is_own || answer.headers().contains_key(API_VERSION) {
            return Ok(answer);
        }
        let Refusal { message, has_code } = refusal::read(&mut answer).await;
        let host = answer.host().clone();
        match status {
            status if !has_code => Err(UpstreamError::Misled { host, status }),
            StatusCode::NOT_FOUND => Ok(answer),
            status => Err(UpstreamError::Refused {
                host,
                status,
                message,
            }),
        }
    }

    fn hop(&self, path: &str) -> Hop {
        Hop {
            url: self.url.api(path),
            site: self.url.site().clone(),
            reach: Reach::Anywhere,
        }
    }

    /// Asks at one place, with a token of that place if it wants one.
    async fn ask(&self, hop: &Hop, ask: &Ask) -> Result<Answer, UpstreamError> {
        let mut shown = match self.tokens.remembered(&hop.site, &ask.repository) {
            // Without success the registry is asked without: it may want another token by now.
            Some(errand) => self.show(errand, 0).await.ok(),
            None => None,
        };
        loop {
            let authorization = shown.as_ref().map(|shown| shown.token.authorization());
            let answer = self
                .wire
                .send(hop, &ask.method, &ask.headers, authorization)
                .await?;
            let wanted = match answer.status() {
                StatusCode::UNAUTHORIZED => self.wanted(&answer, hop, ask).await?,
                _ => None,
            };
            let next = auth::next(answer.status(), wanted, shown.as_ref());
            if next == Next::Accept {
                return Ok(answer);
            }
            self.wire.drain(answer).await;
            shown = match next {
                Next::Accept | Next::Repeat => {
                    tokio::time::sleep(self.wire.limits.same_token).await;
                    shown.map(Shown::again)
                }
                Next::Fetch(errand) => {
                    let fetched = shown.as_ref().map_or(0, |shown| shown.fetched);
                    if let Some(refused) = shown {
                        self.tokens.forget(&refused.errand, &refused.token);
                    }
                    Some(self.show(errand, fetched + 1).await?)
                }
            };
        }
    }

    /// Gets a token to show.
    async fn show(&self, errand: Errand, fetched: u32) -> Result<Shown, UpstreamError> {
        Ok(Shown {
            token: self.tokens.obtain(&errand).await?,
            errand,
            fetched,
            repeated: 0,
        })
    }

    /// Returns the token that an answer of 401 wants, if it wants one that we can get.
    async fn wanted(
        &self,
        answer: &Answer,
        hop: &Hop,
        ask: &Ask,
    ) -> Result<Option<(Errand, Option<Complaint>)>, UpstreamError> {
        let is_own = hop.site == *self.url.site();
        let demand = Demand::of(answer.headers());
        let challenge = match demand.bearer {
            Some(challenge) => challenge,
            None if demand.is_empty && is_own => match self.ping().await {
                Some(challenge) => challenge,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        // Another host, that we were sent to, has names of its own: only it knows what to ask for.
        let scopes = if is_own {
            auth::scopes(&challenge, &ask.repository)
        } else {
            challenge.scopes.clone()
        };
        let errand = self.tokens.errand(answer.sender(), &challenge, &scopes)?;
        self.tokens.remember(&errand, &ask.repository);
        Ok(Some((errand, challenge.complaint)))
    }

    /// Returns the challenge of `GET /v2/`. It is asked for once however many want it; a failure is not remembered.
    async fn ping(&self) -> Option<Challenge> {
        let asking = async {
            let (hop, headers) = (self.hop(""), base_headers("*/*"));
            let answer = self.wire.send(&hop, &Method::GET, &headers, None).await?;
            let challenge = Demand::of(answer.headers()).bearer;
            self.wire.drain(answer).await;
            Ok::<_, UpstreamError>(challenge)
        };
        match self.ping.try_get_with((), asking).await {
            Ok(challenge) => challenge,
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "no challenge to be had");
                None
            }
        }
    }
}

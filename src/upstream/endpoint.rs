//! One endpoint of an upstream: tokens and redirects, until there is an answer.

use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderName;

use super::answer::Answer;
use super::auth::{Authenticator, TokenHosts, Trouble};
use super::credentials::{Keyring, LoginIdentity};
use super::endpoint_url::{EndpointUrl, Site};
use super::error::UpstreamError;
use super::habits::Habits;
use super::redirect::MAX_REDIRECTS;
use super::refusal::{self, Refusal};
use super::request::Ask;
use super::scheme::Fallback;
use super::settings::{ApiPath, EndpointScope, EndpointSettings, Limits};
use super::standing::EndpointStanding;
use super::trust::{Hop, Reach};
use super::wire::{Step, Wire};
use crate::oci::RepositoryName;
use crate::runtime::Tasks;

/// What registries say with every answer, and storage does not.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A place to ask, with its connections and tokens.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: EndpointUrl,
    api_path: ApiPath,
    scope: EndpointScope,
    shows_certificate: bool,
    fallback: Fallback,
    wire: Arc<Wire>,
    authenticator: Authenticator,
    habits: Habits,
}

impl Endpoint {
    /// Makes an endpoint that has no connection yet.
    pub(super) fn new(
        settings: EndpointSettings,
        keyring: Keyring,
        token_hosts: TokenHosts,
        wire: Wire,
        tasks: Tasks,
    ) -> Self {
        let wire = Arc::new(wire);
        Self {
            fallback: Fallback::of(&settings),
            habits: Habits::new(wire.clock.clone()),
            shows_certificate: settings.tls.client.is_some(),
            url: settings.url,
            api_path: settings.api_path,
            scope: settings.scope,
            authenticator: Authenticator::new(keyring, token_hosts, wire.clone(), tasks),
            wire,
        }
    }

    /// Returns its address.
    pub(super) fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Counts a transfer from it that broke and went on.
    pub(super) fn count_resumed(&self) {
        self.wire.metrics.resumed();
    }

    /// Returns what it is asked for.
    pub(super) fn scope(&self) -> EndpointScope {
        self.scope
    }

    /// Returns whether connections to it are made with a certificate of ours.
    pub(super) fn shows_certificate(&self) -> bool {
        self.shows_certificate
    }

    /// Returns which login is for a repository here.
    pub(super) async fn login(&self, repository: &RepositoryName) -> Option<LoginIdentity> {
        self.authenticator.keyring().identity(repository).await
    }

    /// Returns how patient we are.
    pub(super) fn limits(&self) -> &Limits {
        &self.wire.limits
    }

    /// Returns what is known of it and of the hosts that it leads to.
    pub(super) fn standing(&self) -> EndpointStanding {
        let own = self.fallback.url().unwrap_or(&self.url).site();
        EndpointStanding {
            url: self.url.to_string(),
            hosts: self.wire.health.standings(own),
            limits: self.wire.gates.all_closed(self.wire.clock.now()),
            quotas: self.wire.quotas.told(),
            logins: self.authenticator.keyring().report(),
        }
    }

    /// Returns what it turned out not to do well.
    pub(super) fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Asks once, follows where that leads, and returns an answer that is 2xx, 404, 405, 416 or 501, or
    /// 304 when the question has a condition.
    pub(super) async fn request(&self, ask: &Ask) -> Result<Answer, UpstreamError> {
        let mut trouble = None;
        let answered = self.follow(ask, &mut trouble).await;
        let Some((login, problem)) = trouble else {
            return answered;
        };
        // Without its login a registry says no, or that there is nothing, whatever there is.
        let host = match answered {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => answer.host().clone(),
            Err(UpstreamError::Refused {
                host,
                status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
                ..
            }) => host,
            answered => return answered,
        };
        Err(UpstreamError::LoginRefused {
            host,
            login,
            problem,
        })
    }

    async fn follow(&self, ask: &Ask, trouble: &mut Trouble) -> Result<Answer, UpstreamError> {
        let (mut home, mut hop) = (self.hop(""), self.hop(&ask.path));
        for _ in 0..=MAX_REDIRECTS {
            let asking = self.authenticator.ask(&home, &hop, ask, trouble);
            let answer = match Box::pin(asking).await {
                Err(error) if self.fallback.takes_over(&hop, &error) => {
                    (home, hop) = (self.hop(""), self.hop(&ask.path));
                    Box::pin(self.authenticator.ask(&home, &hop, ask, trouble)).await?
                }
                answer => answer?,
            };
            match self.wire.step(answer).await? {
                Step::Onward(next) => hop = next,
                Step::Arrived(answer) => {
                    let answer = self.believe(answer).await?;
                    if answer.status() == StatusCode::NOT_MODIFIED && ask.is_conditional() {
                        return Ok(answer);
                    }
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
        let is_own = self.is_own(answer.sender().site);
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
                login: answer.payer().cloned(),
            }),
        }
    }

    /// Tells whether this is the registry itself, and nobody that it sent us to.
    fn is_own(&self, site: &Site) -> bool {
        site == self.url.site() || self.fallback.site() == Some(site)
    }

    fn hop(&self, path: &str) -> Hop {
        let url = self.fallback.url().unwrap_or(&self.url);
        Hop {
            url: url.api(self.api_path, path),
            site: url.site().clone(),
            reach: Reach::Anywhere,
        }
    }
}

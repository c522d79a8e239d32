//! One request and the head of one answer, without a second thought: connections, timeouts, hosts that rest, limits. Tokens
//! and redirects are decided elsewhere.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER, VIA};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::timeout;

use super::answer::Answer;
use super::connect::{Clients, OutOfReach, TimedOut};
use super::credentials::LoginIdentity;
use super::error::{Phase, TrustRule, UpstreamError, find};
use super::gates::{self, Gates};
use super::health::{Health, Knock, Pass, Subject, Vigils};
use super::metrics::{Kind, UpstreamMetrics};
use super::quota::{Quota, Quotas};
use super::redirect;
use super::refusal;
use super::request::base_headers;
use super::retry;
use super::settings::Limits;
use super::switch::{Mode, Switch};
use super::transport::Via;
use super::trust::{Hop, Trust, shown};
use crate::runtime::{Clock, InstanceId};

/// The way to one endpoint and to wherever it sends us.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) clients: Clients,
    pub(super) trust: Trust,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) vigils: Vigils,
    pub(super) gates: Gates,
    pub(super) quotas: Quotas,
    pub(super) metrics: UpstreamMetrics,
    pub(super) switch: Arc<Switch>,
    /// Who we are, for larders that are asked in a circle.
    pub(super) instance: InstanceId,
}

/// A request but for where it goes.
#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) body: Bytes,
    /// With which login it is shown.
    pub(super) payer: Option<&'a LoginIdentity>,
    /// Whose limits stop it where requests are limited: the payer's, or those of the login that is shown once the
    /// registry has said how.
    pub(super) account: Option<&'a LoginIdentity>,
    /// What it is for.
    pub(super) kind: Kind,
}

impl<'a> Message<'a> {
    /// Makes a message without authorization and body.
    pub(super) fn new(kind: Kind, method: &'a Method, headers: &'a HeaderMap) -> Self {
        Self {
            kind,
            method,
            headers,
            authorization: None,
            body: Bytes::new(),
            payer: None,
            account: None,
        }
    }

    /// Shows a login with it, or something that was got by one.
    pub(super) fn paid_by(self, payer: Option<&'a LoginIdentity>) -> Self {
        Self {
            payer,
            account: payer,
            ..self
        }
    }
}

/// What to do with an answer, as far as redirects go.
pub(super) enum Step {
    /// It is the answer.
    Arrived(Answer),
    /// It sends us elsewhere.
    Onward(Hop),
}

impl Wire {
    /// The most that is read of a body that nobody wants, so that its connection can be used again.
    const DRAIN: usize = 16 << 10;
    /// How long that may take: making a new connection takes no longer.
    const DRAIN_TIME: Duration = Duration::from_millis(100);

    /// Sends a request and waits for the head of the answer, unless the host is left alone.
    pub(super) async fn send(
        self: &Arc<Self>,
        hop: &Hop,
        message: Message<'_>,
    ) -> Result<Answer, UpstreamError> {
        let host = hop.site.name();
        let (payer, kind) = (message.payer.cloned(), message.kind);
        let account = message.account;
        let about = if kind == Kind::Token {
            Subject::of_token(&hop.url, &message.body)
        } else {
            Subject::of(&hop.url)
        };
        if self.switch.mode() == Mode::Offline {
            let upstream = host.clone();
            return Err(UpstreamError::Offline { upstream });
        }
        if let Some((limit, retry_after)) = self.gates.closed(&hop.site, account, kind) {
            return Err(UpstreamError::RateLimited {
                host: host.clone(),
                limit,
                retry_after,
            });
        }
        let pass = self
            .health
            .admit(&hop.site)
            .map_err(|resting| UpstreamError::Resting {
                host: host.clone(),
                retry_after: resting.left,
                source: resting.failure,
            })?;
        let sent = self.exchange(hop, message).await;
        self.metrics
            .asked(kind, sent.as_ref().map(Response::status));
        self.report(pass, hop, about, &sent);
        let mut answer = Answer {
            response: sent?,
            hop: hop.clone(),
            payer,
            kind,
            idle: self.limits.body_idle,
            received: self.metrics.received_bytes().clone(),
        };
        self.learn_quota(&answer);
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.limited(&mut answer, account).await);
        }
        Ok(answer)
    }

    /// Takes down how a host did.
    fn report(
        self: &Arc<Self>,
        pass: Pass,
        hop: &Hop,
        about: Subject,
        sent: &Result<Response<Incoming>, UpstreamError>,
    ) {
        let vigil = match sent {
            Ok(response) => match trouble(hop, response.status()) {
                Some(failure) => pass.failed(failure, Some(about)),
                None => return pass.answered(),
            },
            Err(
                error @ UpstreamError::TimedOut {
                    phase: Phase::Headers,
                    ..
                },
            ) => pass.failed(error.clone(), Some(about)),
            Err(error @ (UpstreamError::Unreachable { .. } | UpstreamError::TimedOut { .. })) => {
                pass.failed(error.clone(), None)
            }
            // We did not go there.
            Err(_) => return drop(pass),
        };
        if let Some(vigil) = vigil {
            self.vigils.start(Arc::downgrade(self), hop, vigil);
        }
    }

    /// Finds out whether a host that rests answers at all, past limits and budget, which are there for clients. `None` when
    /// it is not to be asked: its operator says so, or it did, and then the next request will find out.
    pub(super) async fn knock(&self, knock: &Knock) -> Option<Result<(), UpstreamError>> {
        let Knock { method, hop } = knock;
        let is_limited = self.gates.closed(&hop.site, None, Kind::Ping).is_some();
        if self.switch.mode() == Mode::Offline || is_limited {
            return None;
        }
        let headers = base_headers("*/*");
        let message = Message::new(Kind::Ping, method, &headers);
        let sent = self.exchange(hop, message).await;
        self.metrics
            .asked(Kind::Ping, sent.as_ref().map(Response::status));
        Some(match sent {
            Ok(response) => match trouble(hop, response.status()) {
                Some(failure) => Err(failure),
                None => Ok(()),
            },
            Err(error) => Err(error),
        })
    }

    async fn exchange(
        &self,
        hop: &Hop,
        message: Message<'_>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = Request::new(Full::new(message.body));
        *request.method_mut() = message.method.clone();
        *request.uri_mut() = hop.url.clone();
        request.headers_mut().clone_from(message.headers);
        request.headers_mut().insert(VIA, self.instance.via());
        if let Some(value) = message.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        if let Some(value) = self.clients.proxy_authorization(&hop.url) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let mut connection = capture_connection(&mut request);
        let mut sending = pin!(self.clients.reaching(hop.reach).request(request));
        let connecting = async { drop(connection.wait_for_connection_metadata().await) };
        let timed_out = |phase| UpstreamError::TimedOut {
            host: hop.site.name().clone(),
            phase,
        };
        // Connecting has its own bounds; this one is for what they leave out, such as the preface of HTTP/2.
        let connect = self.limits.connect + self.limits.tls + Duration::from_secs(1);
        let early = tokio::select! {
            biased;
            done = &mut sending => Some(done),
            () = connecting => None,
            () = tokio::time::sleep(connect) => return Err(timed_out(Phase::Connect)),
        };
        let sent = match early {
            Some(done) => done,
            None => timeout(self.limits.headers, sending)
                .await
                .map_err(|_| timed_out(Phase::Headers))?,
        };
        let response = sent.map_err(|error| failure(hop, error))?;
        let via = response.extensions().get::<Via>();
        if let Some(refusal) = via.and_then(|via| via.refusal(response.status())) {
            return Err(UpstreamError::unreachable(hop.site.name(), refusal));
        }
        Ok(response)
    }

    /// Takes down what the registry lets us pull, when it says so: in a refusal as well.
    fn learn_quota(&self, answer: &Answer) {
        if self.trust.lists(&answer.hop.site)
            && let Some(quota) = Quota::of(answer.headers())
        {
            self.metrics.quota(answer.payer(), quota);
            self.quotas.note(answer.payer(), quota, self.clock.now());
        }
    }

    /// Takes down that a host allows no more for now.
    async fn limited(&self, answer: &mut Answer, account: Option<&LoginIdentity>) -> UpstreamError {
        let retry_after = retry::retry_after(answer.header(&RETRY_AFTER), self.clock.now());
        let words = refusal::read(answer).await.message;
        let limit = gates::limit_of(answer.headers(), words.as_deref(), answer.kind);
        let site = &answer.hop.site;
        self.gates.close(site, account, limit, retry_after);
        UpstreamError::RateLimited {
            host: answer.host().clone(),
            limit,
            retry_after,
        }
    }

    /// Decides whether an answer is one, or a redirect to follow.
    pub(super) async fn step(&self, answer: Answer) -> Result<Step, UpstreamError> {
        if !redirect::is_redirect(answer.status()) {
            return Ok(Step::Arrived(answer));
        }
        let host = answer.host().clone();
        let target = answer
            .response
            .headers()
            .get(LOCATION)
            .and_then(|location| redirect::resolve(&answer.hop.url, location.as_bytes()))
            .ok_or_else(|| UpstreamError::protocol(&host, "redirects to nowhere"))?;
        let hop = self.trust.admit(answer.sender(), target)?;
        self.drain(answer).await;
        Ok(Step::Onward(hop))
    }

    /// Reads what little there is of a body that nobody wants.
    pub(super) async fn drain(&self, answer: Answer) {
        let body = answer.into_body().collect("an answer", Self::DRAIN);
        // Without success the connection is closed, and that is all.
        timeout(Self::DRAIN_TIME, body).await.ok();
    }

    /// Turns answers that no caller can use into what they mean. What is left is 2xx, 404, 405, 416 and 501.
    pub(super) async fn judge(&self, mut answer: Answer) -> Result<Answer, UpstreamError> {
        let (host, status) = (answer.host().clone(), answer.status());
        match status.as_u16() {
            200..=299 | 404 | 405 | 416 | 501 => Ok(answer),
            408 | 500..=599 => {
                self.drain(answer).await;
                Err(UpstreamError::Unavailable { host, status })
            }
            400..=499 => Err(UpstreamError::Refused {
                message: refusal::read(&mut answer).await.message,
                host,
                status,
                login: answer.payer,
            }),
            _ => Err(UpstreamError::protocol(
                &host,
                format!("answered {status}, which was not asked for"),
            )),
        }
    }

    /// Describes a chain of redirects without end.
    pub(super) fn too_many_redirects(hop: &Hop) -> UpstreamError {
        let fault = format!("redirects more than {} times", redirect::MAX_REDIRECTS);
        UpstreamError::protocol(hop.site.name(), fault)
    }
}

/// Returns how a host is in trouble, when an answer says so.
fn trouble(hop: &Hop, status: StatusCode) -> Option<UpstreamError> {
    let is_trouble = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    is_trouble.then(|| UpstreamError::Unavailable {
        host: hop.site.name().clone(),
        status,
    })
}

/// Tells why a request got no answer.
fn failure(hop: &Hop, error: legacy::Error) -> UpstreamError {
    let host = hop.site.name().clone();
    if let Some(TimedOut(phase)) = find(&error) {
        return UpstreamError::TimedOut {
            host,
            phase: *phase,
        };
    }
    if find::<OutOfReach>(&error).is_some() {
        return UpstreamError::Forbidden {
            rule: TrustRule::Address,
            url: shown(&hop.url).into(),
        };
    }
    UpstreamError::unreachable(&host, error)
}

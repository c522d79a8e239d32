//! The table of contents of the registry API: each route, its methods, and who answers.

use std::sync::Arc;

use http::header::{CONNECTION, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use tracing::Instrument;

use super::access::{self, Client, Peer};
use super::body::ResponseBody;
use super::content::Reads;
use super::error::RequestError;
use super::listing::{self, Listing};
use super::metrics::Metrics;
use super::pull::{self, Conditions};
use super::request_id::{REQUEST_ID, RequestId, RequestIds};
use super::request_log::{RequestLog, Subject};
use super::route::{Located, Route};
use super::{Settings, respond};
use crate::addressing::{Addressing, Asked, Caller, Grant, Granted, Origin};
use crate::answer::CacheOutcome;
use crate::cache::{Cache, Demand};
use crate::oci::Reference;
use crate::runtime::{InstanceId, Live};
use crate::telemetry::with_causes;

/// The longest path and query that is taken, in bytes.
const PATH_LIMIT: usize = 8 * 1024;
/// The most that all headers may have, names and values, in bytes.
const HEADERS_LIMIT: usize = 32 * 1024;
/// Which registry the request was for, told when the client said it by `ns` (distribution-spec, "Registry Proxying").
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// What answering needs.
#[derive(Debug)]
pub struct Context {
    /// Whom to believe and what to show; its doors are open already, whatever it says of them.
    pub settings: Live<Settings>,
    /// Where names lead.
    pub addressing: Live<Addressing>,
    /// The content of other registries.
    pub cache: Arc<Cache>,
    /// How files are read.
    pub reads: Arc<Reads>,
    /// What is counted.
    pub metrics: Metrics,
    /// The ids of requests.
    pub ids: RequestIds,
    /// Who we are.
    pub instance: InstanceId,
}

impl Context {
    /// Finds out who makes a request.
    fn client(&self, peer: Peer, headers: &HeaderMap) -> Client {
        Client::find(peer, headers, &self.settings.now().proxies.trusted)
    }
}

/// Answers a request. Its body, if it has one, is ignored.
pub async fn handle<B>(
    context: Arc<Context>,
    request: Request<B>,
    peer: Peer,
) -> Response<ResponseBody> {
    let (parts, _body) = request.into_parts();
    let client = context.client(peer, &parts.headers);
    let (id, mut log) = begin(&context, &parts, client);
    // Of the highest level, so that it is there whatever of the log is wanted: what is told within says for which request.
    let span = tracing::error_span!("request", request.id = id.as_str());
    let answered = answer(&context, &parts, client, log.subject());
    let answered = answered.instrument(span).await;
    if has_asked(&answered, log.subject()) {
        log.waited_for_upstream();
    }
    let mut response = match answered {
        Ok(response) => {
            log.answered(response.status(), None);
            response
        }
        Err(error) => {
            let answer = error.answer();
            log.subject().outcome = answer.outcome;
            log.answered(answer.status, Some(with_causes(&error)));
            respond::error(answer, parts.method == Method::HEAD)
        }
    };
    if let Some(namespace) = log.subject().namespace.take() {
        response.headers_mut().insert(NAMESPACE, namespace);
    }
    response.headers_mut().insert(REQUEST_ID, id.into());
    response.map(|body| body.logged(log))
}

/// Finds out which request this is, and begins its closing line.
fn begin(
    context: &Context,
    parts: &http::request::Parts,
    client: Client,
) -> (RequestId, RequestLog) {
    let id = context.ids.of(&parts.headers);
    let (method, metrics) = (parts.method.clone(), context.metrics.clone());
    let log = RequestLog::begin(id.clone(), method, client, metrics);
    (id, log)
}

/// Returns whether an answer was worth waiting for a registry.
fn has_asked(answered: &Result<Response<ResponseBody>, RequestError>, subject: &Subject) -> bool {
    match answered {
        Ok(_) => subject.outcome.is_some_and(CacheOutcome::has_asked),
        Err(error) => matches!(error, RequestError::Cache { error, .. } if error.has_asked()),
    }
}

/// Answers a request that came without encryption where TLS is spoken, and ends the connection.
pub async fn refuse_unencrypted<B>(
    context: Arc<Context>,
    request: Request<B>,
    peer: Peer,
) -> Response<ResponseBody> {
    let (parts, _body) = request.into_parts();
    let client = context.client(peer, &parts.headers);
    let (id, mut log) = begin(&context, &parts, client);
    let error = RequestError::Unencrypted;
    let answer = error.answer();
    log.answered(answer.status, Some(with_causes(&error)));
    let mut response = respond::error(answer, parts.method == Method::HEAD);
    if parts.version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response.headers_mut().insert(REQUEST_ID, id.into());
    response.map(|body| body.logged(log))
}

async fn answer(
    context: &Context,
    parts: &http::request::Parts,
    client: Client,
    subject: &mut Subject,
) -> Result<Response<ResponseBody>, RequestError> {
    check_limits(parts)?;
    check_circle(context, &parts.headers)?;
    let located = Located::parse(parts.uri.path(), parts.uri.query())?;
    let request = Asking {
        demand: client.demand(&parts.headers, &context.settings.now().refresh_from),
        caller: client.caller(),
        parts,
        located: &located,
    };
    dispatch(context, &request, subject).await
}

/// A request, and who makes it.
struct Asking<'a> {
    parts: &'a http::request::Parts,
    located: &'a Located,
    caller: Caller,
    demand: Demand,
}

async fn dispatch(
    context: &Context,
    asking: &Asking<'_>,
    subject: &mut Subject,
) -> Result<Response<ResponseBody>, RequestError> {
    let (method, conditions) = (&asking.parts.method, asking.conditions());
    let entry = asking.located.route.entry();
    subject.route = entry.label;
    match &asking.located.route {
        Route::ApiVersion => {
            entry.check(method, "", None)?;
            Ok(respond::api_version())
        }
        Route::Manifest { name, reference } => {
            subject.reference = Some(reference.clone());
            let grant = grant_pull(context, asking, name, subject)?;
            pull::manifest(context, &grant, reference, conditions, subject).await
        }
        Route::Blob { name, digest } => {
            subject.reference = Some(Reference::Digest(*digest));
            let grant = grant_pull(context, asking, name, subject)?;
            pull::blob(context, &grant, digest, conditions, subject).await
        }
        Route::StartUpload { name } | Route::Upload { name, .. } => {
            let granted = grant(context, asking, name, subject)?;
            Err(entry.refusal(method, unchangeable(&granted), None))
        }
        Route::Tags { name } => {
            let grant = grant_pull(context, asking, name, subject)?;
            let page = listing::tags(context, &grant, asking.listing(name), subject);
            Ok(respond::list(Box::pin(page).await?, method))
        }
        Route::Referrers { name, digest } => {
            subject.reference = Some(Reference::Digest(*digest));
            let grant = grant_pull(context, asking, name, subject)?;
            let page = listing::referrers(context, &grant, digest, asking.listing(name), subject);
            Ok(respond::list(Box::pin(page).await?, method))
        }
        Route::Catalog => {
            entry.check(method, "", None)?;
            let page = listing::catalog(context, &asking.caller, asking.listing(""));
            Ok(respond::list(Box::pin(page).await?, method))
        }
        Route::Extensions => {
            entry.check(method, "", None)?;
            Ok(respond::list(listing::extensions(), method))
        }
    }
}

impl Asking<'_> {
    fn conditions(&self) -> Conditions<'_> {
        Conditions {
            method: &self.parts.method,
            version: self.parts.version,
            headers: &self.parts.headers,
            demand: self.demand,
        }
    }

    /// Returns what a request for a list says of it, by the name that the client wrote.
    fn listing<'a>(&'a self, name: &'a str) -> Listing<'a> {
        Listing {
            name,
            mount: self.located.mount.as_deref(),
            namespace: self.located.namespace.as_deref(),
            query: self.parts.uri.query().unwrap_or_default(),
            demand: self.demand,
        }
    }
}

/// Finds where a name leads from which something is to be pulled.
fn grant_pull(
    context: &Context,
    asking: &Asking<'_>,
    name: &str,
    subject: &mut Subject,
) -> Result<Grant<Origin>, RequestError> {
    let granted = grant(context, asking, name, subject)?;
    let entry = asking.located.route.entry();
    let target = subject.target.as_deref();
    entry.check(&asking.parts.method, unchangeable(&granted), target)?;
    match granted {
        Granted::Proxied(grant) => Ok(grant),
        Granted::Hosted(grant) => Err(RequestError::NotHosted(grant.target().to_string())),
    }
}

/// Says why what a name leads to cannot be changed.
fn unchangeable(granted: &Granted) -> &'static str {
    match granted {
        Granted::Proxied(_) => "what leads to another registry can be pulled only",
        Granted::Hosted(_) => "pushing is not available yet",
    }
}

/// Finds where a name leads, and whether the client may go there.
fn grant(
    context: &Context,
    asking: &Asking<'_>,
    name: &str,
    subject: &mut Subject,
) -> Result<Granted, RequestError> {
    let located = asking.located;
    let asked = Asked {
        host: host(asking.parts),
        mount: located.mount.as_deref(),
        namespace: located.namespace.as_deref(),
        name,
    };
    let target = context.addressing.now().resolve(asked)?;
    subject.target = Some(target.to_string());
    // What was resolved is the name of a registry, and so a value that a header can have.
    let namespace = located.namespace.as_deref();
    subject.namespace = namespace.and_then(|name| HeaderValue::from_str(name).ok());
    Ok(access::decide(asking.caller.clone(), target).sort())
}

/// Returns by what name larder was reached.
fn host(parts: &http::request::Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| parts.headers.get(http::header::HOST)?.to_str().ok())
}

/// Refuses a request that we made ourselves: it went to a registry that leads here.
fn check_circle(context: &Context, headers: &HeaderMap) -> Result<(), RequestError> {
    let mut hops = headers.get_all(VIA).iter();
    if hops.any(|via| via.to_str().is_ok_and(|via| context.instance.is_in(via))) {
        return Err(RequestError::Circle);
    }
    Ok(())
}

fn check_limits(parts: &http::request::Parts) -> Result<(), RequestError> {
    let path = parts
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if path > PATH_LIMIT {
        return Err(RequestError::PathTooLong {
            limit_bytes: PATH_LIMIT,
        });
    }
    let size = |headers: &HeaderMap| -> usize {
        headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum()
    };
    if size(&parts.headers) > HEADERS_LIMIT {
        return Err(RequestError::HeadersTooLarge {
            limit_bytes: HEADERS_LIMIT,
        });
    }
    Ok(())
}

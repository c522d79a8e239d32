//! The operator's API over HTTP: from a request to an operation, and back. By which door the request came, and whether
//! whoever sent it may, is settled before.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::document::{Failure, ImageWanted, ModeWanted};
use super::error::{ErrorCode, OperationError};
use super::operations::Operations;

/// The largest body that is read, in bytes: names of images and registries, and no more.
const BODY: usize = 16 * 1024;
/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How long an operation may take: a registry is asked for a few things, each within 10 seconds.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// An operation, as it is asked for.
#[derive(Debug)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path and query, with `<…>` where names stand.
    pub path: &'static str,
    /// Bodies that it takes, if it takes one.
    pub bodies: &'static [&'static str],
    /// What it does, or answers with.
    pub answer: &'static str,
}

/// All operations. Requests are refused by this table, and the README is written from it.
pub static OPERATIONS: [Operation; 5] = [
    Operation {
        method: Method::GET,
        path: "/v1/upstreams",
        bodies: &[],
        answer: "how each registry stands, as `larder status --upstreams --output json`",
    },
    Operation {
        method: Method::PUT,
        path: "/v1/upstreams/<name>",
        bodies: &[r#"{"mode": "offline"}"#, r#"{"mode": "online"}"#],
        answer: "stops asking a registry, or asks it again, as `larder upstream`; `*` in a name is `%2A`",
    },
    Operation {
        method: Method::GET,
        path: "/v1/history?image=<image>",
        bodies: &[],
        answer: "where a tag pointed, as `larder tags --history --output json`",
    },
    Operation {
        method: Method::POST,
        path: "/v1/refresh",
        bodies: &[r#"{"image": "alpine:3.20"}"#],
        answer: "asks the registry what a tag points at, as `larder refresh`",
    },
    Operation {
        method: Method::POST,
        path: "/v1/reload",
        bodies: &[],
        answer: "reads the configuration again, as `larder reload`",
    },
];

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Upstreams,
    Upstream(String),
    History(Option<String>),
    Refresh,
    Reload,
}

impl Route {
    /// Reads a path and its query.
    fn parse(path: &str, query: Option<&str>) -> Option<Self> {
        Some(match path.strip_prefix("/v1/")? {
            "upstreams" => Self::Upstreams,
            "history" => Self::History(parameter(query, "image")),
            "refresh" => Self::Refresh,
            "reload" => Self::Reload,
            path => {
                let name = path.strip_prefix("upstreams/")?;
                let is_one = !name.is_empty() && !name.contains('/');
                Self::Upstream(is_one.then(|| decoded(name))??)
            }
        })
    }

    /// Returns the operation that the path is for.
    fn operation(&self) -> &'static Operation {
        let [upstreams, upstream, history, refresh, reload] = &OPERATIONS;
        match self {
            Self::Upstreams => upstreams,
            Self::Upstream(_) => upstream,
            Self::History(_) => history,
            Self::Refresh => refresh,
            Self::Reload => reload,
        }
    }
}

/// Answers one request.
pub(super) async fn answer<B>(operations: &Operations, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let Some(route) = Route::parse(head.uri.path(), head.uri.query()) else {
        return failed(OperationError::new(
            ErrorCode::NoSuchPath,
            "here are /v1/upstreams, /v1/history, /v1/refresh and /v1/reload",
        ));
    };
    let method = &route.operation().method;
    if head.method != method {
        let message = format!("only {method} is for {}", head.uri.path());
        let error = OperationError::new(ErrorCode::MethodNotAllowed, message);
        let mut response = failed(error);
        let allowed = HeaderValue::try_from(method.as_str()).expect("a method is a header value");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let done = Box::pin(timeout(DONE_WITHIN, operate(operations, route, body)));
    done.await.unwrap_or_else(|_| {
        failed(OperationError::new(
            ErrorCode::TimedOut,
            "it took too long; what was begun goes on",
        ))
    })
}

async fn operate<B>(operations: &Operations, route: Route, body: B) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match route {
        Route::Upstreams => done(Ok(operations.upstreams())),
        Route::Upstream(name) => done(match read::<ModeWanted, B>(body).await {
            Ok(wanted) => operations.set_mode(&name, wanted.mode),
            Err(error) => Err(error),
        }),
        Route::History(Some(image)) => done(operations.history(&image).await),
        Route::Reload => done(operations.reload().await),
        Route::History(None) => failed(OperationError::new(
            ErrorCode::InvalidRequest,
            "name an image, as in /v1/history?image=alpine:3.20",
        )),
        Route::Refresh => done(match read::<ImageWanted, B>(body).await {
            Ok(wanted) => operations.refresh(&wanted.image).await,
            Err(error) => Err(error),
        }),
    }
}

/// Reads a body of JSON.
async fn read<T, B>(body: B) -> Result<T, OperationError>
where
    T: DeserializeOwned,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let invalid = |message: String| OperationError::new(ErrorCode::InvalidRequest, message);
    let read = timeout(BODY_WITHIN, Limited::new(body, BODY).collect()).await;
    let read = read.map_err(|_| OperationError::new(ErrorCode::TimedOut, "the body did not come"));
    let bytes = match read? {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body has more than {BODY} bytes");
            return Err(OperationError::new(ErrorCode::TooLarge, message));
        }
        Err(error) => return Err(invalid(format!("the body did not come: {error}"))),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| invalid(format!("the body is not what is taken here: {error}")))
}

/// Returns a parameter of a query.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    decoded(value)
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

fn done<T: Serialize>(outcome: Result<T, OperationError>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(document) => json(StatusCode::OK, &document),
        Err(error) => failed(error),
    }
}

/// Answers that something was not done.
pub(super) fn failed(error: OperationError) -> Response<Full<Bytes>> {
    json(error.code.status(), &Failure::from(error))
}

fn json(status: StatusCode, document: &impl Serialize) -> Response<Full<Bytes>> {
    let mut body = serde_json::to_vec_pretty(document).expect("our own documents are JSON");
    body.push(b'\n');
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::operations::tests::operations;
    use crate::runtime::Tasks;

    #[test]
    fn paths_name_operations() {
        let upstream = |name: &str| Some(Route::Upstream(name.to_owned()));
        let history = |image: Option<&str>| Some(Route::History(image.map(ToOwned::to_owned)));
        for (path, query, route) in [
            ("/v1/upstreams", None, Some(Route::Upstreams)),
            ("/v1/upstreams/r.io", None, upstream("r.io")),
            ("/v1/upstreams/r.io%3A5000", None, upstream("r.io:5000")),
            ("/v1/upstreams/%2A.r.io", None, upstream("*.r.io")),
            ("/v1/upstreams/", None, None),
            ("/v1/upstreams/a/b", None, None),
            ("/v1/upstreams/%ff", None, None),
            (
                "/v1/history",
                Some("image=a%2Fb%3A1"),
                history(Some("a/b:1")),
            ),
            (
                "/v1/history",
                Some("x=1&image=a&image=b"),
                history(Some("a")),
            ),
            ("/v1/history", Some("image=%ff"), history(None)),
            ("/v1/history", None, history(None)),
            ("/v1/refresh", None, Some(Route::Refresh)),
            ("/v1/reload", None, Some(Route::Reload)),
            ("/v1/", None, None),
            ("/v2/upstreams", None, None),
            ("/", None, None),
        ] {
            assert_eq!(Route::parse(path, query), route, "{path} {query:?}");
        }
    }

    #[test]
    fn each_operation_is_at_its_path() {
        for operation in &OPERATIONS {
            let path = operation.path.replace(['<', '>'], "");
            let (path, query) = match path.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (path.as_str(), None),
            };
            let route = Route::parse(path, query).unwrap();
            assert!(std::ptr::eq(route.operation(), operation), "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_bounded_and_understood() {
        let operations = operations(&Tasks::new());
        let large = format!("{{\"image\":\"{}\"}}", "a".repeat(BODY));
        for (method, path, body, status) in [
            ("PUT", "/v1/upstreams/r.io", r#"{"mode":"offline"}"#, 200),
            (
                "PUT",
                "/v1/upstreams/other.io",
                r#"{"mode":"offline"}"#,
                404,
            ),
            (
                "PUT",
                "/v1/upstreams/r.io",
                r#"{"mode":"offline","for":"1h"}"#,
                400,
            ),
            ("PUT", "/v1/upstreams/r.io", "", 400),
            ("POST", "/v1/refresh", large.as_str(), 413),
            ("POST", "/v1/refresh", r#"{"image":"r.io/app:1"}"#, 409),
            ("GET", "/v1/refresh", "", 405),
            ("GET", "/v1/reload", "", 405),
            ("POST", "/v1/reload", "", 500),
            ("POST", "/v1/upstreams", "", 405),
            ("GET", "/metrics", "", 404),
        ] {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
            let response = answer(&operations, request).await;
            assert_eq!(
                response.status().as_u16(),
                status,
                "{method} {path} {body:.40}"
            );
            let allow = response.headers().contains_key(ALLOW);
            assert_eq!(allow, status == 405, "{method} {path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["error"].is_object(), status != 200, "{document}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let operations = operations(&Tasks::new());
        let silent =
            futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        let request = Request::post("/v1/refresh");
        let request = request
            .body(http_body_util::StreamBody::new(silent))
            .unwrap();
        let response = answer(&operations, request).await;
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    }
}

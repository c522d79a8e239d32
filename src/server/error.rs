//! From a failure to an HTTP answer, in one place. A failure that is not placed here does not compile.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::query::QueryError;
use super::route::RouteError;
use crate::addressing::AddressError;
use crate::answer::CacheOutcome;
use crate::cache::CacheError;
use crate::oci::reference::ReferenceError;
use crate::oci::{Digest, ErrorBody, ErrorCode, Unsatisfiable};
use crate::store::StoreError;
use crate::upstream::{LoginProblem, UpstreamError};

/// Why a request is not answered with what it asks for.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The path or query is not understood.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The name leads nowhere.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The path is known and does not take the method.
    #[error("{method} is not possible here{}", because(reason))]
    Method {
        /// The method.
        method: http::Method,
        /// What the path takes.
        allow: &'static str,
        /// Why not, if there is more to say.
        reason: &'static str,
        /// Where the name in it leads, if there is one.
        target: Option<String>,
    },
    /// The query says of a list what makes no sense.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Which repositories are here, this client is not told.
    #[error(
        "which repositories are here is told to clients on larder's own machine only, unless catalog = \"everyone\" is \
         set in [server]"
    )]
    CatalogWithheld,
    /// Nothing is hosted here yet.
    #[error("the repository {0} is not here: nothing has been pushed to it")]
    NotHosted(String),
    /// The request is not encrypted, and came to a port where TLS is spoken.
    #[error("this port speaks TLS, and the request is not encrypted: use https://")]
    Unencrypted,
    /// A registry that was asked for this asked us for it.
    #[error("this request came back to the larder that made it: an endpoint leads in a circle")]
    Circle,
    /// The path is longer than is taken.
    #[error("the path and query have more than {limit_bytes} bytes")]
    PathTooLong {
        /// How much is taken.
        limit_bytes: usize,
    },
    /// The headers are larger than is taken.
    #[error("the headers have more than {limit_bytes} bytes")]
    HeadersTooLarge {
        /// How much is taken.
        limit_bytes: usize,
    },
    /// The client wants another content than this address has.
    #[error("If-Match does not name {0}")]
    Precondition(Digest),
    /// The client could not tell whether it got the whole.
    #[error(
        "the size of {0} is not known yet, and HTTP/1.0 cannot do without: ask again, or by HTTP/1.1"
    )]
    SizeUnknown(Digest),
    /// The cache has no answer.
    #[error("{subject}: {error}")]
    Cache {
        /// What was asked for, as in "blob sha256:… of docker.io/library/alpine".
        subject: String,
        /// Whether that was a blob or a manifest.
        kind: Kind,
        /// Why not.
        #[source]
        error: CacheError,
    },
}

/// What was asked of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A manifest.
    Manifest,
    /// A blob.
    Blob,
    /// A list: of tags, of referrers, of repositories.
    List,
}

/// An error as HTTP tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: ErrorBody,
    /// When to come again.
    pub retry_after: Option<Duration>,
    /// What the path takes, for 405.
    pub allow: Option<&'static str>,
    /// The size of the content, for 416.
    pub unsatisfiable: Option<Unsatisfiable>,
    /// Where it came from, when it is an answer of the registry.
    pub outcome: Option<CacheOutcome>,
}

/// When to come again after a failure that is likely to pass soon.
const SOON: Duration = Duration::from_secs(5);

impl RequestError {
    /// Returns the answer that tells of this failure.
    pub fn answer(&self) -> ErrorAnswer {
        match self {
            Self::Route(error) => route(error),
            Self::Address(error) => address(error),
            Self::Method { allow, target, .. } => {
                let mut answer = told(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, self);
                // Who asks where a name leads without asking for anything, as `larder doctor` does, learns it here.
                answer.body.detail.clone_from(target);
                ErrorAnswer {
                    allow: Some(allow),
                    ..answer
                }
            }
            Self::Query(_) => told(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, self),
            Self::CatalogWithheld => told(StatusCode::FORBIDDEN, ErrorCode::Denied, self),
            Self::NotHosted(_) => told(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, self),
            Self::Unencrypted => told(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, self),
            Self::Circle => told(StatusCode::LOOP_DETECTED, ErrorCode::Unsupported, self),
            Self::PathTooLong { .. } => {
                told(StatusCode::URI_TOO_LONG, ErrorCode::NameInvalid, self)
            }
            Self::HeadersTooLarge { .. } => told(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                ErrorCode::Unsupported,
                self,
            ),
            Self::Precondition(_) => told(
                StatusCode::PRECONDITION_FAILED,
                ErrorCode::DigestInvalid,
                self,
            ),
            Self::SizeUnknown(_) => {
                let answer = told(StatusCode::SERVICE_UNAVAILABLE, PASSING, self);
                ErrorAnswer {
                    retry_after: Some(SOON),
                    ..answer
                }
            }
            Self::Cache {
                subject,
                kind,
                error,
            } => cache(self, subject, *kind, error),
        }
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

fn told(status: StatusCode, code: ErrorCode, error: &dyn std::error::Error) -> ErrorAnswer {
    let body = ErrorBody::new(code, error.to_string());
    ErrorAnswer {
        status,
        body,
        retry_after: None,
        allow: None,
        unsatisfiable: None,
        outcome: None,
    }
}

fn route(error: &RouteError) -> ErrorAnswer {
    let (status, code) = match error {
        RouteError::Unknown => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
        RouteError::Segment(_) | RouteError::Encoding(_) | RouteError::Namespace(_) => {
            (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid)
        }
        RouteError::Digest(_) | RouteError::Reference(ReferenceError::Digest(_)) => {
            (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
        }
        // No registry has a manifest under a tag that cannot be.
        RouteError::Reference(ReferenceError::Tag(_)) => {
            (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
        }
    };
    told(status, code, error)
}

fn address(error: &AddressError) -> ErrorAnswer {
    let (status, code) = match error {
        AddressError::Name(_)
        | AddressError::Namespace { .. }
        | AddressError::Host { .. }
        | AddressError::Disagree { .. } => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
        AddressError::NotConfigured(_) => (StatusCode::FORBIDDEN, ErrorCode::Denied),
        AddressError::UnknownMount(_) | AddressError::NoDefault(_) | AddressError::TwoApiPaths => {
            (StatusCode::NOT_FOUND, ErrorCode::NameUnknown)
        }
    };
    told(status, code, error)
}

/// The code of a failure that may be gone the next moment. Clients that look at codes try this one again; the names of
/// what is unknown would tell them that it does not exist.
const PASSING: ErrorCode = ErrorCode::TooManyRequests;

fn cache(whole: &RequestError, subject: &str, kind: Kind, error: &CacheError) -> ErrorAnswer {
    let unknown = match kind {
        Kind::Manifest => ErrorCode::ManifestUnknown,
        Kind::Blob => ErrorCode::BlobUnknown,
        Kind::List => ErrorCode::NameUnknown,
    };
    let (status, code, retry_after) = match error {
        CacheError::ManifestUnknown(_)
        | CacheError::BlobUnknown(_)
        | CacheError::NoTags(_)
        | CacheError::Schema1 => (StatusCode::NOT_FOUND, unknown, None),
        CacheError::NotConfigured(_) | CacheError::Private(_) | CacheError::NotListed(_) => {
            (StatusCode::FORBIDDEN, ErrorCode::Denied, None)
        }
        CacheError::Upstream(error) => upstream(unknown, error),
        CacheError::WrongContent(_) => (StatusCode::BAD_GATEWAY, ErrorCode::DigestInvalid, None),
        CacheError::WrongSize { .. } => (StatusCode::BAD_GATEWAY, ErrorCode::SizeInvalid, None),
        CacheError::BadManifest(_) => (StatusCode::BAD_GATEWAY, ErrorCode::ManifestInvalid, None),
        CacheError::TooSlow => (StatusCode::GATEWAY_TIMEOUT, PASSING, Some(SOON)),
        CacheError::Unsatisfiable(reason) => {
            let answer = told(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::SizeInvalid,
                whole,
            );
            return ErrorAnswer {
                unsatisfiable: Some(*reason),
                ..answer
            };
        }
        CacheError::Store(error) => return store(subject, error),
        CacheError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, PASSING, Some(SOON)),
    };
    let mut answer = told(status, code, whole);
    if let CacheError::Upstream(UpstreamError::LoginRefused { problem, .. }) = error {
        let problem = login_problem(problem);
        answer.body.message = format!("{subject}: {LOGIN} {problem}");
    }
    answer.body.detail = detail(error);
    if let (CacheError::Upstream(_), Some(advice)) = (error, &answer.body.detail) {
        // Many clients show the message alone.
        answer.body.message = format!("{}; {advice}", answer.body.message);
    }
    ErrorAnswer {
        retry_after,
        outcome: error.outcome(),
        ..answer
    }
}

fn upstream(
    unknown: ErrorCode,
    error: &UpstreamError,
) -> (StatusCode, ErrorCode, Option<Duration>) {
    match error {
        UpstreamError::Unreachable { .. }
        | UpstreamError::Unavailable { .. }
        | UpstreamError::Misled { .. } => (StatusCode::BAD_GATEWAY, PASSING, None),
        UpstreamError::TimedOut { .. } => (StatusCode::GATEWAY_TIMEOUT, PASSING, None),
        UpstreamError::RateLimited { retry_after, .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TooManyRequests,
            Some(*retry_after),
        ),
        UpstreamError::Resting { retry_after, .. } => {
            (StatusCode::BAD_GATEWAY, PASSING, Some(*retry_after))
        }
        // The large registries do not tell absent from private; their challenge is never relayed.
        UpstreamError::Refused {
            status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            ..
        } => (StatusCode::NOT_FOUND, unknown, None),
        UpstreamError::LoginRefused { problem, .. } => useless_login(unknown, problem),
        UpstreamError::Refused { .. } | UpstreamError::Protocol { .. } => {
            (StatusCode::BAD_GATEWAY, ErrorCode::Unsupported, None)
        }
        UpstreamError::Offline { .. } => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::Denied, None),
        UpstreamError::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, PASSING, Some(SOON)),
        UpstreamError::Forbidden { .. } => (StatusCode::BAD_GATEWAY, ErrorCode::Denied, None),
        UpstreamError::TooLarge { .. } => (StatusCode::BAD_GATEWAY, ErrorCode::SizeInvalid, None),
    }
}

/// Tells of a login that is of no use. Only where the registry saw it, what it said stands for an absence.
fn useless_login(
    unknown: ErrorCode,
    problem: &LoginProblem,
) -> (StatusCode, ErrorCode, Option<Duration>) {
    match problem {
        LoginProblem::Wrong { .. } => (StatusCode::NOT_FOUND, unknown, None),
        LoginProblem::Suspended { left } => (StatusCode::BAD_GATEWAY, PASSING, Some(*left)),
        LoginProblem::Unreadable(_) => (StatusCode::BAD_GATEWAY, PASSING, None),
        LoginProblem::Withheld(_) => (StatusCode::BAD_GATEWAY, ErrorCode::Denied, None),
    }
}

/// What clients hear of a login. Which one it is is for the log: its name has users and paths in it.
const LOGIN: &str = "the login that is configured for it";

/// Says what is wrong with a login, without where it is kept.
fn login_problem(problem: &LoginProblem) -> String {
    match problem {
        LoginProblem::Unreadable(_) => "could not be read".to_owned(),
        LoginProblem::Wrong { .. } | LoginProblem::Suspended { .. } | LoginProblem::Withheld(_) => {
            problem.to_string()
        }
    }
}

/// What is wrong with the disk is for the log: its words have paths in them.
fn store(subject: &str, error: &StoreError) -> ErrorAnswer {
    let status = match error {
        StoreError::NoSpace { .. }
        | StoreError::Conflict { .. }
        | StoreError::Io { .. }
        | StoreError::Records { .. }
        | StoreError::Truncated { .. }
        | StoreError::InUse { .. }
        | StoreError::Damaged { .. }
        | StoreError::Newer { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    let message = format!("{subject}: what is kept could not be read or written");
    ErrorAnswer {
        status,
        body: ErrorBody::new(PASSING, message),
        retry_after: Some(SOON),
        allow: None,
        unsatisfiable: None,
        outcome: None,
    }
}

/// Says what to do, where something can be done.
fn detail(error: &CacheError) -> Option<String> {
    match error {
        CacheError::Upstream(UpstreamError::Refused {
            status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            login,
            ..
        }) => Some(match login {
            Some(_) => format!("it does not exist there, or {LOGIN} may not read it"),
            None => {
                "it does not exist there, or needs a login, and none is configured for it".into()
            }
        }),
        CacheError::Upstream(UpstreamError::LoginRefused { problem, .. }) => Some(match problem {
            LoginProblem::Wrong { .. } => {
                "it does not exist there, or needs a login: the configured one is of no use".into()
            }
            LoginProblem::Suspended { .. }
            | LoginProblem::Unreadable(_)
            | LoginProblem::Withheld(_) => {
                "it may need a login, and was not asked for with one: the log of larder says more"
                    .into()
            }
        }),
        CacheError::Schema1 => Some(
            "push the image again with a current client, which makes it schema 2 or OCI".into(),
        ),
        CacheError::ManifestUnknown(_)
        | CacheError::BlobUnknown(_)
        | CacheError::NoTags(_)
        | CacheError::NotListed(_)
        | CacheError::Private(_)
        | CacheError::NotConfigured(_)
        | CacheError::Upstream(_)
        | CacheError::WrongContent(_)
        | CacheError::WrongSize { .. }
        | CacheError::BadManifest(_)
        | CacheError::TooSlow
        | CacheError::Unsatisfiable(_)
        | CacheError::Store(_)
        | CacheError::Stopping => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::upstream::LoginIdentity;

    #[test]
    fn clients_are_not_told_where_things_are_kept() {
        let broken = StoreError::io("read", "/var/lib/larder/x", io::Error::other("on fire"));
        let error = RequestError::Cache {
            subject: "blob x of y/z".into(),
            kind: Kind::Blob,
            error: CacheError::Store(broken),
        };
        let answer = error.answer();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let told = answer.body.to_json();
        let told = String::from_utf8_lossy(told.as_ref());
        assert!(told.contains("blob x of y/z"), "{told}");
        assert!(
            !told.contains("/var/lib") && !told.contains("fire"),
            "{told}"
        );
        assert!(error.to_string().contains("/var/lib/larder/x"), "the log");
    }

    const ADVICE: &str =
        "it may need a login, and was not asked for with one: the log of larder says more";

    fn acme() -> LoginIdentity {
        LoginIdentity::new("file /home/acme/config.json")
    }

    fn useless(problem: LoginProblem) -> UpstreamError {
        UpstreamError::LoginRefused {
            host: "r.io".into(),
            login: acme(),
            problem,
        }
    }

    fn wrong() -> LoginProblem {
        LoginProblem::Wrong {
            by: "auth.r.io".into(),
            words: Some("wrong password".into()),
        }
    }

    fn denied(login: Option<LoginIdentity>) -> UpstreamError {
        UpstreamError::Refused {
            host: "r.io".into(),
            status: StatusCode::FORBIDDEN,
            message: Some("no".into()),
            login,
        }
    }

    fn answer(error: UpstreamError) -> ErrorAnswer {
        let error = RequestError::Cache {
            subject: "manifest 1 of r.io/a".into(),
            kind: Kind::Manifest,
            error: CacheError::Upstream(error),
        };
        error.answer()
    }

    #[test]
    fn clients_are_told_of_logins_and_never_which_is_used() {
        let left = Duration::from_secs(9);
        for (error, told, advice) in [
            (
                denied(None),
                "r.io refused with 403 Forbidden: 'no'",
                "it does not exist there, or needs a login, and none is configured for it",
            ),
            (
                denied(Some(acme())),
                "r.io refused with 403 Forbidden: 'no'",
                "it does not exist there, or the login that is configured for it may not read it",
            ),
            (
                useless(wrong()),
                "the login that is configured for it was refused by auth.r.io: 'wrong password'",
                "it does not exist there, or needs a login: the configured one is of no use",
            ),
            (
                useless(LoginProblem::Unreadable("'/home/acme/x' is gone".into())),
                "the login that is configured for it could not be read",
                ADVICE,
            ),
            (
                useless(LoginProblem::Suspended { left }),
                "the login that is configured for it was refused and is not tried again for 9 seconds",
                ADVICE,
            ),
        ] {
            let body = answer(error).body;
            // Many clients show the message and not the detail.
            assert_eq!(
                body.message,
                format!("manifest 1 of r.io/a: {told}; {advice}")
            );
            assert_eq!(body.detail.as_deref(), Some(advice));
            let json = body.to_json();
            let json = String::from_utf8_lossy(json.as_ref());
            assert!(!json.contains("/home"), "{json}");
        }
    }

    #[test]
    fn only_what_a_registry_said_is_an_absence() {
        let left = Duration::from_secs(9);
        let (absent, unknown) = (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown);
        let failed = StatusCode::BAD_GATEWAY;
        for (error, expected) in [
            (denied(None), (absent, unknown, None)),
            (denied(Some(acme())), (absent, unknown, None)),
            (useless(wrong()), (absent, unknown, None)),
            (
                useless(LoginProblem::Suspended { left }),
                (failed, PASSING, Some(left)),
            ),
            (
                useless(LoginProblem::Unreadable("it is gone".into())),
                (failed, PASSING, None),
            ),
            (
                useless(LoginProblem::Withheld("auth.other".into())),
                (failed, ErrorCode::Denied, None),
            ),
        ] {
            let answer = answer(error);
            let found = (answer.status, answer.body.code, answer.retry_after);
            assert_eq!(found, expected, "{}", answer.body.message);
        }
    }
}

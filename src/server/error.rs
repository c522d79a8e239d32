//! From a failure to an HTTP answer, in one place. A failure that is not placed here does not compile.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::failure::{self, Again, Code, Failure, SOON};
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

impl Kind {
    /// Returns the code that tells that there is none.
    fn absence(self) -> ErrorCode {
        match self {
            Self::Manifest => ErrorCode::ManifestUnknown,
            Self::Blob => ErrorCode::BlobUnknown,
            Self::List => ErrorCode::NameUnknown,
        }
    }
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

impl RequestError {
    /// Returns the answer that tells of this failure.
    pub fn answer(&self) -> ErrorAnswer {
        let answer = ErrorAnswer::new(self.failure(), self.to_string());
        match self {
            Self::Method { allow, target, .. } => {
                let mut answer = ErrorAnswer {
                    allow: Some(allow),
                    ..answer
                };
                // Who asks where a name leads without asking for anything, as `larder doctor` does, learns it here.
                answer.body.detail.clone_from(target);
                answer
            }
            Self::Cache {
                subject,
                kind,
                error,
            } => cache(answer, subject, *kind, error),
            Self::Route(_)
            | Self::Address(_)
            | Self::Query(_)
            | Self::CatalogWithheld
            | Self::NotHosted(_)
            | Self::Unencrypted
            | Self::Circle
            | Self::PathTooLong { .. }
            | Self::HeadersTooLarge { .. }
            | Self::Precondition(_)
            | Self::SizeUnknown(_) => answer,
        }
    }

    /// Returns what clients are told that it is.
    fn failure(&self) -> Failure {
        match self {
            Self::Route(error) => route(error),
            Self::Address(error) => address(error),
            Self::Method { .. } => failure::METHOD,
            Self::Query(_) => failure::BAD_QUERY,
            Self::CatalogWithheld => failure::WITHHELD,
            Self::NotHosted(_) => failure::NOT_HOSTED,
            Self::Unencrypted => failure::UNENCRYPTED,
            Self::Circle => failure::CIRCLE,
            Self::PathTooLong { .. } => failure::LONG_PATH,
            Self::HeadersTooLarge { .. } => failure::LARGE_HEADERS,
            Self::Precondition(_) => failure::PRECONDITION,
            Self::SizeUnknown(_) => failure::SIZE_UNKNOWN,
            Self::Cache { error, .. } => missed(error),
        }
    }
}

impl ErrorAnswer {
    fn new(failure: Failure, message: impl Into<String>) -> Self {
        let code = match failure.code {
            Code::Always(code) => code,
            Code::Absence => ErrorCode::NameUnknown,
        };
        Self {
            status: failure.status,
            body: ErrorBody::new(code, message),
            retry_after: (failure.again == Again::Soon).then_some(SOON),
            allow: None,
            unsatisfiable: None,
            outcome: None,
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

fn route(error: &RouteError) -> Failure {
    match error {
        RouteError::Unknown => failure::NO_PATH,
        RouteError::Segment(_) | RouteError::Encoding(_) | RouteError::Namespace(_) => {
            failure::BAD_NAME
        }
        RouteError::Digest(_) | RouteError::Reference(ReferenceError::Digest(_)) => {
            failure::BAD_DIGEST
        }
        RouteError::Reference(ReferenceError::Tag(_)) => failure::BAD_TAG,
    }
}

fn address(error: &AddressError) -> Failure {
    match error {
        AddressError::Name(_)
        | AddressError::Namespace { .. }
        | AddressError::Host { .. }
        | AddressError::Disagree { .. } => failure::BAD_NAME,
        AddressError::NotConfigured(_) => failure::NOT_CONFIGURED,
        AddressError::UnknownMount(_) | AddressError::NoDefault(_) | AddressError::TwoApiPaths => {
            failure::NO_PATH
        }
    }
}

fn missed(error: &CacheError) -> Failure {
    match error {
        CacheError::ManifestUnknown(_)
        | CacheError::BlobUnknown(_)
        | CacheError::NoTags(_)
        | CacheError::Schema1 => failure::ABSENT,
        CacheError::NotConfigured(_) => failure::NOT_CONFIGURED,
        CacheError::Private(_) | CacheError::NotListed(_) => failure::WITHHELD,
        CacheError::Upstream(error) => upstream(error),
        CacheError::WrongContent(_) => failure::WRONG_CONTENT,
        CacheError::WrongSize { .. } => failure::WRONG_SIZE,
        CacheError::BadManifest(_) => failure::BAD_MANIFEST,
        CacheError::TooSlow => failure::TOO_SLOW,
        CacheError::Unsatisfiable(_) => failure::UNSATISFIABLE,
        CacheError::Store(error) => store(error),
        CacheError::Stopping => failure::STOPPING,
    }
}

fn upstream(error: &UpstreamError) -> Failure {
    match error {
        UpstreamError::Unreachable { .. }
        | UpstreamError::Unavailable { .. }
        | UpstreamError::Misled { .. } => failure::UNREACHABLE,
        UpstreamError::TimedOut { .. } => failure::TIMED_OUT,
        UpstreamError::RateLimited { .. } => failure::RATE_LIMITED,
        UpstreamError::Resting { .. } => failure::RESTING,
        // The large registries do not tell absent from private; their challenge is never relayed.
        UpstreamError::Refused {
            status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            ..
        } => failure::ABSENT,
        UpstreamError::LoginRefused { problem, .. } => useless_login(problem),
        UpstreamError::Refused { .. } | UpstreamError::Protocol { .. } => failure::STRANGE,
        UpstreamError::Offline { .. } => failure::OFFLINE,
        UpstreamError::Overloaded { .. } => failure::OVERLOADED,
        UpstreamError::Forbidden { .. } => failure::FORBIDDEN,
        UpstreamError::TooLarge { .. } => failure::TOO_LARGE,
    }
}

/// Tells of a login that is of no use. Only where the registry saw it, what it said stands for an absence.
fn useless_login(problem: &LoginProblem) -> Failure {
    match problem {
        LoginProblem::Wrong { .. } => failure::ABSENT,
        LoginProblem::Suspended { .. } => failure::SUSPENDED_LOGIN,
        LoginProblem::Unreadable(_) => failure::USELESS_LOGIN,
        LoginProblem::Withheld(_) => failure::FORBIDDEN,
    }
}

fn store(error: &StoreError) -> Failure {
    match error {
        StoreError::NoSpace { .. }
        | StoreError::Conflict { .. }
        | StoreError::Io { .. }
        | StoreError::Records { .. }
        | StoreError::Truncated { .. }
        | StoreError::InUse { .. }
        | StoreError::Damaged { .. }
        | StoreError::Newer { .. } => failure::STORE,
    }
}

/// Adds to an answer what is known of a failure of the cache.
fn cache(mut answer: ErrorAnswer, subject: &str, kind: Kind, error: &CacheError) -> ErrorAnswer {
    if missed(error).code == Code::Absence {
        answer.body.code = kind.absence();
    }
    answer.body.detail = detail(error);
    answer.outcome = error.outcome();
    if let CacheError::Unsatisfiable(reason) = error {
        answer.unsatisfiable = Some(*reason);
    }
    if let CacheError::Store(_) = error {
        // What is wrong with the disk is for the log: its words have paths in them.
        answer.body.message = format!("{subject}: what is kept could not be read or written");
    }
    if let CacheError::Upstream(error) = error {
        answer.retry_after = known_end(error).or(answer.retry_after);
        if let UpstreamError::LoginRefused { problem, .. } = error {
            let problem = login_problem(problem);
            answer.body.message = format!("{subject}: {LOGIN} {problem}");
        }
        if let Some(advice) = &answer.body.detail {
            // Many clients show the message alone.
            answer.body.message = format!("{}; {advice}", answer.body.message);
        }
    }
    answer
}

/// Returns how long a failure lasts, where that is known.
fn known_end(error: &UpstreamError) -> Option<Duration> {
    if let UpstreamError::RateLimited { retry_after, .. }
    | UpstreamError::Resting { retry_after, .. }
    | UpstreamError::LoginRefused {
        problem: LoginProblem::Suspended { left: retry_after },
        ..
    } = error
    {
        Some(*retry_after)
    } else {
        None
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
        let (failed, passing) = (StatusCode::BAD_GATEWAY, ErrorCode::TooManyRequests);
        for (error, expected) in [
            (denied(None), (absent, unknown, None)),
            (denied(Some(acme())), (absent, unknown, None)),
            (useless(wrong()), (absent, unknown, None)),
            (
                useless(LoginProblem::Suspended { left }),
                (failed, passing, Some(left)),
            ),
            (
                useless(LoginProblem::Unreadable("it is gone".into())),
                (failed, passing, None),
            ),
            (
                useless(LoginProblem::Withheld("auth.other".into())),
                (failed, ErrorCode::Denied, None),
            ),
            (
                UpstreamError::Resting {
                    host: "r.io".into(),
                    retry_after: left,
                    source: None,
                },
                (failed, passing, Some(left)),
            ),
        ] {
            let again = upstream(&error).again;
            let answer = answer(error);
            let found = (answer.status, answer.body.code, answer.retry_after);
            assert_eq!(found, expected, "{}", answer.body.message);
            assert_eq!(again != Again::Unsaid, found.2.is_some(), "the table");
        }
    }
}

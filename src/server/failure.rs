//! The table of failures: which status and code tell of what. Requests are refused by it, and the README is written from it.

use std::time::Duration;

use http::StatusCode;

use crate::oci::ErrorCode;

/// A way in which a request fails, as HTTP tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// The code in the body.
    pub code: Code,
    /// What is said of when to come again.
    pub again: Again,
    /// When this happens.
    pub when: &'static str,
}

/// The code of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// This one.
    Always(ErrorCode),
    /// What is not there: [`Code::ABSENCES`], by what was asked for.
    Absence,
}

/// What `Retry-After` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing: there is none.
    Unsaid,
    /// A few seconds, after which it has likely passed.
    Soon,
    /// How long it lasts, which is known.
    Known,
}

/// When to come again after a failure that is likely to pass soon.
pub const SOON: Duration = Duration::from_secs(5);

/// The code of a failure that may be gone the next moment. Clients that look at codes try this one again; the names of
/// what is unknown would tell them that it does not exist.
const PASSING: Code = Code::Always(ErrorCode::TooManyRequests);
const UNSUPPORTED: Code = Code::Always(ErrorCode::Unsupported);
const DENIED: Code = Code::Always(ErrorCode::Denied);

impl Code {
    /// The codes of what is not there: a manifest, a blob, anything of a repository.
    pub const ABSENCES: [ErrorCode; 3] = [
        ErrorCode::ManifestUnknown,
        ErrorCode::BlobUnknown,
        ErrorCode::NameUnknown,
    ];
}

impl Failure {
    const fn new(status: StatusCode, code: Code, when: &'static str) -> Self {
        Self {
            status,
            code,
            again: Again::Unsaid,
            when,
        }
    }

    const fn soon(self) -> Self {
        Self {
            again: Again::Soon,
            ..self
        }
    }

    const fn known(self) -> Self {
        Self {
            again: Again::Known,
            ..self
        }
    }
}

/// All failures, in the order of their statuses.
pub const TABLE: [Failure; 34] = [
    BAD_NAME,
    BAD_DIGEST,
    BAD_QUERY,
    UNENCRYPTED,
    NOT_CONFIGURED,
    WITHHELD,
    NO_PATH,
    BAD_TAG,
    NOT_HOSTED,
    ABSENT,
    METHOD,
    PRECONDITION,
    LONG_PATH,
    UNSATISFIABLE,
    RATE_LIMITED,
    LARGE_HEADERS,
    UNREACHABLE,
    RESTING,
    USELESS_LOGIN,
    SUSPENDED_LOGIN,
    FORBIDDEN,
    STRANGE,
    WRONG_CONTENT,
    WRONG_SIZE,
    TOO_LARGE,
    BAD_MANIFEST,
    OVERLOADED,
    SIZE_UNKNOWN,
    STORE,
    STOPPING,
    TIMED_OUT,
    TOO_SLOW,
    OFFLINE,
    CIRCLE,
];

pub(super) const BAD_NAME: Failure = Failure::new(
    StatusCode::BAD_REQUEST,
    Code::Always(ErrorCode::NameInvalid),
    "the name cannot be, or the path, `ns` and `Host` name different registries",
);

pub(super) const BAD_DIGEST: Failure = Failure::new(
    StatusCode::BAD_REQUEST,
    Code::Always(ErrorCode::DigestInvalid),
    "the digest cannot be",
);

pub(super) const BAD_QUERY: Failure = Failure::new(
    StatusCode::BAD_REQUEST,
    UNSUPPORTED,
    "what the query says of a page makes no sense",
);

pub(super) const UNENCRYPTED: Failure = Failure::new(
    StatusCode::BAD_REQUEST,
    UNSUPPORTED,
    "plain HTTP came to a port that speaks TLS",
);

pub(super) const NOT_CONFIGURED: Failure = Failure::new(
    StatusCode::FORBIDDEN,
    DENIED,
    "the registry is not one of those that are configured",
);

pub(super) const WITHHELD: Failure = Failure::new(
    StatusCode::FORBIDDEN,
    DENIED,
    "it is private, or a catalog, and this client is not told",
);

pub(super) const NO_PATH: Failure = Failure::new(
    StatusCode::NOT_FOUND,
    Code::Always(ErrorCode::NameUnknown),
    "the path is none of the API, or its name leads nowhere",
);

pub(super) const BAD_TAG: Failure = Failure::new(
    StatusCode::NOT_FOUND,
    Code::Always(ErrorCode::ManifestUnknown),
    "no tag can be called that",
);

pub(super) const NOT_HOSTED: Failure = Failure::new(
    StatusCode::NOT_FOUND,
    Code::Always(ErrorCode::NameUnknown),
    "the repository belongs to no registry: nothing was pushed to it",
);

pub(super) const ABSENT: Failure = Failure::new(
    StatusCode::NOT_FOUND,
    Code::Absence,
    "the registry says that it is not there, or that it needs a login which larder does not have; or it is of schema 1",
);

pub(super) const METHOD: Failure = Failure::new(
    StatusCode::METHOD_NOT_ALLOWED,
    UNSUPPORTED,
    "the path does not take the method: nothing can be pushed",
);

pub(super) const PRECONDITION: Failure = Failure::new(
    StatusCode::PRECONDITION_FAILED,
    Code::Always(ErrorCode::DigestInvalid),
    "`If-Match` does not name the digest",
);

pub(super) const LONG_PATH: Failure = Failure::new(
    StatusCode::URI_TOO_LONG,
    Code::Always(ErrorCode::NameInvalid),
    "path and query are longer than is taken",
);

pub(super) const UNSATISFIABLE: Failure = Failure::new(
    StatusCode::RANGE_NOT_SATISFIABLE,
    Code::Always(ErrorCode::SizeInvalid),
    "the blob ends before the range",
);

pub(super) const RATE_LIMITED: Failure = Failure::new(
    StatusCode::TOO_MANY_REQUESTS,
    PASSING,
    "the registry's limit of pulls is reached, and this is not in the cache",
)
.known();

pub(super) const LARGE_HEADERS: Failure = Failure::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    UNSUPPORTED,
    "the headers are larger than is taken",
);

pub(super) const UNREACHABLE: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    PASSING,
    "the registry cannot be reached, or fails",
);

pub(super) const RESTING: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    PASSING,
    "the registry failed again and again, and is left alone for a while",
)
.known();

pub(super) const USELESS_LOGIN: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    PASSING,
    "the login for the registry cannot be read",
);

pub(super) const SUSPENDED_LOGIN: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    PASSING,
    "the login for the registry was refused, and is not tried again for a while",
)
.known();

pub(super) const FORBIDDEN: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    DENIED,
    "larder may not go where the registry sends it, or show its login there",
);

pub(super) const STRANGE: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    UNSUPPORTED,
    "the registry answers with a status or in a form that makes no sense here",
);

pub(super) const WRONG_CONTENT: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    Code::Always(ErrorCode::DigestInvalid),
    "the registry sent content of another digest",
);

pub(super) const WRONG_SIZE: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    Code::Always(ErrorCode::SizeInvalid),
    "the registry sent content of another size",
);

pub(super) const TOO_LARGE: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    Code::Always(ErrorCode::SizeInvalid),
    "the registry sent more than is taken",
);

pub(super) const BAD_MANIFEST: Failure = Failure::new(
    StatusCode::BAD_GATEWAY,
    Code::Always(ErrorCode::ManifestInvalid),
    "what the registry sent is no manifest",
);

pub(super) const OVERLOADED: Failure = Failure::new(
    StatusCode::SERVICE_UNAVAILABLE,
    PASSING,
    "too many requests to the registry are under way already",
)
.soon();

pub(super) const SIZE_UNKNOWN: Failure = Failure::new(
    StatusCode::SERVICE_UNAVAILABLE,
    PASSING,
    "the size of a blob is not known yet, which HTTP/1.0 cannot do without",
)
.soon();

pub(super) const STORE: Failure = Failure::new(
    StatusCode::SERVICE_UNAVAILABLE,
    PASSING,
    "the disk is full or fails",
)
.soon();

pub(super) const STOPPING: Failure = Failure::new(
    StatusCode::SERVICE_UNAVAILABLE,
    PASSING,
    "larder is being stopped",
)
.soon();

pub(super) const TIMED_OUT: Failure = Failure::new(
    StatusCode::GATEWAY_TIMEOUT,
    PASSING,
    "the registry does not answer in time",
);

pub(super) const TOO_SLOW: Failure = Failure::new(
    StatusCode::GATEWAY_TIMEOUT,
    PASSING,
    "the answer takes longer than clients wait; it is fetched on",
)
.soon();

pub(super) const OFFLINE: Failure = Failure::new(
    StatusCode::GATEWAY_TIMEOUT,
    DENIED,
    "the registry is not asked because its operator says so, and this is not in the cache",
);

pub(super) const CIRCLE: Failure = Failure::new(
    StatusCode::LOOP_DETECTED,
    UNSUPPORTED,
    "an endpoint leads back to larder itself",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_failure_once_and_in_order() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].status <= pair[1].status, "{pair:?}");
        }
        // Nothing else in this file is a failure of its own.
        let written = include_str!("failure.rs").matches(": Failure = Failure::new(");
        // Here is one, in the line above.
        assert_eq!(written.count() - 1, TABLE.len());
        for (index, failure) in TABLE.iter().enumerate() {
            assert!(!TABLE[..index].contains(failure), "{failure:?}");
        }
    }
}

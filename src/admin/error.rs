//! Why an operation was not done: a closed set of codes, each with its status.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::document::{Failure, FailureBody};
use crate::addressing::AddressError;
use crate::cache::CacheError;
use crate::telemetry::with_causes;
use crate::upstream::UpstreamError;

/// The kind of an error, by what the operator can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is not what it should be.
    InvalidRequest,
    /// There is no such path.
    NoSuchPath,
    /// The token that the door wants was not shown.
    Unauthorized,
    /// Too many wrong tokens were shown.
    TooManyAttempts,
    /// The path does not do that.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge,
    /// The configuration has faults, and is not used.
    InvalidConfiguration,
    /// The name is no image's, or leads nowhere.
    InvalidImage,
    /// The image is named by a digest, which never changes.
    NotATag,
    /// The registry is not configured.
    NotConfigured,
    /// The registry is configured by a pattern, which changes as a whole.
    ConfiguredByPattern,
    /// The repository does not exist, or may not be seen.
    NoRepository,
    /// The tag does not exist.
    NoTag,
    /// The login was refused, or could not be used.
    LoginRefused,
    /// The registry allows no more requests.
    RateLimited,
    /// The registry cannot be reached, or is in trouble.
    Unavailable,
    /// The registry answered something that makes no sense.
    RegistryFailed,
    /// The registry is not to be asked.
    Offline,
    /// It took too long.
    TimedOut,
    /// larder is stopping.
    Stopping,
    /// Something failed in larder itself.
    Failed,
}

impl ErrorCode {
    /// Returns the status of an answer with this code.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::InvalidImage | Self::NotATag => StatusCode::BAD_REQUEST,
            Self::NoSuchPath | Self::NotConfigured | Self::NoRepository | Self::NoTag => {
                StatusCode::NOT_FOUND
            }
            Self::InvalidConfiguration => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ConfiguredByPattern | Self::Offline => StatusCode::CONFLICT,
            Self::RateLimited | Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::LoginRefused | Self::Unavailable | Self::RegistryFailed => {
                StatusCode::BAD_GATEWAY
            }
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why an operation was not done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct OperationError {
    /// Its kind.
    pub code: ErrorCode,
    /// What happened, to what.
    pub message: String,
}

impl OperationError {
    /// Makes an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Says what a failure of the cache means for what was asked for.
    pub(super) fn of_cache(error: &CacheError, what: &str) -> Self {
        let because = format!("{what}: {}", with_causes(error));
        Self::new(code_of(error), because)
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        let OperationError { code, message } = error;
        Self {
            error: FailureBody { code, message },
        }
    }
}

impl From<AddressError> for OperationError {
    fn from(error: AddressError) -> Self {
        let code = match error {
            AddressError::NotConfigured(_)
            | AddressError::UnknownMount(_)
            | AddressError::NoDefault(_) => ErrorCode::NotConfigured,
            AddressError::Name(_)
            | AddressError::Namespace { .. }
            | AddressError::Host { .. }
            | AddressError::Disagree { .. }
            | AddressError::TwoApiPaths => ErrorCode::InvalidImage,
        };
        Self::new(code, error.to_string())
    }
}

fn code_of(error: &CacheError) -> ErrorCode {
    match error {
        CacheError::ManifestUnknown(_) => ErrorCode::NoTag,
        CacheError::Private(_) | CacheError::NoTags(_) => ErrorCode::NoRepository,
        CacheError::NotConfigured(_) => ErrorCode::NotConfigured,
        CacheError::Upstream(error) => code_of_upstream(error),
        CacheError::Schema1
        | CacheError::BlobUnknown(_)
        | CacheError::WrongContent(_)
        | CacheError::WrongSize { .. }
        | CacheError::BadManifest(_) => ErrorCode::RegistryFailed,
        CacheError::TooSlow => ErrorCode::Unavailable,
        CacheError::Stopping => ErrorCode::Stopping,
        CacheError::NotListed(_) | CacheError::Unsatisfiable(_) | CacheError::Store(_) => {
            ErrorCode::Failed
        }
    }
}

fn code_of_upstream(error: &UpstreamError) -> ErrorCode {
    match error {
        UpstreamError::Unreachable { .. }
        | UpstreamError::TimedOut { .. }
        | UpstreamError::Resting { .. }
        | UpstreamError::Unavailable { .. } => ErrorCode::Unavailable,
        UpstreamError::Offline { .. } => ErrorCode::Offline,
        UpstreamError::LoginRefused { .. } => ErrorCode::LoginRefused,
        UpstreamError::Refused { status, .. }
            if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
        {
            ErrorCode::NoRepository
        }
        UpstreamError::RateLimited { .. } => ErrorCode::RateLimited,
        UpstreamError::Refused { .. }
        | UpstreamError::Misled { .. }
        | UpstreamError::Overloaded { .. }
        | UpstreamError::Forbidden { .. }
        | UpstreamError::Protocol { .. }
        | UpstreamError::TooLarge { .. } => ErrorCode::RegistryFailed,
    }
}

//! Why the operator's wish was not done, by what can be done about it: the exit code, and a hint.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::failure::Exit;
use crate::admin::error::ErrorCode;
use crate::admin::{ClientError, OperationError, Whereabouts};
use crate::store::StoreError;

/// What kept a wish from being done.
#[derive(Debug, Error)]
pub(super) enum NotDone {
    /// Only a running larder can do it.
    #[error("no larder is running with the cache folder {}", folder.display())]
    NoLarder {
        folder: PathBuf,
        /// What to do in place of it.
        instead: &'static str,
    },
    /// A larder has the folder, and does not listen for commands.
    #[error("a larder has the cache folder and takes no commands")]
    Deaf { source: StoreError },
    /// Nobody but its user may work in the folder.
    #[error("the cache folder {} belongs to the user {owner}", folder.display())]
    NotOurs { folder: PathBuf, owner: u32 },
    /// There is no folder.
    #[error("there is no cache in {}: nothing was pulled yet", folder.display())]
    NoFolder { folder: PathBuf },
    /// larder has not seen the tag.
    #[error("nothing is known of {image}: nobody pulled it through larder yet")]
    NoHistory { image: String },
    /// The running larder was not heard, or did not do it.
    #[error(transparent)]
    Client(ClientError),
    /// It was not done here.
    #[error(transparent)]
    Operation(OperationError),
}

impl NotDone {
    /// Returns the exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NoLarder { .. }
            | Self::Client(ClientError::Connect {
                at: Whereabouts::Address(_),
                ..
            }) => Exit::NoRegistry,
            Self::NoFolder { .. } | Self::NoHistory { .. } => Exit::NoReference,
            Self::Deaf { .. } | Self::NotOurs { .. } => Exit::Failed,
            Self::Operation(error) | Self::Client(ClientError::Refused(error)) => {
                exit_of(error.code)
            }
            Self::Client(
                ClientError::Connect {
                    at: Whereabouts::Socket(_),
                    ..
                }
                | ClientError::TimedOut { .. }
                | ClientError::Broke { .. }
                | ClientError::Unintelligible { .. },
            ) => Exit::Failed,
        }
    }

    /// Returns what to do, where that is known.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoLarder { instead, .. } => Some(*instead),
            Self::Deaf { .. } => Some(
                "try again when it has started; if its log says that it could not listen for commands, stop it first",
            ),
            Self::NotOurs { .. } => {
                Some("run this as that user, so that all in the folder stays theirs")
            }
            Self::NoFolder { .. } => Some(
                "give the configuration of the larder in question, with --config or --cache-path",
            ),
            Self::NoHistory { .. } => None,
            Self::Operation(error) | Self::Client(ClientError::Refused(error)) => {
                hint_of(error.code)
            }
            Self::Client(
                ClientError::Connect {
                    at: Whereabouts::Address(_),
                    ..
                }
                | ClientError::Broke {
                    at: Whereabouts::Address(_),
                    ..
                }
                | ClientError::Unintelligible {
                    at: Whereabouts::Address(_),
                    ..
                },
            ) => Some(
                "--admin-url has to be the address of admin.listen of a larder that runs, not that of its registry",
            ),
            Self::Client(ClientError::Connect {
                at: Whereabouts::Socket(_),
                source,
            }) => {
                let is_denied = source.kind() == io::ErrorKind::PermissionDenied;
                is_denied.then_some("only root and the user that larder runs as may command it")
            }
            Self::Client(ClientError::Broke {
                at: Whereabouts::Socket(_),
                ..
            }) => {
                Some("it takes commands of root and of the user that it runs as; or it is stopping")
            }
            Self::Client(ClientError::Unintelligible {
                at: Whereabouts::Socket(_),
                ..
            }) => Some(OTHER_VERSION),
            Self::Client(ClientError::TimedOut { .. }) => None,
        }
    }
}

const OTHER_VERSION: &str = "it may be of another version: run the program that serves";

/// Returns the exit code of an operation that was not done.
fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidImage
        | ErrorCode::NotATag
        | ErrorCode::InvalidConfiguration
        | ErrorCode::ConfiguredByPattern => Exit::Misused,
        ErrorCode::NotConfigured | ErrorCode::Unavailable | ErrorCode::Offline => Exit::NoRegistry,
        ErrorCode::NoRepository => Exit::NoRepository,
        ErrorCode::NoTag => Exit::NoReference,
        ErrorCode::LoginRefused | ErrorCode::Unauthorized => Exit::LoginRefused,
        ErrorCode::NoSuchPath
        | ErrorCode::MethodNotAllowed
        | ErrorCode::TooLarge
        | ErrorCode::TooManyAttempts
        | ErrorCode::RateLimited
        | ErrorCode::RegistryFailed
        | ErrorCode::TimedOut
        | ErrorCode::Stopping
        | ErrorCode::Failed => Exit::Failed,
    }
}

fn hint_of(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::NoSuchPath | ErrorCode::MethodNotAllowed => Some(OTHER_VERSION),
        ErrorCode::NoRepository
        | ErrorCode::NoTag
        | ErrorCode::LoginRefused
        | ErrorCode::Unavailable => {
            Some("`larder inspect` asks the registry directly, and says more")
        }
        ErrorCode::Unauthorized => Some(
            "the file of --admin-token-file has to hold the same as the one that admin.token_file of that larder names",
        ),
        ErrorCode::InvalidConfiguration => {
            Some("`larder check` where that larder runs shows each fault with its line")
        }
        ErrorCode::Offline => Some(
            "`larder upstream NAME online` has a running larder ask it again, else see offline in the configuration",
        ),
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidImage
        | ErrorCode::NotATag
        | ErrorCode::ConfiguredByPattern
        | ErrorCode::NotConfigured
        | ErrorCode::TooLarge
        | ErrorCode::TooManyAttempts
        | ErrorCode::RateLimited
        | ErrorCode::RegistryFailed
        | ErrorCode::TimedOut
        | ErrorCode::Stopping
        | ErrorCode::Failed => None,
    }
}

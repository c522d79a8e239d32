//! Why a registry did not give what was asked for, by what can be done about it: the exit code, and a hint.

use std::fmt;

use http::StatusCode;
use thiserror::Error;

use super::failure::Exit;
use crate::addressing::{AddressError, Origin};
use crate::oci::{Digest, ManifestError, Mismatch, Reference, RepositoryName, UpstreamName};
use crate::upstream::{LoginIdentity, UpstreamError};

/// What kept us from seeing something at a registry.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// The name leads nowhere.
    #[error(transparent)]
    Address(AddressError),
    /// The registry is none that is configured.
    #[error("the registry {0} is not configured")]
    Unknown(UpstreamName),
    /// The name is of larder itself.
    #[error("{0} would be hosted by larder itself, which hosts nothing yet")]
    Hosted(RepositoryName),
    /// The registry says that the repository does not exist.
    #[error("the repository {origin} does not exist{}", or_needs_a_login(login.as_ref()))]
    NoRepository {
        origin: Origin,
        login: Option<LoginIdentity>,
    },
    /// The registry does not let us see the repository, which may not exist.
    #[error("the repository {origin} does not exist{}", or_needs_a_login(login.as_ref()))]
    Denied {
        origin: Origin,
        login: Option<LoginIdentity>,
        source: UpstreamError,
    },
    /// The repository has no such tag or manifest.
    #[error("{origin} has {}", Lack(reference))]
    NoReference {
        origin: Origin,
        reference: Reference,
    },
    /// The image is not for the platform that is asked for.
    #[error("{origin} has nothing for {wanted}: it is for {found}")]
    NoPlatform {
        origin: Origin,
        wanted: String,
        found: String,
    },
    /// The registry lacks a part of what it has.
    #[error("{origin} lacks {what} of the image, {digest}")]
    Incomplete {
        origin: Origin,
        what: &'static str,
        digest: Digest,
    },
    /// The registry sent another manifest than the one that was asked for.
    #[error("{origin} has another manifest than was asked for")]
    Wrong {
        origin: Origin,
        source: Box<Mismatch>,
    },
    /// The registry sent something that is no manifest.
    #[error("{origin} has something else than a manifest")]
    NoManifest {
        origin: Origin,
        source: ManifestError,
    },
    /// There is no end of tags.
    #[error("{origin} has more than {limit} tags")]
    TooManyTags { origin: Origin, limit: usize },
    /// The registry could not be asked.
    #[error("{origin} could not be asked for")]
    Failed {
        origin: Origin,
        source: UpstreamError,
    },
}

impl Trouble {
    /// Says what an error of a registry means for a repository, which was asked for with this login.
    pub(super) fn of(error: UpstreamError, origin: &Origin, login: Option<&LoginIdentity>) -> Self {
        let origin = origin.clone();
        match exit_of(&error) {
            Exit::NoRepository => Self::Denied {
                origin,
                login: login.cloned(),
                source: error,
            },
            Exit::Done
            | Exit::Failed
            | Exit::Misused
            | Exit::NoRegistry
            | Exit::NoReference
            | Exit::LoginRefused => Self::Failed {
                origin,
                source: error,
            },
        }
    }

    /// Returns the exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Address(error) => match error {
                AddressError::NotConfigured(_)
                | AddressError::UnknownMount(_)
                | AddressError::NoDefault(_) => Exit::NoRegistry,
                AddressError::Name(_)
                | AddressError::Namespace { .. }
                | AddressError::Host { .. }
                | AddressError::Disagree { .. }
                | AddressError::TwoApiPaths => Exit::Misused,
            },
            Self::Unknown(_) => Exit::NoRegistry,
            Self::Hosted(_) | Self::NoRepository { .. } | Self::Denied { .. } => Exit::NoRepository,
            Self::NoReference { .. } | Self::NoPlatform { .. } => Exit::NoReference,
            Self::Failed { source, .. } => exit_of(source),
            Self::Incomplete { .. }
            | Self::Wrong { .. }
            | Self::NoManifest { .. }
            | Self::TooManyTags { .. } => Exit::Failed,
        }
    }

    /// Returns what to do, where that is known.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoRepository { origin, login } | Self::Denied { origin, login, .. } => {
                Some(login_hint(&origin.upstream, login.as_ref()))
            }
            Self::NoReference {
                origin,
                reference: Reference::Tag(_),
            } => Some(format!("`larder tags {origin}` lists the tags")),
            Self::Failed { origin, source } => upstream_hint(&origin.upstream, source),
            Self::NoReference {
                reference: Reference::Digest(_),
                ..
            }
            | Self::Address(_)
            | Self::Unknown(_)
            | Self::Hosted(_)
            | Self::NoPlatform { .. }
            | Self::Incomplete { .. }
            | Self::Wrong { .. }
            | Self::NoManifest { .. }
            | Self::TooManyTags { .. } => None,
        }
    }
}

/// Returns the exit code of a failure of a registry.
fn exit_of(error: &UpstreamError) -> Exit {
    match error {
        UpstreamError::Unreachable { .. }
        | UpstreamError::TimedOut { .. }
        | UpstreamError::Resting { .. }
        | UpstreamError::Offline { .. }
        | UpstreamError::Unavailable { .. } => Exit::NoRegistry,
        UpstreamError::LoginRefused { .. } => Exit::LoginRefused,
        UpstreamError::Refused { status, .. }
            if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
        {
            Exit::NoRepository
        }
        UpstreamError::Refused { .. }
        | UpstreamError::RateLimited { .. }
        | UpstreamError::Misled { .. }
        | UpstreamError::Overloaded { .. }
        | UpstreamError::Forbidden { .. }
        | UpstreamError::Protocol { .. }
        | UpstreamError::TooLarge { .. } => Exit::Failed,
    }
}

/// Says what else it may be when a registry shows nothing of a repository.
fn or_needs_a_login(login: Option<&LoginIdentity>) -> String {
    match login {
        None => ", or needs a login: none is configured for it".to_owned(),
        Some(login) => format!(", or is not for the login that is configured for it ({login})"),
    }
}

fn login_hint(upstream: &UpstreamName, login: Option<&LoginIdentity>) -> String {
    let what = match login {
        None => "check the name; a login is configured",
        Some(_) => "check the name, and what the login may read; it is configured",
    };
    format!("{what} with credentials in the [[upstream]] with name = \"{upstream}\"")
}

/// Says what to do about a registry that could not be asked.
fn upstream_hint(upstream: &UpstreamName, error: &UpstreamError) -> Option<String> {
    let entry = format!("the [[upstream]] with name = \"{upstream}\"");
    match error {
        UpstreamError::Unreachable { .. } => Some(match error.tls_fault() {
            Some(rustls::Error::InvalidCertificate(_)) => format!(
                "when its certificate is right, name the authority that vouches for it with ca_file, in endpoints of {entry}"
            ),
            Some(rustls::Error::InvalidMessage(_)) => format!(
                "it seems not to speak TLS: if so, write its address with http:// in endpoints of {entry}"
            ),
            Some(_) | None => format!(
                "check the name, the network, and endpoints of {entry}, which say where it is asked"
            ),
        }),
        UpstreamError::TimedOut { .. } => Some(format!(
            "check the network, and endpoints of {entry}, which say where it is asked"
        )),
        UpstreamError::RateLimited { .. } => Some(format!(
            "a login may be allowed more; it is configured with credentials in {entry}"
        )),
        UpstreamError::LoginRefused { .. } => Some(format!(
            "check the login, which is configured with credentials in {entry}"
        )),
        UpstreamError::Offline { .. } => Some(format!(
            "the configuration says so, with offline in {entry} or in [server]"
        )),
        UpstreamError::Refused { .. }
        | UpstreamError::Resting { .. }
        | UpstreamError::Unavailable { .. }
        | UpstreamError::Misled { .. }
        | UpstreamError::Overloaded { .. }
        | UpstreamError::Forbidden { .. }
        | UpstreamError::Protocol { .. }
        | UpstreamError::TooLarge { .. } => None,
    }
}

/// What a repository does not have.
struct Lack<'a>(&'a Reference);

impl fmt::Display for Lack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reference::Tag(tag) => write!(f, "no tag '{tag}'"),
            Reference::Digest(digest) => write!(f, "no manifest {digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::cli::failure::Failure;
    use crate::upstream::{LoginProblem, RateLimit};

    const ENTRY: &str = "[[upstream]] with name = \"r.io\"";

    fn origin() -> Origin {
        Origin {
            upstream: "r.io".parse().unwrap(),
            repository: "org/app".parse().unwrap(),
        }
    }

    fn refused(status: StatusCode) -> UpstreamError {
        UpstreamError::Refused {
            host: "r.io".into(),
            status,
            message: Some("\u{202e}no".into()),
            login: None,
        }
    }

    fn unreachable(source: impl std::error::Error + Send + Sync + 'static) -> UpstreamError {
        UpstreamError::Unreachable {
            host: "r.io".into(),
            source: std::sync::Arc::new(source),
        }
    }

    /// Tells what a failure is told as.
    fn assert_told(
        error: UpstreamError,
        login: Option<&LoginIdentity>,
        exit: Exit,
        told: &str,
        hint: &str,
    ) {
        let failure = Failure::from(Trouble::of(error, &origin(), login));
        let text = failure.to_string();
        assert_eq!(failure.exit(), exit, "{text}");
        assert!(text.contains("r.io/org/app"), "{text}");
        assert!(text.contains(told), "{text}");
        let (_, found) = text.split_once("\nhint: ").unwrap_or_default();
        assert!(found.contains(hint), "{text}");
        assert_eq!(found.contains(ENTRY), !hint.is_empty(), "{text}");
    }

    #[test]
    fn what_is_refused_may_not_exist() {
        let acme = LoginIdentity::new("user acme");
        assert_told(
            refused(StatusCode::UNAUTHORIZED),
            None,
            Exit::NoRepository,
            "does not exist, or needs a login: none is configured for it\n  because: r.io refused",
            "credentials in the",
        );
        assert_told(
            refused(StatusCode::FORBIDDEN),
            Some(&acme),
            Exit::NoRepository,
            "or is not for the login that is configured for it (user acme)",
            "what the login may read",
        );
        assert_told(
            refused(StatusCode::BAD_REQUEST),
            None,
            Exit::Failed,
            "refused with 400 Bad Request: '\\u{202e}no'",
            "",
        );
    }

    #[test]
    fn logins_and_limits_are_told() {
        let acme = LoginIdentity::new("user acme");
        let useless = UpstreamError::LoginRefused {
            host: "r.io".into(),
            login: acme.clone(),
            problem: LoginProblem::Unreadable("there is no such file".into()),
        };
        assert_told(
            useless,
            Some(&acme),
            Exit::LoginRefused,
            "the login 'user acme' could not be read: there is no such file",
            "check the login",
        );
        let limited = UpstreamError::RateLimited {
            host: "r.io".into(),
            limit: RateLimit::Pulls,
            retry_after: Duration::from_secs(7),
        };
        let hint = "a login may be allowed more";
        assert_told(limited, None, Exit::Failed, "for 7 seconds", hint);
    }

    #[test]
    fn why_there_is_no_connection_is_told() {
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let wrapped = |error| io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        for (error, told, hint) in [
            (
                unreachable(wrapped(untrusted)),
                "because: invalid peer certificate: UnknownIssuer",
                "with ca_file",
            ),
            (
                unreachable(wrapped(plain)),
                "the connection to r.io failed",
                "with http://",
            ),
            (
                unreachable(io::Error::from(io::ErrorKind::ConnectionRefused)),
                "because: connection refused",
                "check the name, the network",
            ),
        ] {
            assert_told(error, None, Exit::NoRegistry, told, hint);
        }
    }
}

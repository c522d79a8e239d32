//! What can go wrong with another registry, by what the caller can do about it. That something is absent is not an error.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::credentials::LoginIdentity;
use crate::oci::UpstreamName;

/// A failure of an upstream. Clones share their cause, since one failure reaches every joiner of a fill.
///
/// `host` is the host that failed: the registry, its token service, or where it sent us.
#[derive(Clone, Debug, Error)]
pub enum UpstreamError {
    /// There is no connection, or it broke.
    #[error("the connection to {host} failed")]
    Unreachable {
        /// Which host.
        host: Arc<str>,
        /// How it failed.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The host was silent for too long.
    #[error("{host} took too long {phase}")]
    TimedOut {
        /// Which host.
        host: Arc<str>,
        /// What it was to do.
        phase: Phase,
    },
    /// The host answered 429, to this request or to one before.
    #[error("{host} allows no more {limit} for {} seconds", retry_after.as_secs())]
    RateLimited {
        /// Which host.
        host: Arc<str>,
        /// Of what there were too many.
        limit: RateLimit,
        /// How long to leave it alone, from a second to an hour.
        retry_after: Duration,
    },
    /// The host answered 401 or 403 after all that we could show it, or that it does not take the request at all.
    #[error("{host} refused with {status}{}", Quoted(message))]
    Refused {
        /// Which host.
        host: Arc<str>,
        /// Its answer.
        status: StatusCode,
        /// Its words, short and printable.
        message: Option<Arc<str>>,
        /// With which login it was asked, if with any.
        login: Option<LoginIdentity>,
    },
    /// The registry refuses those without a login, and the one that is configured is of no use.
    #[error("the login '{login}' {problem}")]
    LoginRefused {
        /// The host that it is for.
        host: Arc<str>,
        /// Which login.
        login: LoginIdentity,
        /// What is wrong with it.
        problem: LoginProblem,
    },
    /// The host failed so often that it is left alone for a while.
    #[error("{host} failed again and again, and is left alone for {} seconds", retry_after.as_secs().max(1))]
    Resting {
        /// Which host.
        host: Arc<str>,
        /// For how long.
        retry_after: Duration,
        /// How it failed last.
        source: Option<Arc<UpstreamError>>,
    },
    /// The host is in trouble itself: 5xx or 408.
    #[error("{host} is unavailable: {status}")]
    Unavailable {
        /// Which host.
        host: Arc<str>,
        /// Its answer.
        status: StatusCode,
    },
    /// The registry sent us to a host that does not speak for it, and that host refused or had nothing: the address ran
    /// out, or what is there is not copied yet. The registry may send us elsewhere next time.
    #[error("{host}, where the registry sent us, answered {status}")]
    Misled {
        /// Which host.
        host: Arc<str>,
        /// Its answer.
        status: StatusCode,
    },
    /// The operator said that it is not to be asked.
    #[error("{upstream} is not asked: larder is offline for it")]
    Offline {
        /// Which upstream, or which host of it.
        upstream: Arc<str>,
    },
    /// Too many of our own requests to this upstream are waiting.
    #[error("too many requests to {upstream} are waiting here")]
    Overloaded {
        /// Which upstream.
        upstream: UpstreamName,
    },
    /// The upstream sent us to a place where we do not go.
    #[error("not going to {url}: {rule}")]
    Forbidden {
        /// Why not.
        rule: TrustRule,
        /// Where to, without the query, which may hold a signature.
        url: Arc<str>,
    },
    /// The host answered with something that makes no sense.
    #[error("{host} {fault}")]
    Protocol {
        /// Which host.
        host: Arc<str>,
        /// What was wrong, as in "the host …".
        fault: Arc<str>,
    },
    /// A body that has to fit into memory is too large.
    #[error("{host} sent more than {limit_bytes} bytes of {what}")]
    TooLarge {
        /// Which host.
        host: Arc<str>,
        /// Of what, as in "a manifest".
        what: &'static str,
        /// How much is taken.
        limit_bytes: u64,
    },
}

/// What a registry limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimit {
    /// GETs of manifests.
    Pulls,
    /// Requests of any kind.
    Requests,
}

/// Why a login is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoginProblem {
    /// The registry or its token service says that it is wrong.
    #[error("was refused by {by}{}", Quoted(words))]
    Wrong {
        /// Who says so.
        by: Arc<str>,
        /// Its words, short and printable.
        words: Option<Arc<str>>,
    },
    /// It was refused before, and is not shown again for a while: registries lock accounts.
    #[error("was refused and is not tried again for {} seconds", left.as_secs().max(1))]
    Suspended {
        /// For how long.
        left: Duration,
    },
    /// It could not be read; why not.
    #[error("could not be read: {0}")]
    Unreadable(Arc<str>),
    /// The registry wants it to be shown to a token service that is not among those that may see it.
    #[error(
        "is not shown to the token service {0}, which is of another domain (token_hosts would allow it)"
    )]
    Withheld(Arc<str>),
}

/// What a host was to do when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// To be found and to accept a connection.
    Connect,
    /// To agree on TLS.
    Tls,
    /// To answer a request.
    Headers,
    /// To send more of a body.
    Body,
    /// To give a token.
    Token,
}

/// Why a place that an upstream names is not gone to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum TrustRule {
    /// From `https` to `http`.
    #[error("it is not encrypted, and what sent us there was")]
    Downgrade,
    /// To an address that only we can reach, from an upstream out on the Internet.
    #[error("its address is private or special, and what sent us there is public")]
    Address,
    /// To another scheme than `http` and `https`.
    #[error("it is neither http nor https")]
    Scheme,
    /// With a user name or password in it.
    #[error("it carries a user name")]
    UserInfo,
}

impl UpstreamError {
    /// Returns whether the same request may well succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            // The certificate of the host does not change within seconds.
            Self::Unreachable { .. } => {
                !matches!(self.tls_fault(), Some(rustls::Error::InvalidCertificate(_)))
            }
            Self::TimedOut { .. } | Self::Misled { .. } => true,
            Self::Unavailable { status, .. } => matches!(status.as_u16(), 408 | 500 | 502..=504),
            Self::RateLimited { .. }
            | Self::Refused { .. }
            | Self::LoginRefused { .. }
            | Self::Resting { .. }
            | Self::Offline { .. }
            | Self::Overloaded { .. }
            | Self::Forbidden { .. }
            | Self::Protocol { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Returns what is wrong with TLS, when there is no connection because of that.
    pub fn tls_fault(&self) -> Option<&rustls::Error> {
        match self {
            Self::Unreachable { source, .. } => find(&**source),
            _ => None,
        }
    }

    /// Describes an answer that makes no sense, as in "the host …".
    pub(super) fn protocol(host: &Arc<str>, fault: impl Into<Arc<str>>) -> Self {
        Self::Protocol {
            host: host.clone(),
            fault: fault.into(),
        }
    }

    /// Describes a connection that could not be made, or broke.
    pub(super) fn unreachable(
        host: &Arc<str>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unreachable {
            host: host.clone(),
            source: source.into().into(),
        }
    }
}

/// Finds the first error of a type among an error and its causes.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an I/O error wraps is not its source: its source is the source of that.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pulls => "pulls",
            Self::Requests => "requests",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "to accept a connection",
            Self::Tls => "to agree on TLS",
            Self::Headers => "to answer",
            Self::Body => "to send more",
            Self::Token => "to give a token",
        })
    }
}

/// The words of a host, behind what is said of it.
struct Quoted<'a>(&'a Option<Arc<str>>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(words) => write!(f, ": '{words}'"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_wrong_certificate_is_not_tried_again() {
        let host: Arc<str> = "registry.example".into();
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, wrong));
        assert!(!UpstreamError::unreachable(&host, wrapped).is_passing());
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(UpstreamError::unreachable(&host, refused).is_passing());
    }

    #[test]
    fn which_statuses_pass() {
        for (status, passing) in [
            (408, true),
            (500, true),
            (501, false),
            (503, true),
            (505, false),
        ] {
            let error = UpstreamError::Unavailable {
                host: "h".into(),
                status: StatusCode::from_u16(status).unwrap(),
            };
            assert_eq!(error.is_passing(), passing, "{status}");
        }
    }

    #[test]
    fn messages_name_the_host_and_what_happened() {
        let refused = UpstreamError::Refused {
            host: "ghcr.io".into(),
            status: StatusCode::FORBIDDEN,
            message: Some("denied".into()),
            login: None,
        };
        assert_eq!(
            refused.to_string(),
            "ghcr.io refused with 403 Forbidden: 'denied'"
        );
        let late = UpstreamError::TimedOut {
            host: "r.io:5000".into(),
            phase: Phase::Headers,
        };
        assert_eq!(late.to_string(), "r.io:5000 took too long to answer");
    }
}

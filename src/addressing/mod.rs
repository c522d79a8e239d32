//! Which upstream, or ours, a name leads to. Pure functions of the configuration and the request; nothing is asked.

pub mod grant;
pub mod image_name;
pub mod resolve;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use grant::{Action, Caller, Grant, Granted, Place};
pub use image_name::{ImageName, ImageNameError};
pub use resolve::{Addressing, Asked};

use crate::oci::{NameError, RepositoryName, UpstreamName, UpstreamNameError, UpstreamPattern};

/// The first component of every repository that is hosted here, reserved whether or not anything is hosted.
pub const HOSTED_NAMESPACE: &str = "local";

/// What the configuration says of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The registries that can be reached, by the names that lead to them.
    pub upstreams: Vec<UpstreamRule>,
    /// Where a name goes that says no registry; `None` when it goes nowhere.
    pub default: Option<UpstreamName>,
}

/// The names of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRule {
    /// The upstream, or a pattern for several.
    pub pattern: UpstreamPattern,
    /// First path segments that lead there, besides its name.
    pub aliases: Vec<Alias>,
    /// Host names of larder under which every name leads there.
    pub hosts: Vec<VirtualHost>,
}

/// A first path segment that stands for an upstream, such as `hub`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias(String);

impl Alias {
    /// Returns the alias as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Alias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name: RepositoryName = text.parse()?;
        match text {
            HOSTED_NAMESPACE | "v2" | "v1" | "library" => Err(AliasError::Reserved),
            _ if !name.is_single_component() => Err(AliasError::NotOneSegment),
            _ if looks_like_a_host(text) => Err(AliasError::HostLike),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

/// Why a text cannot be an alias.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AliasError {
    /// It breaks the grammar of repository names.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It means something else already.
    #[error("this name is reserved")]
    Reserved,
    /// It has a slash.
    #[error("an alias is one path segment, without '/'")]
    NotOneSegment,
    /// It would be taken for a registry's name.
    #[error("an alias has no '.', else it would be taken for a registry's name")]
    HostLike,
}

/// A name that larder itself is reached by: `host` for any port, or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualHost(String);

impl VirtualHost {
    /// Returns the host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VirtualHost {
    type Err = UpstreamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The grammar is that of upstreams; their spellings are not.
        text.parse::<UpstreamName>()?;
        Ok(Self(text.trim_end_matches('.').to_ascii_lowercase()))
    }
}

/// A repository at an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The registry.
    pub upstream: UpstreamName,
    /// The repository, as that registry calls it.
    pub repository: RepositoryName,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.upstream, self.repository)
    }
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// To a repository that is hosted here.
    Hosted(RepositoryName),
    /// To a repository of another registry.
    Proxied(Origin),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosted(repository) => repository.fmt(f),
            Self::Proxied(origin) => origin.fmt(f),
        }
    }
}

/// Why a name leads nowhere.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// It is not a repository name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// `ns` is not the name of a registry.
    #[error("the query parameter ns={given} does not name a registry: {reason}")]
    Namespace {
        /// The parameter, shortened.
        given: String,
        /// What is wrong with it.
        reason: UpstreamNameError,
    },
    /// The first segment was meant to be a registry, and is not.
    #[error("the first part of the name, '{given}', is no registry: {reason}")]
    Host {
        /// The segment, shortened.
        given: String,
        /// What is wrong with it.
        reason: UpstreamNameError,
    },
    /// Two parts of the request name different registries.
    #[error("the request names two registries: {one} by {one_by}, and {other} by {other_by}")]
    Disagree {
        /// One registry.
        one: UpstreamName,
        /// What names it.
        one_by: &'static str,
        /// The other registry.
        other: UpstreamName,
        /// What names it.
        other_by: &'static str,
    },
    /// The registry is not configured.
    #[error(
        "the registry {0} is not configured here: add an [[upstream]] with name = \"{0}\" to the configuration"
    )]
    NotConfigured(UpstreamName),
    /// What stands before `/v2/` in the path is no alias and no registry.
    #[error(
        "nothing is configured under the path /{0}/v2/: it is no alias and no name of an [[upstream]]"
    )]
    UnknownMount(String),
    /// The name has no registry, and there is no default.
    #[error(
        "the name has no registry: write it as REGISTRY/{0}, or set default_upstream in [server] of the configuration"
    )]
    NoDefault(String),
    /// The client put its own `/v2/` behind a path that has one.
    #[error(
        "the path has /v2/ twice: where a hosts.toml names a server with /v2/ in it, it needs override_path = true"
    )]
    TwoApiPaths,
}

/// Tells whether a first segment is meant as a registry: it has a dot or a port, or is `localhost`.
fn looks_like_a_host(segment: &str) -> bool {
    segment.contains(['.', ':']) || segment == "localhost"
}

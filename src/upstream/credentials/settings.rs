//! Where logins come from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::secret::Secret;
use crate::oci::RepositoryPattern;

/// A login for some repositories of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSettings {
    /// Which repositories it is for.
    pub repositories: RepositoryPattern,
    /// Where it comes from.
    pub source: CredentialSource,
}

/// Where a login comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// There is none: these repositories are asked for anonymously, whatever comes later in the list.
    Anonymous,
    /// A user with a password, and another password that is tried when this one is refused: so passwords change without
    /// a gap.
    Password {
        /// The user.
        username: Arc<str>,
        /// The password.
        password: SecretSource,
        /// The password that comes after it.
        next: Option<PathBuf>,
    },
    /// A token that the token service of the registry changes for others.
    IdentityToken(SecretSource),
    /// A token that is shown to the registry as it is.
    RegistryToken(SecretSource),
    /// A file that docker or podman wrote: `config.json` or `auth.json`. It may name credential helpers. What it says
    /// nothing about, a later source may know.
    AuthFile(PathBuf),
    /// The program `docker-credential-<name>`.
    Helper(HelperName),
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The first line of a file, which is read again when it changes.
    File(PathBuf),
    /// An environment variable, which does not change.
    Value(Secret),
}

/// The name of a credential helper: what comes after `docker-credential-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HelperName(Arc<str>);

/// Why a text is no name of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is no name of a credential helper: those have letters, digits, '.', '_' and '-'")]
pub struct HelperNameError;

impl HelperName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HelperName {
    type Err = HelperNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if text.is_empty() || text.len() > 100 || !text.bytes().all(is_inner) {
            return Err(HelperNameError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

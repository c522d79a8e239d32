//! Logins at registries: where they come from, which one is for which repository, and whether it may be used.
//!
//! A [`Keyring`] belongs to one endpoint. What it hands out is shown to that endpoint and its token service alone
//! (`auth/`), and never printed. It reads files again when they change, and leaves a login alone that was refused:
//! registries lock accounts.

pub mod secret;
pub mod settings;

mod auth_file;
mod breaker;
mod credential_helper;
mod secret_file;
mod server_name;
mod stamp;
mod watched;

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

pub use secret::Secret;
pub use settings::{CredentialSettings, CredentialSource, HelperName, SecretSource};

use crate::oci::RepositoryName;
use crate::runtime::Tasks;

/// Which login this is, for records, logs and metrics. It stays the same when the password changes, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginIdentity(Arc<str>);

impl LoginIdentity {
    /// Names a login after where it comes from, as in "user acme" or "helper ecr-login".
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LoginIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is shown to a registry or its token service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum LoginSecret {
    /// A user and a password: Basic.
    Password {
        username: Arc<str>,
        password: Secret,
    },
    /// A token that a token service changes for others (OAuth2 refresh token). Some services want it as the password of
    /// this user instead.
    IdentityToken {
        username: Option<Arc<str>>,
        token: Secret,
    },
    /// A token for the registry itself: shown as it is, as a Bearer token.
    RegistryToken(Secret),
}

impl LoginSecret {
    /// The user that stands for none where what follows is an identity token.
    const TOKEN_USER: &str = "<token>";

    /// Takes a user and a password as files and helpers have them; `None` when there is neither.
    fn of_pair(username: &str, password: &str) -> Option<Self> {
        match (username, password) {
            ("", "") => None,
            (Self::TOKEN_USER, token) => Some(Self::IdentityToken {
                username: None,
                token: Secret::new(token),
            }),
            (username, password) => Some(Self::Password {
                username: username.into(),
                password: Secret::new(password),
            }),
        }
    }
}

/// A login that may be used now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Login {
    pub(super) identity: LoginIdentity,
    pub(super) secret: LoginSecret,
}

/// What there is to show for a repository now.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// No login is configured for it.
    Nobody,
    /// This one.
    Ready(Login),
    /// This one was refused and is left alone until then.
    Suspended {
        identity: LoginIdentity,
        until: Instant,
    },
    /// This one could not be read; why not, for people.
    Unreadable {
        identity: LoginIdentity,
        problem: Arc<str>,
    },
}

/// The logins of one endpoint.
#[derive(Debug)]
pub(super) struct Keyring {}

impl Keyring {
    /// Takes the logins in their order. `server` is what files and helpers know the registry by: `host[:port]`, or
    /// `docker.io`.
    pub(super) fn new(_settings: Vec<CredentialSettings>, _server: &str, _tasks: Tasks) -> Self {
        Self {}
    }

    /// Returns which login is for a repository, whether it may be used now or not: the first that matches and exists.
    /// Waits only as long as nothing is known of a source, for a file or a helper.
    pub(super) async fn identity(&self, _repository: &RepositoryName) -> Option<LoginIdentity> {
        None
    }

    /// Returns what to show for a repository.
    pub(super) async fn standing(&self, _repository: &RepositoryName) -> Standing {
        Standing::Nobody
    }

    /// Takes down that a login was refused: the registry or its token service says that user or password are wrong, not
    /// that it may not read something. Returns another secret of the same login to try at once, if there is one: the next
    /// password, or what the helper or file says by now. Without one, the login may be suspended.
    pub(super) async fn refused(&self, _login: &Login) -> Option<Login> {
        None
    }

    /// Takes down that a login was accepted.
    pub(super) fn accepted(&self, _login: &Login) {}
}

//! Logins at registries: where they come from, which one is for which repository, and whether it may be used.
//!
//! A `Keyring` belongs to one endpoint. What it hands out is shown to that endpoint and its token service alone
//! (`auth/`), and never printed. It reads files again when they change, and leaves a login alone that was refused:
//! registries lock accounts.

pub mod secret;
pub mod settings;

mod accounts;
mod auth_file;
mod auth_file_source;
mod breaker;
mod credential_helper;
mod helper_answers;
mod secret_file;
mod server_name;
mod source;
mod watched;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

pub use secret::Secret;
pub use settings::{CredentialSettings, CredentialSource, HelperName, SecretSource};

use self::accounts::{Accounts, Novelty, Place};
pub(super) use self::credential_helper::Helpers;
use self::helper_answers::HelperAnswers;
use self::server_name::ServerName;
use self::source::{Known, Offer, Says, Source};
use self::watched::Recency;
pub(super) use self::watched::Watch;
use crate::oci::{RepositoryName, RepositoryPattern};
use crate::runtime::Tasks;
use crate::upstream::switch::Switch;

/// Which login this is, for records, logs and metrics. It stays the same when the password changes, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginIdentity(Arc<str>);

impl LoginIdentity {
    /// Names a login after where it comes from, as in "user acme", "helper ecr-login" or
    /// "file /home/ann/.docker/config.json, user ann".
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names the login of a user, where this names a place that has logins of several.
    fn of_user(&self, user: Option<&str>) -> Self {
        user.map_or_else(
            || self.clone(),
            |user| Self::new(&format!("{self}, user {user}")),
        )
    }

    /// Returns whether this names a login of that place.
    fn is_of(&self, place: &Self) -> bool {
        let rest = self.0.strip_prefix(&*place.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", user "))
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

    /// Returns the user, if one is named.
    fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(&**username).filter(|name| !name.is_empty()),
            Self::IdentityToken { username, .. } => username.as_deref(),
            Self::RegistryToken(_) => None,
        }
    }

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

impl Login {
    /// Returns whether it is shown to the registry as it is, and to no token service.
    pub(super) fn is_registry_token(&self) -> bool {
        matches!(self.secret, LoginSecret::RegistryToken(_))
    }
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

/// The logins of one endpoint. They are read when they are needed, and again when they change.
#[derive(Debug)]
pub(super) struct Keyring {
    inner: Arc<Inner>,
    tasks: Tasks,
}

#[derive(Debug)]
struct Inner {
    sources: Vec<(RepositoryPattern, Source)>,
    accounts: Accounts,
}

/// How a login is, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialReport {
    /// Which login.
    pub identity: LoginIdentity,
    /// How it is.
    pub state: CredentialState,
}

/// How a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialState {
    /// Nothing speaks against it.
    Usable,
    /// Nobody needed it yet, or its source knows no login.
    Unknown,
    /// It was refused and left alone, and not accepted since.
    Suspended,
    /// It cannot be read.
    Unreadable,
}

impl Keyring {
    /// Takes the logins in their order. `server` is what files and helpers know the registry by: `host[:port]`, or
    /// `docker.io`. No helper is asked for another, and none while the switch says that the registry is not asked.
    pub(super) fn new(
        settings: Vec<CredentialSettings>,
        server: &str,
        helpers: Helpers,
        switch: Arc<Switch>,
        watch: Watch,
    ) -> Self {
        let named = ServerName::parse(server);
        if named.is_none() && !settings.is_empty() {
            tracing::warn!(
                upstream.name = server,
                "auth files and credential helpers know no registry of that name"
            );
        }
        let helpers = named.map(|named| {
            let tasks = watch.tasks.clone();
            let answers = HelperAnswers::new(helpers, named.clone(), switch, tasks);
            (named, Arc::new(answers))
        });
        let helpers = helpers.as_ref().map(|(named, helpers)| (named, helpers));
        let sources = settings.into_iter().map(|settings| {
            let source = Source::open(settings.source, helpers, &watch);
            (settings.repositories, source)
        });
        let inner = Inner {
            sources: sources.collect(),
            accounts: Accounts::new(server),
        };
        Self {
            inner: Arc::new(inner),
            tasks: watch.tasks,
        }
    }

    /// Returns which login is for a repository, whether it may be used now or not: the first that matches and exists.
    /// Waits only as long as nothing is known of a source, for a file or a helper. While the registry is offline no helper
    /// is run: what it said last counts however old it is, and one that was never run is taken to have a login, which is
    /// named after the helper, or after the file that names it, without a user.
    pub(super) async fn identity(&self, repository: &RepositoryName) -> Option<LoginIdentity> {
        for (_, source) in self.inner.sources_of(repository) {
            if let Some(identity) = source.certain() {
                return Some(identity.clone());
            }
            match source.says(repository, Recency::Known).await {
                Says::Nothing => {}
                Says::Anonymous => return None,
                Says::Login(Offer { identity, .. }) | Says::Unreadable(identity, _) => {
                    return Some(identity);
                }
            }
        }
        None
    }

    /// Returns what to show for a repository. Files are looked at that were not a moment ago; helpers that were not asked
    /// for an hour are run.
    pub(super) async fn standing(&self, repository: &RepositoryName) -> Standing {
        for (number, source) in self.inner.sources_of(repository) {
            match source.says(repository, Recency::Recent).await {
                Says::Nothing => {}
                Says::Anonymous => return Standing::Nobody,
                Says::Unreadable(identity, problem) => {
                    return Standing::Unreadable { identity, problem };
                }
                Says::Login(offer) => {
                    let place = Place {
                        source: number,
                        repository: repository.clone(),
                    };
                    return self.inner.accounts.admit(&offer, &place, Instant::now());
                }
            }
        }
        Standing::Nobody
    }

    /// Takes down that a login was refused: the registry or its token service says that user or password are wrong, not
    /// that it may not read something. Returns another secret of the same login to try at once, if there is one: the next
    /// password, or what the helper or file says by now. Without one, the login may be suspended.
    ///
    /// It is taken down when the future is dropped, too.
    pub(super) async fn refused(&self, login: &Login) -> Option<Login> {
        let (inner, login) = (self.inner.clone(), login.clone());
        let refused = self
            .tasks
            .spawn("refused login", async move { inner.refused(&login).await });
        refused.await.ok().flatten()
    }

    /// Takes down that a login was accepted.
    pub(super) fn accepted(&self, login: &Login) {
        self.inner.accounts.accepted(login);
    }

    /// Returns how each login is, as far as that is known without waiting.
    pub(super) fn report(&self) -> Vec<CredentialReport> {
        let sources = self.inner.sources.iter();
        let known = sources.filter_map(|(_, source)| source.known());
        let reports = known.map(|(identity, known)| CredentialReport {
            state: match known {
                Known::Nothing => CredentialState::Unknown,
                Known::Unreadable => CredentialState::Unreadable,
                Known::Secrets(secrets) => {
                    if self.inner.accounts.is_suspended(identity, &secrets) {
                        CredentialState::Suspended
                    } else {
                        CredentialState::Usable
                    }
                }
            },
            identity: identity.clone(),
        });
        reports.collect()
    }
}

impl Inner {
    /// Returns the sources for a repository, with their numbers.
    fn sources_of(&self, repository: &RepositoryName) -> impl Iterator<Item = (usize, &Source)> {
        let sources = self.sources.iter().enumerate();
        sources
            .filter(|(_, (repositories, _))| repositories.matches(repository))
            .map(|(number, (_, source))| (number, source))
    }

    async fn refused(&self, login: &Login) -> Option<Login> {
        let (place, novelty) = self.accounts.note(login)?;
        let recency = match novelty {
            Novelty::New => Recency::Now,
            Novelty::Echo => Recency::Recent,
        };
        let (_, source) = self.sources.get(place.source)?;
        match source.says(&place.repository, recency).await {
            Says::Nothing | Says::Anonymous | Says::Unreadable(..) => None,
            Says::Login(offer) => self.accounts.another(login, &offer, &place, Instant::now()),
        }
    }
}

//! One source of logins, with what is known of it.

use std::path::Path;
use std::sync::Arc;

use super::auth_file_source::AuthFileSource;
use super::credential_helper::is_meant;
use super::helper_answers::{Answer, HelperAnswers};
use super::secret_file::{self, MAX_SECRET_FILE};
use super::server_name::ServerName;
use super::settings::{CredentialSource, HelperName, SecretSource};
use super::watched::{Absence, Reading, Recency, Watch, Watched};
use super::{LoginIdentity, LoginSecret, Secret};
use crate::oci::RepositoryName;

/// Where a login comes from, opened.
#[derive(Debug)]
pub(super) enum Source {
    /// There is none, on purpose.
    Anonymous,
    /// It knows nothing.
    Silent,
    /// Secrets of a login that the configuration names.
    Named(Named),
    /// A file of docker or podman.
    AuthFile(AuthFileSource),
    /// A program.
    Helper {
        identity: LoginIdentity,
        name: HelperName,
        helpers: Arc<HelperAnswers>,
    },
}

/// A login that the configuration names.
#[derive(Debug)]
pub(super) struct Named {
    identity: LoginIdentity,
    kind: Kind,
    first: Slot,
    next: Option<Slot>,
}

#[derive(Debug)]
enum Kind {
    Password(Arc<str>),
    IdentityToken,
    RegistryToken,
}

#[derive(Debug)]
enum Slot {
    Value(Secret),
    File(Watched<Secret>),
}

/// What a source says about a repository.
#[derive(Clone, Debug)]
pub(super) enum Says {
    /// It knows nothing: the next may.
    Nothing,
    /// There is no login.
    Anonymous,
    /// This one.
    Login(Offer),
    /// There is one that cannot be read; why not, for people.
    Unreadable(LoginIdentity, Arc<str>),
}

/// A login, with everything that may be shown for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Which.
    pub(super) identity: LoginIdentity,
    /// Who makes the secrets.
    pub(super) maker: Maker,
    /// In the order in which they are tried: one at least, all different.
    pub(super) secrets: Vec<LoginSecret>,
}

/// Who makes the secrets of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// People: another secret is another login.
    People,
    /// A program, which may make a new one each time.
    Helper(HelperName),
}

/// What is known of a source without waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing yet, or that it says nothing.
    Nothing,
    /// That it cannot be read.
    Unreadable,
    /// These secrets.
    Secrets(Vec<LoginSecret>),
}

impl Source {
    /// Opens a source. Nothing is read before it is asked. `helpers` is `None` for a registry that has no name that
    /// files and helpers could know.
    pub(super) fn open(
        settings: CredentialSource,
        helpers: Option<(&ServerName, &Arc<HelperAnswers>)>,
        watch: &Watch,
    ) -> Self {
        match (settings, helpers) {
            (CredentialSource::Anonymous, _) => Self::Anonymous,
            (
                CredentialSource::Password {
                    username,
                    password,
                    next,
                },
                _,
            ) => Self::Named(Named {
                identity: LoginIdentity::new(&format!("user {username}")),
                kind: Kind::Password(username),
                first: Slot::open(password, watch),
                next: next.map(|path| Slot::File(secret_file(&path, Absence::Fine, watch))),
            }),
            (CredentialSource::IdentityToken(token), _) => Self::Named(Named {
                identity: LoginIdentity::new("identity token"),
                kind: Kind::IdentityToken,
                first: Slot::open(token, watch),
                next: None,
            }),
            (CredentialSource::RegistryToken(token), _) => Self::Named(Named {
                identity: LoginIdentity::new("registry token"),
                kind: Kind::RegistryToken,
                first: Slot::open(token, watch),
                next: None,
            }),
            (CredentialSource::AuthFile(_) | CredentialSource::Helper(_), None) => Self::Silent,
            (CredentialSource::AuthFile(path), Some((server, helpers))) => {
                let (server, helpers) = (server.clone(), helpers.clone());
                Self::AuthFile(AuthFileSource::open(&path, server, helpers, watch))
            }
            (CredentialSource::Helper(name), Some((server, helpers))) => {
                if !is_meant(&name, server) {
                    tracing::warn!(
                        upstream.name = %server,
                        helper = %name,
                        "a credential helper of a cloud is not asked for a registry that is not there"
                    );
                }
                Self::Helper {
                    identity: LoginIdentity::new(&format!("helper {name}")),
                    name,
                    helpers: helpers.clone(),
                }
            }
        }
    }

    /// Returns what the source says about a repository.
    pub(super) async fn says(&self, repository: &RepositoryName, recency: Recency) -> Says {
        match self {
            Self::Anonymous => Says::Anonymous,
            Self::Silent => Says::Nothing,
            Self::Named(named) => named.says(recency).await,
            Self::AuthFile(file) => file.says(repository, recency).await,
            Self::Helper {
                identity,
                name,
                helpers,
            } => ask(helpers, name, |_| identity.clone(), recency).await,
        }
    }

    /// Returns which login the source is for, when that is certain whatever can be read.
    pub(super) fn certain(&self) -> Option<&LoginIdentity> {
        match self {
            Self::Named(named) => Some(&named.identity),
            Self::Anonymous | Self::Silent | Self::AuthFile(_) | Self::Helper { .. } => None,
        }
    }

    /// Returns what is known without waiting, and of which login; `None` when there never is one.
    pub(super) fn known(&self) -> Option<(&LoginIdentity, Known)> {
        match self {
            Self::Anonymous | Self::Silent => None,
            Self::Named(named) => Some((&named.identity, named.known())),
            Self::AuthFile(file) => Some(file.known()),
            Self::Helper {
                identity,
                name,
                helpers,
            } => {
                let known = match helpers.known(name) {
                    None | Some(Answer::Nothing) => Known::Nothing,
                    Some(Answer::Failed(_)) => Known::Unreadable,
                    Some(Answer::Login(secret)) => Known::of(vec![secret]),
                };
                Some((identity, known))
            }
        }
    }
}

/// Asks a helper. `identity` names its login, given the user if there is one.
pub(super) async fn ask(
    helpers: &HelperAnswers,
    name: &HelperName,
    identity: impl Fn(Option<&str>) -> LoginIdentity,
    recency: Recency,
) -> Says {
    match helpers.answer(name, recency).await {
        Answer::Nothing => Says::Nothing,
        Answer::Failed(problem) => {
            Says::Unreadable(identity(helpers.user(name).as_deref()), problem)
        }
        Answer::Login(secret) => Says::Login(Offer {
            identity: identity(secret.username()),
            maker: Maker::Helper(name.clone()),
            secrets: vec![secret],
        }),
    }
}

fn secret_file(path: &Path, absence: Absence, watch: &Watch) -> Watched<Secret> {
    Watched::new(path, absence, MAX_SECRET_FILE, secret_file::parse, watch)
}

impl Named {
    async fn says(&self, recency: Recency) -> Says {
        let first = self.first.reading(recency).await;
        let next = match &self.next {
            Some(next) => Some(next.reading(recency).await),
            None => None,
        };
        let mut secrets: Vec<LoginSecret> = Vec::new();
        for reading in [Some(&first), next.as_ref()].into_iter().flatten() {
            if let Reading::Value(secret) = reading {
                let secret = self.kind.secret(secret);
                if !secrets.contains(&secret) {
                    secrets.push(secret);
                }
            }
        }
        match first {
            Reading::Unreadable(problem) if secrets.is_empty() => {
                Says::Unreadable(self.identity.clone(), problem)
            }
            // A file that has to be there is unreadable when it is not.
            Reading::Absent if secrets.is_empty() => Says::Nothing,
            Reading::Unreadable(_) | Reading::Absent | Reading::Value(_) => Says::Login(Offer {
                identity: self.identity.clone(),
                maker: Maker::People,
                secrets,
            }),
        }
    }

    fn known(&self) -> Known {
        let slots = [Some(&self.first), self.next.as_ref()];
        let readings: Vec<Reading<Secret>> = slots
            .into_iter()
            .flatten()
            .filter_map(Slot::known)
            .collect();
        let secrets = readings.iter().filter_map(|reading| match reading {
            Reading::Value(secret) => Some(self.kind.secret(secret)),
            Reading::Absent | Reading::Unreadable(_) => None,
        });
        let secrets: Vec<LoginSecret> = secrets.collect();
        match readings.first() {
            Some(Reading::Unreadable(_)) if secrets.is_empty() => Known::Unreadable,
            Some(_) | None => Known::of(secrets),
        }
    }
}

impl Known {
    pub(super) fn of(secrets: Vec<LoginSecret>) -> Self {
        if secrets.is_empty() {
            Self::Nothing
        } else {
            Self::Secrets(secrets)
        }
    }
}

impl Kind {
    fn secret(&self, secret: &Secret) -> LoginSecret {
        match self {
            Self::Password(username) => LoginSecret::Password {
                username: username.clone(),
                password: secret.clone(),
            },
            Self::IdentityToken => LoginSecret::IdentityToken {
                username: None,
                token: secret.clone(),
            },
            Self::RegistryToken => LoginSecret::RegistryToken(secret.clone()),
        }
    }
}

impl Slot {
    fn open(source: SecretSource, watch: &Watch) -> Self {
        match source {
            SecretSource::Value(secret) => Self::Value(secret),
            SecretSource::File(path) => Self::File(secret_file(&path, Absence::Problem, watch)),
        }
    }

    async fn reading(&self, recency: Recency) -> Reading<Secret> {
        match self {
            Self::Value(secret) => Reading::Value(secret.clone()),
            Self::File(file) => (*file.reading(recency).await).clone(),
        }
    }

    fn known(&self) -> Option<Reading<Secret>> {
        match self {
            Self::Value(secret) => Some(Reading::Value(secret.clone())),
            Self::File(file) => file.known().as_deref().cloned(),
        }
    }
}

//! A file of docker or podman as a source of logins.
//!
//! A login that it has is named after the file and its user: after a `docker login` as somebody else it is another one,
//! which has seen nothing yet. While the file cannot be read, the login keeps the name that it had.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::LoginIdentity;
use super::auth_file::{AuthFile, Found, MAX_AUTH_FILE};
use super::helper_answers::{Answer, HelperAnswers};
use super::server_name::ServerName;
use super::source::{Known, Maker, Offer, Says, ask};
use super::watched::{Absence, Reading, Recency, Watch, Watched};
use crate::oci::RepositoryName;

/// The file, opened.
#[derive(Debug)]
pub(super) struct AuthFileSource {
    /// Names the file.
    identity: LoginIdentity,
    file: Watched<AuthFile>,
    helpers: Arc<HelperAnswers>,
    /// What it said when it could be read, for as long as it cannot.
    readable: Mutex<Option<Arc<Reading<AuthFile>>>>,
}

impl AuthFileSource {
    /// Opens a file, of which only what is for this registry is of interest. Nothing is read yet.
    pub(super) fn open(
        path: &Path,
        server: ServerName,
        helpers: Arc<HelperAnswers>,
        watch: &Watch,
    ) -> Self {
        let parse =
            move |bytes: &[u8]| AuthFile::parse(bytes, &server).map_err(|error| error.to_string());
        Self {
            identity: LoginIdentity::new(&format!("file {}", path.display())),
            file: Watched::new(path, Absence::Fine, MAX_AUTH_FILE, parse, watch),
            helpers,
            readable: Mutex::default(),
        }
    }

    /// Returns what the file says about a repository.
    pub(super) async fn says(&self, repository: &RepositoryName, recency: Recency) -> Says {
        let reading = self.file.reading(recency).await;
        match &*reading {
            Reading::Absent => {
                *self.readable() = None;
                Says::Nothing
            }
            Reading::Unreadable(problem) => {
                Says::Unreadable(self.last_identity(repository), problem.clone())
            }
            Reading::Value(file) => {
                *self.readable() = Some(reading.clone());
                match file.find(repository) {
                    Found::Nothing => Says::Nothing,
                    Found::Secret(secret) => Says::Login(Offer {
                        identity: self.identity.of_user(secret.username()),
                        maker: Maker::People,
                        secrets: vec![secret.clone()],
                    }),
                    Found::Helper(name) => {
                        let identity = |user: Option<&str>| self.identity.of_user(user);
                        ask(&self.helpers, name, identity, recency).await
                    }
                }
            }
        }
    }

    /// Returns what is known without waiting, and names the file.
    pub(super) fn known(&self) -> (&LoginIdentity, Known) {
        let known = match self.file.known().as_deref() {
            None | Some(Reading::Absent) => Known::Nothing,
            Some(Reading::Unreadable(_)) => Known::Unreadable,
            Some(Reading::Value(file)) => {
                let mut secrets: Vec<_> = file.secrets().cloned().collect();
                let answer = file.helper().and_then(|name| self.helpers.known(name));
                match answer {
                    Some(Answer::Login(secret)) => secrets.push(secret),
                    Some(Answer::Failed(_)) if secrets.is_empty() => {
                        return (&self.identity, Known::Unreadable);
                    }
                    Some(Answer::Failed(_) | Answer::Nothing) | None => {}
                }
                Known::of(secrets)
            }
        };
        (&self.identity, known)
    }

    /// Returns which login was for a repository when the file could be read.
    fn last_identity(&self, repository: &RepositoryName) -> LoginIdentity {
        let readable = self.readable().clone();
        let found = match readable.as_deref() {
            Some(Reading::Value(file)) => file.find(repository),
            Some(Reading::Absent | Reading::Unreadable(_)) | None => Found::Nothing,
        };
        match found {
            Found::Nothing => self.identity.clone(),
            Found::Secret(secret) => self.identity.of_user(secret.username()),
            Found::Helper(name) => self.identity.of_user(self.helpers.user(name).as_deref()),
        }
    }

    fn readable(&self) -> MutexGuard<'_, Option<Arc<Reading<AuthFile>>>> {
        self.readable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

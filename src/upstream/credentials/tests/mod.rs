//! Tests of the keyring, with real files and real programs in a folder of their own.

mod files;
mod programs;
mod refusals;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::runtime::Timestamp;
use crate::upstream::switch::Mode;

/// A folder with files and programs, from which keyrings are made.
struct Folder {
    folder: TempDir,
    patience: Duration,
    switch: Arc<Switch>,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            // Long, since machines that test may be slow.
            patience: Duration::from_secs(120),
            switch: Arc::new(Switch::sample(Mode::Online)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file as those do who know how: a new one is renamed over it.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let (new, path) = (self.path(&format!("{name}.new")), self.path(name));
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes a helper. Another process does so: a program cannot be run while any process has it open for writing, as
    /// a child of another test may.
    fn program(&self, name: &str, script: &str) -> HelperName {
        let path = self.path(&format!("docker-credential-{name}"));
        let text = format!(
            "#!/bin/sh\ncd '{}'\n{script}\n",
            self.folder.path().display()
        );
        let write = r#"printf %s "$2" > "$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1""#;
        let written = Command::new("/bin/sh")
            .args(["-c", write, "sh"])
            .args([path.as_os_str(), text.as_ref()])
            .status()
            .unwrap();
        assert!(written.success());
        name.parse().unwrap()
    }

    fn keyring(&self, server: &str, sources: Vec<(&str, CredentialSource)>) -> Keyring {
        let settings = sources
            .into_iter()
            .map(|(pattern, source)| CredentialSettings {
                repositories: pattern.parse().unwrap(),
                source,
            });
        let helpers = Helpers {
            path: Some(self.folder.path().into()),
            patience: self.patience,
            places: Arc::new(tokio::sync::Semaphore::new(8)),
        };
        let watch = Watch {
            look_counts: Duration::from_secs(1),
            tasks: Tasks::new(),
        };
        let switch = self.switch.clone();
        Keyring::new(settings.collect(), server, helpers, switch, watch)
    }

    /// A keyring for `r.io` with a user in front of everything.
    fn password(&self, password: &str, next: Option<&str>) -> Keyring {
        let source = CredentialSource::Password {
            username: "acme".into(),
            password: SecretSource::File(self.path(password)),
            next: next.map(|next| self.path(next)),
        };
        self.keyring("r.io", vec![("**", source)])
    }
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// Prints what a keyring has for a repository, secrets included.
async fn standing(keyring: &Keyring, repository: &str) -> String {
    match keyring.standing(&name(repository)).await {
        Standing::Nobody => "nobody".into(),
        Standing::Ready(login) => shown(&login),
        Standing::Suspended { identity, .. } => format!("{identity} suspended"),
        Standing::Unreadable { identity, problem } => format!("{identity} unreadable: {problem}"),
    }
}

fn shown(login: &Login) -> String {
    let identity = &login.identity;
    match &login.secret {
        LoginSecret::Password { username, password } => {
            format!("{identity}: {username}, {}", password.expose())
        }
        LoginSecret::IdentityToken { token, .. } => {
            format!("{identity}: identity {}", token.expose())
        }
        LoginSecret::RegistryToken(token) => format!("{identity}: registry {}", token.expose()),
    }
}

async fn identity(keyring: &Keyring, repository: &str) -> String {
    let identity = keyring.identity(&name(repository)).await;
    identity.map_or_else(|| "nobody".into(), |identity| identity.to_string())
}

/// Returns the login that a keyring is ready to show.
async fn ready(keyring: &Keyring) -> Login {
    match keyring.standing(&name("a")).await {
        Standing::Ready(login) => login,
        other => panic!("{other:?}"),
    }
}

/// Returns what a keyring reports, in the order of its sources.
fn states(keyring: &Keyring) -> Vec<CredentialState> {
    let reports = keyring.report();
    reports.into_iter().map(|report| report.state).collect()
}

/// Lets time pass for a runtime whose clock runs.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

//! Somebody who runs clients: a home folder with the settings that skopeo and podman have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A user with a home folder: nothing of the machine's settings and logins matters. What a client of root remembers of
/// the blobs that it has seen is the machine's nevertheless (`/var/lib/containers/cache`).
#[derive(Debug)]
pub(crate) struct User {
    home: TempDir,
}

impl User {
    /// Makes a home folder with the least that clients want to find.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".config/containers")).unwrap();
        let user = Self { home };
        user.configure("registries.conf", "");
        user
    }

    /// Returns the home folder, which holds what is remembered.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Makes a registry on this port of the loopback interface a mirror of another registry.
    pub(crate) fn use_mirror(&self, registry: &str, mirror: u16) {
        let text = format!(
            "[[registry]]\n\
             location = '{registry}'\n\
             [[registry.mirror]]\n\
             location = '127.0.0.1:{mirror}'\n\
             insecure = true\n"
        );
        self.configure("registries.conf", &text);
    }

    /// Writes one of the user's settings files (containers-registries.conf(5) and its like).
    pub(crate) fn configure(&self, name: &str, text: &str) {
        fs::write(self.settings(name), text).unwrap();
    }

    /// Returns where a settings file is.
    pub(crate) fn settings(&self, name: &str) -> PathBuf {
        self.home().join(".config/containers").join(name)
    }

    /// Returns the command that runs a client; what it prints is thrown away unless that is changed.
    pub(crate) fn command(&self, client: &str) -> Command {
        let mut command = Command::new(client);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.home())
            // Named, so that those of the machine cannot count.
            .env(
                "CONTAINERS_REGISTRIES_CONF",
                self.settings("registries.conf"),
            )
            .stdout(Stdio::null());
        command
    }
}

//! The larder that was built, in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use larder::oci::Digest;
use tempfile::TempDir;

use super::process::{Server, ask, free_port};

/// The name by which larder knows the registry behind it; it is the default upstream as well.
pub(crate) const UPSTREAM: &str = "up.test";

/// A larder with one upstream. It can be stopped, killed and started again, with the same cache and port.
#[derive(Debug)]
pub(crate) struct Larder {
    folder: TempDir,
    /// What it calls the registry behind it.
    upstream: String,
    /// Whose it is: the folder with this user's files.
    home: Option<PathBuf>,
    port: u16,
    /// Where it tells how it is.
    metrics_port: u16,
    server: Option<Server>,
}

impl Larder {
    /// Starts a larder with an empty cache before the registry on this port of the loopback interface.
    pub(crate) fn before(upstream: u16, freshness: &str) -> Self {
        let mut larder = Self::prepared(UPSTREAM, upstream, freshness, "");
        larder.start();
        larder
    }

    /// Starts one that also has these keys in its `[[upstream]]`, and these files beside its configuration, which the
    /// keys can name.
    pub(crate) fn with_keys(upstream: u16, keys: &str, files: &[(&str, &str)]) -> Self {
        let mut larder = Self::prepared(UPSTREAM, upstream, "10m", keys);
        for (name, text) in files {
            fs::write(larder.folder.path().join(name), text).unwrap();
        }
        larder.start();
        larder
    }

    /// Starts one for a user whose home folder this is, who knows the registry by its address, or as `up`.
    pub(crate) fn of_user(upstream: u16, home: &Path) -> Self {
        let address = format!("127.0.0.1:{upstream}");
        let mut larder = Self::prepared(&address, upstream, "10m", "aliases = ['up']");
        larder.home = Some(home.to_owned());
        larder.start();
        larder
    }

    /// Writes the configuration of one that calls the registry on this port by this name.
    fn prepared(name: &str, upstream: u16, freshness: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port, metrics_port] = [free_port(), free_port()];
        let config = format!(
            "[server]\n\
             listen = '127.0.0.1:{port}'\n\
             metrics_listen = '127.0.0.1:{metrics_port}'\n\
             default_upstream = '{name}'\n\
             public_registries = false\n\
             [cache]\n\
             path = '{}'\n\
             min_free = '64MiB'\n\
             [tags]\n\
             freshness = '{freshness}'\n\
             [[upstream]]\n\
             name = '{name}'\n\
             endpoints = ['http://127.0.0.1:{upstream}']\n\
             {keys}\n",
            folder.path().join("cache").display()
        );
        fs::write(folder.path().join("larder.toml"), config).unwrap();
        Self {
            folder,
            upstream: name.to_owned(),
            home: None,
            port,
            metrics_port,
            server: None,
        }
    }

    /// Starts it again, after [`Larder::stop`] or [`Larder::kill`].
    pub(crate) fn start(&mut self) {
        let mut command = self.command(&["serve"]);
        let log = self.folder.path().join("log");
        self.server = Some(Server::start(&mut command, self.port, &log));
    }

    /// Runs another command with the same configuration, and returns what it answers.
    pub(crate) fn answer(&self, arguments: &[&str]) -> String {
        let (code, data, talk) = self.run(arguments);
        assert_eq!(code, 0, "{talk}");
        data
    }

    /// Returns the configuration by which podman and skopeo pull through it.
    pub(crate) fn registries_conf(&self, mode: &str) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        self.answer(&["client-config", "podman", "--url", &url, "--mode", mode])
    }

    /// Runs a command that has to fail with this code, and returns what it says.
    pub(crate) fn failure(&self, code: i32, arguments: &[&str]) -> String {
        let (found, data, talk) = self.run(arguments);
        assert_eq!((found, data.as_str()), (code, ""), "{talk}");
        talk
    }

    /// Runs a command to its end, and returns its code, its answer and its talk.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.command(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("larder.toml"))
            .env_clear();
        if let Some(home) = &self.home {
            command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
        }
        command
    }

    /// Ends it by SIGTERM; it has to end well.
    pub(crate) fn stop(&mut self) {
        let status = self.server.take().unwrap().terminate();
        assert!(status.success(), "larder ended with {status}");
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns what skopeo calls an image of the upstream when larder is named in it.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{}/{name}", self.port, self.upstream)
    }

    /// Returns what skopeo calls it when it takes larder for the default upstream itself.
    pub(crate) fn default_reference(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
    }

    /// Returns whether it leaves the registry alone, because that failed again and again.
    pub(crate) fn lets_the_registry_rest(&self) -> bool {
        let metrics = ask(self.metrics_port, "/metrics").unwrap();
        let resting = format!("larder_upstream_resting{{upstream=\"{}\"}} ", self.upstream);
        let line = metrics.lines().find_map(|line| line.strip_prefix(&resting));
        line.is_some_and(|hosts| hosts != "0")
    }

    /// Returns the file that the cache keeps a blob in, when it is there.
    pub(crate) fn kept(&self, blob: &Digest) -> Option<PathBuf> {
        let hex = blob.hex();
        let blobs = self.folder.path().join("cache/blobs-v1");
        let file = blobs
            .join(blob.algorithm().name())
            .join(&hex[..2])
            .join(&hex);
        file.exists().then_some(file)
    }
}

//! The larder that was built, in a process of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use larder::oci::Digest;
use tempfile::TempDir;

use super::process::{Server, free_port};

/// The name by which larder knows the registry behind it; it is the default upstream as well.
pub(crate) const UPSTREAM: &str = "up.test";

/// A larder with one upstream. It can be stopped, killed and started again, with the same cache and port.
#[derive(Debug)]
pub(crate) struct Larder {
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Larder {
    /// Starts a larder with an empty cache before the registry on this port of the loopback interface.
    pub(crate) fn before(upstream: u16, freshness: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "[server]\n\
             listen = '127.0.0.1:{port}'\n\
             default_upstream = '{UPSTREAM}'\n\
             public_registries = false\n\
             [cache]\n\
             path = '{}'\n\
             min_free = '64MiB'\n\
             [tags]\n\
             freshness = '{freshness}'\n\
             [[upstream]]\n\
             name = '{UPSTREAM}'\n\
             endpoints = ['http://127.0.0.1:{upstream}']\n",
            folder.path().join("cache").display()
        );
        fs::write(folder.path().join("larder.toml"), config).unwrap();
        let mut larder = Self {
            folder,
            port,
            server: None,
        };
        larder.start();
        larder
    }

    /// Starts it again, after [`Larder::stop`] or [`Larder::kill`].
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .args(["serve", "--config"])
            .arg(self.folder.path().join("larder.toml"))
            .env_clear();
        let log = self.folder.path().join("log");
        self.server = Some(Server::start(&mut command, self.port, &log));
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
        format!("docker://127.0.0.1:{}/{UPSTREAM}/{name}", self.port)
    }

    /// Returns what skopeo calls it when it takes larder for the default upstream itself.
    pub(crate) fn default_reference(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
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

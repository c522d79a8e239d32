//! Debian's `docker-registry` as an upstream.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

use super::process::{PING_AGENT, Server, free_port};

/// Whether a registry takes pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is pushed to.
    Writable,
    /// It shares its storage with other registries.
    ReadOnly,
}

/// A registry over a storage folder. It can be stopped and started again at the same port.
#[derive(Debug)]
pub(crate) struct Registry {
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Registry {
    /// Starts a registry that serves what is in `storage`.
    pub(crate) fn start(storage: &Path, access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let is_read_only = access == Access::ReadOnly;
        // In the debug level each request has a line before it is answered.
        let config = format!(
            "version: 0.1\n\
             log: {{level: debug, formatter: json, accesslog: {{disabled: true}}}}\n\
             http: {{addr: '127.0.0.1:{port}', secret: none}}\n\
             storage:\n  \
               filesystem: {{rootdirectory: '{}'}}\n  \
               maintenance: {{uploadpurging: {{enabled: false}}, readonly: {{enabled: {is_read_only}}}}}\n",
            storage.display()
        );
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut registry = Self {
            folder,
            port,
            server: None,
        };
        registry.restart();
        registry
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns what skopeo calls an image of this registry.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
    }

    /// Ends it: from now on connections are refused.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(self.folder.path().join("config.yml"));
        self.server = Some(Server::start(&mut command, self.port, &self.log()));
    }

    /// Returns the requests that have reached it, as `GET /v2/…`, in their order. A request is here before its answer
    /// is anywhere.
    pub(crate) fn requests(&self) -> Vec<String> {
        fs::read_to_string(self.log())
            .unwrap()
            .lines()
            .filter_map(|line| serde_json::from_str::<LogLine>(line).ok())
            .filter(|line| line.message == "authorizing request" && line.agent != PING_AGENT)
            .map(|line| format!("{} {}", line.method, line.uri))
            .collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// What matters of a line of its log.
#[derive(Deserialize)]
struct LogLine {
    #[serde(rename = "msg")]
    message: String,
    #[serde(rename = "http.request.method")]
    method: String,
    #[serde(rename = "http.request.uri")]
    uri: String,
    #[serde(rename = "http.request.useragent", default)]
    agent: String,
}

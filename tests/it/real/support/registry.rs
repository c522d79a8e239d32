//! Debian's `docker-registry` as an upstream.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::process::{PING_AGENT, Server, ask, free_port};

/// Whether a registry takes pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is pushed to.
    Writable,
    /// It shares its storage with other registries.
    ReadOnly,
}

/// What a registry wants to see of those who come.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// Nothing.
    Open,
    /// The login of [`USER`].
    Password,
    /// A token of the service at this address, which has this certificate (PEM).
    Token {
        /// Where it is.
        realm: String,
        /// What it signs with.
        certificate: String,
    },
}

/// Who may pull where there is a login.
pub(crate) const USER: &str = "reader";

/// The password of [`USER`]. Not every client takes care of a colon, a quote or a letter beyond ASCII.
pub(crate) const PASSWORD: &str = "corr:ect \"hörse\"";

/// The same as the registry wants it: bcrypt, with as little work as that can be.
const HASH: &str = "$2y$04$Wi.5MP/jks0roUsqzisyNeneixe70Hu/CUK9y0xA.Wsp08uXTIRAe";

/// What a registry and its token service call each other.
pub(crate) const SERVICE: &str = "registry.test";
pub(crate) const ISSUER: &str = "tokens.test";

/// A registry over a storage folder. It can be stopped and started again at the same port.
#[derive(Debug)]
pub(crate) struct Registry {
    /// It ends before its folder goes.
    server: Option<Server>,
    folder: TempDir,
    port: u16,
}

impl Registry {
    /// Starts a registry that serves what is in `storage`.
    pub(crate) fn start(storage: &Path, access: Access, door: &Door) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), storage, access, door)
    }

    /// Starts one whose own files are in this folder.
    fn start_in(folder: TempDir, storage: &Path, access: Access, door: &Door) -> Self {
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
        ) + &door.config(folder.path());
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut registry = Self {
            server: None,
            folder,
            port,
        };
        registry.restart();
        registry
    }

    /// Starts a registry that serves a copy of what is in `storage`, and takes pushes.
    pub(crate) fn over_a_copy(storage: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("storage");
        let mut command = Command::new("cp");
        let status = command.arg("--archive").args([storage, &copy]).status();
        assert!(status.unwrap().success(), "{command:?}");
        Self::start_in(folder, &copy, Access::Writable, &Door::Open)
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
        let port = self.port;
        self.server = Some(Server::start(&mut command, &self.log(), || pings(port)));
    }

    /// Returns the requests for this repository alone. As Docker Hub, a registry is asked for its limits as well.
    pub(crate) fn requests_for(&self, repository: &str) -> Vec<String> {
        let place = format!(" /v2/{repository}/");
        let requests = self.requests().into_iter();
        requests.filter(|it| it.contains(&place)).collect()
    }

    /// Returns the requests that have reached it, as `GET /v2/…`, in their order. A request is here before its answer
    /// is anywhere.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lines::<RequestLine>()
            .filter(|line| line.message == "authorizing request" && line.agent != PING_AGENT)
            .map(|line| format!("{} {}", line.method, line.uri))
            .collect()
    }

    /// Returns the users that it has let in to this repository.
    pub(crate) fn users(&self, repository: &str) -> BTreeSet<String> {
        let place = format!("/v2/{repository}/");
        let lines = self.lines::<UserLine>();
        let lines = lines.filter(|line| line.uri.starts_with(&place));
        lines.map(|line| line.user).collect()
    }

    /// Returns how often somebody showed it a wrong password.
    pub(crate) fn wrong_passwords(&self) -> usize {
        self.lines::<RequestLine>()
            .filter(|line| line.message.starts_with("error authenticating user"))
            .count()
    }

    /// Reads the lines of its log that have this form.
    fn lines<T: DeserializeOwned>(&self) -> impl Iterator<Item = T> + use<T> {
        let log = fs::read_to_string(self.log()).unwrap();
        let lines = log.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect::<Vec<T>>().into_iter()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Returns the line by which a registry knows a user whose password is [`PASSWORD`].
pub(crate) fn htpasswd(user: &str) -> String {
    format!("{user}:{HASH}\n")
}

/// Returns whether a registry on this port answers that it is one.
fn pings(port: u16) -> bool {
    // 401 is the answer of one that wants a login.
    ask(port, "/v2/").is_ok_and(|answer| {
        ["200", "401"]
            .iter()
            .any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")))
    })
}

impl Door {
    /// Returns the part of the configuration that is about it. What that names is put into a folder.
    fn config(&self, folder: &Path) -> String {
        match self {
            Self::Open => String::new(),
            Self::Password => {
                let file = folder.join("htpasswd");
                fs::write(&file, htpasswd(USER)).unwrap();
                format!(
                    "auth: {{htpasswd: {{realm: larder, path: '{}'}}}}\n",
                    file.display()
                )
            }
            Self::Token { realm, certificate } => {
                let file = folder.join("certificate.pem");
                fs::write(&file, certificate).unwrap();
                format!(
                    "auth: {{token: {{realm: '{realm}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{}'}}}}\n",
                    file.display()
                )
            }
        }
    }
}

/// What matters of a line of its log that is about a request.
#[derive(Deserialize)]
struct RequestLine {
    #[serde(rename = "msg")]
    message: String,
    #[serde(rename = "http.request.method")]
    method: String,
    #[serde(rename = "http.request.uri")]
    uri: String,
    #[serde(rename = "http.request.useragent", default)]
    agent: String,
}

/// What matters of a line about a request that was let in.
#[derive(Deserialize)]
struct UserLine {
    #[serde(rename = "auth.user.name")]
    user: String,
    #[serde(rename = "http.request.uri")]
    uri: String,
}

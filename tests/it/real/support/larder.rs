//! The larder that was built, in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use larder::oci::Digest;
use tempfile::TempDir;

use super::process::{Server, ask, free_port};
use crate::support::Authority;

/// The name by which larder knows the registry behind it; it is the default upstream as well.
pub(crate) const UPSTREAM: &str = "up.test";

/// A larder with one upstream. It can be stopped, killed and started again, with the same cache and port.
#[derive(Debug)]
pub(crate) struct Larder {
    /// It ends before its folder goes.
    server: Option<Server>,
    folder: TempDir,
    /// What it calls the registry behind it.
    upstream: String,
    upstream_port: u16,
    /// Whose it is: the folder with this user's files.
    home: Option<PathBuf>,
    port: u16,
    /// Where it tells how it is.
    metrics_port: u16,
}

/// What a larder is told.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// What it calls the registry behind it.
    pub(crate) name: &'a str,
    /// How long tags are fresh.
    pub(crate) freshness: &'a str,
    /// More keys of its `[[upstream]]`.
    pub(crate) keys: &'a str,
    /// Files beside its configuration, which the keys can name.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Who vouches for it where it speaks TLS.
    pub(crate) authority: Option<&'a Authority>,
    /// From where its clients come.
    pub(crate) clients: Clients,
}

/// From where clients come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// From this machine.
    Here,
    /// From another one: through [`super::Gate::from_elsewhere`].
    Elsewhere,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            name: UPSTREAM,
            freshness: "10m",
            keys: "",
            files: &[],
            authority: None,
            clients: Clients::Here,
        }
    }
}

impl Setup<'_> {
    /// Returns the keys of `[server]` for it.
    fn server(&self) -> String {
        let proxy = match self.clients {
            Clients::Here => "",
            Clients::Elsewhere => "trusted_proxies = ['127.0.0.1']\nproxy_protocol = true\n",
        };
        let tls = self.authority.map(|authority| {
            authority.write(&authority.vouch());
            let [certificate, key] = ["cert.pem", "key.pem"].map(|name| authority.path(name));
            format!(
                "tls = {{ cert_file = '{}', key_file = '{}' }}\n",
                certificate.display(),
                key.display()
            )
        });
        proxy.to_owned() + &tls.unwrap_or_default()
    }
}

impl Larder {
    /// Starts a larder with an empty cache before the registry on this port of the loopback interface.
    pub(crate) fn before(upstream: u16, freshness: &str) -> Self {
        let setup = Setup {
            freshness,
            ..Setup::default()
        };
        Self::set_up(upstream, &setup)
    }

    /// Starts one that also has these keys in its `[[upstream]]`, and these files beside its configuration, which the
    /// keys can name.
    pub(crate) fn with_keys(upstream: u16, keys: &str, files: &[(&str, &str)]) -> Self {
        let setup = Setup {
            keys,
            files,
            ..Setup::default()
        };
        Self::set_up(upstream, &setup)
    }

    /// Starts one for a user whose home folder this is, who knows the registry by its address, or as `up`.
    pub(crate) fn of_user(upstream: u16, home: &Path) -> Self {
        let setup = Setup {
            name: &format!("127.0.0.1:{upstream}"),
            keys: "aliases = ['up']",
            ..Setup::default()
        };
        let mut larder = Self::prepared(upstream);
        larder.home = Some(home.to_owned());
        larder.configure(&setup);
        larder.start();
        larder
    }

    /// Starts one with an empty cache that is told all this.
    pub(crate) fn set_up(upstream: u16, setup: &Setup<'_>) -> Self {
        let mut larder = Self::prepared(upstream);
        larder.configure(setup);
        larder.start();
        larder
    }

    /// Stops it and starts it again, with the same cache, and told something else.
    pub(crate) fn set_up_again(&mut self, setup: &Setup<'_>) {
        self.stop();
        self.configure(setup);
        self.start();
    }

    fn prepared(upstream_port: u16) -> Self {
        Self {
            server: None,
            folder: tempfile::tempdir().unwrap(),
            upstream: String::new(),
            upstream_port,
            home: None,
            port: free_port(),
            metrics_port: free_port(),
        }
    }

    /// Writes its configuration.
    fn configure(&mut self, setup: &Setup<'_>) {
        setup.name.clone_into(&mut self.upstream);
        let folder = self.folder.path();
        for (name, text) in setup.files {
            fs::write(folder.join(name), text).unwrap();
        }
        let (name, server) = (setup.name, setup.server());
        let Setup {
            freshness, keys, ..
        } = setup;
        let config = format!(
            "[server]\n\
             listen = '127.0.0.1:{}'\n\
             metrics_listen = '127.0.0.1:{}'\n\
             default_upstream = '{name}'\n\
             public_registries = false\n\
             {server}\
             [cache]\n\
             path = '{}'\n\
             min_free = '64MiB'\n\
             [tags]\n\
             freshness = '{freshness}'\n\
             [[upstream]]\n\
             name = '{name}'\n\
             endpoints = ['http://127.0.0.1:{}']\n\
             {keys}\n",
            self.port,
            self.metrics_port,
            folder.join("cache").display(),
            self.upstream_port,
        );
        fs::write(folder.join("larder.toml"), config).unwrap();
    }

    /// Starts it again, after [`Larder::stop`] or [`Larder::kill`].
    pub(crate) fn start(&mut self) {
        let mut command = self.command(&["serve"]);
        let log = self.folder.path().join("log");
        let port = self.metrics_port;
        let is_ready = || ask(port, "/readyz").is_ok_and(|it| it.starts_with("HTTP/1.1 200 "));
        self.server = Some(Server::start(&mut command, &log, is_ready));
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

    /// Writes the configuration by which a client pulls through it below a folder. The client reaches it at this port,
    /// and over TLS when it needs these certificates for that.
    pub(crate) fn configure_client(
        &self,
        client: &str,
        mode: &str,
        (port, ca): (u16, Option<&Path>),
        folder: &Path,
    ) {
        let scheme = if ca.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}");
        let mut arguments = vec!["client-config", client, "--url", &url, "--mode", mode];
        arguments.extend(["--upstream", &self.upstream, "--output-dir"]);
        arguments.push(folder.to_str().unwrap());
        if let Some(ca) = ca {
            arguments.extend(["--ca-file", ca.to_str().unwrap()]);
        }
        self.answer(&arguments);
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

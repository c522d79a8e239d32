//! Debian's `containerd` as a client, which `ctr` has pull. Nothing runs in it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::content::Content;
use super::process::Process;
use super::sandbox::Sandbox;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where it looks for its configuration, and `client-config` says so.
const PLACE: &str = "/etc/containerd";

/// A containerd in which there is no image: a pull brings all of it.
#[derive(Debug)]
pub(crate) struct Containerd {
    /// It ends before its folder goes.
    sandbox: Sandbox,
    folder: TempDir,
}

/// How it finds the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// By what is written in [`Containerd::folder`].
    Configured,
    /// By the name of the image, and without encryption.
    Plain,
}

impl Containerd {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let configuration = path.join("etc/containerd");
        fs::create_dir_all(&configuration).unwrap();
        let socket = path.join("socket");
        let config = format!(
            "version = 2\n\
             root = '{root}/root'\n\
             state = '{root}/state'\n\
             disabled_plugins = ['io.containerd.grpc.v1.cri']\n\
             [grpc]\n\
             address = '{}'\n",
            socket.display(),
            root = path.display(),
        );
        fs::write(configuration.join("config.toml"), config).unwrap();
        let answers = || {
            let mut command = Command::new("ctr");
            command.arg("--address").arg(&socket).arg("version");
            socket.exists() && Process::run(&mut command, PATIENCE).is_ok()
        };
        let seen = (&*configuration, PLACE);
        let daemon = Command::new("containerd");
        let sandbox = Sandbox::start(&daemon, seen, &path.join("log"), answers);
        Self { sandbox, folder }
    }

    /// Returns the folder below which its configuration is, as below the root of a machine.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Pulls and unpacks an image for all platforms, and returns what it keeps then, or what `ctr` complained of.
    pub(crate) fn pull(&self, hosts: Hosts, name: &str) -> Result<Content, String> {
        let mut pull = self.command();
        pull.args(["images", "pull", "--all-platforms", "--snapshotter=native"]);
        match hosts {
            Hosts::Configured => pull.arg(format!("--hosts-dir={PLACE}/certs.d")),
            Hosts::Plain => pull.arg("--plain-http"),
        };
        Process::run(pull.arg(name), PATIENCE)?;
        let listed = Process::run(self.command().args(["images", "list"]), PATIENCE)?;
        let line = listed.lines().find(|line| line.starts_with(name)).unwrap();
        // Its name, its type and its digest.
        let digest = line.split_whitespace().nth(2).unwrap();
        let blobs = "root/io.containerd.content.v1.content/blobs/sha256";
        let content = Content::read(&self.folder().join(blobs));
        Ok(content.with("image", digest.parse().unwrap()))
    }

    fn command(&self) -> Command {
        let mut command = self.sandbox.command("ctr");
        command.arg("--address").arg(self.folder().join("socket"));
        command
    }
}

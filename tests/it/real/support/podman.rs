//! Debian's `podman` and `buildah` as clients, which only pull: no container is run. They have the same storage, the same
//! settings, and the same flags for that.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use larder::oci::Digest;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde::Deserialize;

use super::content::Content;
use super::process::Process;
use super::user::User;

/// How long a command may take. A pull that fails is tried three times more, with pauses of seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// A user's podman with a storage of its own, in which there is no image: a pull brings all of it.
///
/// It works without systemd, and for root without user namespaces and without the capabilities that containers lack.
#[derive(Debug)]
pub(crate) struct Podman {
    user: User,
    /// `podman` or `buildah`.
    program: &'static str,
}

/// What podman knows of an image, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    /// Repository and digest, for each digest that the image is known by.
    repo_digests: Vec<String>,
}

impl Podman {
    /// Gives podman to a new user.
    pub(crate) fn new() -> Self {
        Self::called("podman")
    }

    /// Gives buildah to a new user.
    pub(crate) fn buildah() -> Self {
        Self::called("buildah")
    }

    fn called(program: &'static str) -> Self {
        let user = User::new();
        let settings = [
            (
                "policy.json",
                r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#.to_owned(),
            ),
            ("storage.conf", storage(&user)),
            ("containers.conf", engine(&user)),
        ];
        for (name, text) in settings {
            user.configure(name, &text);
        }
        Self { user, program }
    }

    /// Makes a registry on this port of the loopback interface a mirror of another registry.
    pub(crate) fn use_mirror(&self, registry: &str, mirror: u16) {
        self.user.use_mirror(registry, mirror);
    }

    /// Takes a whole configuration of registries.
    pub(crate) fn use_registries(&self, text: &str) {
        self.user.configure("registries.conf", text);
    }

    /// Pulls an image for Linux on this architecture, and returns the digests that it is known by then: that of its
    /// manifest, and that of the index that led to it.
    pub(crate) fn pull(&self, architecture: &str, reference: &str) -> BTreeSet<Digest> {
        let image = self.run(self.pull_command(architecture, reference, None));
        let image = image.unwrap_or_else(|errors| panic!("podman: {errors}"));
        let mut inspect = self.command();
        inspect.args(["image", "inspect", image.trim()]);
        let inspected = self.run(inspect);
        let inspected = inspected.unwrap_or_else(|errors| panic!("podman: {errors}"));
        let [inspected]: [Inspected; 1] = serde_json::from_str(&inspected).unwrap();
        let digests = inspected.repo_digests.iter();
        let digests = digests.map(|name| name.split_once('@').unwrap().1.parse().unwrap());
        digests.collect()
    }

    /// Pulls an image for Linux on this architecture and returns what is in the storage then, or what it complained of.
    /// With certificates in a folder it wants to be sure of the registry.
    pub(crate) fn pull_content(
        &self,
        architecture: &str,
        reference: &str,
        certificates: Option<&Path>,
    ) -> Result<Content, String> {
        let image = self.run(self.pull_command(architecture, reference, certificates))?;
        let folder = self.user.home().join(format!("pulled-{architecture}"));
        let mut command = self.command();
        command
            .args(["push", "--quiet", "--signature-policy"])
            .arg(self.user.settings("policy.json"))
            .args([image.trim(), &format!("dir:{}", folder.display())]);
        self.run(command)?;
        Ok(Content::read(&folder))
    }

    /// Pulls an image that cannot be had, and returns what podman says.
    pub(crate) fn refused(&self, architecture: &str, reference: &str) -> String {
        self.run(self.pull_command(architecture, reference, None))
            .expect_err("this pull could not succeed")
    }

    fn pull_command(
        &self,
        architecture: &str,
        reference: &str,
        certificates: Option<&Path>,
    ) -> Command {
        let mut command = self.command();
        command
            .args(["pull", "--quiet", "--os=linux", "--arch", architecture])
            .arg("--signature-policy")
            .arg(self.user.settings("policy.json"));
        match certificates {
            Some(folder) => command.arg("--cert-dir").arg(folder),
            None => command.arg("--tls-verify=false"),
        };
        command.arg(reference);
        command
    }

    /// Runs a command to its end, and returns what it printed, or what it complained of when it failed.
    fn run(&self, mut command: Command) -> Result<String, String> {
        // What an earlier command left would make this one look for the user namespace of that one.
        let state = state(&self.user);
        if state.exists() {
            fs::remove_dir_all(&state).unwrap();
        }
        fs::create_dir(&state).unwrap();
        let answer = Process::run(&mut command, PATIENCE);
        // For others than root, a process keeps the user namespace for commands to come.
        if let Ok(id) = fs::read_to_string(state.join("pause.pid")) {
            let id = Pid::from_raw(id.trim().parse().unwrap()).unwrap();
            kill_process(id, Signal::KILL).unwrap();
        }
        answer
    }

    fn command(&self) -> Command {
        let mut command = self.user.command(self.program);
        command
            .env("CONTAINERS_CONF", self.user.settings("containers.conf"))
            .env(
                "CONTAINERS_STORAGE_CONF",
                self.user.settings("storage.conf"),
            )
            .env("TMPDIR", state(&self.user));
        if geteuid().is_root() {
            // As its own image for use in containers does it: root needs no user namespace to pull.
            command.env("_CONTAINERS_USERNS_CONFIGURED", "done");
        }
        command
    }
}

/// Returns the folder that does not outlast a command.
fn state(user: &User) -> PathBuf {
    user.home().join("state")
}

/// Returns where images go (containers-storage.conf(5)): to plain folders, which every file system can hold.
fn storage(user: &User) -> String {
    let home = user.home().display();
    format!("[storage]\ndriver = 'vfs'\ngraphroot = '{home}/images'\nrunroot = '{home}/run'\n")
}

/// Returns where the rest goes (containers.conf(5)), which nobody needs who runs no containers.
fn engine(user: &User) -> String {
    format!(
        "[engine]\n\
         cgroup_manager = 'cgroupfs'\n\
         events_logger = 'none'\n\
         lock_type = 'file'\n\
         tmp_dir = '{}'\n\
         [network]\n\
         network_config_dir = '{}'\n",
        state(user).display(),
        user.home().join("networks").display()
    )
}

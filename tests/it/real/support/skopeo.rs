//! Debian's `skopeo` as a client.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use larder::oci::Digest;
use serde::Deserialize;
use tempfile::TempDir;

use super::content::{Content, sha256};
use super::image::REPOSITORY;
use super::process::Process;
use super::registry::Registry;
use super::user::User;

/// Which platforms of an index are copied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Platforms {
    /// All, and the index itself.
    All,
    /// Linux on this architecture, without the index.
    Linux(&'static str),
}

/// A user's skopeo.
#[derive(Debug)]
pub(crate) struct Skopeo {
    user: User,
}

impl Skopeo {
    /// Gives skopeo to a new user.
    pub(crate) fn new() -> Self {
        Self { user: User::new() }
    }

    /// Makes a registry on this port of the loopback interface a mirror of another registry.
    pub(crate) fn use_mirror(&self, registry: &str, mirror: u16) {
        self.user.use_mirror(registry, mirror);
    }

    /// Takes a whole configuration of registries.
    pub(crate) fn use_registries(&self, text: &str) {
        self.user.configure("registries.conf", text);
    }

    /// Logs in to a registry, as a user does, and so that it is remembered.
    pub(crate) fn log_in(&self, registry: &str, user: &str, password: &str) {
        let errors = tempfile::NamedTempFile::new().unwrap();
        let mut command = self.command();
        command
            .args(["login", "--tls-verify=false", "--username", user])
            .args(["--password", password, registry])
            .stderr(errors.reopen().unwrap());
        finish(Process::start(&mut command), errors.path());
    }

    /// Returns the user's home folder, which holds what is remembered.
    pub(crate) fn home(&self) -> &Path {
        self.user.home()
    }

    /// Copies from one place to another, as it is.
    pub(crate) fn copy(&self, platforms: Platforms, options: &[&str], from: &str, to: &str) {
        let errors = tempfile::NamedTempFile::new().unwrap();
        let process = self.start(platforms, options, [from, to], errors.path());
        finish(process, errors.path());
    }

    /// Pulls an image and returns what came.
    pub(crate) fn pull(&self, platforms: Platforms, reference: &str) -> Content {
        self.start_pull(platforms, reference).finish()
    }

    /// Pulls an image whole from a registry that it is sure of by certificates in a folder.
    pub(crate) fn pull_over_tls(&self, reference: &str, certificates: &Path) -> Pull {
        let folder = tempfile::tempdir().unwrap();
        let mut command = self.command();
        command
            .args(["copy", "--all", "--src-cert-dir"])
            .arg(certificates)
            .arg(reference)
            .arg(format!("dir:{}", folder.path().join("image").display()))
            .stderr(File::create(folder.path().join("errors")).unwrap());
        let process = Process::start(&mut command);
        Pull { process, folder }
    }

    /// Pulls an image whole. Only the configuration of registries says where from, and what may be unencrypted.
    pub(crate) fn pull_as_configured(&self, reference: &str) -> Content {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let errors = folder.path().join("errors");
        let mut command = self.command();
        command
            .args([
                "copy",
                "--all",
                reference,
                &format!("dir:{}", image.display()),
            ])
            .stderr(File::create(&errors).unwrap());
        finish(Process::start(&mut command), &errors);
        Content::read(&image)
    }

    /// Returns the digest of the manifest or index that a name stands for at this moment.
    pub(crate) fn digest(&self, reference: &str) -> Digest {
        sha256(&self.answer(&["inspect", "--raw", "--tls-verify=false", reference]))
    }

    /// Returns the tags of a repository, in the order in which they are listed.
    pub(crate) fn tags(&self, reference: &str) -> Vec<String> {
        let listed = self.answer(&["list-tags", "--tls-verify=false", reference]);
        let listed: Listed = serde_json::from_slice(&listed).unwrap();
        listed.tags
    }

    /// Copies what one tag of a registry stands for to another tag of it.
    pub(crate) fn move_tag(&self, registry: &Registry, tag: &str, from: &str) {
        let [from, to] = [from, tag].map(|tag| registry.reference(&format!("{REPOSITORY}:{tag}")));
        self.copy(Platforms::All, &["--preserve-digests"], &from, &to);
    }

    /// Runs a command to its end and returns what it printed.
    fn answer(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = self.command();
        let output = command.args(arguments).stdin(Stdio::null());
        let output = output.stdout(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        output.stdout
    }

    /// Starts to pull an image.
    pub(crate) fn start_pull(&self, platforms: Platforms, reference: &str) -> Pull {
        let folder = tempfile::tempdir().unwrap();
        let to = format!("dir:{}", folder.path().join("image").display());
        let errors = folder.path().join("errors");
        let process = self.start(platforms, &[], [reference, &to], &errors);
        Pull { process, folder }
    }

    fn start(
        &self,
        platforms: Platforms,
        options: &[&str],
        from_and_to: [&str; 2],
        errors: &Path,
    ) -> Process {
        let mut command = self.command();
        match platforms {
            Platforms::All => command.args(["copy", "--all"]),
            Platforms::Linux(architecture) => command
                .args(["--override-os=linux", "--override-arch", architecture])
                .arg("copy"),
        };
        command
            .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
            .args(options)
            .args(from_and_to)
            .stderr(File::create(errors).unwrap());
        Process::start(&mut command)
    }

    /// Returns its command, with no more than what all uses have in common.
    fn command(&self) -> Command {
        let mut command = self.user.command("skopeo");
        command.args(["--insecure-policy", "--command-timeout=120s"]);
        command
    }
}

/// What skopeo says of a repository, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    tags: Vec<String>,
}

/// A pull that is under way.
#[derive(Debug)]
pub(crate) struct Pull {
    process: Process,
    folder: TempDir,
}

impl Pull {
    /// Returns the size of the largest file that has begun to arrive.
    pub(crate) fn received(&self) -> u64 {
        let Ok(files) = fs::read_dir(self.folder.path().join("image")) else {
            return 0; // Not made yet.
        };
        files
            .filter_map(|file| file.ok()?.metadata().ok())
            .map(|metadata| metadata.len())
            .max()
            .unwrap_or(0)
    }

    /// Waits for the end and returns what came.
    pub(crate) fn finish(self) -> Content {
        finish(self.process, &self.folder.path().join("errors"));
        Content::read(&self.folder.path().join("image"))
    }

    /// Waits for the end and returns what came, or what it complained of.
    pub(crate) fn end(mut self) -> Result<Content, String> {
        if self.process.wait().success() {
            Ok(Content::read(&self.folder.path().join("image")))
        } else {
            Err(fs::read_to_string(self.folder.path().join("errors")).unwrap())
        }
    }

    /// Waits for the end, which must be a failure, and returns what it said.
    pub(crate) fn fail(mut self) -> String {
        let status = self.process.wait();
        assert!(!status.success(), "this pull could not succeed");
        fs::read_to_string(self.folder.path().join("errors")).unwrap()
    }
}

/// Waits for skopeo, which ends by its own timeout at the latest, and fails as it failed.
fn finish(mut process: Process, errors: &Path) {
    let status = process.wait();
    let errors = fs::read_to_string(errors).unwrap_or_default();
    assert!(status.success(), "skopeo: {status}\n{errors}");
}

//! The script that has containerd on a node pull through larder: it touches its own files alone. A folder stands for the
//! node.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{path, run, succeed};

const MARK: &str =
    "# Owned by larder-nodes.sh, which writes it anew and removes it: changes here are lost.\n";
const FOREIGN: &str = "server = \"https://mirror.example\"\n";

/// A node, and the shell that its container has.
struct Node {
    folder: TempDir,
    shell: PathBuf,
    programs: Option<PathBuf>,
}

impl Node {
    /// A node whose container has the programs of this machine.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("node")).unwrap();
        Self {
            folder,
            shell: "sh".into(),
            programs: None,
        }
    }

    /// A node whose container has busybox and nothing else.
    fn of_busybox() -> Self {
        let mut node = Self::new();
        let programs = node.folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        succeed(
            Command::new("busybox")
                .args(["--install", "-s"])
                .arg(&programs),
        );
        node.shell = programs.join("sh");
        node.programs = Some(programs);
        node
    }

    fn certificates(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    /// Returns a folder with what larder writes for these registries.
    fn staged(&self, upstreams: &[&str]) -> PathBuf {
        let staging = self.folder.path().join(upstreams.join("+"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .args(["client-config", "containerd", "--mode", "fallback"])
            .args(["--url", "http://10.96.0.50:5000"])
            .arg("--output-dir")
            .arg(&staging)
            .current_dir(self.folder.path())
            .env_clear();
        for upstream in upstreams {
            command.args(["--upstream", upstream]);
        }
        succeed(&mut command);
        staging.join("etc/containerd/certs.d")
    }

    /// Runs the script. Returns whether it succeeded, and what it said.
    fn script(&self, arguments: &[&Path]) -> (bool, String) {
        let mut command = Command::new(&self.shell);
        command
            .arg(path("kubernetes/nodes/install/larder-nodes.sh"))
            .args(arguments);
        if let Some(programs) = &self.programs {
            command.env("PATH", programs);
        }
        let output = run(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    }

    fn install(&self, upstreams: &[&str]) -> (bool, String) {
        let staged = self.staged(upstreams);
        self.script(&[Path::new("install"), &staged, &self.certificates()])
    }

    fn remove(&self) -> (bool, String) {
        self.script(&[Path::new("remove"), &self.certificates()])
    }

    /// Writes a file that is not larder's.
    fn write(&self, name: &str) {
        let path = self.certificates().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, FOREIGN).unwrap();
    }

    /// Returns everything on the node, folders too.
    fn names(&self) -> Vec<String> {
        let root = self.certificates();
        let mut names = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap().path();
                names.push(entry.strip_prefix(&root).unwrap().display().to_string());
                if entry.is_dir() && !entry.is_symlink() {
                    folders.push(entry);
                }
            }
        }
        names.sort();
        names
    }
}

fn what_is_written_is_taken_away(node: &Node) {
    node.write("corp.example/hosts.toml");
    let (done, said) = node.install(&["docker.io", "ghcr.io"]);
    assert!(done, "{said}");
    let hosts = node.certificates().join("docker.io/hosts.toml");
    let staged = node.staged(&["docker.io", "ghcr.io"]);
    let staged = fs::read_to_string(staged.join("docker.io/hosts.toml")).unwrap();
    let written = fs::read_to_string(&hosts).unwrap();
    assert_eq!(written, format!("{MARK}{staged}"));
    written.parse::<toml::Table>().unwrap();
    let found = fs::metadata(&hosts).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o644);

    // Twice is once.
    assert_eq!(
        node.install(&["docker.io", "ghcr.io"]),
        (true, String::new())
    );
    assert_eq!(fs::metadata(&hosts).unwrap().ino(), found.ino());

    // What larder wrote and somebody changed is still larder's.
    fs::write(&hosts, format!("{MARK}changed")).unwrap();
    // What is not wanted any more goes.
    let (done, said) = node.install(&["docker.io"]);
    assert!(done && said.contains("removed"), "{said}");
    assert_eq!(fs::read_to_string(&hosts).unwrap(), written);
    assert_eq!(
        node.names(),
        [
            "corp.example",
            "corp.example/hosts.toml",
            "docker.io",
            "docker.io/hosts.toml"
        ]
    );

    // What a crash left goes as well, and nothing that is not larder's.
    fs::write(hosts.with_file_name(".larder-nodes.new"), MARK).unwrap();
    node.write("docker.io/ca.crt");
    let (done, said) = node.remove();
    assert!(done, "{said}");
    assert_eq!(
        node.names(),
        [
            "corp.example",
            "corp.example/hosts.toml",
            "docker.io",
            "docker.io/ca.crt"
        ]
    );
    assert_eq!(node.remove(), (true, String::new()));
    let foreign = node.certificates().join("corp.example/hosts.toml");
    assert_eq!(fs::read_to_string(foreign).unwrap(), FOREIGN);
}

fn foreign_files_are_left_alone(node: &Node) {
    node.write("ghcr.io/hosts.toml");
    let (done, said) = node.install(&["docker.io", "ghcr.io"]);
    assert!(!done && said.contains("ghcr.io/hosts.toml"), "{said}");
    assert_eq!(node.names(), ["ghcr.io", "ghcr.io/hosts.toml"]);
    let foreign = node.certificates().join("ghcr.io/hosts.toml");
    assert_eq!(fs::read_to_string(foreign).unwrap(), FOREIGN);
}

#[test]
fn what_is_installed_is_larders_and_goes_with_it() {
    what_is_written_is_taken_away(&Node::new());
}

#[test]
fn nothing_is_written_over() {
    foreign_files_are_left_alone(&Node::new());
}

#[test]
#[ignore = "needs busybox-static (.ci/run installs it)"]
fn the_programs_of_busybox_are_enough() {
    what_is_written_is_taken_away(&Node::of_busybox());
    foreign_files_are_left_alone(&Node::of_busybox());
}

#[test]
fn links_are_not_followed() {
    let node = Node::new();
    let elsewhere = node.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    // A folder that is a link, and a file that is one to a file of larder's.
    symlink(&elsewhere, node.certificates().join("docker.io")).unwrap();
    let (done, said) = node.install(&["docker.io"]);
    assert!(!done && said.contains("node/docker.io"), "{said}");
    let marked = elsewhere.join("marked");
    fs::write(&marked, MARK).unwrap();
    fs::create_dir(node.certificates().join("ghcr.io")).unwrap();
    symlink(&marked, node.certificates().join("ghcr.io/hosts.toml")).unwrap();
    let (done, said) = node.install(&["ghcr.io"]);
    assert!(!done && said.contains("ghcr.io/hosts.toml"), "{said}");
    assert!(node.remove().0);
    assert_eq!(fs::read_to_string(&marked).unwrap(), MARK);
    assert_eq!(node.names(), ["docker.io", "ghcr.io", "ghcr.io/hosts.toml"]);
}

#[test]
fn what_makes_no_sense_fails() {
    let node = Node::new();
    let missing = node.folder.path().join("missing");
    let empty = node.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (install, remove) = (Path::new("install"), Path::new("remove"));
    let here = node.certificates();
    for (arguments, told) in [
        (&[][..], "usage"),
        (&[install, &empty], "usage"),
        (&[remove, &here, &here], "usage"),
        (&[install, &empty, &here], "there are no files"),
        (&[install, &missing, &here], "there is no folder"),
        (&[install, &empty, &missing], "there is no folder"),
        (&[remove, &missing], "there is no folder"),
    ] {
        let (done, said) = node.script(arguments);
        assert!(!done && said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
#[ignore = "needs shellcheck (.ci/run installs it)"]
fn the_script_is_plain_posix() {
    succeed(
        Command::new("shellcheck")
            .arg("--shell=sh")
            .arg(path("kubernetes/nodes/install/larder-nodes.sh")),
    );
}

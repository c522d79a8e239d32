//! Debian's `dockerd` as a client. It is asked by its API, as every program `docker` asks it, whichever that is. Nothing
//! runs in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use larder::oci::Digest;
use serde::Deserialize;
use tempfile::TempDir;

use super::content::{Content, sha256};
use super::process::{Process, free_port};
use super::sandbox::Sandbox;

/// How long an answer may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where it looks for its configuration, and `client-config` says so.
const PLACE: &str = "/etc/docker";

/// A dockerd in which there is no image. It makes no networks and touches no firewall.
#[derive(Debug)]
pub(crate) struct Dockerd {
    /// It ends before its folder goes.
    _sandbox: Sandbox,
    folder: TempDir,
}

/// What it knows of an image, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    /// The digest of the configuration.
    id: Digest,
    /// Repository and digest of the index.
    repo_digests: Vec<String>,
    #[serde(rename = "RootFS")]
    layers: Layers,
}

/// The layers of an image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Layers {
    /// What they are, not compressed.
    layers: Vec<Digest>,
}

/// What `manifest.json` of an image that was saved says, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    /// The file of its configuration.
    config: String,
    /// The files of its layers.
    layers: Vec<String>,
}

impl Dockerd {
    /// Starts one with a configuration that `configure` writes below a folder, as below the root of a machine.
    pub(crate) fn start(configure: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let configuration = path.join("etc/docker");
        fs::create_dir_all(&configuration).unwrap();
        configure(path);
        let socket = path.join("socket");
        let mut daemon = Command::new("dockerd");
        daemon
            .arg(format!("--data-root={}", path.join("data").display()))
            .arg(format!("--exec-root={}", path.join("exec").display()))
            .arg(format!("--pidfile={}", path.join("pid").display()))
            .arg(format!("--host=unix://{}", socket.display()))
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .arg("--storage-driver=vfs")
            // It asks Docker Hub after any error of a mirror: here it gets nowhere, with or without a network.
            .env("HTTPS_PROXY", format!("http://127.0.0.1:{}", free_port()))
            .env("NO_PROXY", "127.0.0.1");
        let answers = || matches!(ask(&socket, "GET", "/_ping"), Ok(body) if body == b"OK");
        let seen = (&*configuration, PLACE);
        let sandbox = Sandbox::start(&daemon, seen, &path.join("log"), answers);
        Self {
            _sandbox: sandbox,
            folder,
        }
    }

    /// Pulls an image for Linux on this architecture and returns what it is then, or what dockerd complained of.
    pub(crate) fn pull(&self, architecture: &str, name: &str) -> Result<Content, String> {
        let (repository, tag) = match name.split_once('@') {
            Some(parts) => parts,
            None => name.rsplit_once(':').unwrap(),
        };
        let platform = format!("linux/{architecture}");
        let path = format!("/images/create?fromImage={repository}&tag={tag}&platform={platform}");
        let told = String::from_utf8(self.ask("POST", &path)).unwrap();
        if told.lines().any(|line| line.contains("\"errorDetail\"")) || !told.contains("\"status\"")
        {
            return Err(told);
        }
        let inspected = self.ask("GET", &format!("/images/{name}/json"));
        let inspected: Inspected = serde_json::from_slice(&inspected).unwrap();
        Ok(self.saved(&inspected))
    }

    /// Takes an image out of it again, and fails when it is not what dockerd says that it is.
    fn saved(&self, image: &Inspected) -> Content {
        let folder = self.folder.path().join("saved");
        fs::create_dir(&folder).unwrap();
        let archive = folder.join("archive");
        fs::write(
            &archive,
            self.ask("GET", &format!("/images/{}/get", image.id)),
        )
        .unwrap();
        let mut unpack = Command::new("tar");
        unpack
            .arg("--extract")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&folder);
        Process::run(&mut unpack, PATIENCE).unwrap();
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let [saved]: [Saved; 1] = serde_json::from_slice(&read("manifest.json")).unwrap();
        let layers = saved.layers.iter().map(|name| sha256(&read(name)));
        let layers: Vec<Digest> = layers.collect();
        assert_eq!(sha256(&read(&saved.config)), image.id);
        assert_eq!(layers, image.layers.layers);
        let known_by = image.repo_digests.iter();
        let known_by = known_by.map(|name| name.split_once('@').unwrap().1.parse().unwrap());
        let files = layers.iter().chain([&image.id]).map(|it| (it.hex(), *it));
        let known_by = known_by.map(|digest: Digest| (format!("image {digest}"), digest));
        Content::of(files.chain(known_by).collect::<BTreeMap<_, _>>())
    }

    /// Asks it, and returns the body of the answer.
    fn ask(&self, method: &str, path: &str) -> Vec<u8> {
        ask(&self.folder.path().join("socket"), method, path).unwrap()
    }
}

/// Asks a daemon at a socket, and returns the body of the answer, in which is written what went wrong.
fn ask(socket: &Path, method: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In this version of HTTP a body ends with the connection.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    Ok(answer.split_off(end.map_or(answer.len(), |end| end + 4)))
}

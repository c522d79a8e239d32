//! The stage on which blocks are run: a copy of this machine with a network, mounts and processes of its own, in which the
//! host names of the READMEs lead to registries and to larder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::super::support::process::Process;
use super::super::support::sandbox::Sandbox;
use super::super::support::{Image, PASSWORD};
use super::registries::{PLACES, Place};
use crate::support::Authority;

/// How long a block may take, as `timeout` takes it; and how much later everything is given up.
const BLOCK_SECONDS: &str = "60";
const PATIENCE: Duration = Duration::from_secs(120);

/// The folder in which blocks are run, which stands for a checkout.
const CHECKOUT: &str = "root/larder";

/// The names of larder.
const LARDER: [&str; 2] = ["larder.example", "hub.larder.example"];

/// The name of a proxy that leads out of a company.
const PROXY: &str = "proxy.corp.example";

/// A stage. It ends with everything that runs on it.
pub(super) struct Stage {
    /// It ends before its folder goes.
    sandbox: Sandbox,
    _folder: TempDir,
}

impl Stage {
    /// Sets one, and starts what is on it.
    pub(super) fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for place in ["etc/stage", "usr/local/bin", "run/secrets", CHECKOUT] {
            fs::create_dir_all(root.join(place)).unwrap();
        }
        let image = Image::small();
        thread::scope(|scope| {
            for (place, number) in PLACES.iter().zip(1..) {
                let (image, root) = (&image, &root);
                scope.spawn(move || place.set_up(image, root, &address(number)));
            }
        });
        write_network(&root);
        write_certificates(&root);
        write_settings(&root);
        write_programs(&root);

        let log = folder.path().join("log");
        let mut script = Command::new("sh");
        script.arg(source("set.sh")).arg(&root);
        let is_set = || fs::read_to_string(&log).is_ok_and(|it| it.ends_with("is set\n"));
        let namespaces = &["--mount", "--net", "--pid"];
        let sandbox = Sandbox::start_in(namespaces, &script, &log, is_set);
        let stage = Self {
            sandbox,
            _folder: folder,
        };
        let registries: Vec<String> = PLACES.iter().map(Place::service).collect();
        let services = registries.join(" ") + " proxy larder containerd docker";
        stage.run(&format!("systemctl start {services}")).unwrap();
        stage
    }

    /// Runs commands to their end, and returns all that they said when one failed.
    pub(super) fn run(&self, commands: &str) -> Result<(), String> {
        let mut command = self.sandbox.command("env");
        command
            .args(["--ignore-environment", "--chdir"])
            .arg(format!("/{CHECKOUT}"))
            .args([
                "HOME=/root",
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ])
            // What is printed is in the order in which it was.
            .args(["sh", "-c", r#"exec "$@" >&2"#, "sh"])
            .args(["timeout", BLOCK_SECONDS, "bash", "-euo", "pipefail", "-c"])
            .arg(commands);
        Process::run(&mut command, PATIENCE).map(drop)
    }

    /// Returns what a service has logged.
    pub(super) fn log(&self, service: &str) -> String {
        let mut command = self.sandbox.command("cat");
        command.arg(format!("/var/log/stage/{service}"));
        Process::run(&mut command, PATIENCE).unwrap()
    }
}

/// Returns the address of a registry, which is on the stage alone.
fn address(number: u8) -> String {
    format!("192.0.2.{number}")
}

/// Returns the path of a file beside this one.
pub(super) fn source(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/real/readme");
    here.join(name)
}

/// Returns all names that lead to registries, each with the number of its address.
fn names() -> impl Iterator<Item = (&'static str, u8)> {
    PLACES.iter().zip(1..).flat_map(|(place, number)| {
        let names = [place.name].into_iter().chain(place.hosts.iter().copied());
        names.map(move |name| (name, number))
    })
}

/// Writes to where names lead. Those that are not written lead nowhere, at once.
fn write_network(root: &Path) {
    let own = format!("127.0.0.1 localhost {PROXY} {}\n", LARDER.join(" "));
    let others = names().map(|(name, number)| format!("{} {name}\n", address(number)));
    let hosts = own + &others.collect::<String>();
    fs::write(root.join("etc/hosts"), hosts).unwrap();
    fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
}

/// Writes the certificates. All programs trust that of the registries, and no program that of larder by itself.
fn write_certificates(root: &Path) {
    let [of_registries, of_larder] = [(); 2].map(|()| Authority::new());
    let trusted = root.join("etc/ssl/certs");
    fs::create_dir_all(&trusted).unwrap();
    fs::write(trusted.join("ca-certificates.crt"), of_registries.pem()).unwrap();
    fs::write(root.join(CHECKOUT).join("ca.pem"), of_larder.pem()).unwrap();
    let registries: Vec<&str> = names().map(|(name, _)| name).collect();
    for (name, authority, hosts) in [
        ("registries", of_registries, &registries[..]),
        ("larder", of_larder, &LARDER),
    ] {
        let hosts = hosts.iter().copied().map(String::from);
        let certificate = CertificateParams::new(hosts.collect::<Vec<_>>()).unwrap();
        let key = KeyPair::generate().unwrap();
        let folder = root.join("etc/stage");
        let signed = authority.sign(&certificate, &key);
        fs::write(folder.join(format!("{name}.pem")), signed).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Writes the settings of larder and of clients, and the secrets that the READMEs name.
fn write_settings(root: &Path) {
    for (name, text) in [
        ("run/secrets/registry", PASSWORD),
        ("run/secrets/team-a", PASSWORD),
        (
            "run/secrets/larder-admin",
            "0123456789abcdef0123456789abcdef",
        ),
        // For a reader, an answer that curl prints says enough. Here, one that refuses has to fail.
        ("root/.curlrc", "fail\n"),
        ("etc/containers/registries.conf", ""),
        (
            "etc/containers/policy.json",
            r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#,
        ),
        ("etc/stage/proxy.conf", include_str!("proxy.conf")),
        ("etc/larder/larder.toml", include_str!("larder.toml")),
        // Nothing is run in it, and CRI needs more than a stage has.
        (
            "etc/containerd/config.toml",
            "version = 2\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n",
        ),
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(root.join("etc/docker")).unwrap();
}

/// Puts larder where it is installed and where it is built, and the rest of what a checkout has.
fn write_programs(root: &Path) {
    let programs = root.join("usr/local/bin");
    fs::copy(env!("CARGO_BIN_EXE_larder"), programs.join("larder")).unwrap();
    let systemctl = programs.join("systemctl");
    fs::copy(source("systemctl"), &systemctl).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let checkout = root.join(CHECKOUT);
    let mut copy = Command::new("cp");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy.arg("-R")
        .args(["deploy", "README.md"].map(|name| manifest.join(name)))
        .arg(&checkout);
    Process::run(&mut copy, PATIENCE).unwrap();
    fs::create_dir_all(checkout.join("target/release")).unwrap();
    let built = checkout.join("target/release/larder");
    fs::hard_link(programs.join("larder"), built).unwrap();
}

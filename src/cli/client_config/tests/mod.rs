//! What clients are given, as people see it, and as clients read it.

mod delivery;
mod refusals;

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;
use tempfile::TempDir;

use super::arguments::Client;
use crate::cli::failure::Exit;
use crate::cli::tests::{assert_shown, larder};

/// Few registries, one of each kind.
const CONFIG: &str = "
    [server]
    public_registries = false
    default_upstream = 'docker.io'
    [[upstream]]
    name = 'docker.io'
    hosts = ['hub.larder.example']
    [[upstream]]
    name = 'registry.corp.example:5000'
    aliases = ['corp']
    [[upstream]]
    name = '*.dkr.ecr.*.amazonaws.com'
";

/// The form of a certificate, which is all that is looked at.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nbGFyZGVy\n-----END CERTIFICATE-----\n";

const HTTP: &str = "http://larder.example:5000";
const HTTPS: &str = "https://larder.example";

/// Clients that go to the registry itself after any error of a mirror, whatever is written.
const NEVER_STRICT: [&str; 4] = ["docker", "buildkit", "docker-desktop", "dind"];

/// A folder with a configuration and a certificate.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("larder.toml"), CONFIG).unwrap();
        fs::write(folder.path().join("ca.pem"), CERTIFICATE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command; returns its exit, its data and its talk.
    fn run(&self, arguments: &[&str]) -> (Exit, String, String) {
        let config = self.path("larder.toml");
        let config = ["--config", config.to_str().unwrap()];
        let arguments = [&["client-config"], arguments, &config].concat();
        larder(&arguments, &[])
    }

    /// Returns data and talk of a command that has to succeed.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let (exit, data, talk) = self.run(arguments);
        assert_eq!(exit, Exit::Done, "{talk}");
        (data, talk)
    }

    /// Returns the talk of a command that has to be refused.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let (exit, data, talk) = self.run(arguments);
        assert_eq!((exit, data.as_str()), (Exit::Misused, ""), "{talk}");
        talk
    }

    /// Returns the files of a client by their paths.
    #[track_caller]
    fn files(&self, arguments: &[&str]) -> Vec<(String, String)> {
        let (data, _) = self.done(&[arguments, &["--output", "json"]].concat());
        let files: Vec<Value> = serde_json::from_str(&data).unwrap();
        let text = |file: &Value, key: &str| file[key].as_str().unwrap().to_owned();
        let files = files.iter().map(|file| {
            assert_eq!(text(file, "mode"), "0644");
            (text(file, "path"), text(file, "content"))
        });
        files.collect()
    }
}

fn names() -> Vec<String> {
    let clients = Client::value_variants().iter();
    let name = |client: &Client| client.to_possible_value().unwrap().get_name().to_owned();
    clients.map(name).collect()
}

#[test]
fn each_client_has_its_files() {
    let machine = Machine::new();
    let ca = machine.path("ca.pem");
    let ca = ca.to_str().unwrap();
    for name in names() {
        let mut shown = String::new();
        for way in ["fallback", "strict"] {
            for url in [&["--url", HTTP][..], &["--url", HTTPS, "--ca-file", ca]] {
                let arguments = [&[name.as_str(), "--mode", way], url].concat();
                let (exit, data, talk) = machine.run(&arguments);
                let is_refused = way == "strict" && NEVER_STRICT.contains(&name.as_str());
                let expected = if is_refused {
                    Exit::Misused
                } else {
                    Exit::Done
                };
                assert_eq!(exit, expected, "{name} {way}: {talk}");
                shown += &format!("==== {way} {}\n", url[1]);
                for (label, text) in [("data", data), ("talk", talk)] {
                    if !text.is_empty() {
                        shown += &format!("==== {label}\n{text}");
                    }
                }
            }
        }
        let snapshot = format!("client_config_{}", name.replace('-', "_"));
        assert_shown(&snapshot, &shown);
    }
}

#[test]
fn every_file_has_the_form_that_its_name_says() {
    let machine = Machine::new();
    let ca = machine.path("ca.pem");
    let ca = ca.to_str().unwrap();
    for name in names() {
        for way in ["fallback", "strict"] {
            if way == "strict" && NEVER_STRICT.contains(&name.as_str()) {
                continue;
            }
            let flags = ["--url", HTTPS, "--ca-file", ca, "--mode", way];
            for (path, content) in machine.files(&[&[name.as_str()][..], &flags].concat()) {
                let is_commented = content.starts_with(&format!("# {path}\n"));
                match path.rsplit_once('.').unwrap().1 {
                    "toml" | "conf" => {
                        assert!(is_commented, "{content}");
                        toml::from_str::<toml::Table>(&content).unwrap();
                    }
                    "json" => {
                        serde_json::from_str::<Value>(&content).unwrap();
                    }
                    "pem" | "crt" => assert_eq!(content, CERTIFICATE),
                    "yaml" | "yml" => {
                        assert!(is_commented, "{content}");
                        assert!(!content.contains('\t'), "{content}");
                    }
                    other => panic!("{other} of {path}"),
                }
            }
        }
    }
}

#[test]
fn containerd_has_larder_before_the_registry_or_instead_of_it() {
    let machine = Machine::new();
    let paths = ["_default", "docker.io", "registry.corp.example:5000"];
    for (way, key) in [("fallback", "host"), ("strict", "server")] {
        let files = machine.files(&["containerd", "--url", HTTP, "--mode", way]);
        for (name, (path, content)) in paths.iter().zip(&files) {
            assert_eq!(path, &format!("/etc/containerd/certs.d/{name}/hosts.toml"));
            let hosts: toml::Table = toml::from_str(content).unwrap();
            let about = match key {
                "host" => hosts["host"][HTTP].as_table().unwrap(),
                _ => &hosts,
            };
            let may: Vec<&str> = about["capabilities"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(toml::Value::as_str)
                .collect();
            assert_eq!(may, ["pull", "resolve"]);
            assert_eq!(hosts.get("server").is_some(), way == "strict", "{content}");
            assert_eq!(about.contains_key("dial_timeout"), way == "fallback");
            assert!(!content.contains("skip_verify"), "{content}");
        }
        assert_eq!(files.len(), paths.len());
    }
    let old = machine.files(&["containerd-1", "--url", HTTP, "--mode", "fallback"]);
    assert!(
        old.iter()
            .all(|(_, content)| !content.contains("dial_timeout"))
    );
}

#[test]
fn only_what_was_chosen_is_written() {
    let machine = Machine::new();
    let flags = [
        "--url",
        HTTP,
        "--mode",
        "fallback",
        "--upstream",
        "index.docker.io",
    ];
    let files = machine.files(&[&["containerd"][..], &flags].concat());
    let [(path, content)] = &files[..] else {
        panic!("{files:?}");
    };
    assert_eq!(path, "/etc/containerd/certs.d/docker.io/hosts.toml");
    assert!(
        content.contains("Other registries are reached as before"),
        "{content}"
    );
    // A name of a family that is configured by a pattern.
    let ecr = "1.dkr.ecr.eu-west-1.amazonaws.com";
    let twice = ["--upstream", ecr, "--upstream", ecr];
    for client in ["podman", "k3s", "talos", "kaniko", "buildkit"] {
        let files = machine.files(&[&[client][..], &flags[..4], &twice].concat());
        let (_, content) = &files[0];
        assert!(content.contains(ecr), "{content}");
        assert!(
            !content.contains("\"*\"") && !content.contains("Left out"),
            "{content}"
        );
        assert!(!content.contains("docker.io"), "{content}");
    }
    let files = machine.files(&["podman", "--url", HTTP, "--mode", "strict"]);
    let (_, content) = &files[0];
    assert!(
        content.contains("names in full: *.dkr.ecr.*.amazonaws.com"),
        "{content}"
    );
}

#[test]
fn a_registry_with_a_port_stands_in_names_by_its_alias() {
    let machine = Machine::new();
    let podman = |machine: &Machine| {
        let (data, _) = machine.done(&["podman", "--url", HTTP, "--mode", "strict"]);
        let registries: toml::Table = toml::from_str(&data).unwrap();
        let registries = registries["registry"].as_array().unwrap().iter();
        let location = |it: &toml::Value| it["location"].as_str().unwrap().to_owned();
        (registries.map(location).collect::<Vec<_>>(), data)
    };
    let (locations, _) = podman(&machine);
    let larder = "larder.example:5000";
    assert_eq!(
        locations,
        [format!("{larder}/docker.io"), format!("{larder}/corp")]
    );
    let (data, _) = machine.done(&["kaniko", "--url", HTTP, "--mode", "strict"]);
    let flag = format!("--registry-map=registry.corp.example:5000={larder}/corp\"");
    assert!(data.contains(&flag), "{data}");

    let without = CONFIG.replace("aliases = ['corp']", "");
    fs::write(machine.path("larder.toml"), without).unwrap();
    let (locations, data) = podman(&machine);
    assert_eq!(locations, [format!("{larder}/docker.io")]);
    assert!(data.contains("no port can"), "{data}");
    let corp = ["--upstream", "registry.corp.example:5000"];
    for client in ["podman", "kaniko"] {
        let flags = [client, "--url", HTTP, "--mode", "strict"];
        let talk = machine.refused(&[&flags[..], &corp].concat());
        assert!(
            talk.contains("\nhint: give it another name with aliases"),
            "{talk}"
        );
    }
}

#[test]
fn docker_takes_its_own_machine_for_unencrypted() {
    let machine = Machine::new();
    for (url, insecure) in [
        (HTTP, true),
        (HTTPS, false),
        ("http://127.0.0.1:5000", false),
        ("http://localhost:5000", false),
        ("http://[::1]:5000", false),
        ("http://10.0.0.1:5000", true),
    ] {
        let (data, _) = machine.done(&["docker", "--url", url, "--mode", "fallback"]);
        let daemon: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(daemon["registry-mirrors"], serde_json::json!([url]));
        assert_eq!(
            daemon.get("insecure-registries").is_some(),
            insecure,
            "{url}"
        );
    }
}

#[test]
fn an_address_that_means_another_machine_is_told() {
    let machine = Machine::new();
    for client in [
        "kind",
        "docker-desktop",
        "dind",
        "kaniko",
        "talos",
        "buildkit",
    ] {
        for (url, is_told) in [("http://127.0.0.1:5000", true), (HTTP, false)] {
            let (data, talk) = machine.done(&[client, "--url", url, "--mode", "fallback"]);
            assert_eq!(
                (data + &talk).contains("WARNING: 127.0.0.1:5000 is"),
                is_told
            );
        }
    }
}

#[test]
fn other_names_of_a_client_mean_the_same() {
    let machine = Machine::new();
    let podman = machine.done(&["podman", "--url", HTTP, "--mode", "fallback"]);
    for name in ["crio", "cri-o", "skopeo", "buildah"] {
        assert_eq!(
            machine.done(&[name, "--url", HTTP, "--mode", "fallback"]),
            podman
        );
    }
}

//! What the doctor says of machines that nobody answers on: their files, good and bad, and those that `larder
//! client-config` writes.

use std::fs;
use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use super::finding::Severity;
use super::machine::Machine;
use super::report::Report;
use super::way::{Naming, OnError, Verification};
use super::{clients, examine};
use crate::cli::args::{Arguments, Command};
use crate::cli::failure::Exit;
use crate::cli::tests::{assert_shown, larder, surroundings};

/// A machine whose files are below a folder.
struct Node(TempDir);

impl Node {
    fn new(files: &[(&str, &str)]) -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = node.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        node
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn told(&self) -> clients::Told {
        let home = self.0.path().to_owned();
        clients::examine(&Machine::new(self.0.path().to_owned(), Some(home)))
    }

    /// Examines the machine, and shows it as if it was at `/`.
    fn report(&self, flags: &[&str]) -> (Report, String) {
        let arguments = [&["larder", "doctor", "--root", self.path()][..], flags].concat();
        let Command::Doctor(arguments) = Arguments::try_parse_from(arguments).unwrap().command
        else {
            panic!("it is the doctor");
        };
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let report = runtime.block_on(Box::pin(examine(*arguments, &surroundings(&[]))));
        let text = report.text().replace(self.path(), "");
        (report, text)
    }

    /// Returns the messages that are at least warnings.
    fn troubles(&self) -> Vec<(Severity, String)> {
        let troubles = self.told().findings.into_iter();
        let troubles = troubles.filter(|found| found.severity <= Severity::Warning);
        troubles
            .map(|found| (found.severity, found.message.replace(self.path(), "")))
            .collect()
    }
}

/// Nobody listens there: it is the port of a service that is gone (tcpmux), and needs root.
const NOBODY: &str = "127.0.0.1:1";

const MISTAKES: &[(&str, &str)] = &[
    (
        "etc/docker/daemon.json",
        r#"{"registry-mirrors": ["http://127.0.0.1:1/v2", "larder:5000", "https://ada:hunter2@larder"]}"#,
    ),
    (
        "etc/containerd/config.toml",
        "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\n[plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'docker.io']\nendpoint = ['http://127.0.0.1:1']\n",
    ),
    (
        "etc/containerd/certs.d/docker.io/hosts.toml",
        "server = 'https://registry-1.docker.io'\n[host.'http://127.0.0.1:1/v2/docker.io']\n  capabilities = ['pull']\n  skip_verify = true\n  [host.'http://127.0.0.1:1/v2/docker.io'.header]\n    Authorization = 'Basic hunter2'\n",
    ),
    (
        "etc/containerd/certs.d/_default/hosts.toml",
        "server = 'https://127.0.0.1:1'\nca = '/etc/no/ca.pem'\n",
    ),
    (
        "etc/containerd/certs.d/quay.io/hosts.toml",
        "\n[host.'http://127.0.0.1:1'\n",
    ),
    (
        "etc/containers/registries.conf.d/50.conf",
        "[[registry]]\nprefix = 'ghcr.io'\nlocation = 'ghcr.io'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = '127.0.0.1:1'\n[[registry]]\nprefix = 'quay.io'\nlocation = 'http://127.0.0.1:1/quay.io'\n",
    ),
    (
        "etc/buildkit/buildkitd.toml",
        "[registry.'docker.io']\nmirrors = ['http://127.0.0.1:1/docker.io']\n[registry.'127.0.0.1:1']\nhttp = false\n",
    ),
    (
        "etc/rancher/k3s/registries.yaml",
        "mirrors:\n  docker.io:\n    endpoint:\n      - \"127.0.0.1:1/hub\"\n  \"*\":\n    endpoint: http://larder\nconfigs:\n  larder:\n    auth:\n      password: hunter2\n",
    ),
];

#[test]
fn a_machine_with_many_mistakes_is_told_all_of_them() {
    let node = Node::new(MISTAKES);
    let (report, text) = node.report(&[]);
    assert!(report.count(Severity::Fault) > 10, "{text}");
    for shown in [&text, &report.json()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_shown("doctor_mistakes", &text);
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["faults"], report.count(Severity::Fault));
    assert_eq!(json["ways"][0]["client"], "docker");
}

#[test]
fn a_machine_without_clients_is_told_how_to_begin() {
    let node = Node::new(&[]);
    let (report, text) = node.report(&["--url", &format!("http://{NOBODY}")]);
    assert_eq!(report.count(Severity::Fault), 1, "{text}");
    assert_shown("doctor_nothing", &text);
}

#[test]
fn what_is_no_address_of_larder_is_misuse() {
    for url in ["http://larder/v2", "larder:5000", "http://u:p@larder"] {
        let (exit, data, talk) = larder(&["doctor", "--url", url], &[]);
        assert_eq!((exit, data.as_str()), (Exit::Misused, ""), "{talk}");
    }
}

/// Files with one mistake, how bad it is, and what is said of it.
type Mistake<'a> = (Vec<(&'a str, &'a str)>, Severity, &'a str);

#[track_caller]
fn assert_told(mistakes: &[Mistake<'_>]) {
    for (files, severity, told) in mistakes {
        let node = Node::new(files);
        let troubles = node.troubles();
        let is_told =
            |(found, message): &(Severity, String)| found == severity && message.contains(told);
        assert!(
            troubles.iter().any(is_told),
            "{told}: {files:?}: {troubles:#?}"
        );
        assert_eq!(troubles.len(), 1, "{files:?}: {troubles:#?}");
    }
}

#[test]
fn mistakes_of_docker() {
    use Severity::{Fault, Warning};
    let insecure =
        "{\"registry-mirrors\": [\"https://10.0.0.1\"], \"insecure-registries\": [\"10.0.0.0/8\"]}";
    let mistakes = [
        ("{\"a\": 1,}", Fault, "trailing comma"),
        (
            "{\"registry-mirrors\": \"http://larder\"}",
            Fault,
            "no list of texts",
        ),
        (
            "{\"registry-mirrors\": [\"http://larder/?x\"]}",
            Fault,
            "a query in it",
        ),
        (insecure, Warning, "any certificate is taken"),
    ];
    let in_file = |(text, severity, told)| (vec![("etc/docker/daemon.json", text)], severity, told);
    assert_told(&mistakes.map(in_file));
}

#[test]
fn mistakes_of_containerd() {
    use Severity::{Fault, Warning};
    const CONFIG: &str = "etc/containerd/config.toml";
    const HOSTS: &str = "etc/containerd/certs.d/docker.io/hosts.toml";
    let set = "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n";
    let mirrors =
        "[plugins.'io.containerd.cri.v1.images'.registry.mirrors.'docker.io']\nendpoint = []\n";
    let both = format!("{set}{mirrors}");
    let host = "[host.'http://larder']\n";
    assert_told(&[
        (
            vec![(HOSTS, host)],
            Warning,
            "there is no config.toml with a config_path",
        ),
        (
            vec![(CONFIG, "version = 3\n"), (HOSTS, host)],
            Fault,
            "config_path is not set",
        ),
        (
            vec![(CONFIG, &both)],
            Fault,
            "there are registry.mirrors beside config_path",
        ),
    ]);
    let mistakes = [
        (
            "[host.'http://larder']\ncapabilities = ['resolve']\n",
            Fault,
            "lack \"pull\"",
        ),
        (
            "[host.'http://larder']\noverride_path = true\n",
            Fault,
            "has no /v2 in it",
        ),
        (
            "[host.'http://larder/v2/docker.io']\n",
            Fault,
            "without override_path",
        ),
        ("[host.'http://la rder']\n", Fault, "a host is no address"),
        (
            "[host.'https://larder']\nca = 'ca.pem'\n",
            Fault,
            "does not exist",
        ),
        (
            "[host.'http://ada:x@larder']\n",
            Warning,
            "a user or a password",
        ),
    ];
    let in_file = |(text, severity, told)| (vec![(CONFIG, set), (HOSTS, text)], severity, told);
    assert_told(&mistakes.map(in_file));
}

#[test]
fn mistakes_of_podman_and_rke2() {
    use Severity::{Fault, Warning};
    const PODMAN: &str = "etc/containers/registries.conf";
    const RKE2: &str = "etc/rancher/rke2/registries.yaml";
    let another = "[[registry]]\nprefix = 'ghcr.io'\nlocation = 'larder/quay.io'\n";
    let digests = "[[registry]]\nlocation = 'ghcr.io'\n[[registry.mirror]]\nlocation = 'larder/ghcr.io'\npull-from-mirror = 'digest-only'\n";
    let old = "[registries.search]\nregistries = ['docker.io']\n";
    let new = (
        "etc/containers/registries.conf.d/a.conf",
        "[[registry]]\nlocation = 'ghcr.io'\n",
    );
    let bare = "mirrors:\n  docker.io:\n    endpoint: [larder]\n";
    assert_told(&[
        (
            vec![(PODMAN, another)],
            Fault,
            "larder is told that quay.io is meant, for images of ghcr.io",
        ),
        (
            vec![(PODMAN, digests)],
            Warning,
            "what is pulled by a tag goes around larder",
        ),
        (vec![(PODMAN, old), new], Fault, "old format"),
        (
            vec![(RKE2, bare)],
            Warning,
            "has no scheme, and is asked as https://larder",
        ),
        (
            vec![(RKE2, "mirrors:\n\tdocker.io:\n")],
            Fault,
            "cannot be understood",
        ),
    ]);
}

#[test]
fn how_to_speak_with_larder_by_name_is_no_mirror() {
    let address = "larder.example_5000_";
    let node = Node::new(&[
        (
            "etc/containerd/config.toml",
            "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n",
        ),
        (
            &format!("etc/containerd/certs.d/{address}/hosts.toml"),
            "server = 'http://larder.example:5000'\n[host.'http://larder.example:5000']\n",
        ),
        (
            "etc/containers/registries.conf",
            "[[registry]]\nlocation = 'larder.example:5000'\ninsecure = true\n",
        ),
    ]);
    assert_eq!(node.told().ways, []);
    assert_eq!(node.troubles(), []);
}

/// Clients whose files are of the machine on which they run.
const CLIENTS: &[(&str, &str, Naming, bool)] = &[
    ("docker", "docker", Naming::Path, false),
    ("docker-desktop", "docker", Naming::Path, false),
    ("containerd", "containerd", Naming::Parameter, true),
    ("containerd-1", "containerd", Naming::Parameter, true),
    ("nerdctl", "containerd", Naming::Parameter, true),
    ("podman", "podman", Naming::Path, true),
    ("k3s", "k3s", Naming::Parameter, true),
    ("rke2", "rke2", Naming::Parameter, true),
    ("buildkit", "buildkit", Naming::Parameter, false),
];

#[test]
fn what_client_config_writes_leads_to_the_url_it_was_made_for() {
    let certificates = tempfile::tempdir().unwrap();
    let ca = certificates.path().join("ca.pem");
    let signed = rcgen::generate_simple_self_signed(["larder.example".to_owned()]).unwrap();
    fs::write(&ca, signed.cert.pem()).unwrap();
    let ca = ["--ca-file", ca.to_str().unwrap()];
    for (client, shown, naming, can_be_strict) in CLIENTS {
        for way in ["fallback", "strict"] {
            if way == "strict" && !can_be_strict {
                continue;
            }
            for (url, ca) in [
                ("http://127.0.0.1:5000", &[][..]),
                ("http://larder.example:5000", &[]),
                ("https://larder.example", &ca),
            ] {
                let node = Node::new(&[(
                    "etc/containerd/config.toml",
                    "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n",
                )]);
                let flags = ["client-config", client, "--url", url, "--mode", way];
                let written = [&flags[..], &["--output-dir", node.path()], ca].concat();
                let (exit, _, talk) = larder(&written, &[]);
                assert_eq!(exit, Exit::Done, "{talk}");
                let expected = Expected {
                    client: shown,
                    url,
                    way,
                    naming: *naming,
                    has_ca: !ca.is_empty(),
                };
                expected.find(&node);
            }
        }
    }
}

struct Expected<'a> {
    client: &'a str,
    url: &'a str,
    way: &'a str,
    naming: Naming,
    has_ca: bool,
}

impl Expected<'_> {
    /// Finds what was written, and nothing that is wrong with it.
    fn find(&self, node: &Node) {
        let context = format!("{} {} {}", self.client, self.url, self.way);
        let told = node.told();
        let troubles = node.troubles();
        assert!(troubles.is_empty(), "{context}: {troubles:#?}");
        let mut registries: Vec<&str> = told.ways.iter().filter_map(|it| it.scope.name()).collect();
        registries.sort_unstable();
        match self.client {
            "docker" => assert_eq!(registries, ["docker.io"], "{context}"),
            _ => assert!(
                registries.len() > 10 && registries.contains(&"ghcr.io"),
                "{context}"
            ),
        }
        for way in &told.ways {
            assert_eq!(way.client.name(), self.client, "{context}");
            let is_podman_http = self.client == "podman" && self.url.starts_with("http:");
            let url = way.place.address.to_string();
            match is_podman_http {
                // It finds out itself whether TLS is spoken.
                true => assert_eq!(url.replace("https:", "http:"), self.url),
                false => assert_eq!(url, self.url, "{context}"),
            }
            let on_error = match self.way {
                "strict" => OnError::Fails,
                _ => OnError::GoesAround,
            };
            assert_eq!(
                (way.on_error, way.naming),
                (on_error, self.naming),
                "{context}"
            );
            assert_eq!(
                way.place.trust.authorities.len(),
                usize::from(self.has_ca),
                "{context}"
            );
            let is_skipped = way.place.trust.verification == Verification::Skipped;
            assert_eq!(is_skipped, is_podman_http, "{context}");
            assert!(Path::new(node.path()).join(&way.spot.file).exists());
        }
    }
}

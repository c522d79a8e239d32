//! `larder doctor`: against a larder that runs, one that does not, and somebody else.

mod tls;

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Done, Larder};
use crate::support::{FakeRegistry, Image, noise};

const IMAGE: &str = "up.test/org/app:1";

/// A registry with an image.
async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    for name in ["org/app", "library/app"] {
        Image::with_layers([noise(1, 1_000)]).push_as(&registry.repository(name), "1");
    }
    registry
}

/// The files of a machine, below a folder.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the files of a client by the command for that.
    async fn configure(&self, larder: &Larder, flags: &[&str]) {
        let command = ["client-config"];
        let folder = ["--output-dir", self.path()];
        let done = larder.operate(&[&command, flags, &folder].concat()).await;
        assert_eq!(done.code, 0, "{done:?}");
    }

    /// Has the files of containerd read.
    fn read_by_containerd(&self) {
        let config = "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n";
        self.write("etc/containerd/config.toml", config);
    }

    async fn examine(&self, larder: &Larder, flags: &[&str]) -> Done {
        let command = ["doctor", "--root", self.path(), "--output", "json"];
        larder.operate(&[&command, flags].concat()).await
    }
}

/// Returns what was found of a severity, as `about: message`.
fn found(done: &Done, severity: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(&done.data).expect(&done.data);
    let findings = document["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|it| it["severity"] == severity);
    findings
        .map(|it| {
            format!(
                "{}: {}",
                it["about"].as_str().unwrap(),
                it["message"].as_str().unwrap()
            )
        })
        .collect()
}

/// Asserts that one thing was found of a severity, and says so.
#[track_caller]
fn assert_found(done: &Done, severity: &str, told: &str) {
    let found = found(done, severity);
    assert!(
        found.iter().any(|it| it.contains(told)),
        "{told}: {found:#?} {done:?}"
    );
}

#[tokio::test]
async fn a_good_machine_pulls_as_each_of_its_clients() {
    let registry = registry().await;
    let hub = format!(
        "[[upstream]]\nname = 'docker.io'\nendpoints = ['{}']",
        registry.url()
    );
    let mut larder = Larder::knowing(&registry).and(&hub);
    larder.config = larder.config.replace(
        "default_upstream = 'up.test'",
        "default_upstream = 'docker.io'",
    );
    let running = larder.serve().await;
    let url = format!("http://{}", running.address());
    let machine = Machine::new();
    for client in ["docker", "containerd", "podman", "k3s"] {
        let flags = [client, "--url", &url, "--mode", "fallback"];
        machine.configure(&larder, &flags).await;
    }
    machine
        .configure(&larder, &["buildkit", "--url", &url, "--mode", "fallback"])
        .await;
    machine.read_by_containerd();
    let done = machine
        .examine(&larder, &["--image", "app:1", "--url", &url])
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(found(&done, "fault"), [""; 0]);
    assert_eq!(found(&done, "warning"), [""; 0]);
    for client in ["docker", "containerd", "podman", "k3s", "buildkit"] {
        let pulled =
            format!("canary: app:1 was pulled through {url} as {client} does it (larder; ");
        assert_found(&done, "good", &pulled);
        let leads = format!("registry: what {client} asks {url} leads to the right registry: ");
        assert_found(&done, "good", &leads);
    }
    assert_found(
        &done,
        "good",
        &format!("larder answers at {url} (for docker, containerd, buildkit, k3s)"),
    );
    // podman finds out itself whether TLS is spoken.
    assert_found(
        &done,
        "good",
        &format!("larder answers at {url} (for podman)"),
    );
    assert_found(&done, "good", "clock: ");
    assert_found(&done, "good", "disk: ");
    assert_found(
        &done,
        "good",
        "upstream: larder has no trouble with its registries",
    );
    assert_found(&done, "note", "sight: clients of http");
    // The first client had larder fetch it; the registry gave the manifest once.
    let gets = registry.requests().into_iter();
    let manifests = gets.filter(|it| it.method == "GET" && it.path.contains("/manifests/"));
    assert_eq!(manifests.count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn without_an_image_no_registry_is_asked() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let url = format!("http://{}", running.address());
    let machine = Machine::new();
    machine
        .configure(&larder, &["podman", "--url", &url, "--mode", "strict"])
        .await;
    let done = machine.examine(&larder, &[]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_found(&done, "note", "no image was pulled");
    assert_eq!(registry.requests().len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_pull_that_fails_is_a_fault_with_the_words_of_larder() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let url = format!("http://{}", running.address());
    let machine = Machine::new();
    let done = machine
        .examine(&larder, &["--url", &url, "--image", IMAGE])
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_found(&done, "good", "as by name does it");
    let done = machine
        .examine(&larder, &["--url", &url, "--image", "up.test/org/app:2"])
        .await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_found(
        &done,
        "fault",
        "GET /v2/up.test/org/app/manifests/2: 404 Not Found: manifest 2 of up.test/org/app",
    );
    assert!(done.talk.contains("a fault was found"), "{done:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_registry_that_larder_does_not_know_is_a_fault() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let address = running.address();
    let machine = Machine::new();
    machine.read_by_containerd();
    let hosts = format!("[host.'http://{address}']\n");
    machine.write("etc/containerd/certs.d/ghcr.io/hosts.toml", &hosts);
    let podman = format!(
        "[[registry]]\nlocation = 'quay.io'\n[[registry.mirror]]\nlocation = '{address}/quay.io'\ninsecure = true\n"
    );
    machine.write("etc/containers/registries.conf", &podman);
    let done = machine.examine(&larder, &[]).await;
    assert_eq!(done.code, 1, "{done:?}");
    for (client, name) in [("containerd", "ghcr.io"), ("podman", "quay.io")] {
        let told = format!(
            "registry: {client} asks http://{address} for images of {name}, and larder says 403 Forbidden: the registry {name} is \
             not configured here"
        );
        assert_found(&done, "fault", &told);
    }
    assert_eq!(registry.requests().len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_default_that_is_not_the_registry_that_docker_means_is_a_fault() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let address = running.address();
    let machine = Machine::new();
    let mirrors = format!(r#"{{"registry-mirrors": ["http://{address}"]}}"#);
    machine.write("etc/docker/daemon.json", &mirrors);
    let done = machine.examine(&larder, &[]).await;
    assert_eq!(done.code, 1, "{done:?}");
    let told = format!(
        "registry: docker asks http://{address} for images of docker.io without saying so, and larder takes them for those of \
         another registry: docker.io/larder/doctor leads to up.test/larder/doctor"
    );
    assert_found(&done, "fault", &told);
    assert!(format!("{done:?}").contains("set default_upstream = "));
    assert_eq!(registry.requests().len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_larder_that_is_down_is_a_fault() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let url = format!("http://{}", running.address());
    running.stop().await;
    let machine = Machine::new();
    machine
        .configure(&larder, &["k3s", "--url", &url, "--mode", "fallback"])
        .await;
    let done = machine.examine(&larder, &[]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_found(
        &done,
        "fault",
        &format!("address: {url} does not answer (for k3s): Connection refused"),
    );
    assert_found(
        &done,
        "note",
        "upstream: no larder runs with the cache folder",
    );
}

/// Answers every request as a registry that is no larder.
async fn another() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            drop(socket.read(&mut request).await);
            let answer = "HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\ncontent-length: 2\r\n\r\n{}";
            drop(socket.write_all(answer.as_bytes()).await);
        }
    };
    (format!("http://{address}"), tokio::task::spawn(serving))
}

#[tokio::test]
async fn what_is_no_larder_is_a_fault_where_larder_has_to_be() {
    let (url, serving) = another().await;
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let machine = Machine::new();
    machine
        .configure(&larder, &["podman", "--url", &url, "--mode", "fallback"])
        .await;
    let told = format!("what answers at {url} is no larder");
    let done = machine.examine(&larder, &[]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_found(&done, "warning", &told);
    let done = Machine::new().examine(&larder, &["--url", &url]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_found(&done, "fault", &told);
    serving.abort();
}

#[tokio::test]
async fn a_registry_that_is_offline_is_a_note_and_a_broken_configuration_a_fault() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry).and("freshness = 'always'\noffline = true");
    let running = larder.serve().await;
    let url = format!("http://{}", running.address());
    let done = Machine::new().examine(&larder, &["--url", &url]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_found(&done, "note", "upstream: up.test is offline");
    running.stop().await;
    let larder = Larder::knowing(&registry).and("fresness = 'always'");
    let done = Machine::new().examine(&larder, &["--url", &url]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_found(
        &done,
        "fault",
        "configuration: larder does not start with its configuration: ",
    );
}

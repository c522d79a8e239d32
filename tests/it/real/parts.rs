//! The parts by themselves, without larder: what the other tests take for granted.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use larder::oci::Digest;

use super::support::image::ARCHITECTURES;
use super::support::{Gate, Image, Platforms, Podman, REPOSITORY, Skopeo};

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn skopeo_pulls_what_was_published() {
    let image = Image::published();
    let registry = image.registry();
    let skopeo = Skopeo::new();
    let tag = registry.reference(&format!("{REPOSITORY}:1"));

    let pulled = skopeo.pull(Platforms::All, &tag);
    assert_eq!(&pulled, image.pulled());
    assert_eq!(pulled.manifest(), image.index());
    assert!(image.blobs().iter().all(|blob| pulled.has_blob(blob)));

    for (architecture, manifest) in ARCHITECTURES.into_iter().zip(image.manifests()) {
        let platform = skopeo.pull(Platforms::Linux(architecture), &tag);
        assert_eq!(platform.manifest(), *manifest);
    }
}

#[test]
#[ignore = "needs docker-registry, podman and skopeo (.ci/run installs them)"]
fn podman_pulls_what_was_published() {
    let image = Image::published();
    let registry = image.registry();
    for (architecture, manifest) in ARCHITECTURES.into_iter().zip(image.manifests()) {
        let tag = registry.reference(&format!("{REPOSITORY}:1"));
        let pulled = Podman::new().pull(architecture, &tag);
        assert_eq!(pulled, BTreeSet::from([image.index(), *manifest]));
    }
    // Each has a storage of its own.
    let asked = |blob: Digest| {
        let request = format!("GET /v2/{REPOSITORY}/blobs/{blob}");
        let requests = registry.requests().into_iter();
        requests.filter(|it| *it == request).count()
    };
    assert_eq!(asked(image.large_layer()), ARCHITECTURES.len());
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn the_log_of_the_registry_tells_each_request_once() {
    let image = Image::published();
    let mut registry = image.registry();
    registry.restart();
    assert_eq!(registry.requests(), Vec::<String>::new());

    let tag = registry.reference(&format!("{REPOSITORY}:1"));
    Skopeo::new().pull(Platforms::All, &tag);
    let mut requests = registry.requests();
    requests.sort();
    assert_eq!(requests.remove(0), "GET /v2/");
    assert_eq!(requests, image.requests());
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_closed_gate_holds_a_pull_in_its_large_layer() {
    let image = Image::published();
    let registry = image.registry();
    let gate = Gate::before(registry.port(), 8 << 20);
    let skopeo = Skopeo::new();
    skopeo.use_mirror("up.test", gate.port());

    let pull = skopeo.start_pull(Platforms::All, &format!("docker://up.test/{REPOSITORY}:1"));
    gate.wait_until_holding();
    let large = format!("GET /v2/{REPOSITORY}/blobs/{}", image.large_layer());
    assert!(registry.requests().contains(&large));
    gate.open();
    assert_eq!(&pull.finish(), image.pulled());
}

#[test]
fn a_gate_passes_what_it_was_told_and_the_rest_when_it_is_opened() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gate = Gate::before(listener.local_addr().unwrap().port(), 3);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, gate.port())).unwrap();
    client.write_all(b"ask").unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 3];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(b"answer").unwrap();
        asked
    });
    gate.wait_until_holding();
    let mut first = [0; 3];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"ans");
    client.set_nonblocking(true).unwrap();
    client.read_exact(&mut first).unwrap_err();
    client.set_nonblocking(false).unwrap();
    gate.open();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "wer");
    assert_eq!(&server.join().unwrap(), b"ask");
}

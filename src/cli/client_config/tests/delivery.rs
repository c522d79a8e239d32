//! How files are handed over.

use std::fs;
use std::path::Path;

use super::{CERTIFICATE, HTTP, HTTPS, Machine};
use crate::cli::failure::Exit;

#[test]
fn files_are_written_as_a_tree_and_never_over_others() {
    let machine = Machine::new();
    let target = machine.path("out");
    let ca = machine.path("ca.pem");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (out, ca) = (text(&target), text(&ca));
    let flags = ["docker", "--mode", "fallback", "--output-dir", &out];
    let encrypted = [&flags[..], &["--url", HTTPS, "--ca-file", &ca]].concat();
    let plain = [&flags[..], &["--url", HTTP]].concat();
    let daemon = target.join("etc/docker/daemon.json");
    let certificate = target.join("etc/docker/certs.d/larder.example/ca.crt");
    // Twice: what is the same already is no obstacle.
    for _ in 0..2 {
        let (data, talk) = machine.done(&encrypted);
        assert_eq!(
            data,
            format!("{}\n{}\n", daemon.display(), certificate.display())
        );
        assert!(talk.contains("systemctl reload docker"), "{talk}");
    }
    assert_eq!(fs::read_to_string(&certificate).unwrap(), CERTIFICATE);
    let before = fs::read(&daemon).unwrap();
    let (exit, data, talk) = machine.run(&plain);
    assert_eq!((exit, data.as_str()), (Exit::Failed, ""));
    assert!(
        talk.contains(&format!("files that differ: {}\nhint: ", daemon.display())),
        "{talk}"
    );
    assert!(talk.contains("--force"), "{talk}");
    assert_eq!(fs::read(&daemon).unwrap(), before);
    machine.done(&[&plain[..], &["--force"]].concat());
    assert_ne!(fs::read(&daemon).unwrap(), before);
    // One that differs keeps all from being written.
    fs::remove_file(&certificate).unwrap();
    assert_eq!(machine.run(&encrypted).0, Exit::Failed);
    assert!(!certificate.exists());
}

#[test]
fn paths_in_the_home_folder_are_below_the_folder_too() {
    let machine = Machine::new();
    let target = machine.path("out");
    let out = target.to_str().unwrap();
    machine.done(&[
        "docker-desktop",
        "--url",
        HTTP,
        "--mode",
        "fallback",
        "--output-dir",
        out,
    ]);
    assert!(target.join(".docker/daemon.json").exists());
}

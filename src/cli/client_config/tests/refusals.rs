//! What cannot be written, and what is said of it.

use std::fs;

use super::{CONFIG, HTTP, Machine};
use crate::cli::tests::assert_shown;

/// The address of a larder that is Docker Hub for its clients.
const HUB: [&str; 4] = [
    "--url",
    "http://hub.larder.example",
    "--upstream",
    "docker.io",
];

#[test]
fn what_cannot_be_written_is_told() {
    let machine = Machine::new();
    let ca = machine.path("ca.pem");
    let ca = ca.to_str().unwrap();
    let (fallback, strict) = (["--mode", "fallback"], ["--mode", "strict"]);
    let mut shown = String::new();
    for (client, mode, rest) in [
        ("docker", strict, &["--url", HTTP][..]),
        (
            "docker",
            fallback,
            &["--url", HTTP, "--upstream", "registry.corp.example:5000"],
        ),
        ("podman", strict, &["--url", HTTP, "--upstream", "ghcr.io"]),
        ("podman", strict, &["--url", "http://hub.larder.example"]),
        (
            "podman",
            strict,
            &["--url", HTTP, "--upstream", "*.azurecr.io"],
        ),
        ("podman", strict, &["--url", "http://larder:5000/v2"]),
        ("podman", strict, &["--url", "larder:5000"]),
        ("podman", strict, &["--url", HTTP, "--ca-file", ca]),
        ("podman", strict, &["--url", HTTP, "--force"]),
    ] {
        let arguments = [&[client][..], &mode, rest].concat();
        shown += &format!("==== {}\n", arguments.join(" "));
        shown += &machine.refused(&arguments);
    }
    assert_shown("client_config_refusals", &shown.replace(ca, "ca.pem"));
}

#[test]
fn a_virtual_host_is_an_address_for_its_own_registry() {
    let machine = Machine::new();
    for client in ["podman", "containerd", "docker"] {
        machine.done(&[&[client, "--mode", "fallback"][..], &HUB].concat());
    }
}

#[test]
fn docker_needs_names_without_a_registry_to_lead_to_docker_hub() {
    let machine = Machine::new();
    let nowhere = CONFIG.replace("upstream = 'docker.io'", "upstream = 'none'");
    let elsewhere = CONFIG.replace(
        "upstream = 'docker.io'",
        "upstream = 'registry.corp.example:5000'",
    );
    for (config, found) in [
        (nowhere, "nowhere"),
        (elsewhere, "to registry.corp.example:5000"),
    ] {
        fs::write(machine.path("larder.toml"), config).unwrap();
        let talk = machine.refused(&["docker", "--url", HTTP, "--mode", "fallback"]);
        let told = format!("such names lead {found}\nhint: set default_upstream");
        assert!(talk.contains(&told), "{talk}");
        machine.done(&[&["docker", "--mode", "fallback"][..], &HUB].concat());
    }
}

#[test]
fn clients_that_need_names_are_not_for_families_alone() {
    let machine = Machine::new();
    let family = "[server]\npublic_registries = false\n[[upstream]]\nname = '*.azurecr.io'\n";
    fs::write(machine.path("larder.toml"), family).unwrap();
    for client in ["podman", "kaniko", "buildkit"] {
        let talk = machine.refused(&[client, "--url", HTTP, "--mode", "fallback"]);
        let hint = "\nhint: name the registries that are used with --upstream";
        assert!(talk.contains(hint), "{talk}");
    }
    for client in ["containerd", "k3s", "talos"] {
        machine.done(&[client, "--url", HTTP, "--mode", "strict"]);
    }
}

//! Every example configuration is one that larder takes, also with the keys that stand in comments.

use std::fs;
use std::process::Command;

use super::{configuration_of_the_chart, file, path, succeed, variables_of_the_image};

/// Takes the marks away from lines that are keys in comments: those with '#' and no space.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        Some(_) | None => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// Has larder look at a configuration, and returns what it says.
pub(crate) fn check(text: &str, variables: &[(String, String)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("larder.toml");
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command
        .arg("check")
        .arg("--config")
        .arg(&config)
        .env_clear()
        .envs(variables.iter().cloned());
    succeed(&mut command)
}

#[test]
fn every_example_is_a_configuration() {
    // The first is the one for all; with all of its keys at once it names files that are not here.
    let mut said = check(&file("larder.toml"), &[]);
    said += &check(&file("systemd/larder.toml"), &[]);
    let with_login = check(&uncommented(&file("systemd/larder.toml")), &[]);
    assert!(with_login.contains("docker.io"), "{with_login}");
    assert!(!said.contains("0.0.0.0"), "open to all: {said}");
}

#[test]
fn every_example_for_the_image_is_one_with_the_variables_of_the_image() {
    let variables = variables_of_the_image();
    assert_eq!(variables.len(), 3, "{variables:?}");
    for text in [
        file("container/larder.toml"),
        file("kubernetes/base/larder.toml"),
        configuration_of_the_chart(),
    ] {
        for text in [uncommented(&text), text] {
            let said = check(&text, &variables);
            assert!(said.contains("0.0.0.0:5000"), "{said}");
            assert!(said.contains("/var/lib/larder"), "{said}");
        }
    }
}

#[test]
fn no_example_is_left_out() {
    let mut found = Vec::new();
    let mut folders = vec![path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|end| end == "toml") {
                let name = entry.strip_prefix(path("")).unwrap();
                found.push(name.display().to_string());
            }
        }
    }
    found.sort();
    let checked = [
        "container/larder.toml",
        "kubernetes/base/larder.toml",
        "larder.toml",
        "systemd/larder.toml",
    ];
    assert_eq!(found, checked, "check the new one above");
}

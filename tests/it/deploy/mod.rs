//! What is in `deploy/` is right: by itself, and with the programs that read it. What needs such a program is ignored by a
//! plain `cargo test`; `.ci/run` installs the programs and runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod agreement;
mod chart;
pub(crate) mod configuration;
mod kubernetes;
mod metrics;
mod nodes;
mod prometheus;
mod systemd;

/// Returns where something below `deploy/` is.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}

/// Reads a file below `deploy/`.
fn file(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns what stands behind the first line that begins with this, spaces aside.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let mut lines = text.lines().map(str::trim_start);
    let found = lines.find_map(|line| line.strip_prefix(key));
    found.unwrap_or_else(|| panic!("no `{key}`")).trim()
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// Runs a command that has to succeed, and returns what it printed.
fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let talk = String::from_utf8_lossy(&output.stderr);
    let data = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command:?}: {talk}{data}");
    data
}

/// Returns the variables that the image sets.
fn variables_of_the_image() -> Vec<(String, String)> {
    let dockerfile = file("container/Dockerfile");
    let (_, settings) = dockerfile.split_once("\nENV ").unwrap();
    let (settings, _) = settings.split_once("\nEXPOSE").unwrap();
    let pairs = settings.split_whitespace().filter(|word| *word != "\\");
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// Returns the configuration in the values of the chart.
fn configuration_of_the_chart() -> String {
    let values = file("helm/larder/values.yaml");
    let (_, block) = values.split_once("\nconfiguration: |\n").unwrap();
    let lines = block
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("  "));
    lines
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}

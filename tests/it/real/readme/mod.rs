//! The blocks of the READMEs that are for a shell are run as they stand, one after the other, on a stage that has what they
//! name. What is not run is in a table of the README.

mod registries;
mod stage;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::support::process::Process;
use crate::readme::{Language, blocks, to_run};
use stage::Stage;

/// How much of larder's log is shown when a block fails.
const LOG: &str = "tail -n 20 /var/log/stage/larder";

#[test]
#[ignore = "needs root, containerd, docker.io, docker-registry, kubectl, podman, prometheus, skopeo and systemd (.ci/run installs them)"]
fn every_block_that_is_not_in_the_table_does_what_it_should() {
    let stage = Stage::set();
    for block in to_run() {
        if let Err(talk) = stage.run(&block.text) {
            let log = stage.run(LOG).unwrap_or_default();
            panic!("{block} fails:\n{talk}\nthe log of larder:\n{log}");
        }
    }
}

#[test]
#[ignore = "needs promtool (.ci/run installs prometheus)"]
fn prometheus_takes_what_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let mut text = "groups: [{name: readme, rules: [".to_owned();
    for block in blocks() {
        if block.language == Language::PromQl {
            let (expression, line) = (serde_json::to_string(&block.text).unwrap(), block.line);
            write!(text, "{{record: 'line:{line}', expr: {expression}}}, ").unwrap();
        }
    }
    assert!(text.contains("expr"), "{text}");
    fs::write(&rules, text + "]}]\n").unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "rules"]).arg(&rules);
    Process::run(&mut promtool, Duration::from_secs(60)).unwrap();
}

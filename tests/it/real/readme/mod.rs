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
use registries::{PLACES, asked_around_larder};
use stage::Stage;

/// How long a program may take that looks at files.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs root, containerd, curl, docker.io, docker-registry, ip, kubectl, podman, promtool, skopeo, systemd and tinyproxy (.ci/run installs them)"]
fn every_block_that_is_not_in_the_table_does_what_it_should() {
    let stage = Stage::set();
    // What fails in the middle of a block fails the block.
    let talk = stage.run("echo what\necho why >&2; false | cat\ntrue\n");
    assert_eq!(talk, Err("what\nwhy\n".to_owned()));
    // What goes around larder is noticed.
    let around = "skopeo inspect docker://gcr.io/distroless/static:latest";
    stage.run(around).unwrap();
    let seen = around_larder(&stage);
    assert_ne!(seen, [""; 0]);

    for block in to_run() {
        let talk = stage.run(&block.text).err();
        let around = around_larder(&stage);
        if talk.is_some() || around.len() > seen.len() {
            let talk = talk.unwrap_or_else(|| format!("goes around larder: {around:#?}"));
            let log = stage.log("larder");
            let warnings = log
                .lines()
                .filter(|line| !line.contains(r#""level":"INFO""#));
            let warnings = warnings.collect::<Vec<_>>().join("\n");
            panic!("{block}:\n{talk}\nwhat larder warned of:\n{warnings}");
        }
    }
}

/// Returns what others than larder have asked the registries for so far.
fn around_larder(stage: &Stage) -> Vec<String> {
    let logs = PLACES.iter().map(|place| stage.log(&place.service()));
    logs.flat_map(|log| asked_around_larder(&log)).collect()
}

#[test]
#[ignore = "needs shellcheck (.ci/run installs it)"]
fn the_scripts_of_the_stage_are_plain_posix() {
    let mut shellcheck = Command::new("shellcheck");
    shellcheck
        .arg("--shell=sh")
        .args(["set.sh", "systemctl"].map(stage::source));
    Process::run(&mut shellcheck, PATIENCE).unwrap();
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
    Process::run(&mut promtool, PATIENCE).unwrap();
}

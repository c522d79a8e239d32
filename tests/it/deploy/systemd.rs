//! The units are ones that systemd takes, and leave the service little.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{file, path, succeed};

/// The most that the service may be exposed, of 100, as systemd counts it.
const EXPOSURE: &str = "--threshold=15";

#[test]
#[ignore = "needs systemd-analyze (.ci/run installs it)"]
fn the_units_are_right_and_hardened() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("larder");
    symlink(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    let service = file("systemd/larder.service");
    let here = service.replace("/usr/local/bin/larder", program.to_str().unwrap());
    assert_ne!(here, service);
    let unit = folder.path().join("larder.service");
    fs::write(&unit, here).unwrap();
    let socket = folder.path().join("larder.socket");
    fs::copy(path("systemd/larder.socket"), &socket).unwrap();
    let analyze = || Command::new("systemd-analyze");
    succeed(analyze().arg("verify").arg(&unit).arg(&socket));
    let security = ["security", "--offline=true", "--no-pager", EXPOSURE];
    succeed(analyze().args(security).arg(&unit));
}

//! Prometheus takes the alerts, and they fire when they should.

use std::process::Command;

use super::{path, succeed};

#[test]
#[ignore = "needs promtool (.ci/run installs prometheus)"]
fn the_alerts_fire_when_they_should() {
    let promtool = || Command::new("promtool");
    succeed(
        promtool()
            .args(["check", "rules"])
            .arg(path("prometheus/alerts.yaml")),
    );
    succeed(
        promtool()
            .args(["test", "rules"])
            .arg(path("prometheus/alerts.test.yaml")),
    );
}

//! The chart renders into what Kubernetes takes, for each way to reach larder. Debian has no helm: `render.go` has the few
//! functions of it that the templates use.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{path, run, succeed};

/// Reads YAML.
fn parsed(name: &str) -> Value {
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let file = path("helm/larder").join(name);
    let mut python = Command::new("/usr/bin/python3");
    let text = succeed(python.args(["-c", script]).arg(file));
    serde_json::from_str(&text).unwrap()
}

/// Renders the chart with some values of its own.
fn rendered(folder: &Path, changed: &[(&str, Value)]) -> Output {
    let mut values = parsed("values.yaml");
    for (pointer, value) in changed {
        let place = values.pointer_mut(pointer);
        *place.unwrap_or_else(|| panic!("there is no value {pointer}")) = value.clone();
    }
    let chart = parsed("Chart.yaml");
    let of_chart = json!({
        "Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"],
    });
    let all = json!({"Values": values, "Chart": of_chart});
    let file = folder.join("values.json");
    fs::write(&file, all.to_string()).unwrap();
    let renderer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deploy/render.go");
    let mut yaegi = Command::new("yaegi");
    yaegi.arg("run").arg(renderer).arg(path("helm/larder"));
    run(yaegi.arg(file).arg("one"))
}

/// Renders it, has kubectl read it as Kubernetes would, and returns what it read.
fn read(changed: &[(&str, Value)]) -> String {
    let folder = TempDir::new().unwrap();
    let output = rendered(folder.path(), changed);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    fs::write(folder.path().join("all.yaml"), output.stdout).unwrap();
    fs::write(
        folder.path().join("kustomization.yaml"),
        "resources: [all.yaml]\n",
    )
    .unwrap();
    succeed(Command::new("kubectl").arg("kustomize").arg(folder.path()))
}

#[test]
#[ignore = "needs yaegi, python3-yaml and kubectl (.ci/run installs them)"]
fn each_way_to_reach_larder_can_be_rendered() {
    let fixed = read(&[("/reach/clusterIP", json!("10.96.0.50"))]);
    for kind in [
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Service",
    ] {
        assert!(
            fixed.contains(&format!("kind: {kind}\n")),
            "{kind}: {fixed}"
        );
    }
    assert!(fixed.contains("clusterIP: 10.96.0.50\n"), "{fixed}");
    assert!(fixed.contains("drain_timeout = \"1m\""), "{fixed}");
    assert!(
        fixed.contains("image: registry.example/larder:0.1.0\n"),
        "{fixed}"
    );
    assert!(!fixed.contains("kind: ServiceMonitor\n"), "{fixed}");

    let balanced = read(&[
        ("/reach/way", json!("LoadBalancer")),
        ("/reach/annotations", json!({"internal": "true"})),
        ("/serviceMonitor/enabled", json!(true)),
        ("/persistence/storageClass", json!("fast")),
    ]);
    for line in [
        "type: LoadBalancer\n",
        "- 10.0.0.0/8\n",
        "internal: \"true\"\n",
        "kind: ServiceMonitor\n",
        "storageClassName: fast\n",
    ] {
        assert!(balanced.contains(line), "{line}: {balanced}");
    }

    let of_host = read(&[
        ("/reach/way", json!("hostPort")),
        ("/nodeSelector", json!({"cache": "here"})),
        ("/tolerations", json!([{"operator": "Exists"}])),
        ("/secretName", json!("logins")),
        ("/image/pullSecrets", json!(["pull"])),
        ("/networkPolicy/enabled", json!(false)),
    ]);
    for line in [
        "hostPort: 5000\n",
        "cache: here\n",
        "operator: Exists\n",
        "secretName: logins\n",
        "- name: pull\n",
    ] {
        assert!(of_host.contains(line), "{line}: {of_host}");
    }
    assert!(!of_host.contains("kind: NetworkPolicy\n"), "{of_host}");
}

#[test]
#[ignore = "needs yaegi and python3-yaml (.ci/run installs them)"]
fn values_that_make_no_sense_are_refused() {
    for (way, told) in [
        ("hostPort", "name the node by nodeSelector"),
        ("ingress", "reach.way has to be"),
    ] {
        let folder = TempDir::new().unwrap();
        let output = rendered(folder.path(), &[("/reach/way", json!(way))]);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && talk.contains(told), "{talk}");
    }
}

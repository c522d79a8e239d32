//! Each kustomization can be built, and has what it is for.

use std::process::Command;

use super::{path, succeed};

/// Builds a kustomization.
fn built(name: &str) -> String {
    let folder = path("kubernetes").join(name);
    succeed(Command::new("kubectl").arg("kustomize").arg(folder))
}

#[test]
#[ignore = "needs kubectl (.ci/run installs it)"]
fn each_way_to_reach_larder_can_be_built() {
    let ways = [
        ("base", None),
        ("host-port", Some("hostPort: 5000\n")),
        ("load-balancer", Some("type: LoadBalancer\n")),
        ("fixed-address", Some("clusterIP: 10.96.0.50\n")),
    ];
    for (name, _) in ways {
        let text = built(name);
        for kind in [
            "ConfigMap",
            "Deployment",
            "Namespace",
            "NetworkPolicy",
            "PersistentVolumeClaim",
            "Service",
        ] {
            assert!(
                text.contains(&format!("\nkind: {kind}\n")),
                "{name}: {kind}"
            );
        }
        assert!(text.contains("image: registry.example/larder:0.1.0\n"));
        for (other, mark) in ways {
            let Some(mark) = mark else { continue };
            assert_eq!(text.contains(mark), name == other, "{name}: {mark}");
        }
        let is_open = text.contains("enforce: privileged\n");
        assert_eq!(is_open, name == "host-port", "{name}");
    }
}

#[test]
#[ignore = "needs kubectl (.ci/run installs it)"]
fn what_is_installed_on_nodes_can_be_removed() {
    let (install, remove) = (built("nodes/install"), built("nodes/remove"));
    let does = |text: &str, what: &str| text.contains(&format!("- {what}\n"));
    assert!(does(&install, "install") && !does(&install, "remove"));
    assert!(does(&remove, "remove") && !does(&remove, "install"));
    for text in [install, remove] {
        assert!(text.contains("path: /etc/containerd/certs.d\n"));
        // That folder of the host and nothing else of it.
        assert_eq!(text.matches("hostPath:").count(), 1);
        for power in ["privileged: true", "hostPID", "hostNetwork", "add:"] {
            assert!(!text.contains(power), "{power}");
        }
    }
}

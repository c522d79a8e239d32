//! The ways to run larder agree with each other: ports, folder, user, and how long a stop may take.

use std::time::Duration;

use super::{configuration_of_the_chart, file, value, variables_of_the_image};

/// What larder does behind the answers after it gave the last one.
const SETTLE: Duration = Duration::from_secs(30);

fn duration(text: &str) -> Duration {
    let text = text.trim_matches('"');
    humantime::parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn whoever_stops_larder_waits_for_longer_than_it_drains() {
    let deployment = file("kubernetes/base/deployment.yaml");
    let chart = file("helm/larder/values.yaml");
    let seconds = |text: &str| value(text, "terminationGracePeriodSeconds:").to_owned() + "s";
    for (configuration, patience) in [
        (
            file("container/larder.toml"),
            value(&file("container/compose.yaml"), "stop_grace_period:").to_owned(),
        ),
        (
            file("systemd/larder.toml"),
            value(&file("systemd/larder.service"), "TimeoutStopSec=").to_owned(),
        ),
        (file("kubernetes/base/larder.toml"), seconds(&deployment)),
        (configuration_of_the_chart(), seconds(&chart)),
    ] {
        let drains = duration(value(&configuration, "drain_timeout ="));
        assert!(
            duration(&patience) > drains + SETTLE,
            "{patience} for {drains:?}"
        );
    }
}

#[test]
fn ports_folder_and_user_are_the_same_everywhere() {
    let variables: Vec<String> = variables_of_the_image()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        variables,
        [
            "LARDER_SERVER__LISTEN=0.0.0.0:5000",
            "LARDER_SERVER__METRICS_LISTEN=0.0.0.0:5001",
            "LARDER_CACHE__PATH=/var/lib/larder",
        ]
    );
    for (name, said) in [
        (
            "container/Dockerfile",
            &[
                "\nUSER 65532:65532\n",
                "\nEXPOSE 5000 5001\n",
                "\nVOLUME [\"/var/lib/larder\"]\n",
                "CMD [\"larder\", \"healthcheck\", \"--url\", \"http://127.0.0.1:5001\"]\n",
                "\nENTRYPOINT [\"larder\"]\nCMD [\"serve\"]\n",
            ][..],
        ),
        (
            "container/compose.yaml",
            &[
                "\"127.0.0.1:5000:5000\"",
                "\"127.0.0.1:5001:5001\"",
                ":/var/lib/larder\n",
            ],
        ),
        ("systemd/larder.sysusers", &["u larder 65532 "]),
        ("systemd/larder.socket", &["ListenStream=127.0.0.1:5000\n"]),
        (
            "systemd/larder.toml",
            &["\"127.0.0.1:5001\"", "path = \"/var/lib/larder\""],
        ),
        ("kubernetes/base/deployment.yaml", POD),
        ("helm/larder/templates/deployment.yaml", POD),
    ] {
        let text = file(name);
        for said in said {
            assert!(text.contains(said), "{name}: {said}");
        }
    }
}

/// What every pod of larder has.
const POD: &[&str] = &[
    "type: Recreate\n",
    "enableServiceLinks: false\n",
    "automountServiceAccountToken: false\n",
    "runAsNonRoot: true\n",
    "runAsUser: 65532\n",
    "fsGroup: 65532\n",
    "fsGroupChangePolicy: OnRootMismatch\n",
    "type: RuntimeDefault\n",
    "allowPrivilegeEscalation: false\n",
    "readOnlyRootFilesystem: true\n",
    "drop: [ALL]\n",
    "containerPort: 5000\n",
    "containerPort: 5001\n",
    "path: /livez\n",
    "path: /readyz\n",
    "mountPath: /var/lib/larder\n",
    "mountPath: /etc/larder\n",
];

#[test]
fn the_versions_are_that_of_larder() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = file("helm/larder/Chart.yaml");
    assert_eq!(value(&chart, "appVersion:"), version);
    for name in [
        "kubernetes/base/kustomization.yaml",
        "kubernetes/nodes/install/kustomization.yaml",
    ] {
        assert_eq!(value(&file(name), "newTag:"), version, "{name}");
    }
    let compose = file("container/compose.yaml");
    assert!(compose.contains(&format!("larder:{version}\n")));
}

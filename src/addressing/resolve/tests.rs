//! Every form that clients are known to send, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::addressing::UpstreamRule;

fn rule(name: &str, aliases: &[&str], hosts: &[&str]) -> UpstreamRule {
    UpstreamRule {
        pattern: name.parse().unwrap(),
        aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
    }
}

fn addressing(default: Option<&str>) -> Addressing {
    Addressing::new(&Settings {
        upstreams: vec![
            rule("docker.io", &["hub"], &["hub.larder.example"]),
            rule("quay.io", &["q"], &["quay.larder.example:5000"]),
            rule("ghcr.io", &[], &[]),
            rule("myreg.io:5000", &[], &[]),
            rule("localhost:5000", &[], &[]),
            rule("registry", &[], &[]),
            rule("*.dkr.ecr.*.amazonaws.com", &[], &[]),
        ],
        default: default.map(|name| name.parse().unwrap()),
    })
}

fn asked<'a>(host: &'a str, mount: &'a str, namespace: &'a str, name: &'a str) -> Asked<'a> {
    let given = |text: &'a str| (!text.is_empty()).then_some(text);
    Asked {
        host: given(host),
        mount: given(mount),
        namespace: given(namespace),
        name,
    }
}

fn resolve(asked: Asked<'_>) -> Result<String, String> {
    let target = addressing(Some("docker.io")).resolve(asked);
    target
        .map(|target| target.to_string())
        .map_err(|error| error.to_string())
}

/// What a client sends (host, path before `/v2/`, `ns`, name; `-` for nothing), and where it leads.
const FORMS: &str = "
# containerd with hosts.toml of docker.io, and of _default
proxy:5001               -       docker.io     library/alpine                        docker.io/library/alpine
proxy:5001               -       docker.io     alpine                                docker.io/library/alpine
proxy:5001               -       myreg.io:5000 some/app                              myreg.io:5000/some/app
# containerd with override_path: prefix and ns
proxy:5001               -       quay.io       quay.io/some/app                      quay.io/some/app
proxy:5001               -       docker.io     hub/library/alpine                    docker.io/library/alpine
proxy:5001               -       docker.io     docker.io/alpine                      docker.io/library/alpine
# containerd with a path before /v2/
proxy                    q       quay.io       some/app                              quay.io/some/app
proxy                    hub     docker.io     library/alpine                        docker.io/library/alpine
proxy                    ghcr.io -             org/app                               ghcr.io/org/app
# dockerd with registry-mirrors; podman, CRI-O, skopeo with a mirror
proxy:5001               -       -             library/alpine                        docker.io/library/alpine
# docker pull proxy:5000/alpine
proxy:5000               -       -             alpine                                docker.io/library/alpine
# the registry as first segment: docker, podman with location, helm, oras, kaniko
proxy:5000               -       -             ghcr.io/org/app                       ghcr.io/org/app
proxy:5000               -       -             quay.io/some/app                      quay.io/some/app
proxy:5000               -       -             docker.io/alpine                      docker.io/library/alpine
proxy:5000               -       -             index.docker.io/library/alpine        docker.io/library/alpine
proxy:5000               -       -             registry-1.docker.io/alpine           docker.io/library/alpine
proxy:5000               -       -             GHCR.io/org/app                       ghcr.io/org/app
proxy:5000               -       -             localhost:5000/app                    localhost:5000/app
proxy:5000               -       -             registry/app                          registry/app
proxy:5000               -       -             hub/library/alpine                    docker.io/library/alpine
proxy:5000               -       -             hub/alpine                            docker.io/library/alpine
proxy:5000               -       -             q/a/b/c                               quay.io/a/b/c
-                        -       -             1.dkr.ecr.eu-west-1.amazonaws.com/app 1.dkr.ecr.eu-west-1.amazonaws.com/app
# virtual hosts, with and without a port
hub.larder.example       -       -             alpine                                docker.io/library/alpine
HUB.larder.example:8443  -       -             library/alpine                        docker.io/library/alpine
quay.larder.example:5000 -       -             some/app                              quay.io/some/app
quay.larder.example:5001 -       -             some/app                              docker.io/some/app
hub.larder.example       -       docker.io     docker.io/alpine                      docker.io/library/alpine
hub.larder.example       -       -             docker.io/alpine                      docker.io/library/alpine
hub.larder.example       -       -             q/app                                 docker.io/q/app
hub.larder.example       -       -             my.org/app                            docker.io/my.org/app
# a prefix under ns is part of the repository
-                        -       ghcr.io       quay.io/some/app                      ghcr.io/quay.io/some/app
-                        -       ghcr.io       hub/app                               ghcr.io/hub/app
-                        -       ghcr.io       local/app                             ghcr.io/local/app
# one registry, stripped once
-                        -       quay.io       quay.io/quay.io/app                   quay.io/quay.io/app
-                        -       -             quay.io/quay.io/app                   quay.io/quay.io/app
-                        -       quay.io       quay.io                               quay.io/quay.io
# ours
-                        -       -             local/app                             local/app
-                        -       -             local/a/b                             local/a/b
-                        -       -             local                                 docker.io/library/local
-                        -       -             x/blobs/uploads                       docker.io/x/blobs/uploads
";

#[test]
fn every_form_that_clients_send_leads_to_one_repository() {
    let rows = FORMS
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'));
    for row in rows {
        let columns: Vec<&str> = row
            .split_whitespace()
            .map(|c| c.trim_start_matches('-'))
            .collect();
        let [host, mount, namespace, name, target] = columns[..] else {
            panic!("{row}")
        };
        assert_eq!(
            resolve(asked(host, mount, namespace, name)).as_deref(),
            Ok(target),
            "{row}"
        );
    }
}

#[test]
fn only_local_is_hosted() {
    let addressing = addressing(Some("docker.io"));
    let target = |name| {
        addressing
            .resolve(Asked {
                name,
                ..Asked::default()
            })
            .unwrap()
    };
    assert!(matches!(target("local/app"), Target::Hosted(_)));
    assert!(matches!(target("localx/app"), Target::Proxied(_)));
}

/// What a client sends, and what it is told.
const NOWHERE: &[(&str, &str, &str, &str, &str)] = &[
    (
        "",
        "",
        "evil.example",
        "app",
        "add an [[upstream]] with name = \"evil.example\"",
    ),
    ("", "", "169.254.169.254", "app", "not configured"),
    ("", "", "http://quay.io", "app", "does not name a registry"),
    ("", "", "user@quay.io", "app", "does not name a registry"),
    ("", "", "quay.io/x", "app", "does not name a registry"),
    ("", "", "", "evil.example/app", "not configured"),
    ("", "", "", "localhost/app", "not configured"),
    ("", "", "", "localhost:5001/app", "not configured"),
    ("", "", "", "quay.io:80/app", "not configured"),
    ("", "", "", "a..b/app", "is no registry"),
    ("", "", "", "host:x/app", "is no registry"),
    (
        "",
        "nothing",
        "",
        "app",
        "nothing is configured under the path /nothing/v2/",
    ),
    (
        "hub.larder.example",
        "",
        "quay.io",
        "app",
        "names two registries: docker.io by the host name",
    ),
    (
        "hub.larder.example",
        "",
        "",
        "quay.io/app",
        "names two registries",
    ),
    ("hub.larder.example", "q", "", "app", "names two registries"),
    (
        "",
        "hub",
        "quay.io",
        "app",
        "names two registries: docker.io by the path before /v2/",
    ),
    ("", "", "", "quay.io/v2/some/app", "override_path = true"),
    ("", "", "quay.io", "q/v2/some/app", "override_path = true"),
    ("", "", "", "UPPER/app", "'UPPER' is no component"),
    ("", "", "", "quay.io/UPPER", "'UPPER' is no component"),
    (
        "",
        "",
        "quay.io",
        "host:80/app",
        "'host:80' is no component",
    ),
    ("", "", "", "a//b", "'' is no component"),
    ("", "", "", "local/..", "'..' is no component"),
    ("", "", "", "", "empty"),
];

#[test]
fn what_leads_nowhere_says_why() {
    for (host, mount, namespace, name, message) in NOWHERE.iter().copied() {
        let error = resolve(asked(host, mount, namespace, name)).unwrap_err();
        assert!(
            error.contains(message),
            "{host} {mount} {namespace} {name}: {error}"
        );
    }
}

#[test]
fn without_a_default_a_bare_name_leads_nowhere() {
    let addressing = addressing(None);
    let by_name = |name| {
        addressing.resolve(Asked {
            name,
            ..Asked::default()
        })
    };
    assert_eq!(
        by_name("library/alpine"),
        Err(AddressError::NoDefault("library/alpine".into()))
    );
    assert!(by_name("quay.io/app").is_ok());
    assert!(by_name("local/app").is_ok());
}

#[test]
fn aliases_cannot_shadow_what_has_a_meaning() {
    for bad in ["local", "v2", "library", "a.b", "localhost", "a/b", "A", ""] {
        assert!(bad.parse::<crate::addressing::Alias>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn only_configured_registries_are_ever_reached(
        host in proptest::option::of("[a-z.:0-9]{0,20}"),
        namespace in proptest::option::of("[a-zA-Z.:/@0-9\\[\\]]{0,20}"),
        name in "[a-zA-Z0-9./:_%-]{0,40}",
    ) {
        let addressing = addressing(Some("docker.io"));
        let asked = Asked { host: host.as_deref(), mount: None, namespace: namespace.as_deref(), name: &name };
        if let Ok(Target::Proxied(origin)) = addressing.resolve(asked) {
            prop_assert!(addressing.is_configured(&origin.upstream));
        }
    }
}

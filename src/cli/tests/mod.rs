//! What people see of the program: help, reports, errors, and exit codes; and that the README says the same.

mod readme;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::CommandFactory;

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    let home = [("HOME", "/home/ada")];
    let variables = home.iter().chain(variables);
    Surroundings {
        variables: variables
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect::<BTreeMap<_, _>>(),
        is_root: false,
        working_folder: PathBuf::from("/nowhere"),
        system_folder: PathBuf::from("/nowhere/either"),
        sockets: crate::config::GivenSockets::default(),
        open_at: Vec::new(),
    }
}

/// Runs a command; returns its exit, its data and its talk.
pub(super) fn larder(arguments: &[&str], variables: &[(&str, &str)]) -> (Exit, String, String) {
    let (data, talk) = (Written::default(), Written::default());
    let mut output = Output::new(data.clone(), talk.clone());
    let arguments = ["larder"].iter().chain(arguments).map(OsString::from);
    let exit = run(arguments, &surroundings(variables), &mut output);
    (exit, data.text(), talk.text())
}

pub(super) fn assert_shown(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn help_teaches() {
    let mut command = Arguments::command().term_width(100);
    command.build();
    assert_shown("help", &command.render_long_help().to_string());
    assert_shown("help_short", &command.render_help().to_string());
    for name in [
        "serve",
        "check",
        "config",
        "tags",
        "inspect",
        "refresh",
        "upstream",
        "reload",
        "status",
        "healthcheck",
        "client-config",
        "doctor",
    ] {
        let command = command.find_subcommand_mut(name).unwrap();
        assert_shown(
            &format!("help_{}", name.replace('-', "_")),
            &command.render_long_help().to_string(),
        );
    }
}

#[test]
fn help_and_version_are_data_and_misuse_is_talk() {
    let (exit, data, talk) = larder(&["--version"], &[]);
    assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
    assert_eq!(data, format!("larder {}\n", env!("CARGO_PKG_VERSION")));
    let (exit, data, talk) = larder(&["serve", "--lisen", "x"], &[]);
    assert_eq!((exit, data.as_str()), (Exit::Misused, ""));
    assert!(talk.contains("'--listen'"), "{talk}");
    for limit in ["0", "-1", "ten"] {
        let limit = format!("--limit={limit}");
        let (exit, data, talk) = larder(&["tags", "alpine", &limit], &[]);
        assert_eq!((exit, data.as_str()), (Exit::Misused, ""));
        assert!(talk.contains("write a number from 1 on"), "{talk}");
    }
    let (exit, data, talk) = larder(&[], &[]);
    assert_eq!((exit, data.as_str()), (Exit::Misused, ""));
    assert!(talk.contains("serve"), "{talk}");
}

#[test]
fn what_can_be_configured_is_an_example_or_a_schema() {
    let (exit, example, talk) = larder(&["config", "--example"], &[]);
    assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
    assert_eq!(example, include_str!("../../../deploy/larder.toml"));
    let (exit, schema, talk) = larder(&["config", "--schema"], &[]);
    assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let listen = &schema["properties"]["server"]["properties"]["listen"];
    assert_eq!(listen["default"], "127.0.0.1:5000");
    for flags in [&["config"][..], &["config", "--example", "--schema"]] {
        let (exit, data, talk) = larder(flags, &[]);
        assert_eq!((exit, data.as_str()), (Exit::Misused, ""));
        assert!(talk.contains("--example"), "{talk}");
    }
}

#[test]
fn check_says_who_has_to_show_a_certificate() {
    let folder = tempfile::TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["larder.test".into()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    fs::write(folder.path().join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
    let file = folder.path().join("larder.toml");
    let check = |server: &str, tls: &str| {
        let text = format!(
            "[server]\n{server}\n[server.tls]\ncert_file = 'tls.crt'\nkey_file = 'tls.key'\n{tls}\n\
             [[upstream]]\nname = 'r.example'\nshare = 'everyone'\n\
             credentials = {{ username = 'ada', password_file = '/none' }}\n"
        );
        fs::write(&file, text).unwrap();
        let (exit, data, talk) = larder(&["check", "--config", file.to_str().unwrap()], &[]);
        assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
        let data = data.replace(folder.path().to_str().unwrap(), "FOLDER");
        let is_told = |line: &&str| {
            [
                "registry ",
                "any",
                "private",
                "only ",
                "other",
                "warning: clients",
                "10.",
            ]
            .iter()
            .any(|start| line.starts_with(start))
        };
        let told: Vec<&str> = data.lines().filter(is_told).collect();
        told.join("\n")
    };
    let told = [
        check("listen = '0.0.0.0:5000'", ""),
        check("listen = '0.0.0.0:5000'", "client_ca_file = 'tls.crt'"),
        check("", "listen = '0.0.0.0:5443'\nclient_ca_file = 'tls.crt'"),
        check(
            "listen = '0.0.0.0:5000'\ntrusted_proxies = ['10.0.0.0/8']",
            "listen = '0.0.0.0:5443'\nclient_ca_file = 'tls.crt'",
        ),
        check(
            "catalog = 'everyone'\ntrusted_proxies = ['10.0.0.0/8', '192.0.2.1']\nproxy_protocol = true",
            "listen = '0.0.0.0:5443'",
        ),
    ];
    assert_shown("check_tls", &told.join("\n\n"));
}

#[test]
fn check_says_who_can_command_over_tcp() {
    let folder = tempfile::TempDir::new().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef").unwrap();
    let variables = [
        ("LARDER_ADMIN__LISTEN", "0.0.0.0:5002"),
        ("LARDER_ADMIN__TOKEN_FILE", token.to_str().unwrap()),
    ];
    let (exit, data, _) = larder(&["check"], &variables);
    assert_eq!(exit, Exit::Done, "{data}");
    let path = token.display();
    let told = format!("commands       http://0.0.0.0:5002, with the token in {path}\n");
    assert!(data.contains(&told), "{data}");
    let warned = "warning: commands are taken at 0.0.0.0:5002, which other machines can reach";
    assert!(data.contains(warned), "{data}");
    assert!(!data.contains("0123456789abcdef"), "{data}");
}

#[test]
fn check_says_what_is_configured() {
    let (exit, data, talk) = larder(&["check"], &[]);
    assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
    assert_shown("check_defaults", &data);

    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("larder.toml");
    fs::write(
        &file,
        r#"
        [server]
        listen = "127.0.0.1:5000"
        metrics_listen = "127.0.0.1:5001"
        default_upstream = "none"
        public_registries = false
        offline = true
        refresh_from = ["10.0.0.0/8", "192.0.2.1"]
        catalog = "everyone"
        [cache]
        path = "/var/cache/larder"
        min_free = "10GiB"
        [tags]
        freshness = "always"
        [[upstream]]
        name = "docker.io"
        endpoints = ["https://mirror.gcr.io", "https://registry-1.docker.io"]
        aliases = ["hub"]
        hosts = ["hub.larder.example"]
        freshness = "1h 30m"
        offline = false
        [[upstream.tag_rule]]
        match = "library/alpine:3.*"
        freshness = "always"
        answer_within = 0
        [[upstream.tag_rule]]
        match = "alpine"
        stale_on_denied = "unlimited"
        [[upstream]]
        name = "up.example"
        endpoints = ["http://10.0.0.1:5001"]
        freshness = "immutable"
        stale_on_not_found = "24h"
        stale_on_unreachable = 0
        [[upstream]]
        name = "*.dkr.ecr.*.amazonaws.com"
        "#,
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let (exit, data, talk) = larder(
        &["check", "--config", path],
        &[("LARDER_SERVER__LISTEN", "0.0.0.0:80")],
    );
    assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
    assert_shown("check_file", &data.replace(path, "FILE"));
}

#[test]
fn check_says_which_logins_are_used_and_what_they_expose() {
    let folder = tempfile::TempDir::new().unwrap();
    let home = folder.path().to_str().unwrap();
    fs::create_dir_all(folder.path().join(".docker")).unwrap();
    for file in ["robot", "next", "token", ".docker/config.json", "auth.json"] {
        fs::write(folder.path().join(file), "hunter2").unwrap();
    }
    let file = folder.path().join("larder.toml");
    fs::write(
        &file,
        r#"
        [server]
        public_registries = false
        [credentials]
        auth_files = ["auth.json"]
        [[upstream]]
        name = "docker.io"
        credentials = { username = "acme", password_env = "HUB_PASSWORD" }
        [[upstream]]
        name = "r.example"
        endpoints = [
          { url = "https://m.example/v2/proxy", override_path = true, digests_only = true, credentials = { identity_token_file = "token" } },
          { url = "https://r.example", http_fallback = true },
        ]
        credentials = { username = "robot$all", password_file = "robot", next_password_file = "next" }
        token_hosts = ["auth.example"]
        share = "everyone"
        [[upstream.credential]]
        match = "public/**"
        anonymous = true
        [[upstream.credential]]
        match = "team-a/**"
        registry_token_file = "token"
        share = "this-machine"
        [[upstream]]
        name = "mirrored.example"
        endpoints = ["http://127.0.0.1:5001"]
        [[upstream]]
        name = "s.example"
        share = "everyone"
        [[upstream.credential]]
        match = "team-a/**"
        registry_token_file = "token"
        share = "everyone"
        [[upstream]]
        name = "*.dkr.ecr.*.amazonaws.com"
        credentials = { helper = "ecr-login" }
        "#,
    )
    .unwrap();
    let path = file.to_str().unwrap();
    for (name, listen) in [
        ("check_logins_for_all", "0.0.0.0:80"),
        ("check_logins_for_this_machine", "127.0.0.1:80"),
    ] {
        let variables = [
            ("HOME", home),
            ("HUB_PASSWORD", "hunter2"),
            ("LARDER_SERVER__LISTEN", listen),
            ("HTTPS_PROXY", "http://ada:hunter2@proxy:3128"),
            ("NO_PROXY", "localhost,.svc"),
        ];
        let (exit, data, talk) = larder(&["check", "--config", path], &variables);
        assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
        assert!(!data.contains("hunter2"), "{data}");
        assert_shown(name, &data.replace(home, "FOLDER"));
        let (exit, data, talk) = larder(&["check", "--effective", "--config", path], &variables);
        assert_eq!((exit, talk.as_str()), (Exit::Done, ""));
        assert!(!data.contains("hunter2"), "{data}");
        assert!(
            data.starts_with("# proxies towards registries: https through http://"),
            "{data}"
        );
        data.parse::<toml::Table>().unwrap();
    }
}

#[test]
fn faults_are_talk_and_exit_with_2() {
    for command in ["check", "serve"] {
        let variables = [
            ("LARDER_SERVER__LISTEN", "here"),
            ("LARDER_CACHE__MIN_FREE", "10"),
        ];
        let (exit, data, talk) = larder(&[command], &variables);
        assert_eq!((exit, data.as_str()), (Exit::Misused, ""));
        assert!(
            talk.contains("LARDER_SERVER__LISTEN: 'here' is no"),
            "{talk}"
        );
        assert!(
            talk.contains("LARDER_CACHE__MIN_FREE: '10' is no"),
            "{talk}"
        );
        assert!(
            talk.ends_with("\nerror: the configuration has 2 faults\n"),
            "{talk}"
        );
        let (exit, data, talk) = larder(&[command], &[("LARDER_LOG", "larder=loud")]);
        assert_eq!((exit, data.as_str()), (Exit::Misused, ""));
        assert!(
            talk.starts_with("error: LARDER_LOG: 'larder=loud' is no log level\n"),
            "{talk}"
        );
    }
}

#[test]
fn flags_of_serve_are_settings() {
    let (exit, _, talk) = larder(&["serve", "--listen", "here", "--cache-path", ""], &[]);
    assert_eq!(exit, Exit::Misused);
    assert!(talk.contains("--listen: 'here' is no"), "{talk}");
    assert!(talk.contains("--cache-path: '' is no"), "{talk}");
    let (exit, _, talk) = larder(&["serve", "--config", "absent.toml"], &[]);
    assert_eq!(exit, Exit::Misused);
    assert!(
        talk.starts_with("--config: '/nowhere/absent.toml' cannot be read"),
        "{talk}"
    );
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    struct Gone;
    impl io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut output = Output::new(Gone, Gone);
    let arguments = ["larder", "check"].map(OsString::from);
    assert_eq!(run(arguments, &surroundings(&[]), &mut output), Exit::Done);
}

#[test]
fn names_that_lead_nowhere_are_told_before_anything_is_asked() {
    let variables = [("LARDER_SERVER__DEFAULT_UPSTREAM", "none")];
    let digest = format!("alpine@sha256:{}", "d".repeat(64));
    for (image, exit, told) in [
        ("Alpine", Exit::Misused, "error: "),
        ("alpine:", Exit::Misused, "behind the ':' is no tag"),
        ("https://ghcr.io/a", Exit::Misused, "before '://'"),
        ("ghcr.io/v2/a", Exit::Misused, "/v2/ twice"),
        (
            "registry.corp.example/app",
            Exit::NoRegistry,
            "add an [[upstream]] with name = \"registry.corp.example\"",
        ),
        ("app", Exit::NoRegistry, "default_upstream"),
        ("local/app", Exit::NoRepository, "hosts nothing yet"),
    ] {
        for command in ["tags", "inspect"] {
            let (found, data, talk) = larder(&[command, image], &variables);
            assert_eq!(
                (found, data.as_str()),
                (exit, ""),
                "{command} {image}: {talk}"
            );
            assert!(talk.contains(told), "{command} {image}: {talk}");
        }
    }
    for image in ["alpine:3.20", &digest] {
        let (exit, _, talk) = larder(&["tags", image], &[]);
        assert_eq!(exit, Exit::Misused);
        assert!(talk.contains("as in `larder tags alpine`"), "{talk}");
    }
    for flags in [["--limit", "0"], ["--output", "xml"]] {
        let (exit, _, _) = larder(&["tags", "alpine", flags[0], flags[1]], &[]);
        assert_eq!(exit, Exit::Misused);
    }
    let (exit, _, talk) = larder(&["inspect", "alpine", "--platform", "linux"], &[]);
    assert_eq!(exit, Exit::Misused);
    assert!(talk.contains("os/architecture"), "{talk}");
}

//! What people see of their mistakes, and which source of settings wins.

mod doors;
mod effective;
mod endpoints;
mod logins;
mod reload;
mod shared;
mod tags;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::addressing::UpstreamRule;
use crate::cache::freshness::{self, Freshness, Keys, StaleLimit, TagRule, UpstreamContract};
use crate::oci::UpstreamPattern;
use crate::store::disk;
use crate::upstream::{Egress, EndpointUrl};
use crate::{addressing, cache, retention, server, upstream};

/// Makes the surroundings of a user with a home folder, who is in a folder of which nothing is known.
fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
    Surroundings {
        variables: variables
            .chain([("HOME".to_owned(), OsString::from("/home/ada"))])
            .collect(),
        is_root: false,
        working_folder: PathBuf::from("/nowhere"),
        system_folder: PathBuf::from("/nowhere/either"),
        sockets: GivenSockets::default(),
        open_at: Vec::new(),
    }
}

/// Reads a text as the file `larder.toml`, without a file system.
pub(super) fn read(text: &str) -> Result<Settings, Faults> {
    let mut faults = Faults::default();
    let Some(written) = read_file(Path::new("larder.toml"), text, &mut faults) else {
        return Err(faults.in_order());
    };
    let variables = [
        ("HUB_PASSWORD", "hunter2\n"),
        ("TWO_LINES", "a\nb"),
        ("CORP_PASSWORD", "x"),
        ("CI_TOKEN", "x"),
    ];
    let (settings, _) = resolve::resolve(written, &surroundings(&variables), &mut faults);
    faults.unless_any(settings)
}

/// Reads a text without a fault.
fn settings(text: &str) -> Settings {
    read(text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Compares what is said about each mistake with the snapshot of that name.
fn assert_told(name: &str, mistakes: &[&str]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, told(mistakes)));
}

/// Shows each mistake and what is said about it.
fn told(mistakes: &[&str]) -> String {
    let show = |text: &&str| {
        let faults = read(text).expect_err(text);
        let text = text.trim_end().replace('\n', "\n    ");
        format!("    {text}\n\n{faults}\n")
    };
    let shown: Vec<String> = mistakes.iter().map(show).collect();
    shown.join("\n----\n\n")
}

#[test]
fn mistakes_of_syntax() {
    assert_told(
        "mistakes_of_syntax",
        &[
            "[server]\nlisten = 0.0.0.0:5000\n",
            "[server]\nlisten = \"0.0.0.0:5000\npublic_registries = true\n",
            "[server\nlisten = \"0.0.0.0:5000\"\n[cache]\nmin_fre = \"1GiB\"\n",
            "[server]\nlisten: \"0.0.0.0:5000\"\ndefault_upstream = none\n",
            "[cache]\npath = \"/a\"\npath = \"/b\"\n",
            "[cache]\npath = \"/a\"\n[cache]\nmin_free = \"1GiB\"\n",
            "[server]\nlisten = '127.0.0.1:5000\n",
            "[[upstream]]\nname = \"r.example\"\nendpoints = [\"https://a.example\"\n",
            "[ser ver]\nlisten = \"here\"\n[cache]\npath = \"\"\n",
        ],
    );
}

#[test]
fn mistakes_of_keys() {
    assert_told(
        "mistakes_of_keys",
        &[
            "[server]\nlisen = \"0.0.0.0:5000\"\n",
            "listen = \"0.0.0.0:5000\"\n",
            "[cahce]\npath = \"/a\"\n",
            "[cache]\nmax_sise = \"200GiB\"\n",
            "[cache]\ncert_file = \"/a\"\n",
            "[[upstream]]\nname = \"r.example\"\npassword_file = \"/a\"\nca_file = \"/b\"\nmatch = \"a/**\"\n",
            "server = \"0.0.0.0:5000\"\n",
            "[upstream]\nname = \"r.example\"\n",
            "[[upstream]]\nendpoint = \"https://r.example\"\n",
            "[[upstream]]\nname = \"r.example\"\nendpoints = [{ uri = \"https://r.example\", ca_file = \"\" }]\n",
        ],
    );
}

#[test]
fn mistakes_of_values() {
    assert_told(
        "mistakes_of_values",
        &[
            "[server]\nlisten = \"localhost:5000\"\nmetrics_listen = 5001\npublic_registries = \"yes\"\n",
            "[server]\ndefault_upstream = \"https://docker.io\"\n",
            "[cache]\npath = 1\nmin_free = \"10\"\nmax_size = \"0GiB\"\n[tags]\nfreshness = \"10\"\n",
            "[cache]\nmin_free = 10737418240\n[tags]\nfreshness = 600\n",
            "[tags]\nfreshness = \"0s\"\n",
            "[server]\ndrain_timeout = 600\n",
            "[server]\ndrain_timeout = \"-1s\"\n",
            "[server]\ndrain_timeout = \"2days\"\n",
            "[[upstream]]\nname = \"*.example\"\nfreshness = \"never\"\n",
            "[[upstream]]\nname = \"r.example\"\nendpoints = [\"https://a.example\", \"ftp://x\", 3, \"r.example\"]\n",
            "[[upstream]]\nname = \"r.example\"\nendpoints = \"https://a.example\"\n",
            "[[upstream]]\nname = \"r.example\"\nendpoints = [\n  \"https://a.example/v2/\",\n  \"https://a.example?x=1\",\n]\n",
            "[[upstream]]\nname = \"r.example\"\naliases = [\"Hub\", \"a/b\", \"a.b\", \"local\"]\nhosts = [\"https://h.example\"]\n",
        ],
    );
}

#[test]
fn values_that_do_not_agree() {
    assert_told(
        "values_that_do_not_agree",
        &[
            "[server]\nlisten = \"0.0.0.0:5000\"\nmetrics_listen = \"127.0.0.1:5000\"\n",
            "[server]\ndefault_upstream = \"r.example\"\n",
            "[server]\ndefault_upstream = \"hub\"\n[[upstream]]\nname = \"docker.io\"\naliases = [\"hub\"]\n",
            "[server]\npublic_registries = false\n",
            "[[upstream]]\nname = \"docker.io\"\n[[upstream]]\nname = \"index.docker.io\"\n",
            "[[upstream]]\nname = \"a.example\"\naliases = [\"a\", \"a\"]\n[[upstream]]\nname = \"b.example\"\naliases = [\"a\"]\n",
            "[[upstream]]\nname = \"a.example\"\nhosts = [\"h.example\"]\n[[upstream]]\nname = \"b.example\"\nhosts = [\"H.example\", \"ghcr.io\"]\n",
            "[[upstream]]\nname = \"registry\"\n[[upstream]]\nname = \"b.example\"\naliases = [\"registry\"]\n",
            "[[upstream]]\nname = \"a.example\"\nendpoints = []\n",
            "[[upstream]]\nname = \"a.example\"\nendpoints = [\"https://a.example\", \"https://A.example/\"]\n",
            "[[upstream]]\nname = \"a.example\"\nendpoints = [\"http://localhost:5000\"]\n",
            "[[upstream]]\nname = \"*.a.example\"\nendpoints = [\"https://a.example\"]\naliases = [\"a\"]\n",
            "[[upstream]]\nname = \"a.example\"\nendpoints = [{ url = \"http://a.example\", ca_file = \"ca.pem\" }]\n",
            "[[upstream]]\nname = \"a.example\"\nendpoints = [{ url = \"https://a.example\", ca_file = \"/nowhere/ca.pem\" }]\n",
        ],
    );
}

#[test]
fn a_password_is_never_repeated() {
    let faults = read(
        "[[upstream]]\nname = \"a.example\"\nendpoints = [\"https://ada:secret@a.example\"]\nhosts = [\"ada:secret@h\"]\n",
    )
    .unwrap_err();
    assert_eq!(faults.as_slice().len(), 2);
    assert!(!faults.to_string().contains("secret"), "{faults}");
}

#[test]
fn all_sources_tell_their_faults_at_once() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("larder.toml"),
        "[tags]\nfreshness = \"x\"\n",
    )
    .unwrap();
    let mut surroundings = surroundings(&[
        ("LARDER_SERVER__LISTEN", "x"),
        ("LARDER_SERVER__PUBLIC_REGISTRIES", "yes"),
        ("LARDER_SERVER__LISTN", "127.0.0.1:1"),
        ("LARDER_UPSTREAM__NAME", "a.example"),
        ("LARDER_CACHE__PATH", "/cache"),
        ("LARDER_PORT_5000_TCP_ADDR", "10.0.0.1"),
    ]);
    surroundings.working_folder = folder.path().to_owned();
    let flags = Flags {
        listen: Some("y".into()),
        cache_path: Some("".into()),
        ..Flags::default()
    };
    let told = load(&flags, &surroundings).unwrap_err().to_string();
    let told = told.replace(folder.path().to_str().unwrap(), "FOLDER");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("all_sources", told);
    });
}

#[test]
fn without_anything_written_the_public_registries_are_served_to_this_machine() {
    let loaded = load(&Flags::default(), &surroundings(&[])).unwrap();
    assert_eq!((loaded.file, loaded.overrides.len()), (None, 0));
    let settings = loaded.settings;
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(settings.metrics_listen, None);
    assert_eq!(settings.drain_timeout, Duration::from_mins(10));
    assert_eq!(settings.store.min_free, None);
    assert_eq!(settings.cache.tags.keys, Keys::default());
    assert_eq!(settings.upstreams.len(), 13);
    for upstream in settings.upstreams {
        let endpoint = match upstream.pattern.to_string().as_str() {
            "docker.io" => "https://registry-1.docker.io".to_owned(),
            name => format!("https://{name}"),
        };
        assert_eq!(upstream.endpoints.len(), 1);
        assert_eq!(upstream.endpoints[0].url.to_string(), endpoint);
    }
}

const EVERY_KEY: &str = r#"
[server]
listen = "0.0.0.0:80"
metrics_listen = "[::1]:81"
default_upstream = "1.dkr.ecr.eu-west-1.amazonaws.com"
public_registries = false
offline = true
refresh_from = ["10.0.0.0/8", "192.0.2.1"]
catalog = "everyone"
drain_timeout = "30s"
[cache]
path = "kept"
min_free = "1GiB"
max_size = "7GiB"
[tags]
freshness = "always"
[[upstream]]
name = "Index.docker.io"
aliases = ["hub"]
hosts = ["registry-1.docker.io", "Hub.example:5000"]
[[upstream]]
name = "r.example:5000"
endpoints = ["http://10.0.0.1:5001", { url = "https://r.example/docker/" }]
freshness = "immutable"
stale_on_unreachable = "2h"
stale_on_rate_limit = "3h"
stale_on_not_found = "4h"
stale_on_denied = "unlimited"
answer_within = "6s"
offline = false
[[upstream.tag_rule]]
match = "releases/*:v*"
freshness = "always"
[[upstream]]
name = "*.dkr.ecr.*.amazonaws.com"
freshness = "1h"
"#;

fn upstream(pattern: &UpstreamPattern, urls: &[&str]) -> upstream::Settings {
    let endpoint = |url: &&str| url.parse::<EndpointUrl>().unwrap().into();
    upstream::Settings::new(pattern.clone(), urls.iter().map(endpoint).collect())
}

fn rule(pattern: &UpstreamPattern, aliases: &[&str], hosts: &[&str]) -> UpstreamRule {
    UpstreamRule {
        pattern: pattern.clone(),
        aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
    }
}

fn keys(freshness: Option<Freshness>) -> Keys {
    Keys {
        freshness,
        ..Keys::default()
    }
}

fn contract(upstreams: UpstreamPattern, freshness: Option<Freshness>) -> UpstreamContract {
    UpstreamContract {
        upstreams,
        rules: Vec::new(),
        keys: keys(freshness),
    }
}

/// Makes the contract that has each key.
fn full_contract(upstreams: UpstreamPattern) -> UpstreamContract {
    let hours = |hours| Some(StaleLimit::For(Duration::from_hours(hours)));
    UpstreamContract {
        upstreams,
        rules: vec![TagRule {
            images: "releases/*:v*".parse().unwrap(),
            keys: keys(Some(Freshness::Always)),
        }],
        keys: Keys {
            freshness: Some(Freshness::Immutable),
            stale_on_unreachable: hours(2),
            stale_on_rate_limit: hours(3),
            stale_on_not_found: hours(4),
            stale_on_denied: Some(StaleLimit::Unlimited),
            answer_within: Some(Duration::from_secs(6)),
        },
    }
}

fn offline(settings: upstream::Settings) -> upstream::Settings {
    upstream::Settings {
        mode: upstream::Mode::Offline,
        ..settings
    }
}

#[test]
fn every_key_arrives() {
    let [hub, own, ecr] = ["docker.io", "r.example:5000", "*.dkr.ecr.*.amazonaws.com"]
        .map(|name| name.parse::<UpstreamPattern>().unwrap());
    let expected = Settings {
        server: server::Settings {
            listen: "0.0.0.0:80".parse().unwrap(),
            refresh_from: vec![
                "10.0.0.0/8".parse().unwrap(),
                "192.0.2.1/32".parse().unwrap(),
            ],
            catalog: server::CatalogAudience::Everyone,
            tls: None,
            proxies: server::Proxies::default(),
        },
        metrics_listen: Some("[::1]:81".parse().unwrap()),
        drain_timeout: Duration::from_secs(30),
        admin: None,
        addressing: addressing::Settings {
            upstreams: vec![
                rule(
                    &hub,
                    &["hub"],
                    &["registry-1.docker.io", "hub.example:5000"],
                ),
                rule(&own, &[], &[]),
                rule(&ecr, &[], &[]),
            ],
            default: Some("1.dkr.ecr.eu-west-1.amazonaws.com".parse().unwrap()),
        },
        upstreams: vec![
            offline(upstream(&hub, &["https://registry-1.docker.io"])),
            upstream(&own, &["http://10.0.0.1:5001", "https://r.example/docker"]),
            offline(upstream(&ecr, &[])),
        ],
        egress: Egress::default(),
        store: disk::Settings {
            path: PathBuf::from("/nowhere/kept"),
            min_free: Some(1 << 30),
        },
        retention: retention::Settings {
            max_size: Some(7 << 30),
        },
        cache: cache::Settings {
            tags: freshness::Settings {
                keys: keys(Some(Freshness::Always)),
                upstreams: vec![
                    contract(hub, None),
                    full_contract(own),
                    contract(ecr, Some(Freshness::For(Duration::from_hours(1)))),
                ],
            },
            share: cache::ShareRules::default(),
        },
    };
    assert_eq!(settings(EVERY_KEY), expected);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("larder.toml");
    fs::write(
        &file,
        "[server]\nlisten = \"127.0.0.1:1\"\nmetrics_listen = \"127.0.0.1:11\"\n[cache]\npath = \"file\"\n\
         [tags]\nfreshness = \"1s\"\n",
    )
    .unwrap();
    let with_variables = [
        ("LARDER_SERVER__LISTEN", "127.0.0.1:2"),
        ("LARDER_TAGS__FRESHNESS", "2s"),
        ("LARDER_CACHE__PATH", "/variable"),
    ];
    let with_flags = Flags {
        listen: Some("127.0.0.1:3".into()),
        cache_path: Some("/flag".into()),
        ..Flags::default()
    };
    let in_file = folder.path().join("file");
    for (variables, flags, port, freshness, path) in [
        (&[][..], &Flags::default(), 1, 1, in_file.as_path()),
        (
            &with_variables,
            &Flags::default(),
            2,
            2,
            Path::new("/variable"),
        ),
        (&[], &with_flags, 3, 1, Path::new("/flag")),
        (&with_variables, &with_flags, 3, 2, Path::new("/flag")),
    ] {
        let mut surroundings = surroundings(variables);
        surroundings.working_folder = folder.path().to_owned();
        let loaded = load(flags, &surroundings).unwrap();
        let settings = loaded.settings;
        assert_eq!(settings.server.listen.port(), port);
        assert_eq!(settings.metrics_listen.unwrap().port(), 11);
        let freshness = Freshness::For(Duration::from_secs(freshness));
        assert_eq!(settings.cache.tags.keys.freshness, Some(freshness));
        assert_eq!(settings.store.path, path);
        assert_eq!(loaded.file.as_ref(), Some(&file));
    }
}

#[test]
fn the_file_is_looked_for_by_flag_variable_working_folder_and_system() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, port: u16| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("[server]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
        path
    };
    let by_flag = write("flag.toml", 1);
    let by_variable = write("variable.toml", 2);
    let system = write("system/larder.toml", 4);
    let found = |flags: &Flags, variables: &[(&str, &str)]| {
        let mut surroundings = surroundings(variables);
        surroundings.working_folder = folder.path().join("work");
        surroundings.system_folder = folder.path().join("system");
        let loaded = load(flags, &surroundings)?;
        Ok::<_, Faults>((loaded.file, loaded.settings.server.listen.port()))
    };
    let variable = [("LARDER_CONFIG", by_variable.to_str().unwrap())];
    let flags = Flags {
        config: Some(by_flag.clone()),
        ..Flags::default()
    };
    assert_eq!(found(&Flags::default(), &[]), Ok((Some(system), 4)));
    let working = write("work/larder.toml", 3);
    assert_eq!(found(&Flags::default(), &[]), Ok((Some(working), 3)));
    assert_eq!(
        found(&Flags::default(), &[("LARDER_CONFIG", "")])
            .unwrap()
            .1,
        3
    );
    assert_eq!(
        found(&Flags::default(), &variable),
        Ok((Some(by_variable.clone()), 2))
    );
    assert_eq!(found(&flags, &variable), Ok((Some(by_flag.clone()), 1)));

    fs::remove_file(&by_flag).unwrap();
    let missing = found(&flags, &[]).unwrap_err();
    assert_eq!(missing.as_slice()[0].place, Place::Flag("--config"));
    fs::remove_file(&by_variable).unwrap();
    let missing = found(&Flags::default(), &variable).unwrap_err();
    assert_eq!(
        missing.as_slice()[0].place,
        Place::Variable("LARDER_CONFIG".into())
    );
}

#[test]
fn a_file_that_is_there_but_cannot_be_read_is_a_fault() {
    let folder = TempDir::new().unwrap();
    let mut surroundings = surroundings(&[]);
    surroundings.working_folder = folder.path().to_owned();
    let path = folder.path().join("larder.toml");
    let too_long = vec![b'#'; usize::try_from(Surroundings::MAX_FILE_SIZE).unwrap() + 1];
    for bytes in [&b"a = \"\xff\""[..], &too_long] {
        fs::write(&path, bytes).unwrap();
        let faults = load(&Flags::default(), &surroundings).unwrap_err();
        assert_eq!(faults.as_slice()[0].place, Place::File(path.clone()));
    }
}

#[test]
fn the_cache_folder_of_those_who_name_none() {
    let state = ("STATE_DIRECTORY", "/var/lib/private/larder:/var/lib/other");
    for (is_root, variables, path) in [
        (true, &[state][..], "/var/lib/larder"),
        (
            false,
            &[state, ("XDG_CACHE_HOME", "/xdg")],
            "/var/lib/private/larder",
        ),
        (false, &[("XDG_CACHE_HOME", "/xdg")], "/xdg/larder"),
        (
            false,
            &[("XDG_CACHE_HOME", "relative")],
            "/home/ada/.cache/larder",
        ),
        (false, &[], "/home/ada/.cache/larder"),
    ] {
        let mut surroundings = surroundings(variables);
        surroundings.is_root = is_root;
        let loaded = load(&Flags::default(), &surroundings).unwrap();
        assert_eq!(loaded.settings.store.path, Path::new(path));
    }
    let mut homeless = surroundings(&[]);
    homeless.variables = BTreeMap::new();
    let faults = load(&Flags::default(), &homeless).unwrap_err();
    assert_eq!(faults.as_slice()[0].place, Place::Default("cache.path"));
}

#[test]
fn a_cache_path_that_is_a_file_is_a_fault() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let flags = Flags {
        cache_path: Some(file.path().into()),
        ..Flags::default()
    };
    let faults = load(&flags, &surroundings(&[])).unwrap_err();
    assert_eq!(faults.as_slice()[0].place, Place::Flag("--cache-path"));
}

#[test]
fn certificates_are_looked_at() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("larder.toml");
    let text = "[[upstream]]\nname = \"r.example\"\n\
        endpoints = [{ url = \"https://r.example\", ca_file = \"ca.pem\" }]\n";
    fs::write(&path, text).unwrap();
    let mut surroundings = surroundings(&[]);
    surroundings.working_folder = folder.path().to_owned();

    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, "no certificate").unwrap();
    let faults = load(&Flags::default(), &surroundings)
        .unwrap_err()
        .to_string();
    assert!(faults.contains("endpoints[0].ca_file"), "{faults}");

    let certificate = rcgen::generate_simple_self_signed(["r.example".to_owned()]).unwrap();
    fs::write(&ca_file, certificate.cert.pem()).unwrap();
    let settings = load(&Flags::default(), &surroundings).unwrap().settings;
    let endpoint = settings
        .upstreams
        .iter()
        .rev()
        .find_map(|u| u.endpoints.first());
    assert_eq!(endpoint.unwrap().tls.ca_file.as_ref(), Some(&ca_file));
}

#[test]
fn a_built_in_upstream_is_written_over_key_by_key() {
    let hub = |text: &str| {
        let settings = settings(text);
        let is_hub = |pattern: &UpstreamPattern| pattern.to_string() == "docker.io";
        let upstream = settings
            .upstreams
            .into_iter()
            .find(|u| is_hub(&u.pattern))
            .unwrap();
        let rules = settings.addressing.upstreams;
        let rule = rules
            .into_iter()
            .find(|rule| is_hub(&rule.pattern))
            .unwrap();
        let urls: Vec<String> = upstream
            .endpoints
            .iter()
            .map(|e| e.url.to_string())
            .collect();
        (urls, rule.aliases)
    };
    let usual = vec!["https://registry-1.docker.io".to_owned()];
    let named = "[[upstream]]\nname = \"docker.io\"\n";
    assert_eq!(hub(""), (usual.clone(), vec![]));
    let aliased = hub(&format!("{named}aliases = [\"hub\"]\n"));
    assert_eq!(aliased, (usual.clone(), vec!["hub".parse().unwrap()]));
    let mirrored = hub(&format!("{named}endpoints = [\"https://mirror.gcr.io\"]\n"));
    assert_eq!(mirrored, (vec!["https://mirror.gcr.io".to_owned()], vec![]));
    // Its endpoint is known even where the other built-in ones are not wanted.
    assert_eq!(
        hub(&format!("[server]\npublic_registries = false\n{named}")).0,
        usual
    );
}

#[test]
fn the_default_upstream() {
    for (text, expected) in [
        ("", Some("docker.io")),
        ("[server]\ndefault_upstream = \"none\"\n", None),
        (
            "[server]\ndefault_upstream = \"ghcr.io\"\n",
            Some("ghcr.io"),
        ),
        (
            "[server]\npublic_registries = false\n[[upstream]]\nname = \"r.example\"\n",
            None,
        ),
    ] {
        let default = settings(text).addressing.default;
        assert_eq!(
            default.as_ref().map(|name| name.as_str()),
            expected,
            "{text}"
        );
    }
}

#[test]
fn doors_that_can_be_open_together() {
    for (listen, metrics, is_fault) in [
        ("127.0.0.1:5000", "127.0.0.1:5001", false),
        ("127.0.0.1:5000", "127.0.0.2:5000", false),
        ("0.0.0.0:5000", "[::1]:5000", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
        ("127.0.0.1:5000", "127.0.0.1:5000", true),
        ("127.0.0.1:5000", "0.0.0.0:5000", true),
        ("[::]:5000", "127.0.0.1:5000", true),
    ] {
        let text = format!("[server]\nlisten = \"{listen}\"\nmetrics_listen = \"{metrics}\"\n");
        assert_eq!(read(&text).is_err(), is_fault, "{listen} {metrics}");
    }
}

proptest! {
    #[test]
    fn any_file_is_read_to_an_answer(at in 0..EVERY_KEY.len(), drop in 0usize..20, put in "\\PC{0,8}") {
        let end = (at + drop).min(EVERY_KEY.len());
        let text = format!("{}{put}{}", &EVERY_KEY[..at], &EVERY_KEY[end..]);
        if let Err(faults) = read(&text) {
            prop_assert!(!faults.as_slice().is_empty());
            prop_assert!(faults.to_string().starts_with("larder.toml:"), "{}", faults);
        }
    }
}

//! The freshness contract, and which registries are asked at all.

use super::*;
use crate::server::CatalogAudience;
use crate::upstream::Mode;

const HOUR: Duration = Duration::from_hours(1);

/// Returns what an upstream says of its tags.
fn of(settings: &Settings, name: &str) -> UpstreamContract {
    let mut contracts = settings.cache.tags.upstreams.iter();
    let found = contracts.find(|contract| contract.upstreams.to_string() == name);
    found.unwrap().clone()
}

/// Returns the upstreams that are never asked.
fn never_asked(settings: &Settings) -> Vec<String> {
    let all = settings.upstreams.iter();
    let offline = all.filter(|upstream| upstream.mode == Mode::Offline);
    offline
        .map(|upstream| upstream.pattern.to_string())
        .collect()
}

#[test]
fn mistakes_of_tags() {
    assert_told(
        "mistakes_of_tags",
        &[
            "[tags]\nstale_on_denied = \"never\"\nstale_on_not_found = 60\nstale_on_rate_limit = \"-1s\"\nanswer_within = \"soon\"\n",
            "[tags]\nanswer_within = \"11s\"\nstale_on_unreachabel = \"1h\"\nstale_on_unreachable = true\n",
            "[[upstream]]\nname = \"r.example\"\nstale_on_denied = \"forever\"\nofline = true\n",
            "[[upstream]]\nname = \"r.example\"\noffline = \"yes\"\n[[upstream.tag_rule]]\nfreshness = \"1h\"\n",
            "[[upstream]]\nname = \"r.example\"\n[[upstream.tag_rule]]\nmatch = \"a\"\n[[upstream.tag_rule]]\nmatch = \"b\"\nfreshness = \"soon\"\n",
            "[[upstream]]\nname = \"r.example\"\n[[upstream.tag_rule]]\nmatch = \"r.example:5000/a:v1\"\nfreshness = \"1h\"\n[[upstream.tag_rule]]\nmatch = \"Team/a\"\nfreshnes = \"1h\"\n",
            "[[upstream]]\nname = \"r.example\"\ntag_rule = [\n  { match = \"a:v*\", freshness = \"1h\" },\n  { match = \"a:v*\", freshness = \"2h\" },\n  { match = \"**:v*\", freshness = \"1h\" },\n  { match = \"b:v*\", freshness = \"2h\" },\n]\n",
            "[tags.tag_rule]\nmatch = \"a\"\n[[tag_rule]]\nmatch = \"b\"\n",
            "[server]\noffline = 1\nrefresh_from = [\"here\", \"10.0.0.0/33\", 5]\ncatalog = \"all\"\n",
            "[server]\nrefresh_from = \"10.0.0.0/8\"\n",
            "[tags]\nfreshness = 0\nanswer_within = 1.5\n[[upstream]]\nname = \"r.example\"\nfreshness = 10\n[upstream.tag_rule]\nmatch = \"a\"\n",
        ],
    );
}

#[test]
fn how_long_old_tags_go_out() {
    for (text, expected) in [
        ("\"1h\"", StaleLimit::For(HOUR)),
        ("\"1h 30m\"", StaleLimit::For(HOUR + HOUR / 2)),
        ("\"0s\"", StaleLimit::NEVER),
        ("\"0\"", StaleLimit::NEVER),
        ("0", StaleLimit::NEVER),
        ("\"unlimited\"", StaleLimit::Unlimited),
    ] {
        let found = settings(&format!("[tags]\nstale_on_denied = {text}\n"));
        let found = found.cache.tags.keys.stale_on_denied;
        assert_eq!(found, Some(expected), "{text}");
    }
}

#[test]
fn how_long_clients_wait() {
    for (text, expected) in [
        ("\"1500ms\"", Duration::from_millis(1_500)),
        ("\"10s\"", Duration::from_secs(10)),
        ("\"0s\"", Duration::ZERO),
        ("0", Duration::ZERO),
    ] {
        let found = settings(&format!("[tags]\nanswer_within = {text}\n"));
        let found = found.cache.tags.keys.answer_within;
        assert_eq!(found, Some(expected), "{text}");
    }
    for text in ["\"10001ms\"", "\"1h\"", "\"\"", "1", "0.5"] {
        let found = read(&format!("[tags]\nanswer_within = {text}\n"));
        assert!(found.is_err(), "{text}");
    }
}

#[test]
fn each_upstream_has_a_contract_of_its_own() {
    let found = settings(
        r#"
        [[upstream]]
        name = "docker.io"
        stale_on_rate_limit = "1h"
        [[upstream.tag_rule]]
        match = "library/alpine:3.*"
        freshness = "always"
        answer_within = 0
        [[upstream.tag_rule]]
        match = "library/**"
        stale_on_not_found = "unlimited"
        [[upstream]]
        name = "*.r.example"
        freshness = "immutable"
        [[upstream]]
        name = "own.r.example"
        "#,
    );
    assert_eq!(found.cache.tags.upstreams.len(), found.upstreams.len());
    let rule = |images: &str, keys| TagRule {
        images: images.parse().unwrap(),
        keys,
    };
    let expected = UpstreamContract {
        upstreams: "docker.io".parse().unwrap(),
        rules: vec![
            rule(
                "library/alpine:3.*",
                Keys {
                    answer_within: Some(Duration::ZERO),
                    ..keys(Some(Freshness::Always))
                },
            ),
            rule(
                "library/**",
                Keys {
                    stale_on_not_found: Some(StaleLimit::Unlimited),
                    ..Keys::default()
                },
            ),
        ],
        keys: Keys {
            stale_on_rate_limit: Some(StaleLimit::For(HOUR)),
            ..Keys::default()
        },
    };
    assert_eq!(of(&found, "docker.io"), expected);
    let plain = |name: &str| contract(name.parse().unwrap(), None);
    assert_eq!(of(&found, "own.r.example"), plain("own.r.example"));
    assert_eq!(of(&found, "ghcr.io"), plain("ghcr.io"));
    let immutable = Some(Freshness::Immutable);
    assert_eq!(of(&found, "*.r.example").keys.freshness, immutable);
}

#[test]
fn variables_win_over_the_file_key_by_key() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("larder.toml");
    let text = "[server]\noffline = true\nrefresh_from = [\"10.0.0.0/8\"]\ncatalog = \"everyone\"\n\
        [tags]\nstale_on_denied = \"2h\"\nstale_on_not_found = \"2h\"\nanswer_within = \"2s\"\n";
    fs::write(&file, text).unwrap();
    let loaded = |variables: &[(&str, &str)]| {
        let mut surroundings = surroundings(variables);
        surroundings.working_folder = folder.path().to_owned();
        load(&Flags::default(), &surroundings).unwrap().settings
    };
    let from_file = loaded(&[]);
    assert_eq!(from_file.server.catalog, CatalogAudience::Everyone);
    assert_eq!(never_asked(&from_file).len(), 13);
    let found = loaded(&[
        ("LARDER_SERVER__OFFLINE", "false"),
        ("LARDER_SERVER__REFRESH_FROM", "192.0.2.1, 2001:db8::/32"),
        ("LARDER_SERVER__CATALOG", "this-machine"),
        ("LARDER_TAGS__STALE_ON_DENIED", "0"),
        ("LARDER_TAGS__STALE_ON_RATE_LIMIT", "unlimited"),
        ("LARDER_TAGS__STALE_ON_UNREACHABLE", "1h"),
        ("LARDER_TAGS__ANSWER_WITHIN", "0"),
    ]);
    assert_eq!(never_asked(&found), [] as [String; 0]);
    let networks: Vec<String> = found
        .server
        .refresh_from
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["192.0.2.1/32", "2001:db8::/32"]);
    assert_eq!(found.server.catalog, CatalogAudience::ThisMachine);
    let expected = Keys {
        freshness: None,
        stale_on_unreachable: Some(StaleLimit::For(HOUR)),
        stale_on_rate_limit: Some(StaleLimit::Unlimited),
        stale_on_not_found: Some(StaleLimit::For(2 * HOUR)),
        stale_on_denied: Some(StaleLimit::NEVER),
        answer_within: Some(Duration::ZERO),
    };
    assert_eq!(found.cache.tags.keys, expected);
    let nobody = loaded(&[("LARDER_SERVER__REFRESH_FROM", "")]);
    assert_eq!(nobody.server.refresh_from, []);
}

#[test]
fn mistakes_in_variables_name_them() {
    let surroundings = surroundings(&[
        ("LARDER_SERVER__REFRESH_FROM", "10.0.0.0/8, there"),
        ("LARDER_SERVER__OFFLINE", "yes"),
        ("LARDER_TAGS__ANSWER_WITHIN", "1m"),
        ("LARDER_TAGS__STALE_ON_DENIE", "1m"),
    ]);
    let faults = load(&Flags::default(), &surroundings).unwrap_err();
    let told = faults.to_string();
    for fault in [
        "LARDER_SERVER__REFRESH_FROM: 'there' is neither a network nor an address",
        "LARDER_SERVER__OFFLINE: 'yes' is neither true nor false",
        "LARDER_TAGS__ANSWER_WITHIN: '1m' is too long",
        "did you mean 'LARDER_TAGS__STALE_ON_DENIED'?",
    ] {
        assert!(told.contains(fault), "{told}");
    }
    assert_eq!(faults.as_slice().len(), 4, "{told}");
}

#[test]
fn the_word_of_an_upstream_on_being_offline_counts_before_that_of_all() {
    let two = |all: &str, one: &str| {
        let text = format!(
            "[server]\npublic_registries = false\n{all}\n[[upstream]]\nname = \"a.example\"\n{one}\n\
             [[upstream]]\nname = \"*.b.example\"\n"
        );
        never_asked(&settings(&text))
    };
    assert_eq!(two("", ""), [] as [&str; 0]);
    assert_eq!(two("", "offline = true"), ["a.example"]);
    assert_eq!(two("offline = true", ""), ["a.example", "*.b.example"]);
    assert_eq!(two("offline = true", "offline = false"), ["*.b.example"]);
    assert_eq!(two("offline = false", "offline = true"), ["a.example"]);
}

#[test]
fn the_flag_offline_is_for_all_upstreams() {
    let flags = Flags {
        offline: true,
        ..Flags::default()
    };
    let surroundings = surroundings(&[("LARDER_SERVER__OFFLINE", "false")]);
    let loaded = load(&flags, &surroundings).unwrap();
    assert_eq!(never_asked(&loaded.settings).len(), 13);
    assert_eq!(loaded.overrides, ["LARDER_SERVER__OFFLINE", "--offline"]);
}

#[test]
fn networks_are_told_by_the_addresses_that_clients_have() {
    for (text, network) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ] {
        let found = settings(&format!("[server]\nrefresh_from = [\"{text}\"]\n"));
        assert_eq!(
            found.server.refresh_from,
            [network.parse().unwrap()],
            "{text}"
        );
    }
}

/// Returns what the README says of freshness.
fn readme() -> &'static str {
    let (_, section) = include_str!("../../../README.md")
        .split_once("\n## How fresh a tag is\n")
        .unwrap();
    section.split_once("\n## ").unwrap().0
}

#[test]
fn what_the_readme_says_of_fresh_tags_can_be_written() {
    let (_, example) = readme().split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let found = settings(example);
    let hub = of(&found, "docker.io");
    assert_eq!(hub.keys, keys(Some(Freshness::For(HOUR))));
    assert_eq!(hub.rules.len(), 2);
    assert_eq!(crate::config::tags::misnamed(&found.cache.tags), [""; 0]);
}

#[test]
fn the_readme_knows_the_defaults() {
    use crate::cache::sight::Visibility;
    let (_, table) = readme().split_once("\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let usual = freshness::Settings::default();
    let origin = addressing::Origin {
        upstream: "r.example".parse().unwrap(),
        repository: "a".parse().unwrap(),
    };
    let policy = |tag: &str, visibility| {
        let tag = tag.parse().unwrap();
        usual.policy(&origin, visibility, freshness::Subject::Tag(&tag))
    };
    let mut tags = 0;
    for row in rows {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let fresh = Freshness::For(humantime::parse_duration(columns[2]).unwrap());
        if columns[1] == "all of a private repository" {
            let private = policy("1.2.3", Visibility::Private);
            assert_eq!(private.freshness, fresh);
        }
        for tag in columns[1].split('`').skip(1).step_by(2) {
            let public = policy(tag, Visibility::Public);
            assert_eq!(public.freshness, fresh, "{tag}");
            tags += 1;
        }
    }
    assert!(tags > 10, "{tags}");
    let public = policy("latest", Visibility::Public);
    assert_eq!(public.answer_within, Duration::from_millis(1_500));
    assert_eq!(public.stale_on_denied, StaleLimit::For(24 * HOUR));
}

#[test]
fn rules_that_name_repositories_as_clients_do_are_warned_of() {
    for (upstream, images, warns) in [
        ("docker.io", "alpine:3.*", true),
        ("docker.io", "alp*:3.*", true),
        ("docker.io", "library/alpine:3.*", false),
        ("docker.io", "**:latest", false),
        ("docker.io", "docker.io/library/alpine", true),
        ("docker.io", "index.docker.io/library/alpine", true),
        ("docker.io", "ghcr.io/org/app", true),
        ("ghcr.io", "app", false),
        ("ghcr.io", "org/app:v*", false),
        ("gcr.io", "google.com/project/app", false),
        ("*.r.example", "x.r.example/app", true),
        ("*.r.example", "*.r.example/app", true),
        ("*.r.example", "team/*", false),
        ("registry", "registry/app", true),
        ("a.example", "registry/app", false),
    ] {
        let folder = TempDir::new().unwrap();
        let text = format!(
            "[[upstream]]\nname = \"{upstream}\"\n[[upstream.tag_rule]]\nmatch = \"{images}\"\nfreshness = \"1h\"\n"
        );
        fs::write(folder.path().join("larder.toml"), text).unwrap();
        let mut surroundings = surroundings(&[]);
        surroundings.working_folder = folder.path().to_owned();
        let warnings = load(&Flags::default(), &surroundings).unwrap().warnings;
        assert_eq!(warnings.len(), usize::from(warns), "{images}: {warnings:?}");
        let start = format!("tag rule '{images}' of {upstream}: ");
        assert!(warnings.iter().all(|warning| warning.starts_with(&start)));
    }
}

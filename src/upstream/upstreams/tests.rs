//! Which upstream a name leads to, and what becomes of upstreams when the configuration changes.

use std::fs;

use prometheus_client::registry::Registry;

use super::*;
use crate::runtime::{Clock, InstanceId, Tasks};
use crate::upstream::credentials::LoginIdentity;
use crate::upstream::endpoint_url::EndpointUrl;
use crate::upstream::metrics::{Metrics, UpstreamMetrics};
use crate::upstream::quota::Quota;
use crate::upstream::settings::{Egress, EndpointSettings, Limits};
use crate::upstream::switch::Mode;

impl Table {
    /// Returns what is counted of an upstream by those that were made of it.
    fn metrics(&self, name: &str) -> UpstreamMetrics {
        let upstream = name.parse().unwrap();
        self.plan(&UpstreamPattern::Exactly(upstream))
            .unwrap()
            .metrics
            .clone()
    }
}

fn upstreams(settings: &[(&str, &[&str])]) -> Upstreams {
    of(settings, Metrics::default())
}

fn of(settings: &[(&str, &[&str])], metrics: Metrics) -> Upstreams {
    let settings = settings.iter().map(|(pattern, endpoints)| {
        let endpoints = endpoints
            .iter()
            .map(|url| url.parse::<EndpointUrl>().unwrap().into())
            .collect();
        Settings::new(pattern.parse().unwrap(), endpoints)
    });
    let parts = Parts {
        limits: Limits::default(),
        metrics,
        egress: Egress::default(),
        clock: Clock::system(),
        tasks: Tasks::new(),
        instance: InstanceId::random(),
    };
    Upstreams::new(settings.collect(), parts).unwrap()
}

#[test]
fn a_name_goes_before_the_first_pattern_that_fits() {
    let upstreams = upstreams(&[
        ("*.ecr.example.com", &["https://first.example"]),
        ("*.*.example.com", &["https://second.example"]),
        (
            "own.ecr.example.com",
            &["https://a.example", "http://b.example"],
        ),
        ("docker.io", &[]),
        ("quay.io", &[]),
    ]);
    for (name, endpoints) in [
        ("x.ecr.example.com", Some("https://first.example")),
        ("x.y.example.com", Some("https://second.example")),
        (
            "own.ecr.example.com",
            Some("https://a.example http://b.example"),
        ),
        ("index.docker.io", Some("https://registry-1.docker.io")),
        ("quay.io", Some("https://quay.io")),
        ("ghcr.io", None),
    ] {
        let name: UpstreamName = name.parse().unwrap();
        let found = upstreams.get(&name);
        let found = found.map(|upstream| upstream.places().join(" "));
        assert_eq!(found.as_deref(), endpoints, "{name}");
    }
}

#[test]
fn an_upstream_of_a_pattern_is_made_once() {
    let upstreams = upstreams(&[("*.ecr.example.com", &[])]);
    let name = "x.ecr.example.com".parse().unwrap();
    let first = upstreams.get(&name).unwrap();
    assert_eq!(first.places(), ["https://x.ecr.example.com"]);
    assert!(Arc::ptr_eq(&first, &upstreams.get(&name).unwrap()));
}

/// Settings of registries and patterns, each at the usual place.
fn usual(patterns: &[&str]) -> Vec<Settings> {
    let patterns = patterns.iter().map(|pattern| pattern.parse().unwrap());
    patterns
        .map(|pattern| Settings::new(pattern, Vec::new()))
        .collect()
}

#[test]
fn what_does_not_change_is_kept_and_what_does_is_made_anew() {
    let upstreams = upstreams(&[
        ("a.io", &[]),
        ("b.io", &[]),
        ("gone.io", &[]),
        ("*.c.io", &[]),
    ]);
    let get = |name: &str| upstreams.get(&name.parse().unwrap());
    let before = ["a.io", "b.io", "x.c.io"].map(|name| get(name).unwrap());
    let mut settings = usual(&["*.c.io", "b.io", "a.io", "new.io"]);
    let endpoint: EndpointUrl = "https://mirror.io".parse().unwrap();
    settings[1].endpoints = vec![endpoint.into()];
    upstreams.reconfigure(settings).unwrap();
    let after = ["a.io", "b.io", "x.c.io"].map(|name| get(name).unwrap());
    let is_same = |index: usize| Arc::ptr_eq(&before[index], &after[index]);
    assert_eq!([0, 1, 2].map(is_same), [true, false, true]);
    assert_eq!(after[1].places(), ["https://mirror.io"]);
    assert!(get("gone.io").is_none());
    assert_eq!(get("new.io").unwrap().places(), ["https://new.io"]);
    let order = upstreams.standings().into_iter();
    let order: Vec<String> = order.map(|standing| standing.pattern.to_string()).collect();
    assert_eq!(order, ["*.c.io", "b.io", "a.io", "new.io"]);
}

#[test]
fn a_name_that_is_configured_now_is_not_of_its_pattern_any_more() {
    let upstreams = upstreams(&[("*.c.io", &["https://all.io"])]);
    let get = || upstreams.get(&"x.c.io".parse().unwrap()).unwrap();
    assert_eq!(get().places(), ["https://all.io"]);
    upstreams.reconfigure(usual(&["*.c.io", "x.c.io"])).unwrap();
    assert_eq!(get().places(), ["https://x.c.io"]);
    upstreams.reconfigure(usual(&["*.c.io"])).unwrap();
    // The pattern has another place now, too.
    assert_eq!(get().places(), ["https://x.c.io"]);
}

#[test]
fn the_word_of_the_operator_lasts_until_the_configuration_says_something_else() {
    let upstreams = upstreams(&[("a.io", &[]), ("b.io", &[])]);
    let mode = |name: &str| upstreams.switch(&name.parse().unwrap()).unwrap().mode();
    let clock = Clock::system();
    let switch = upstreams.switch(&"a.io".parse().unwrap()).unwrap();
    switch.set(Mode::Offline, clock.now());
    let mut settings = usual(&["a.io", "b.io"]);
    settings[0].token_hosts = vec!["auth.io".into()];
    upstreams.reconfigure(settings.clone()).unwrap();
    assert_eq!((mode("a.io"), mode("b.io")), (Mode::Offline, Mode::Online));
    settings[1].mode = Mode::Offline;
    upstreams.reconfigure(settings.clone()).unwrap();
    assert_eq!((mode("a.io"), mode("b.io")), (Mode::Offline, Mode::Offline));
    settings[0].mode = Mode::Offline;
    upstreams.reconfigure(settings.clone()).unwrap();
    settings[0].mode = Mode::Online;
    settings[1].mode = Mode::Online;
    upstreams.reconfigure(settings).unwrap();
    assert_eq!((mode("a.io"), mode("b.io")), (Mode::Online, Mode::Online));
}

#[test]
fn settings_that_cannot_be_used_change_nothing() {
    let upstreams = upstreams(&[("a.io", &[])]);
    let mut settings = usual(&["a.io", "b.io"]);
    settings[0].mode = Mode::Offline;
    let mut endpoint = EndpointSettings::from("https://b.io".parse::<EndpointUrl>().unwrap());
    endpoint.tls.ca_file = Some("/nowhere/ca.pem".into());
    settings[1].endpoints = vec![endpoint];
    upstreams.reconfigure(settings).unwrap_err();
    let switch = upstreams.switch(&"a.io".parse().unwrap()).unwrap();
    assert_eq!(switch.mode(), Mode::Online);
    assert!(upstreams.get(&"b.io".parse().unwrap()).is_none());
}

#[test]
fn a_file_of_certificates_that_changed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let certificate = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.self_signed(&key).unwrap().pem()
    };
    fs::write(&path, certificate("a.io")).unwrap();
    let mut settings = usual(&["a.io"]);
    let mut endpoint = EndpointSettings::from("https://a.io".parse::<EndpointUrl>().unwrap());
    endpoint.tls.ca_file = Some(path.clone());
    settings[0].endpoints = vec![endpoint];
    let upstreams = upstreams(&[]);
    let get = || upstreams.get(&"a.io".parse().unwrap()).unwrap();
    upstreams.reconfigure(settings.clone()).unwrap();
    let first = get();
    upstreams.reconfigure(settings.clone()).unwrap();
    assert!(Arc::ptr_eq(&first, &get()));
    fs::write(&path, certificate("with-a-longer-name.io")).unwrap();
    upstreams.reconfigure(settings).unwrap();
    assert!(!Arc::ptr_eq(&first, &get()));
}

/// Returns what metrics tell.
fn told(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

#[test]
fn metrics_tell_nothing_of_what_is_configured_no_more() {
    let mut registry = Registry::default();
    let upstreams = of(
        &[("a.io", &[]), ("b.io", &[]), ("c.io", &[])],
        Metrics::register(&mut registry),
    );
    let table = upstreams.table.now();
    let before = ["a.io", "b.io", "c.io"].map(|name| table.metrics(name));
    let login = LoginIdentity::new("user ada");
    let quota = Quota {
        limit: 100,
        remaining: 50,
        window: std::time::Duration::from_hours(6),
    };
    // What is under way goes on with what there was.
    let resting = before.clone().map(|metrics| metrics.resting());
    let tell = || {
        for (metrics, resting) in before.iter().zip(&resting) {
            metrics.login_suspended(&login, true);
            metrics.quota(None, quota);
            metrics.resting().inc();
            resting.inc();
        }
    };
    tell();
    let mut settings = usual(&["a.io", "c.io"]);
    settings[0].token_hosts = vec!["auth.io".into()];
    upstreams.reconfigure(settings).unwrap();
    tell();
    let text = told(&registry);
    let has = |line: &str| text.contains(line);
    for (metric, labels) in [
        ("upstream_login_suspended", ",login=\"user ada\""),
        ("upstream_pull_limit", ",login=\"anonymous\""),
        ("upstream_pulls_remaining", ",login=\"anonymous\""),
        ("upstream_pull_window_seconds", ",login=\"anonymous\""),
        ("upstream_resting", ""),
    ] {
        for (name, is_told) in [("a.io", false), ("b.io", false), ("c.io", true)] {
            let line = format!("{metric}{{upstream=\"{name}\"{labels}}}");
            assert_eq!(has(&line), is_told, "{line}\n{text}");
        }
    }
    assert!(has("upstream_offline{upstream=\"a.io\"} 0"), "{text}");
    assert!(!has("upstream_offline{upstream=\"b.io\"}"), "{text}");
    // What has its place is told of.
    let after = upstreams.table.now().metrics("a.io");
    after.resting().inc();
    after.login_suspended(&login, false);
    let text = told(&registry);
    assert!(text.contains("upstream_resting{upstream=\"a.io\"} 1"));
    assert!(text.contains("upstream_login_suspended{upstream=\"a.io\",login=\"user ada\"} 0"));
}

#[test]
fn metrics_tell_nothing_of_what_came_to_nothing() {
    let mut registry = Registry::default();
    let upstreams = of(&[("a.io", &[])], Metrics::register(&mut registry));
    let mut settings = usual(&["a.io", "new.io", "b.io"]);
    let mut endpoint = EndpointSettings::from("https://b.io".parse::<EndpointUrl>().unwrap());
    endpoint.tls.ca_file = Some("/nowhere/ca.pem".into());
    settings[2].endpoints = vec![endpoint];
    upstreams.reconfigure(settings).unwrap_err();
    let text = told(&registry);
    let has = |name: &str| text.contains(&format!("upstream_offline{{upstream=\"{name}\"}}"));
    assert_eq!(["a.io", "new.io", "b.io"].map(has), [true, false, false]);
}

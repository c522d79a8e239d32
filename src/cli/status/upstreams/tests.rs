//! What people see of registries that are well, in trouble, offline, or not asked.

use serde_json::{Value, json};

use super::*;

/// A host of a registry in trouble, or not.
fn host(state: &str, failure: Option<&str>) -> Value {
    let failure = failure.map(|message| json!({"message": message, "at": "2026-09-21T14:12:20Z"}));
    json!({
        "host": "registry-1.docker.io", "state": state, "since": "2026-09-21T14:00:00Z",
        "last_failure": failure, "next_probe": (state == "rests").then_some("2026-09-21T14:13:25Z"),
    })
}

fn registry(name: &str, state: &str, host: &Value) -> Value {
    json!({
        "name": name, "state": state, "since": "2026-09-21T14:00:00Z", "stale": {}, "lacking": [],
        "endpoints": [{"url": "https://r.io", "hosts": [host], "limits": [], "quotas": [], "logins": []}],
    })
}

fn upstream(name: &str, mode: &str, registries: &[Value]) -> Value {
    let since = (mode == "offline").then_some("2026-09-21T13:13:20Z");
    json!({"name": name, "mode": mode, "offline_since": since, "registries": registries})
}

fn shown(upstreams: &[Value]) -> String {
    let document = json!({"at": "2026-09-21T14:13:20Z", "upstreams": upstreams});
    table(&serde_json::from_value(document).unwrap())
}

#[test]
fn those_in_trouble_are_told_in_full_and_those_not_asked_in_one_line() {
    let mut hub = registry(
        "docker.io",
        "rests",
        &host("rests", Some("\u{1b}[2Jit failed")),
    );
    hub["stale"] = json!({"rate_limited": 1, "unreachable": 7});
    hub["lacking"] = json!([{
        "image": "library/alpine:3.20", "requests": 2, "reason": "it cannot be reached",
        "first": "2026-09-21T14:03:20Z", "last": "2026-09-21T14:13:20Z",
    }]);
    hub["endpoints"][0]["limits"] = json!([{
        "host": "registry-1.docker.io", "login": null, "limit": "pulls", "until": "2026-09-21T15:13:20Z",
    }]);
    hub["endpoints"][0]["quotas"] = json!([{
        "login": "user acme", "limit": 200, "remaining": 3, "window_seconds": 21600, "at": "2026-09-21T14:13:00Z",
    }]);
    hub["endpoints"][0]["logins"] = json!([
        {"login": "user acme", "state": "suspended"}, {"login": "helper x", "state": "unknown"},
    ]);
    let text = shown(&[
        upstream("docker.io", "online", &[hub]),
        upstream(
            "ghcr.io",
            "online",
            &[registry(
                "ghcr.io",
                "answers",
                &host("answers", Some("old")),
            )],
        ),
        upstream(
            "quay.io",
            "online",
            &[registry("quay.io", "unasked", &host("unasked", None))],
        ),
        upstream(
            "gcr.io",
            "offline",
            &[registry("gcr.io", "fails", &host("fails", Some("it")))],
        ),
        upstream("*.ecr.example.com", "offline", &[]),
        upstream("*.pkg.example.com", "online", &[]),
    ]);
    insta::assert_snapshot!(text, @r"
    REGISTRY           STATE    SINCE           STALE ANSWERS  LACKING  PULLS LEFT  NEXT PROBE
    docker.io          rests    13 minutes ago  8              1        3 of 200    in 5 seconds
    ghcr.io            answers  13 minutes ago  0              0        -           -
    gcr.io             offline  1 hour ago      0              0        -           -
    *.ecr.example.com  offline  1 hour ago      -              -        -           -

    docker.io
      registry-1.docker.io rests; 1 minute ago: \u{1b}[2Jit failed
      registry-1.docker.io allows no more pulls (anonymous); it is asked for them again in 1 hour
      user acme: 3 of about 200 pulls per 6h left, as was said 20 seconds ago
      the login user acme was refused, and is left alone for some minutes
      stale answers: 1 rate limited, 7 unreachable
      people lack:
        IMAGE                REQUESTS  FIRST           LAST      WHY
        library/alpine:3.20  2         10 minutes ago  just now  it cannot be reached

    not asked yet: quay.io, *.pkg.example.com
    ");
}

#[test]
fn who_finds_out_whether_a_registry_is_back_is_said() {
    let mut place = host("rests", None);
    place["next_probe"] = Value::Null;
    let hub = registry("docker.io", "rests", &place);
    for (mode, is_said) in [("online", true), ("offline", false)] {
        let text = shown(&[upstream("docker.io", mode, std::slice::from_ref(&hub))]);
        assert_eq!(text.contains("with the next request"), is_said, "{text}");
    }
}

#[test]
fn when_nothing_was_asked_there_is_one_line() {
    let quiet = registry("quay.io", "unasked", &host("unasked", None));
    let text = shown(&[upstream("quay.io", "online", &[quiet])]);
    assert_eq!(text, "not asked yet: quay.io");
}

#[test]
fn not_all_that_people_lack_fits_a_table() {
    let mut lacking = registry("r.io", "fails", &host("fails", None));
    let missed = (0..25).map(|number| {
        json!({
            "image": format!("app:{number}"), "requests": 1, "reason": "it cannot be reached",
            "first": "2026-09-21T14:03:20Z", "last": "2026-09-21T14:13:20Z",
        })
    });
    lacking["lacking"] = missed.collect();
    let text = shown(&[upstream("r.io", "online", &[lacking])]);
    assert!(
        text.contains("app:19 ") && !text.contains("app:20 "),
        "{text}"
    );
    assert!(text.contains("and 5 more, see --output json"), "{text}");
}

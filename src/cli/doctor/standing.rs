//! What is wrong with the registries behind a larder, as it says itself: those that rest, logins that were refused, what is
//! left of limits, and what people lack.

use super::finding::{Finding, Severity, Subject};
use crate::admin::document::{Endpoint, Limited, LoginState, Quota, Registry, State, Upstreams};
use crate::upstream::Mode;

/// Which part of a limit is little: a tenth.
const LITTLE: u64 = 10;

/// Judges how the upstreams stand.
pub(super) fn judge(told: &Upstreams) -> Vec<Finding> {
    let mut findings = Vec::new();
    for upstream in &told.upstreams {
        if upstream.mode == Mode::Offline {
            let message = format!(
                "{} is offline: only what is in the cache goes out",
                upstream.name
            );
            let remedy = format!(
                "`larder upstream '{}' online` has it asked again",
                upstream.name
            );
            findings.push(Finding::note(Subject::Upstream, message).remedy(remedy));
            continue;
        }
        for registry in &upstream.registries {
            state(registry, &mut findings);
            lacking(registry, &mut findings);
            for endpoint in &registry.endpoints {
                logins(registry, endpoint, &mut findings);
                limits(registry, endpoint, &mut findings);
                quotas(registry, endpoint, &mut findings);
            }
        }
    }
    if findings.is_empty() {
        let message = "larder has no trouble with its registries";
        findings.push(Finding::good(Subject::Upstream, message));
    }
    findings
}

fn state(registry: &Registry, findings: &mut Vec<Finding>) {
    let (severity, what) = match registry.state {
        State::Unasked | State::Answers => return,
        State::Fails => (Severity::Warning, "failed last time"),
        State::Rests => (
            Severity::Fault,
            "failed so often that it is left alone for a while",
        ),
    };
    let hosts = registry
        .endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.hosts);
    let worst = hosts.filter(|host| host.state == registry.state);
    let why = worst.filter_map(|host| host.last_failure.as_ref()).next();
    let why = why.map_or_else(String::new, |failure| format!(": {}", failure.message));
    let message = format!("{} {what}{why}", registry.name);
    let remedy = "look whether larder's machine reaches it: `larder inspect` asks it directly, `larder status --upstreams` tells more";
    findings.push(Finding::new(severity, Subject::Upstream, message).remedy(remedy));
}

fn lacking(registry: &Registry, findings: &mut Vec<Finding>) {
    let Some(latest) = registry.lacking.first() else {
        return;
    };
    let more = match registry.lacking.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let message = format!(
        "people lack {} of {}{more}: {}",
        latest.image, registry.name, latest.reason
    );
    let remedy = "`larder status --upstreams` has the list";
    findings.push(Finding::warning(Subject::Upstream, message, remedy));
}

fn logins(registry: &Registry, endpoint: &Endpoint, findings: &mut Vec<Finding>) {
    for told in &endpoint.logins {
        let (login, name) = (&told.login, &registry.name);
        let (message, remedy) = match told.state {
            LoginState::Unknown | LoginState::Usable => continue,
            LoginState::Suspended => (
                format!(
                    "{name} refused the login {login}, which is left alone for some minutes: what needs it cannot be pulled"
                ),
                "put the right password or token where it comes from: larder reads it again by itself. `larder inspect` says \
                 whether it works",
            ),
            LoginState::Unreadable => (
                format!(
                    "the login {login} of {name} cannot be read: what needs it cannot be pulled"
                ),
                "look at its file or helper, and whether the user that larder runs as may read it; the log of larder says why",
            ),
        };
        findings.push(Finding::fault(Subject::Upstream, message, remedy));
    }
}

fn limits(registry: &Registry, endpoint: &Endpoint, findings: &mut Vec<Finding>) {
    for reached in &endpoint.limits {
        let what = match reached.limit {
            Limited::Pulls => "allows no more pulls",
            Limited::Requests => "allows no more requests",
        };
        let message = format!(
            "{} {what} {} until {}",
            registry.name,
            whose(reached.login.as_deref()),
            String::from(reached.until)
        );
        findings.push(Finding::fault(Subject::Upstream, message, LOG_IN));
    }
}

fn quotas(registry: &Registry, endpoint: &Endpoint, findings: &mut Vec<Finding>) {
    for quota in &endpoint.quotas {
        let Quota {
            login,
            limit,
            remaining,
            ..
        } = quota;
        let message = format!(
            "{remaining} of {limit} pulls are left at {} {}",
            registry.name,
            whose(login.as_deref())
        );
        findings.push(match *remaining <= limit / LITTLE {
            true => Finding::warning(Subject::Upstream, message, LOG_IN),
            false => Finding::good(Subject::Upstream, message),
        });
    }
}

const LOG_IN: &str = "give larder a login for it, whose limit is higher; look who pulls around larder, since those pulls count as well";

fn whose(login: Option<&str>) -> String {
    login.map_or_else(
        || "without a login".to_owned(),
        |login| format!("for {login}"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(mode: &str, registry: serde_json::Value) -> Vec<(Severity, String)> {
        let document = json!({
            "at": "2026-11-30T00:00:00Z",
            "upstreams": [{
                "name": "docker.io", "mode": mode, "offline_since": null, "registries": [registry],
            }],
        });
        let told: Upstreams = serde_json::from_value(document).unwrap();
        let findings = judge(&told).into_iter();
        findings.map(|it| (it.severity, it.message)).collect()
    }

    fn registry(state: &str, lacking: &serde_json::Value, remaining: u64) -> serde_json::Value {
        let failure = json!({"message": "no route", "at": "2026-11-30T00:00:00Z"});
        json!({
            "name": "docker.io", "state": state, "since": null, "stale": {}, "lacking": lacking,
            "endpoints": [{
                "url": "https://registry-1.docker.io",
                "hosts": [{
                    "host": "registry-1.docker.io", "state": state, "since": null, "last_failure": failure,
                    "next_probe": null,
                }],
                "limits": [],
                "quotas": [{
                    "login": null, "limit": 100, "remaining": remaining, "window_seconds": 21600,
                    "at": "2026-11-30T00:00:00Z",
                }],
            }],
        })
    }

    fn with_logins(mut registry: serde_json::Value) -> serde_json::Value {
        registry["endpoints"][0]["logins"] = json!([
            {"login": "user ada", "state": "suspended"},
            {"login": "user bob", "state": "usable"},
            {"login": "file /x", "state": "unreadable"},
            {"login": "helper y", "state": "unknown"},
        ]);
        registry
    }

    #[test]
    fn troubles_are_told_by_how_bad_they_are() {
        let none = json!([]);
        let lacks = json!([{
            "image": "library/alpine:9", "requests": 2, "first": "2026-11-30T00:00:00Z",
            "last": "2026-11-30T00:00:00Z", "reason": "it could not be asked",
        }]);
        for (found, expected) in [
            (
                judged("online", registry("answers", &none, 11)),
                vec![(
                    Severity::Good,
                    "11 of 100 pulls are left at docker.io without a login",
                )],
            ),
            (
                judged("online", registry("rests", &lacks, 10)),
                vec![
                    (
                        Severity::Fault,
                        "docker.io failed so often that it is left alone for a while: no route",
                    ),
                    (
                        Severity::Warning,
                        "people lack library/alpine:9 of docker.io: it could not be asked",
                    ),
                    (
                        Severity::Warning,
                        "10 of 100 pulls are left at docker.io without a login",
                    ),
                ],
            ),
            (
                judged("offline", registry("fails", &none, 0)),
                vec![(
                    Severity::Note,
                    "docker.io is offline: only what is in the cache goes out",
                )],
            ),
        ] {
            let found: Vec<_> = found
                .iter()
                .map(|(severity, it)| (*severity, it.as_str()))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn logins_that_cannot_be_used_are_faults() {
        let found = judged("online", with_logins(registry("answers", &json!([]), 50)));
        let faults: Vec<_> = found
            .iter()
            .filter(|(severity, _)| *severity == Severity::Fault)
            .map(|(_, it)| it.as_str())
            .collect();
        assert_eq!(
            faults,
            [
                "docker.io refused the login user ada, which is left alone for some minutes: what needs it cannot be pulled",
                "the login file /x of docker.io cannot be read: what needs it cannot be pulled",
            ]
        );
    }
}

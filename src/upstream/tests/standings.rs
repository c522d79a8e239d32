//! What operators are told of the configured registries.

use super::server::{Registry, Reply};
use super::*;
use crate::runtime::Timestamp;
use crate::upstream::{CircuitLimits, HostState, Mode, RateLimit, Standing, UpstreamStanding};

const START: u64 = 1_000_000;
const HOUR: Duration = Duration::from_hours(1);

/// A moment after the clock was started.
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(START + seconds * 1000)
}

/// Makes upstreams whose clock stands at its start.
fn upstreams(settings: &[(&str, &[String])], limits: Limits) -> (Upstreams, Clock) {
    let clock = Clock::set_to(at(0));
    let parts = Parts {
        clock: clock.clone(),
        ..parts(limits)
    };
    let settings = settings.iter().map(|(pattern, endpoints)| {
        let endpoints = endpoints.iter().map(|url| endpoint(url)).collect();
        Settings::new(pattern.parse().unwrap(), endpoints)
    });
    (Upstreams::new(settings.collect(), parts).unwrap(), clock)
}

fn names(standing: &Standing) -> Vec<&str> {
    let upstreams = standing.upstreams.iter();
    upstreams.map(|upstream| upstream.name.as_str()).collect()
}

fn states(upstream: &UpstreamStanding) -> Vec<(String, HostState)> {
    let hosts = upstream
        .endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.hosts);
    hosts
        .map(|host| (host.host.to_string(), host.state))
        .collect()
}

#[tokio::test]
async fn entries_come_in_their_order_and_nobody_is_made_for_them() {
    let (upstreams, clock) = upstreams(
        &[
            ("*.b.example.com", &[]),
            ("quay.io", &[]),
            ("*.*.example.com", &[]),
            (
                "docker.io",
                &[
                    "https://mirror.example".into(),
                    "http://hub.example:81".into(),
                ],
            ),
        ],
        quick(),
    );
    for name in ["z.b.example.com", "a.c.example.com", "a.b.example.com"] {
        upstreams.get(&name.parse().unwrap()).unwrap();
    }
    clock.advance(Duration::from_secs(7));
    let patterns = upstreams
        .switch(&"*.*.example.com".parse().unwrap())
        .unwrap();
    patterns.set(Mode::Offline, clock.now());
    let standings = upstreams.standings();
    let told = standings.iter().map(|standing| {
        let offline = standing.offline_since;
        (standing.pattern.to_string(), names(standing), offline)
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            (
                "*.b.example.com".to_owned(),
                vec!["a.b.example.com", "z.b.example.com"],
                None
            ),
            ("quay.io".to_owned(), vec!["quay.io"], None),
            (
                "*.*.example.com".to_owned(),
                vec!["a.c.example.com"],
                Some(at(7))
            ),
            ("docker.io".to_owned(), vec!["docker.io"], None),
        ]
    );
    assert_eq!(standings[2].mode, Mode::Offline);
    let unasked = |host: &str| (host.to_owned(), HostState::Unasked);
    assert_eq!(states(&standings[1].upstreams[0]), [unasked("quay.io")]);
    let both = [unasked("mirror.example"), unasked("hub.example:81")];
    assert_eq!(states(&standings[3].upstreams[0]), both);
    // The same when it was made, and not asked.
    upstreams.get(&"docker.io".parse().unwrap()).unwrap();
    assert_eq!(upstreams.standings()[3], standings[3]);
}

#[tokio::test]
async fn a_host_answers_fails_and_rests() {
    let count = Counter::default();
    let registry = Registry::start(move |_| match count.next() {
        0 => Reply::ok("{}"),
        _ => Reply::status(503),
    })
    .await;
    let limits = Limits {
        retry: Schedule::once(),
        circuit: CircuitLimits {
            failures: 2,
            within: HOUR,
            first_rest: HOUR,
            longest_rest: HOUR,
        },
        ..quick()
    };
    let (upstreams, clock) = upstreams(&[("up.test", &[registry.url()])], limits);
    let upstream = upstreams.get(&"up.test".parse().unwrap()).unwrap();
    let mut told = Vec::new();
    for name in ["a/a", "a/b", "a/c"] {
        clock.advance(Duration::from_secs(10));
        manifest_of(&upstream, name).await.ok();
        let standing = upstreams.standings().remove(0).upstreams.remove(0);
        told.push(standing.endpoints[0].hosts[0].clone());
    }
    let states: Vec<_> = told.iter().map(|host| (host.state, host.since)).collect();
    assert_eq!(
        states,
        [
            (HostState::Answers, Some(at(10))),
            (HostState::Fails, Some(at(20))),
            (HostState::Rests, Some(at(30))),
        ]
    );
    assert_eq!(told[0].last_failure, None);
    let failure = told[2].last_failure.clone().unwrap();
    assert_eq!(failure.at, at(30));
    let words = "is unavailable: 503";
    assert!(failure.text.contains(words), "{}", failure.text);
    assert_eq!(told[1].next_probe, None);
    let next = told[2].next_probe.unwrap();
    let (least, most) = (at(30), at(30 + HOUR.as_secs()));
    assert!(next > least && next <= most, "{next:?}");
}

#[tokio::test]
async fn a_host_that_the_registry_leads_to_no_more_is_told_no_more() {
    let storage = Registry::start(|_| Reply::status(503)).await;
    let place = storage.url();
    let count = Counter::default();
    let registry = Registry::start(move |_| match count.next() {
        0 => Reply::status(307).header("Location", &format!("{place}/x")),
        _ => Reply::ok("{}"),
    })
    .await;
    let limits = Limits {
        retry: Schedule::once(),
        ..quick()
    };
    let (upstreams, clock) = upstreams(&[("up.test", &[registry.url()])], limits);
    let upstream = upstreams.get(&"up.test".parse().unwrap()).unwrap();
    manifest_of(&upstream, "a/a").await.unwrap_err();
    manifest_of(&upstream, "a/b").await.unwrap().unwrap();
    let host_states = || {
        let hosts = upstream.standing().endpoints.remove(0).hosts;
        hosts.iter().map(|host| host.state).collect::<Vec<_>>()
    };
    assert_eq!(host_states(), [HostState::Answers, HostState::Fails]);
    clock.advance(HOUR);
    assert_eq!(host_states(), [HostState::Answers]);
}

#[tokio::test]
async fn limits_and_quotas_are_told_as_the_registry_said() {
    let registry = Registry::start(|_| {
        Reply::status(429)
            .header("Retry-After", "600")
            .header("RateLimit-Limit", "100;w=21600")
            .header("RateLimit-Remaining", "0;w=21600")
    })
    .await;
    let (upstreams, clock) = upstreams(&[("up.test", &[registry.url()])], quick());
    let upstream = upstreams.get(&"up.test".parse().unwrap()).unwrap();
    assert_eq!(upstream.standing().endpoints[0].quotas, []);
    clock.advance(Duration::from_secs(5));
    manifest_of(&upstream, "a/a").await.unwrap_err();
    let endpoint = upstream.standing().endpoints.remove(0);
    let [quota] = endpoint.quotas.as_slice() else {
        panic!("{endpoint:?}")
    };
    assert_eq!((quota.login.clone(), quota.at), (None, at(5)));
    assert_eq!((quota.quota.limit, quota.quota.remaining), (100, 0));
    let [limit] = endpoint.limits.as_slice() else {
        panic!("{endpoint:?}")
    };
    assert_eq!((limit.login.clone(), limit.limit), (None, RateLimit::Pulls));
    assert_eq!(*limit.host, registry.url().replace("http://", ""));
    assert!(limit.until > at(5) && limit.until <= at(605), "{limit:?}");
    // Whoever says no answers.
    assert_eq!(endpoint.hosts[0].state, HostState::Answers);
}

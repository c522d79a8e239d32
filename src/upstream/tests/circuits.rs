//! Hosts that are left alone, and who finds out when they are back. Rests are short, and nobody waits for a time: what is
//! waited for are requests, and what became of them.

use std::sync::atomic::AtomicBool;

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::upstream::{CircuitLimits, HostStanding, HostState};

const HOUR: Duration = Duration::from_hours(1);
/// So many failures in a row open a circuit in these tests.
const FAILURES: usize = 2;

/// Limits with which a host rests after two failures, for so long each time.
fn resting_for(rest: Duration) -> Limits {
    Limits {
        retry: Schedule::once(),
        circuit: CircuitLimits {
            failures: FAILURES,
            within: HOUR,
            first_rest: rest,
            longest_rest: rest,
        },
        ..quick()
    }
}

/// Limits with which a host is asked again almost at once.
fn short() -> Limits {
    resting_for(Duration::from_millis(2))
}

/// Starts a registry that gives one answer while it is down and another one then.
async fn moody(down: Reply, up: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Moody {
    let is_down = Arc::new(AtomicBool::new(true));
    let mood = is_down.clone();
    let registry = Registry::start(move |seen| match mood.load(Ordering::SeqCst) {
        true => down.clone(),
        false => up(seen),
    });
    Moody {
        registry: registry.await,
        is_down,
    }
}

struct Moody {
    registry: Registry,
    is_down: Arc<AtomicBool>,
}

impl Moody {
    fn recover(&self) {
        self.is_down.store(false, Ordering::SeqCst);
    }
}

/// Answers the ping as a registry that wants a token, and everything else with a manifest.
fn well(seen: &Seen) -> Reply {
    match seen.target.as_str() {
        "/v2/" => Reply::status(401),
        _ => Reply::ok("{}"),
    }
}

/// Makes an upstream of one endpoint.
fn of(registry: &Registry, limits: Limits) -> Arc<Upstream> {
    upstream_with(&[registry.url()], limits, None)
}

/// Fails until the circuit is open: each request is for something else.
async fn open(upstream: &Upstream) {
    for number in 0..FAILURES {
        let failed = manifest_of(upstream, &format!("acme/r{number}")).await;
        failed.unwrap_err();
    }
}

/// Returns what is known of the host of an upstream, or of the one that it led to.
fn host(upstream: &Upstream, index: usize) -> HostStanding {
    upstream.standing().endpoints[0].hosts[index].clone()
}

/// Waits until something is so of a host.
async fn until(upstream: &Upstream, index: usize, is_so: impl Fn(&HostStanding) -> bool) {
    within("that state", async {
        while !is_so(&host(upstream, index)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn pings(registry: &Registry) -> usize {
    let log = registry.log();
    log.iter().filter(|line| *line == "GET /v2/").count()
}

#[tokio::test]
async fn no_client_is_needed_to_find_out_that_a_registry_is_back() {
    let moody = moody(Reply::hang_up(), well).await;
    let registry = &moody.registry;
    let upstream = of(registry, short());
    open(&upstream).await;
    assert_eq!(host(&upstream, 0).state, HostState::Rests);
    registry.came(FAILURES + 3).await;
    assert!(pings(registry) >= 3, "{:?}", registry.log());
    moody.recover();
    until(&upstream, 0, |host| host.state == HostState::Answers).await;
    let probed = registry.log().len();
    assert_eq!(pings(registry), probed - FAILURES, "nothing but pings");
    manifest_of(&upstream, "acme/app").await.unwrap().unwrap();
    let log = registry.log();
    assert_eq!(log[probed..], ["GET /v2/acme/app/manifests/3.20"]);
    let seen = registry.seen();
    let shown = seen
        .iter()
        .filter(|seen| seen.header("authorization").is_some());
    assert_eq!(shown.count(), 0);
}

#[tokio::test]
async fn a_registry_that_answers_pings_is_on_trial_until_it_answers_more() {
    for trouble in [500, 503] {
        let is_well = Arc::new(AtomicBool::new(false));
        let mood = is_well.clone();
        let registry = Registry::start(move |seen| match seen.target.as_str() {
            "/v2/" => Reply::ok("{}"),
            _ if mood.load(Ordering::SeqCst) => Reply::ok("{}"),
            _ => Reply::status(trouble),
        })
        .await;
        let upstream = of(&registry, short());
        open(&upstream).await;
        for trial in 1..4 {
            // The task has asked, and leaves the rest to the next request.
            until(&upstream, 0, |host| host.next_probe.is_none()).await;
            assert_eq!(pings(&registry), trial);
            assert_eq!(host(&upstream, 0).state, HostState::Rests);
            let failed = manifest_of(&upstream, "acme/app").await.unwrap_err();
            let is_new = matches!(failed, UpstreamError::Unavailable { .. });
            assert!(is_new, "{failed}");
        }
        is_well.store(true, Ordering::SeqCst);
        until(&upstream, 0, |host| host.next_probe.is_none()).await;
        manifest_of(&upstream, "acme/app").await.unwrap().unwrap();
        assert_eq!(host(&upstream, 0).state, HostState::Answers);
    }
}

#[tokio::test]
async fn a_registry_that_never_answers_pings_well_is_not_left_alone_for_ever() {
    let moody = moody(Reply::hang_up(), |seen| match seen.target.as_str() {
        "/v2/" => Reply::status(500),
        _ => Reply::ok("{}"),
    })
    .await;
    let upstream = of(&moody.registry, short());
    open(&upstream).await;
    moody.recover();
    until(&upstream, 0, |host| host.next_probe.is_none()).await;
    manifest_of(&upstream, "acme/app").await.unwrap().unwrap();
    assert_eq!(host(&upstream, 0).state, HostState::Answers);
}

#[tokio::test]
async fn while_a_task_finds_out_nobody_else_does() {
    let moody = moody(Reply::hang_up(), well).await;
    let registry = &moody.registry;
    let upstream = of(registry, resting_for(HOUR));
    open(&upstream).await;
    for _ in 0..10 {
        let error = manifest_of(&upstream, "acme/app").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Resting { .. }), "{error}");
    }
    assert_eq!(registry.log().len(), FAILURES);
    let resting = host(&upstream, 0);
    assert!(resting.next_probe > resting.since, "{resting:?}");
}

#[tokio::test]
async fn a_token_service_is_asked_for_nothing_in_particular() {
    let tokens = moody(Reply::hang_up(), |_| {
        Reply::ok(r#"{"token":"t","expires_in":600}"#)
    })
    .await;
    let service = tokens.registry.url();
    let registry = Registry::start(move |seen| match seen.header("authorization") {
        Some("Bearer t") => Reply::ok("{}"),
        _ => {
            let value = format!(r#"Bearer realm="{service}/token",service="fake""#);
            Reply::status(401).header("WWW-Authenticate", &value)
        }
    })
    .await;
    let upstream = of(&registry, short());
    open(&upstream).await;
    tokens.registry.came(FAILURES + 2).await;
    let log = tokens.registry.log();
    assert_eq!(log[FAILURES..FAILURES + 2], ["HEAD /", "HEAD /"]);
    tokens.recover();
    until(&upstream, 1, |host| host.state == HostState::Answers).await;
    // A failure to get a token is remembered for a moment.
    let served = async {
        while manifest_of(&upstream, "acme/app").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within("a token", served).await;
}

#[tokio::test]
async fn a_token_service_that_fails_at_all_tokens_rests() {
    let tokens = Registry::start(|_| Reply::status(503)).await;
    let service = tokens.url();
    let registry = Registry::start(move |_| {
        let value = format!(r#"Bearer realm="{service}/token",service="fake""#);
        Reply::status(401).header("WWW-Authenticate", &value)
    })
    .await;
    let upstream = of(&registry, resting_for(HOUR));
    open(&upstream).await;
    assert_eq!(host(&upstream, 1).state, HostState::Rests);
    assert_eq!(tokens.log().len(), FAILURES);
}

#[tokio::test]
async fn the_tasks_end_with_their_upstream_and_when_larder_stops() {
    let registry = Registry::start(|_| Reply::hang_up()).await;
    for is_dropped in [true, false] {
        let parts = parts(resting_for(HOUR));
        let tasks = parts.tasks.clone();
        let endpoints = vec![endpoint(&registry.url())];
        let settings = Settings::new("up.test".parse().unwrap(), endpoints);
        let upstreams = Upstreams::new(vec![settings], parts).unwrap();
        let upstream = upstreams.get(&"up.test".parse().unwrap()).unwrap();
        open(&upstream).await;
        assert!(tasks.count() > 0);
        if is_dropped {
            drop((upstream, upstreams));
            let gone = async {
                while tasks.count() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            within("the end of the tasks", gone).await;
        } else {
            assert_eq!(tasks.drain(HOUR).await, 0);
        }
    }
}

#[tokio::test]
async fn a_host_that_hangs_keeps_nobody_beyond_the_limits() {
    let registry = Registry::start(|_| Reply::silence()).await;
    let limits = Limits {
        headers: Duration::from_millis(5),
        requests: 1,
        turn: HOUR,
        circuit: CircuitLimits {
            failures: usize::MAX,
            ..CircuitLimits::default()
        },
        ..quick()
    };
    let upstream = of(&registry, limits);
    let (repository, reference) = (repository(), tag());
    for _ in 0..2 {
        // The second one would wait for an hour if the first one kept its place.
        let head = upstream.head_manifest(&repository, &reference, VariantClass::Index);
        let error = head.await.unwrap_err();
        assert!(matches!(error, UpstreamError::TimedOut { .. }), "{error}");
    }
}

//! Registries that are not asked because their operator says so: from one request to the next, whatever is under way.

use std::sync::{Mutex, OnceLock};

use super::server::{Registry, Reply};
use super::*;
use crate::runtime::Timestamp;
use crate::upstream::{CircuitLimits, HostState, Mode, Switch};

/// An upstream with its switch.
struct Switched {
    upstream: Arc<Upstream>,
    switch: Arc<Switch>,
}

impl Switched {
    fn new(endpoints: &[String], limits: Limits) -> Self {
        let endpoints = endpoints.iter().map(|url| endpoint(url)).collect();
        let settings = Settings::new("up.test".parse().unwrap(), endpoints);
        let upstreams = Upstreams::new(vec![settings], parts(limits)).unwrap();
        Self {
            upstream: upstreams.get(&"up.test".parse().unwrap()).unwrap(),
            switch: upstreams.switch(&"up.test".parse().unwrap()).unwrap(),
        }
    }

    fn turn(&self, mode: Mode) {
        self.switch.set(mode, Timestamp::default());
    }
}

fn assert_offline<T: std::fmt::Debug>(asked: Result<T, UpstreamError>) {
    let error = asked.unwrap_err();
    assert!(matches!(error, UpstreamError::Offline { .. }), "{error}");
}

#[tokio::test]
async fn nothing_is_asked_while_offline_and_all_of_it_again_then() {
    let registry = Registry::start(|_| Reply::ok("{}")).await;
    let switched = Switched::new(&[registry.url(), registry.url()], quick());
    let upstream = &switched.upstream;
    let (repository, reference, digest) = (repository(), tag(), digest(b"{}"));
    switched.turn(Mode::Offline);
    assert_offline(manifest_of(upstream, "library/alpine").await);
    let class = VariantClass::Index;
    assert_offline(upstream.head_manifest(&repository, &reference, class).await);
    let renewed = upstream.get_manifest_unless(&repository, &reference, class, &digest);
    assert_offline(renewed.await);
    assert_offline(upstream.head_blob(&repository, &digest).await);
    assert_offline(transfer(upstream, b"{}", TransferRange::WHOLE, None).await);
    assert_offline(upstream.tags(&repository, None).await);
    assert_offline(upstream.referrers(&repository, &digest).await);
    assert_offline(upstream.quota().await);
    let sample = crate::upstream::Sample::Blob(&digest);
    assert_offline(upstream.openness(&repository, sample).await);
    assert_eq!(registry.connections(), 0);
    switched.turn(Mode::Online);
    manifest_of(upstream, "library/alpine")
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn what_failed_is_not_tried_again_when_it_is_offline_by_then() {
    // Goes offline while the first request is under way.
    let switch: Arc<OnceLock<Arc<Switch>>> = Arc::default();
    let its = switch.clone();
    let registry = Registry::start(move |_| {
        its.get().unwrap().set(Mode::Offline, Timestamp::default());
        Reply::status(503)
    })
    .await;
    let switched = Switched::new(&[registry.url()], quick());
    switch.set(switched.switch.clone()).unwrap();
    assert_offline(manifest_of(&switched.upstream, "library/alpine").await);
    assert_eq!(registry.log().len(), 1);
}

#[tokio::test]
async fn a_transfer_comes_to_its_end_and_goes_on_after_no_break() {
    let blob = noise(300_000);
    for (cut, is_whole) in [(None, true), (Some(100_000), false)] {
        let answer = blob.clone();
        let registry = Registry::start(move |seen| match cut {
            Some(cut) => Reply::range(&answer, seen).cut(cut),
            None => Reply::range(&answer, seen),
        })
        .await;
        let switched = Switched::new(&[registry.url()], quick());
        let begun = transfer(&switched.upstream, &blob, TransferRange::WHOLE, None);
        let mut transfer = begun.await.unwrap();
        switched.turn(Mode::Offline);
        match read(&mut transfer).await {
            Ok(bytes) => assert!(is_whole && bytes == blob),
            Err(error) => {
                assert!(!is_whole);
                assert!(matches!(error, UpstreamError::Offline { .. }), "{error}");
            }
        }
        assert_eq!(registry.log().len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_was_not_asked_for_is_asked_for_at_once_then() {
    // Goes offline when the registry has said which token it wants, and before that is asked for.
    let switch: Arc<Mutex<Option<Arc<Switch>>>> = Arc::default();
    let its = switch.clone();
    let registry = Registry::start(move |seen| {
        if seen.target.starts_with("/token") {
            return Reply::ok(r#"{"token":"t","expires_in":600}"#);
        }
        if seen.header("authorization") == Some("Bearer t") {
            return Reply::ok("{}");
        }
        if let Some(switch) = its.lock().unwrap().take() {
            switch.set(Mode::Offline, Timestamp::default());
        }
        let host = seen.header("host").unwrap();
        let value = format!(r#"Bearer realm="http://{host}/token",service="fake""#);
        Reply::status(401).header("WWW-Authenticate", &value)
    })
    .await;
    let limits = Limits {
        token_failure: Duration::from_hours(1),
        ..quick()
    };
    let switched = Switched::new(&[registry.url()], limits);
    *switch.lock().unwrap() = Some(switched.switch.clone());
    assert_offline(manifest_of(&switched.upstream, "library/alpine").await);
    assert_eq!(registry.log().len(), 1);
    switched.turn(Mode::Online);
    let found = manifest_of(&switched.upstream, "library/alpine").await;
    found.unwrap().unwrap();
}

#[tokio::test]
async fn a_host_that_rests_is_not_probed_while_offline() {
    let switch: Arc<OnceLock<Arc<Switch>>> = Arc::default();
    let (its, count) = (switch.clone(), Counter::default());
    let registry = Registry::start(move |_| match count.next() {
        // Goes offline with the second ping.
        3 => {
            its.get().unwrap().set(Mode::Offline, Timestamp::default());
            Reply::hang_up()
        }
        ..3 => Reply::hang_up(),
        _ => Reply::ok("{}"),
    })
    .await;
    let rest = Duration::from_millis(2);
    let limits = Limits {
        retry: Schedule::once(),
        circuit: CircuitLimits {
            failures: 2,
            within: Duration::from_hours(1),
            first_rest: rest,
            longest_rest: rest,
        },
        ..quick()
    };
    let switched = Switched::new(&[registry.url()], limits);
    switch.set(switched.switch.clone()).unwrap();
    for _ in 0..2 {
        let failed = manifest_of(&switched.upstream, "library/alpine").await;
        failed.unwrap_err();
    }
    let host = || switched.upstream.standing().endpoints[0].hosts[0].clone();
    registry.came(4).await;
    within("the end of the task", async {
        while host().next_probe.is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(host().state, HostState::Rests);
    assert_eq!(registry.log().len(), 4, "the task is gone");
    switched.turn(Mode::Online);
    // Whoever comes next finds out.
    let asked = || manifest_of(&switched.upstream, "library/alpine");
    within("an answer", async {
        while asked().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(registry.log().len(), 5);
    assert_eq!(host().state, HostState::Answers);
}

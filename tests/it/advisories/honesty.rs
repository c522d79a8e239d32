//! What other proxies do by design: failures are told as absences, other registries are asked instead, and what was here
//! once is served for ever.

use std::time::Duration;

use super::{logged_in, push, refusal, status};
use crate::support::{FakeRegistry, Fault, TestProxy};

const HOUR: Duration = Duration::from_hours(1);

/// NORA does so too: clients then stop, or ask another registry.
#[tokio::test]
async fn angos_a_failure_is_not_told_as_an_absence() {
    type Failure = fn(Fault) -> Fault;
    let failures: [(Failure, u16); 7] = [
        (|fault| fault.status(429).retry_after("7"), 429),
        (|fault| fault.status(500), 502),
        (|fault| fault.status(502), 502),
        (|fault| fault.status(503), 502),
        (|fault| fault.status(400), 502),
        (|fault| fault.hang_up(), 502),
        (|fault| fault.html(), 502),
    ];
    for (number, (failure, expected)) in failures.into_iter().enumerate() {
        let registry = FakeRegistry::start().await;
        let image = push(&registry, "app");
        let fault = registry.inject(failure(Fault::everywhere()));
        let proxy = TestProxy::of(&registry).await;
        let layer = format!("/v2/app/blobs/{}", image.layers[0]);
        for path in ["/v2/app/manifests/1", &layer] {
            let reply = proxy.get(path).await;
            let is_limit = reply.header("retry-after").is_some();
            let (status, code) = refusal(reply).await;
            assert_eq!(status, expected, "{number} {path}: {code}");
            assert!(!code.ends_with("UNKNOWN"), "{number} {path}: {code}");
            assert!(is_limit || expected != 429, "{number} {path}");
        }
        // It is not remembered as one either.
        fault.lift();
        if expected != 429 {
            for path in ["/v2/app/manifests/1", &layer] {
                assert_eq!(status(&proxy, path).await, 200, "{number} {path}");
            }
        }
    }
}

/// Angos, NORA and the virtual repositories of Artifact Keeper do so too. Who may publish at the second registry would
/// decide what a name of the first one means.
#[tokio::test]
async fn zot_no_other_registry_is_asked_instead() {
    type Failure = fn(Fault) -> Fault;
    let failures: [Failure; 6] = [
        |fault| fault.status(404),
        |fault| fault.status(401),
        |fault| fault.status(403),
        |fault| fault.status(429),
        |fault| fault.status(503),
        |fault| fault.hang_up(),
    ];
    for failure in failures {
        let [first, second] = [FakeRegistry::start().await, FakeRegistry::start().await];
        let image = push(&second, "app");
        first.inject(failure(Fault::everywhere()));
        let proxy = TestProxy::builder().upstream("first.test", &first);
        let proxy = proxy.upstream("second.test", &second).start().await;
        for thing in [
            "manifests/1".to_owned(),
            format!("manifests/{}", image.digest),
            format!("blobs/{}", image.layers[0]),
        ] {
            for path in [
                format!("/v2/app/{thing}"),
                format!("/v2/first.test/app/{thing}"),
                format!("/v2/app/{thing}?ns=first.test"),
            ] {
                assert_ne!(status(&proxy, &path).await, 200, "{path}");
            }
        }
        assert!(!first.requests().is_empty());
        assert_eq!(second.connections(), 0);
    }
}

#[tokio::test]
async fn distribution_nothing_old_is_served_once_the_registry_says_no() {
    for (answer, later) in [(404, Duration::ZERO), (401, HOUR * 24), (403, HOUR * 24)] {
        let registry = FakeRegistry::start().await;
        push(&registry, "app");
        let proxy = TestProxy::of(&registry).await;
        assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 200);
        registry.inject(Fault::everywhere().status(answer));
        proxy.advance(HOUR + later);
        assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 404, "{answer}");
    }
    // What only some may see is not served a moment longer.
    let registry = FakeRegistry::builder().bearer().user("acme", "hunter2");
    let registry = registry.start().await;
    push(&registry, "app");
    registry.repository("app").make_private_to(&["acme"]);
    let proxy = logged_in(&registry).start().await;
    assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 200);
    registry.repository("app").make_private_to(&[]);
    proxy.advance(HOUR);
    assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 404);
}

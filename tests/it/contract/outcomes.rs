//! Where each answer came from is told the same way in the header, in the metrics and in the log.

use larder::cache::freshness::StaleLimit;
use larder::upstream::Mode;

use super::{STALE, TAG, outcome, push};
use crate::cli::Larder;
use crate::support::{FakeRegistry, Fault, Kind, TestProxy};

#[tokio::test]
async fn each_outcome_is_in_the_header_and_is_counted() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .contract(|keys| keys.stale_on_not_found = Some(StaleLimit::Unlimited));
    let proxy = proxy.start().await;
    let missing = "/v2/app/manifests/missing";
    let mut counted = Vec::new();
    let mut check = async |path: &str, status: u16, header: &str, name: &'static str| {
        let found = outcome(&proxy, path).await;
        assert_eq!(found, (status, header.to_owned()), "{name}");
        counted.push((status, name));
    };
    check(TAG, 200, "fwd=miss; stored", "miss").await;
    check(TAG, 200, "hit", "hit").await;
    check(missing, 404, "fwd=miss", "miss").await;
    check(missing, 404, "negative", "negative").await;
    proxy.advance(STALE);
    let revalidated = "fwd=stale; detail=revalidated";
    check(TAG, 200, revalidated, "revalidated").await;
    for (status, reason) in [
        (503, "stale_unreachable"),
        (403, "stale_denied"),
        (404, "stale_not_found"),
        (429, "stale_rate_limited"),
    ] {
        proxy.advance(STALE);
        let kinds = [Kind::ManifestHead, Kind::ManifestGet];
        registry.inject(Fault::on(kinds).status(status));
        check(TAG, 200, reason, reason).await;
        registry.clear_faults();
    }
    for reason in ["unreachable", "denied", "not_found", "rate_limited"] {
        let labels = format!(r#"upstream="up.test",reason="{reason}""#);
        let line = format!("stale_answers_total{{{labels}}}");
        assert_eq!(proxy.counted(&line), Some(1), "{line}");
    }
    proxy.set_mode("up.test", Mode::Offline);
    check(TAG, 200, "offline", "offline").await;
    check(missing, 504, "detail=offline", "offline").await;
    for (status, name) in counted {
        let labels = format!(r#"route="manifest",status="{status}",outcome="{name}""#);
        let line = format!("requests_total{{{labels}}}");
        assert!(proxy.counted(&line) >= Some(1), "{line}");
    }
}

#[tokio::test]
async fn each_answer_has_a_line_in_the_log_with_its_outcome() {
    let registry = FakeRegistry::start().await;
    push(&registry, "1", 1);
    let larder = Larder::knowing(&registry).and("[tags]\nfreshness = 'always'");
    let running = larder.serve().await;
    running.pull("app", "1").await;
    running.pull("app", "1").await;
    registry.inject(Fault::everywhere().status(403));
    running.pull("app", "1").await;
    let lines = running.stop().await;
    let lines = lines.lines().filter(|line| line.contains("larder::access"));
    let outcomes: Vec<_> = lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["repository.name"], "up.test/app");
            assert_eq!(line["reference"], "1");
            line["outcome"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(outcomes, ["miss", "revalidated", "stale_denied"]);
}

//! One request is found in the log by its id, and its line says what it waited for.

use serde_json::Value;

use super::Larder;
use crate::support::{FakeRegistry, Fault, Image, Kind, noise};

const ID: &str = "x-request-id";

/// Returns the lines of a log.
fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Returns the closing line of a request.
fn closing<'a>(lines: &'a [Value], id: &str) -> &'a Value {
    let is_it = |line: &&Value| line["target"] == "larder::access" && line["request.id"] == id;
    lines.iter().find(is_it).unwrap()
}

#[tokio::test]
async fn the_id_goes_back_to_the_client_and_into_the_closing_line() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let path = "/v2/app/manifests/1";
    for id in ["first-1", "second-2"] {
        let reply = running.client().get(path).header(ID, id).send().await;
        assert_eq!(reply.header(ID), Some(id));
    }
    let odd = running.client().get(path).header(ID, "a b").send().await;
    let made = odd.header(ID).unwrap().to_owned();
    assert_ne!(made, "a b");
    let none = running.client().get("/nowhere").send().await;
    let refused = none.header(ID).unwrap().to_owned();
    assert_ne!(refused, made);
    let lines = lines(&running.stop().await);
    for (id, outcome) in [("first-1", "miss"), ("second-2", "hit"), (&made, "hit")] {
        let line = closing(&lines, id);
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(line["reference"], "1", "{line}");
        assert_eq!(line["content.digest"], image.digest.to_string(), "{line}");
        // Only the first one waited for the registry.
        assert_eq!(line["upstream_ms"].is_u64(), outcome == "miss", "{line}");
    }
    assert_eq!(closing(&lines, &refused)["http.status"], 404);
}

#[tokio::test]
async fn what_is_told_of_the_work_for_a_request_has_its_id() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(noise(1, 10));
    registry.inject(Fault::on(Kind::BlobGet).wrong_byte_at(5));
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let path = format!("/v2/app/blobs/{digest}");
    let reply = running
        .client()
        .get(&path)
        .header(ID, "the-one")
        .send()
        .await;
    assert_eq!(reply.status, 502);
    let lines = lines(&running.stop().await);
    let failed = |line: &&Value| {
        line["message"]
            .as_str()
            .unwrap()
            .starts_with("a fill failed")
    };
    let failed = lines.iter().find(failed).unwrap();
    let spans = failed["spans"].as_array().unwrap();
    assert!(
        spans.iter().any(|span| span["request.id"] == "the-one"),
        "{failed}"
    );
    let line = closing(&lines, "the-one");
    assert_eq!(line["content.digest"], digest.to_string());
    assert!(line["upstream_ms"].is_u64(), "{line}");
}

//! `larder status --upstreams`.

use serde_json::{Value, json};

use super::{Larder, UPSTREAM};
use crate::support::{FakeRegistry, Image, noise};

const STATUS: [&str; 2] = ["status", "--upstreams"];

#[tokio::test]
async fn an_outage_is_told_with_what_it_costs() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("org/app"), "1");
    let larder = Larder::knowing(&registry).and(
        "freshness = 'always'\n\
         answer_within = '10s'\n\
         [[upstream]]\nname = 'quiet.test'\n\
         [[upstream]]\nname = '*.ecr.example.com'",
    );
    let running = larder.serve().await;
    let quiet = larder.operate(&STATUS).await.answer();
    let all = "not asked yet: up.test, quiet.test, *.ecr.example.com\n";
    assert_eq!(quiet, all);

    running.pull("org/app", "1").await;
    let well = larder.operate(&STATUS).await.answer();
    let row = well.lines().nth(1).unwrap();
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..2], [UPSTREAM, "answers"], "{well}");
    assert!(
        well.ends_with("\n\nnot asked yet: quiet.test, *.ecr.example.com\n"),
        "{well}"
    );

    registry.stop().await;
    running.pull("org/app", "1").await;
    for _ in 0..2 {
        let client = running.client();
        let missing = client.get("/v2/org/app/manifests/2").send().await;
        assert!(missing.status.is_server_error(), "{missing:?}");
    }
    // What the operator asks for himself nobody got, and nobody lacks.
    for image in ["org/app:1", "org/app:3"] {
        larder.operate(&["refresh", image]).await.failure(3);
    }
    let told = larder.operate(&STATUS).await.answer();
    assert!(told.contains("stale answers: 1 unreachable"), "{told}");
    assert!(!told.contains("org/app:3"), "{told}");
    assert!(
        told.contains("people lack:\n    IMAGE      REQUESTS"),
        "{told}"
    );
    assert!(told.contains("org/app:2  2 "), "{told}");

    let json = [&STATUS[..], &["--output", "json"]].concat();
    assert_outage(&larder.operate(&json).await.json());
    running.stop().await;
}

/// Finds in the document what an old answer and two misses of the first registry are.
fn assert_outage(document: &Value) {
    let found = &document["upstreams"][0];
    assert_eq!(
        (&found["name"], &found["mode"]),
        (&json!(UPSTREAM), &json!("online"))
    );
    assert_eq!(found["offline_since"], Value::Null);
    let found = &found["registries"][0];
    assert_eq!(found["stale"], json!({"unreachable": 1}));
    let lacking = &found["lacking"][0];
    assert_eq!(
        (&lacking["image"], &lacking["requests"]),
        (&json!("org/app:2"), &json!(2))
    );
    let state = found["state"].as_str().unwrap();
    assert!(["fails", "rests"].contains(&state), "{state}");
    let host = &found["endpoints"][0]["hosts"][0];
    assert!(host["last_failure"]["message"].is_string(), "{host}");
    let names: Vec<_> = document["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["name"])
        .collect();
    assert_eq!(names, [UPSTREAM, "quiet.test", "*.ecr.example.com"]);
}

#[tokio::test]
async fn who_is_offline_is_told_though_nobody_was_asked() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry).and("offline = true");
    let running = larder.serve().await;
    let missing = running.client().get("/v2/org/app/manifests/2").send().await;
    assert!(missing.status.is_server_error(), "{missing:?}");
    let told = larder.operate(&STATUS).await.answer();
    let row = told.lines().nth(1).unwrap();
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..2], [UPSTREAM, "offline"], "{told}");
    assert!(told.contains("org/app:2  1 "), "{told}");
    assert_eq!(registry.requests().len(), 0);
    running.stop().await;
}

//! `larder tags --history`.

use serde_json::{Value, json};

use super::{Larder, UPSTREAM};
use crate::support::{FakeRegistry, Image, noise};

const HISTORY: [&str; 3] = ["tags", "--history", "org/app:1"];

#[tokio::test]
async fn where_a_tag_pointed_is_told_with_and_without_a_running_larder() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("org/app");
    let push = |seed| {
        let image = Image::with_layers([noise(seed, 10)]);
        image.push_as(&repository, "1").digest
    };
    let first = push(1);
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    running.pull("org/app", "1").await;
    let second = push(2);
    larder.operate(&["refresh", "org/app:1"]).await.answer();
    let asked = registry.requests().len();

    let told = larder.operate(&HISTORY).await.answer();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("DIGEST "), "{told}");
    assert!(lines[1].starts_with(&second.to_string()), "{told}");
    assert!(lines[1].ends_with("  present"), "{told}");
    assert!(lines[2].starts_with(&first.to_string()), "{told}");
    assert!(!lines[2].contains("present"), "{told}");

    let arguments = [&HISTORY[..], &["--output", "json"]].concat();
    let mut document = larder.operate(&arguments).await.json();
    running.stop().await;
    assert_eq!(larder.operate(&arguments).await.json(), document);
    assert_eq!(registry.requests().len(), asked, "nothing is asked");
    for seen in document["variants"][0]["moves"].as_array_mut().unwrap() {
        for key in ["first_seen", "last_seen"] {
            let moment = seen[key].take();
            let moment = moment.as_str().unwrap();
            assert!(
                moment.starts_with("20") && moment.ends_with('Z'),
                "{moment}"
            );
        }
    }
    let seen = |digest, is_present| json!({"digest": digest, "first_seen": Value::Null, "last_seen": Value::Null, "is_present": is_present});
    let expected = json!({
        "registry": UPSTREAM, "repository": "org/app", "tag": "1",
        "variants": [{
            "class": "index", "visibility": "public",
            "moves": [seen(second, true), seen(first, false)],
        }],
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn what_nobody_pulled_has_no_history() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    let talk = larder.run(&HISTORY).await.failure(5);
    assert!(talk.contains("nothing was pulled yet"), "{talk}");
    let running = larder.serve().await;
    let talk = larder
        .operate(&["tags", "--history", "org/app"])
        .await
        .failure(5);
    assert!(
        talk.contains("nothing is known of up.test/org/app:latest"),
        "{talk}"
    );
    running.stop().await;
    let talk = larder.operate(&HISTORY).await.failure(5);
    assert!(
        talk.contains("nothing is known of up.test/org/app:1"),
        "{talk}"
    );
    assert_eq!(registry.requests().len(), 0);
}

#[tokio::test]
async fn a_folder_that_is_no_cache_is_left_as_it_is() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    let socket = larder.socket();
    let folder = socket.parent().unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("notes"), "mine").unwrap();
    let talk = larder.operate(&HISTORY).await.failure(5);
    assert!(talk.contains("there is no cache in"), "{talk}");
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn a_history_is_not_limited() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    let limited = [&HISTORY[..], &["--limit", "1"]].concat();
    let talk = larder.run(&limited).await.failure(2);
    assert!(talk.contains("--limit"), "{talk}");
}

//! `larder upstream`, and what `larder status` tells.

use super::{Larder, UPSTREAM};
use crate::support::{FakeRegistry, Image, noise};

/// A larder that knows a registry with an image, and a pattern of registries.
async fn larder() -> (FakeRegistry, Larder) {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("org/app"), "1");
    let larder = Larder::knowing(&registry).and("[[upstream]]\nname = '*.ecr.example.com'");
    (registry, larder)
}

#[tokio::test]
async fn a_registry_goes_offline_and_comes_back() {
    let (registry, larder) = larder().await;
    let running = larder.serve().await;
    let offline = larder.operate(&["upstream", UPSTREAM, "offline"]).await;
    let told = "up.test is offline until larder stops; it was online\n";
    assert_eq!(offline.answer(), told);
    let reply = running.client().get("/v2/org/app/manifests/1").send().await;
    assert!(reply.status.is_server_error(), "{reply:?}");
    assert_eq!(registry.requests().len(), 0);
    let again = larder.operate(&["upstream", "UP.test", "offline"]).await;
    assert_eq!(again.answer(), "up.test is offline, as before\n");
    let online = ["upstream", UPSTREAM, "online", "--output", "json"];
    let online = larder.operate(&online).await.answer();
    insta::assert_snapshot!(online, @r#"
    {
      "upstream": "up.test",
      "before": "offline",
      "now": "online"
    }
    "#);
    running.pull("org/app", "1").await;
    running.stop().await;
}

#[tokio::test]
async fn a_name_is_one_of_the_configuration() {
    let (_registry, larder) = larder().await;
    let running = larder.serve().await;
    let pattern = larder
        .operate(&["upstream", "*.ecr.example.com", "offline"])
        .await;
    let told = "*.ecr.example.com is offline until larder stops; it was online\n";
    assert_eq!(pattern.answer(), told);
    for (name, code, told) in [
        (
            "up.tset",
            3,
            "up.tset is not configured here: did you mean up.test",
        ),
        ("*.other.example.com", 3, "did you mean *.ecr.example.com"),
        ("7.ecr.example.com", 2, "name '*.ecr.example.com'"),
        ("https://up.test", 2, "names no upstream"),
        ("a/../b", 2, "names no upstream"),
    ] {
        let done = larder.operate(&["upstream", name, "offline"]).await;
        let talk = done.failure(code);
        assert!(talk.contains(told), "{talk}");
    }
    running.stop().await;
}

#[tokio::test]
async fn without_a_running_larder_there_is_nothing_to_tell() {
    let (_registry, larder) = larder().await;
    let talk = larder
        .run(&["upstream", UPSTREAM, "offline"])
        .await
        .failure(3);
    assert!(
        talk.contains("no larder is running with the cache folder"),
        "{talk}"
    );
    assert!(
        talk.contains("\nhint: ") && talk.contains("set offline in"),
        "{talk}"
    );
    let talk = larder.run(&["status", "--upstreams"]).await.failure(3);
    assert!(talk.contains("no larder is running"), "{talk}");
    let talk = larder.run(&["status"]).await.failure(2);
    assert!(talk.contains("--upstreams"), "{talk}");
}

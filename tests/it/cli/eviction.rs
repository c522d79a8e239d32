//! What goes when the cache is larger than it may be.

use std::process::Stdio;

use super::Larder;
use crate::support::{FakeRegistry, Kind, noise};

#[tokio::test]
async fn the_limit_holds_and_what_went_is_fetched_again() {
    const SIZE: usize = 400_000;
    let registry = FakeRegistry::start().await;
    let contents: Vec<_> = (0..4).map(|seed| noise(seed, SIZE)).collect();
    let repository = registry.repository("app");
    let blobs: Vec<_> = contents
        .iter()
        .map(|it| repository.blob(it.clone()))
        .collect();
    // Three blobs are more than this.
    let larder = Larder::knowing(&registry);
    let mut command = larder.command(&["serve"]);
    command
        .env("LARDER_CACHE__MAX_SIZE", "1MB")
        .stdout(Stdio::null());
    let mut running = larder.begin(command).await;
    let pull = async |address, index: usize| {
        let client = crate::support::Client::new(address);
        let reply = client
            .get(&format!("/v2/app/blobs/{}", blobs[index]))
            .send();
        assert_eq!(reply.await.body().await, contents[index]);
    };
    let address = running.address();
    for index in 0..4 {
        pull(address, index).await;
    }
    let mut evicted = 0;
    while evicted < 2 {
        let line = running.says("made room").await;
        evicted += line["blobs"].as_u64().unwrap();
    }
    let folder = larder.folder.path().join("cache/blobs-v1/sha256");
    let kept = |index: usize| {
        let hex = blobs[index].hex();
        folder.join(&hex[..2]).join(&hex).exists()
    };
    assert_eq!((0..4).filter(|index| kept(*index)).count(), 2);
    let fetched = || registry.count([Kind::BlobGet]);
    let before = fetched();
    for index in 0..4 {
        pull(address, index).await;
    }
    assert!(fetched() > before);
    running.stop().await;
}

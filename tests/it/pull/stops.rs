//! Ends of the program in the middle of a fill.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::support::{Ending, FakeRegistry, Fault, Kind, Reply, TestProxy, noise, within};

const MIB: usize = 1024 * 1024;

/// Pulls a blob of 40 MiB that stands still after 36, and reads 35 of them.
async fn begin(registry: &FakeRegistry, proxy: &TestProxy, path: &str) -> Reply {
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(36 * MIB as u64));
    let mut reply = proxy.get(path).await;
    reply.read_exactly(35 * MIB).await;
    gate.reached().await;
    reply
}

#[tokio::test]
async fn a_fill_goes_on_after_a_crash_and_fetches_what_was_not_noted() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 40 * MIB);
    let path = format!(
        "/v2/app/blobs/{}",
        registry.repository("app").blob(content.clone())
    );
    let proxy = TestProxy::of(&registry).await;
    let reply = begin(&registry, &proxy, &path).await;
    let left = proxy.crashed();
    drop((reply, proxy));
    registry.clear_log();
    let proxy = left.start().await;
    assert_eq!(proxy.get(&path).await.body().await, content);
    let sent: u64 = registry.requests().iter().map(|request| request.sent).sum();
    // At most what comes between two notes is fetched again.
    assert!(
        sent <= 24 * MIB as u64,
        "{} MiB were fetched again",
        sent / MIB as u64
    );
}

#[tokio::test]
async fn a_spool_that_lost_bytes_in_a_crash_is_noticed_and_thrown_away() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 40 * MIB);
    let path = format!(
        "/v2/app/blobs/{}",
        registry.repository("app").blob(content.clone())
    );
    let proxy = TestProxy::of(&registry).await;
    let reply = begin(&registry, &proxy, &path).await;
    let left = proxy.crashed();
    drop((reply, proxy));
    let proxy = left.start().await;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(spool(&proxy))
        .unwrap();
    file.write_all_at(&vec![0; MIB], 0).unwrap();
    let (bytes, ending) = proxy.get(&path).await.rest().await;
    assert!(ending != Ending::Complete && bytes.len() < content.len());
    assert_eq!(proxy.get(&path).await.body().await, content);
}

/// Finds the only spool in the staging folder.
fn spool(proxy: &TestProxy) -> PathBuf {
    let staging = std::fs::read_dir(proxy.folder().join("cache/staging-v1")).unwrap();
    let files = staging.map(|entry| entry.unwrap().path());
    let mut spools = files.filter(|path| path.metadata().unwrap().len() > MIB as u64);
    spools.next().expect("a spool is left")
}

#[tokio::test]
async fn a_registry_that_is_silent_does_not_hold_up_a_stop() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let digest = repository.blob(noise(1, 300_000));
    let gate = registry.inject(Fault::everywhere().stall_before_headers());
    let proxy = TestProxy::of(&registry).await;
    for path in [
        format!("/v2/app/blobs/{digest}"),
        "/v2/app/manifests/1".to_owned(),
    ] {
        let client = proxy.client();
        let asking = tokio::spawn(async move { client.get(&path).try_send().await.is_ok() });
        gate.reached().await;
        asking.abort();
    }
    within("a stop", proxy.stop()).await;
}

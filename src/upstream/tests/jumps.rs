//! Transfers that go on elsewhere in their blob.

use super::server::{Registry, Reply, Seen};
use super::*;

const WHOLE: TransferRange = TransferRange::WHOLE;

/// Makes an upstream of a registry, with room for one transfer.
fn one_at_a_time(registry: &Registry) -> Arc<Upstream> {
    let limits = Limits {
        transfers: 1,
        turn: Duration::from_millis(20),
        ..quick()
    };
    upstream_with(&[registry.url()], limits, None)
}

/// Starts a registry with one blob, of which the first answer brings this much and then nothing more.
async fn stalling(
    blob: &[u8],
    at: usize,
    whole: impl Fn(&[u8], &Seen) -> Reply + Send + Sync + 'static,
) -> Registry {
    let (blob, count) = (blob.to_vec(), Counter::default());
    Registry::start(move |seen| match count.next() {
        0 => whole(&blob, seen).stall(at),
        _ => whole(&blob, seen),
    })
    .await
}

fn ranges(registry: &Registry) -> Vec<String> {
    let seen = registry.seen();
    let ranges = seen.iter().map(|seen| seen.header("range").unwrap_or("-"));
    ranges.map(String::from).collect()
}

fn range(start: u64, end: Option<u64>) -> TransferRange {
    TransferRange { start, end }
}

#[tokio::test]
async fn a_jump_closes_what_was_open_and_keeps_its_place() {
    let blob = noise(1000);
    let tagged = |blob: &[u8], seen: &Seen| Reply::range(blob, seen).header("ETag", "\"v1\"");
    let registry = stalling(&blob, 10, tagged).await;
    let upstream = one_at_a_time(&registry);
    let mut first = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    assert_eq!(first.next().await.unwrap().unwrap(), blob[..10]);
    first.jump(range(600, Some(700)));
    let left = tokio::time::timeout(Duration::from_secs(20), registry.left());
    left.await.expect("the connection is closed");
    assert_eq!(first.position(), 600);
    let second = transfer(&upstream, &blob, WHOLE, None).await;
    assert!(matches!(second, Err(UpstreamError::Overloaded { .. })));
    assert_eq!(read(&mut first).await.unwrap(), blob[600..700]);
    // It goes on from its end as from anywhere else.
    first.jump(range(700, None));
    assert_eq!(read(&mut first).await.unwrap(), blob[700..]);
    assert_eq!((first.position(), first.resumes()), (1000, 0));
    assert_eq!(ranges(&registry), ["-", "bytes=600-699", "bytes=700-"]);
    // The rest has to be of the same blob.
    assert_eq!(registry.seen()[1].header("if-range"), Some("\"v1\""));
    drop(first);
    transfer(&upstream, &blob, WHOLE, None).await.unwrap();
}

#[tokio::test]
async fn a_jump_within_a_registry_without_ranges_skips_what_comes_before() {
    let blob = noise(1000);
    let served = blob.clone();
    let registry = Registry::start(move |seen| match seen.first() {
        // Silent before the byte that is wanted, for as long as it may be watched.
        Some(600) => Reply::ok(served.as_slice()).stall(500),
        _ => Reply::ok(served.as_slice()),
    })
    .await;
    let upstream = one_at_a_time(&registry);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    assert!(!transfer.is_skipping());
    transfer.jump(range(600, None));
    let skipping = async {
        while !transfer.is_skipping() {
            let wait = tokio::time::timeout(Duration::from_millis(100), transfer.next());
            assert!(wait.await.is_err(), "the wanted byte does not come");
        }
    };
    let skipping = tokio::time::timeout(Duration::from_secs(20), skipping);
    skipping.await.unwrap();
    assert_eq!(transfer.position(), 600);
    transfer.jump(range(700, Some(800)));
    assert!(!transfer.is_skipping());
    let wanted = transfer.next().await.unwrap().unwrap();
    assert!(!transfer.is_skipping());
    let rest = read(&mut transfer).await.unwrap();
    assert_eq!([&wanted, rest.as_slice()].concat(), blob[700..800]);
}

#[tokio::test]
async fn a_transfer_that_begins_by_skipping_says_so() {
    let blob = noise(1000);
    for (ignores_ranges, start, is_skipping) in
        [(true, 600, true), (true, 0, false), (false, 600, false)]
    {
        let served = blob.clone();
        let registry = Registry::start(move |seen| match ignores_ranges {
            true => Reply::ok(served.as_slice()),
            false => Reply::range(&served, seen),
        })
        .await;
        let upstream = one_at_a_time(&registry);
        let begun = transfer(&upstream, &blob, range(start, None), None).await;
        assert_eq!(begun.unwrap().is_skipping(), is_skipping);
    }
}

#[tokio::test]
async fn a_jump_that_breaks_goes_on_where_it_led() {
    let blob = noise(1000);
    let (served, count) = (blob.clone(), Counter::default());
    let registry = Registry::start(move |seen| match count.next() {
        0 => Reply::ok(served.as_slice()).stall(10),
        1 => Reply::status(503),
        2 => Reply::range(&served, seen).cut(30),
        _ => Reply::range(&served, seen),
    })
    .await;
    let upstream = one_at_a_time(&registry);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    transfer.jump(range(600, Some(700)));
    assert_eq!(read(&mut transfer).await.unwrap(), blob[600..700]);
    assert_eq!(transfer.resumes(), 1);
    let part = "bytes=600-699";
    assert_eq!(ranges(&registry), ["-", part, part, "bytes=630-699"]);
}

#[tokio::test]
async fn a_jump_to_the_end_asks_for_nothing() {
    let blob = noise(1000);
    let registry = stalling(&blob, 10, Reply::range).await;
    let upstream = one_at_a_time(&registry);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    for range in [range(1000, None), range(500, Some(500))] {
        transfer.jump(range);
        assert!(transfer.next().await.unwrap().is_none());
    }
    assert_eq!(registry.log().len(), 1);
}

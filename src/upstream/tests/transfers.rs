//! Blobs: transfers that break and go on, and what makes them fail.

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::upstream::BlobHead;

const WHOLE: TransferRange = TransferRange::WHOLE;

/// Starts a registry with one blob, whose first answers are as told.
async fn registry(
    blob: &[u8],
    first: impl Fn(usize, &Seen, &[u8]) -> Option<Reply> + Send + Sync + 'static,
) -> Registry {
    let (blob, count) = (blob.to_vec(), Counter::default());
    Registry::start(move |seen| {
        first(count.next(), seen, &blob).unwrap_or_else(|| Reply::range(&blob, seen))
    })
    .await
}

fn ranges(registry: &Registry) -> Vec<String> {
    let seen = registry.seen();
    let ranges = seen.iter().map(|seen| seen.header("range").unwrap_or("-"));
    ranges.map(String::from).collect()
}

#[tokio::test]
async fn a_blob_comes_whole_and_its_connection_stays() {
    let blob = noise(300_000);
    for is_chunked in [false, true] {
        let registry = registry(&blob, move |_, _, blob| {
            is_chunked.then(|| Reply::ok(blob).chunked())
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        for known in [None, Some(300_000)] {
            let mut transfer = transfer(&upstream, &blob, WHOLE, known).await.unwrap();
            let told = if is_chunked { known } else { Some(300_000) };
            assert_eq!(transfer.total(), told);
            assert_eq!(read(&mut transfer).await.unwrap(), blob);
            assert_eq!(transfer.total(), Some(300_000));
            assert_eq!((transfer.position(), transfer.resumes()), (300_000, 0));
            assert!(transfer.next().await.unwrap().is_none());
        }
        assert_eq!(ranges(&registry), ["-", "-"]);
        assert_eq!(registry.connections(), 1, "chunked: {is_chunked}");
    }
}

#[tokio::test]
async fn a_part_of_a_blob() {
    let blob = noise(1000);
    for ignores_ranges in [false, true] {
        let registry = registry(&blob, move |_, _, blob| {
            ignores_ranges.then(|| Reply::ok(blob))
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        for (start, end, asked) in [
            (0, Some(10), "bytes=0-9"),
            (10, Some(20), "bytes=10-19"),
            (990, None, "bytes=990-"),
        ] {
            let range = TransferRange { start, end };
            let mut transfer = transfer(&upstream, &blob, range, None).await.unwrap();
            assert_eq!((transfer.total(), transfer.position()), (Some(1000), start));
            let wanted =
                usize::try_from(start).unwrap()..usize::try_from(end.unwrap_or(1000)).unwrap();
            assert_eq!(read(&mut transfer).await.unwrap(), blob[wanted]);
            assert_eq!(ranges(&registry).last().unwrap(), asked);
        }
    }
}

#[tokio::test]
async fn a_cut_transfer_goes_on_where_it_was() {
    let blob = noise(100_000);
    let tagged = |reply: Reply| reply.header("ETag", "\"v1\"");
    let registry = registry(&blob, move |number, seen, blob| match number {
        0 => Some(tagged(Reply::ok(blob)).cut(30_000)),
        1 => Some(Reply::status(503)),
        2 => Some(tagged(Reply::range(blob, seen)).cut(20_000)),
        _ => None,
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob);
    assert_eq!(transfer.resumes(), 2);
    assert_eq!(
        ranges(&registry),
        ["-", "bytes=30000-", "bytes=30000-", "bytes=50000-"]
    );
    let seen = registry.seen();
    assert_eq!(seen[0].header("if-range"), None);
    assert_eq!(seen[3].header("if-range"), Some("\"v1\""));
}

#[tokio::test]
async fn a_cut_part_goes_on_to_its_end() {
    let blob = noise(1000);
    let registry = registry(&blob, |number, seen, blob| {
        (number == 0).then(|| Reply::range(blob, seen).cut(3))
    })
    .await;
    let range = TransferRange {
        start: 10,
        end: Some(20),
    };
    let upstream = upstream(&[registry.url()]);
    let mut transfer = transfer(&upstream, &blob, range, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob[10..20]);
    assert_eq!(ranges(&registry), ["bytes=10-19", "bytes=13-19"]);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_up_to_where_we_were() {
    let blob = noise(100_000);
    let registry = registry(&blob, |number, _, blob| {
        let whole = Reply::ok(blob);
        Some(if number == 0 {
            whole.cut(60_000)
        } else {
            whole
        })
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob);
    assert_eq!(transfer.resumes(), 1);
}

#[tokio::test]
async fn an_early_end_is_noticed_when_the_size_is_known() {
    let blob = noise(1000);
    for (known, length) in [(Some(1000), 1000), (None, 400)] {
        let registry = registry(&blob, |number, _, blob| {
            (number == 0).then(|| Reply::ok(&blob[..400]).chunked())
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        let mut transfer = transfer(&upstream, &blob, WHOLE, known).await.unwrap();
        assert_eq!(read(&mut transfer).await.unwrap(), blob[..length]);
    }
}

#[tokio::test]
async fn a_silent_transfer_goes_on_elsewhere() {
    let blob = noise(1000);
    let registry = registry(&blob, |number, _, blob| {
        (number == 0).then(|| Reply::ok(blob).stall(10))
    })
    .await;
    let limits = Limits {
        body_idle: Duration::from_millis(250),
        ..quick()
    };
    let upstream = upstream_with(&[registry.url()], limits, None);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob);
    assert_eq!(ranges(&registry), ["-", "bytes=10-"]);
}

#[tokio::test]
async fn a_dropped_transfer_closes_its_connection() {
    let blob = noise(1000);
    let registry = registry(&blob, |_, _, blob| Some(Reply::ok(blob).stall(10))).await;
    let upstream = upstream(&[registry.url()]);
    // A task of its own: transfers have to be able to move between threads.
    let reading = Tasks::new().spawn("reader", async move {
        let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
        assert_eq!(transfer.next().await.unwrap().unwrap().len(), 10);
        (upstream, transfer)
    });
    let (_upstream, transfer) = reading.await.unwrap();
    drop(transfer);
    registry.left().await;
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let blob = noise(1000);
    let registry = registry(&blob, |number, _, blob| {
        (number == 0).then(|| Reply::ok(blob).cut(10))
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    let mut bytes = Vec::new();
    // One poll each, so that every place where it waits is a place where it is dropped.
    while transfer.position() < 1000 {
        let piece = futures_util::FutureExt::now_or_never(transfer.next());
        match piece {
            Some(piece) => bytes.extend_from_slice(&piece.unwrap().unwrap()),
            None if transfer.resumes() == 0 && !bytes.is_empty() => {
                bytes.extend_from_slice(&transfer.next().await.unwrap().unwrap());
            }
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(bytes, blob);
}

#[tokio::test]
async fn three_tries_without_a_byte_are_enough() {
    let blob = noise(1000);
    let registry = registry(&blob, |number, seen, blob| {
        Some(match number {
            0 => Reply::ok(blob).cut(10),
            _ => Reply::range(blob, seen).cut(0),
        })
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    let error = read(&mut transfer).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
    assert_eq!((transfer.position(), registry.log().len()), (10, 4));
    assert!(transfer.next().await.is_err());
}

#[tokio::test]
async fn what_ends_a_transfer_for_good() {
    let blob = noise(1000);
    let part = |range: &str| {
        Reply::status(206)
            .header("Content-Range", range)
            .body(noise(5))
    };
    for (rest, message) in [
        (
            part("bytes 9-13/1000"),
            "sent another range than the one from byte 10",
        ),
        (
            part("bytes 10-14/1001"),
            "says that a blob of 1000 bytes has 1001",
        ),
        (
            Reply::status(206).body(noise(5)),
            "sent another range than the one from byte 10",
        ),
        (Reply::status(416), "says that the blob has no byte 10"),
        (Reply::status(404), "does not have the rest of a blob"),
        (Reply::status(403), "refused with 403 Forbidden"),
        (
            Reply::ok(noise(900)),
            "says that a blob of 1000 bytes has 900",
        ),
        (
            Reply::ok(noise(1020)).chunked(),
            "sends more than the 1000 bytes of a blob",
        ),
    ] {
        let registry = registry(&blob, move |number, _, blob| {
            Some(if number == 0 {
                Reply::ok(blob).cut(10)
            } else {
                rest.clone()
            })
        })
        .await;
        let host = registry.url().replace("http://", "");
        let upstream = upstream(&[registry.url()]);
        let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
        let error = read(&mut transfer).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{host} {message}"));
        assert_eq!(registry.log().len(), 2, "{message}");
    }
}

#[tokio::test]
async fn a_blob_is_never_longer_than_it_is() {
    let blob = noise(1000);
    let registry = registry(&blob, |_, _, blob| Some(Reply::ok(blob).chunked())).await;
    let upstream = upstream(&[registry.url()]);
    // 994 is where a chunk ends.
    for known in [10, 994, 999] {
        let mut transfer = transfer(&upstream, &blob, WHOLE, Some(known))
            .await
            .unwrap();
        for _ in 0..2 {
            let error = read(&mut transfer).await.unwrap_err();
            assert!(matches!(error, UpstreamError::Protocol { .. }), "{error}");
        }
        assert!(transfer.position() <= known);
    }
}

#[tokio::test]
async fn whether_a_blob_is_there() {
    let size = |size| Some(BlobHead { size });
    let part = |range: &str| Reply::status(206).header("Content-Range", range).body("x");
    let no_head = Reply::status(405);
    for (head, get, expected, requests) in [
        (Reply::ok(noise(7)), None, size(Some(7)), 1),
        (Reply::status(200).unsized_(), None, size(None), 1),
        (Reply::status(404), None, None, 1),
        (no_head.clone(), Some(part("bytes 0-0/7")), size(Some(7)), 2),
        (no_head.clone(), Some(Reply::ok(noise(7))), size(Some(7)), 2),
        (
            no_head.clone(),
            Some(Reply::status(416).header("Content-Range", "bytes */0")),
            size(Some(0)),
            2,
        ),
        (no_head, Some(Reply::status(404)), None, 2),
    ] {
        let shown = format!("{head:?} {get:?}");
        let registry = Registry::start(move |seen| match (seen.method.as_str(), &get) {
            ("GET", Some(get)) => get.clone(),
            _ => head.clone(),
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        let found = upstream.head_blob(&repository(), &digest(b"x")).await;
        assert_eq!(found.unwrap(), expected, "{shown}");
        assert_eq!(registry.log().len(), requests, "{shown}");
    }
}

#[tokio::test]
async fn a_transfer_holds_its_place_until_it_is_dropped() {
    let blob = noise(1000);
    let registry = registry(&blob, |_, _, _| None).await;
    let limits = Limits {
        transfers: 1,
        turn: Duration::from_millis(20),
        ..quick()
    };
    let upstream = upstream_with(&[registry.url()], limits, None);
    let first = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    let second = transfer(&upstream, &blob, WHOLE, None).await;
    assert!(matches!(second, Err(UpstreamError::Overloaded { .. })));
    assert!(
        upstream
            .head_blob(&repository(), &digest(&blob))
            .await
            .is_ok()
    );
    drop(first);
    transfer(&upstream, &blob, WHOLE, None).await.unwrap();
}

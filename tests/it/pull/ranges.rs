//! Ranges of blobs: warm, cold and in flight, as real clients send them.

use bytes::Bytes;
use larder::oci::Digest;

use crate::support::{FakeRegistry, Fault, Kind, TestProxy, noise};

const MIB: usize = 1024 * 1024;

async fn part(proxy: &TestProxy, digest: &Digest, range: &str) -> (u16, Option<String>, Bytes) {
    let path = format!("/v2/app/blobs/{digest}");
    let reply = proxy
        .client()
        .get(&path)
        .header("range", range)
        .send()
        .await;
    let content_range = reply.header("content-range").map(str::to_owned);
    assert_eq!(
        reply.header("content-length").is_some(),
        reply.status != 304
    );
    (reply.status.as_u16(), content_range, reply.body().await)
}

/// The ranges of the conformance suite and a few more, of a content of 2048 bytes.
const RANGES: [(&str, u16, &str, std::ops::Range<usize>); 12] = [
    ("bytes=500-1499", 206, "bytes 500-1499/2048", 500..1500),
    ("bytes=500-", 206, "bytes 500-2047/2048", 500..2048),
    ("bytes=0-", 206, "bytes 0-2047/2048", 0..2048),
    ("bytes=-500", 206, "bytes 1548-2047/2048", 1548..2048),
    ("bytes=-5000", 206, "bytes 0-2047/2048", 0..2048),
    ("bytes=2000-5000", 206, "bytes 2000-2047/2048", 2000..2048),
    ("bytes=0-0", 206, "bytes 0-0/2048", 0..1),
    ("bytes=0-1,5-6", 200, "", 0..2048),
    ("lines=0-1", 200, "", 0..2048),
    ("bytes=500-0", 416, "bytes */2048", 0..0),
    ("bytes=5000-10000", 416, "bytes */2048", 0..0),
    ("bytes=2048-", 416, "bytes */2048", 0..0),
];

#[tokio::test]
async fn ranges_are_right_cold_and_warm() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    for (seed, (range, status, content_range, bytes)) in (0..).zip(RANGES) {
        let content = noise(seed, 2048);
        let digest = registry.repository("app").blob(content.clone());
        for state in ["cold", "warm"] {
            let (found, found_range, body) = part(&proxy, &digest, range).await;
            let expected = (
                status,
                (!content_range.is_empty()).then(|| content_range.to_owned()),
            );
            assert_eq!((found, found_range), expected, "{range} {state}");
            if status == 416 {
                assert!(body.starts_with(b"{\"errors\":["), "{range} {state}");
            } else {
                assert_eq!(body, content[bytes.clone()], "{range} {state}");
            }
            proxy
                .get(&format!("/v2/app/blobs/{digest}"))
                .await
                .body()
                .await;
        }
        assert_eq!(registry.requests_for(&digest).len(), 1, "{range}");
    }
}

#[tokio::test]
async fn an_empty_blob_is_served_whole_and_has_no_ranges() {
    let registry = FakeRegistry::start().await;
    let digest = registry.repository("app").blob(Bytes::new());
    let proxy = TestProxy::of(&registry).await;
    for _ in 0..2 {
        let reply = proxy.get(&format!("/v2/app/blobs/{digest}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-length")),
            (200, Some("0"))
        );
        assert!(reply.body().await.is_empty());
        assert_eq!(part(&proxy, &digest, "bytes=0-").await.0, 416);
    }
}

#[tokio::test]
async fn if_range_decides_between_a_part_and_the_whole() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 10_000);
    let digest = registry.repository("app").blob(content.clone());
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    for (tag, status) in [
        (format!("\"{digest}\""), 206),
        ("\"sha256:other\"".to_owned(), 200),
    ] {
        let ask = proxy.client();
        let reply = ask
            .get(&path)
            .header("range", "bytes=10-19")
            .header("if-range", &tag)
            .send()
            .await;
        assert_eq!(reply.status, status, "{tag}");
    }
    let head = proxy
        .client()
        .head(&path)
        .header("range", "bytes=10-19")
        .send()
        .await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, Some("10000"))
    );
}

/// Protocol 9: containerd 2.1 with `concurrent_layer_fetch_buffer` of 4 MiB asks for everything from each multiple of
/// it on, three at a time, and closes each connection after its part.
#[tokio::test]
async fn containerds_parallel_open_ended_ranges_cost_one_transfer() {
    const PART: usize = 4 * MIB;
    let registry = FakeRegistry::start().await;
    let content = noise(1, 31 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).drip(MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}?ns=up.test");
    let client = proxy.client();
    let fetch = async |start: usize| {
        let end = (start + PART).min(content.len());
        let range = format!("bytes={start}-");
        let mut reply = client
            .get(&path)
            .header("range", &range)
            .header("accept-encoding", "zstd;q=1.0, gzip;q=0.8");
        reply = reply.header("accept", "application/vnd.oci.image.layer.v1.tar+gzip, */*");
        let mut reply = reply.send().await;
        assert_eq!(reply.status, 206);
        let expected = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        assert_eq!(reply.header("content-range"), Some(expected.as_str()));
        assert_eq!(reply.read_exactly(end - start).await, content[start..end]);
        // Dropped here, with most of the answer still to come.
    };
    let pull = async {
        fetch(0).await;
        for starts in [[PART, 2 * PART, 3 * PART], [4 * PART, 5 * PART, 6 * PART]] {
            futures_util::future::join_all(starts.map(&fetch)).await;
        }
        fetch(7 * PART).await;
    };
    let open = async {
        gate.reached().await;
        gate.open();
    };
    tokio::join!(pull, open);
    assert_eq!(
        registry.requests_for(&digest).len(),
        1,
        "{:#?}",
        registry.lines()
    );
    assert_eq!(registry.blob_bytes(&digest), content.len() as u64);
}

#[tokio::test]
async fn a_reader_far_ahead_gets_a_segment_and_no_byte_is_asked_for_twice() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 64 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).once().stall_after(2 * MIB as u64));
    let proxy = TestProxy::of(&registry).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut first = proxy.get(&path).await;
    first.read_exactly(MIB).await;
    gate.reached().await;
    // 38 MiB ahead of a transfer that stands still.
    let start = 40 * MIB;
    let range = format!("bytes={start}-{}", start + 2 * MIB - 1);
    let (status, _, bytes) = part(&proxy, &digest, &range).await;
    assert_eq!(status, 206);
    assert_eq!(bytes, content[start..start + 2 * MIB]);
    gate.open();
    assert_eq!(first.body().await, content[MIB..]);
    let ranges: Vec<_> = registry
        .requests_for(&digest)
        .iter()
        .map(|request| request.range())
        .collect();
    // The first ends where the segment begins, by the end of its connection; the third begins where it ends.
    let expected = [
        None,
        Some("bytes=41943040-50331647"),
        Some("bytes=50331648-"),
    ];
    assert_eq!(
        ranges.iter().map(Option::as_deref).collect::<Vec<_>>(),
        expected
    );
}

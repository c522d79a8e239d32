//! Faults of bodies: wrong bytes, wrong lengths, and bodies that stop at an exact place.

use bytes::Bytes;
use larder::oci::Digest;

use crate::support::{Client, Ending, FakeRegistry, Fault, Gate, Kind, Progress, noise};

const SIZE: usize = 300_000;

/// A registry with one blob, and what a test needs to ask for it.
struct Setting {
    registry: FakeRegistry,
    client: Client,
    content: Bytes,
    digest: Digest,
    path: String,
}

impl Setting {
    async fn new() -> Self {
        let registry = FakeRegistry::start().await;
        let client = Client::new(registry.address());
        Self::with(registry, client)
    }

    fn with(registry: FakeRegistry, client: Client) -> Self {
        let content = noise(1, SIZE);
        let digest = registry.repository("app").blob(content.clone());
        let path = format!("/v2/app/blobs/{digest}");
        Self {
            registry,
            client,
            content,
            digest,
            path,
        }
    }

    /// Injects a fault of the next GET of the blob.
    fn once(&self, fill: impl FnOnce(Fault) -> Fault) -> Gate {
        self.registry
            .inject(fill(Fault::on(Kind::BlobGet).of(&self.digest).once()))
    }
}

#[tokio::test]
async fn one_byte_is_wrong_in_the_whole_and_in_every_part() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        ..
    } = &setting;
    registry.inject(Fault::on(Kind::BlobGet).wrong_byte_at(1000));
    for (range, place) in [
        ("bytes=0-", Some(1000)),
        ("bytes=900-1099", Some(100)),
        ("bytes=0-999", None),
        ("bytes=1001-", None),
    ] {
        let reply = client.get(path).header("range", range).send().await;
        let start: usize = range[6..].split('-').next().unwrap().parse().unwrap();
        let body = reply.body().await;
        let wrong = (0..body.len()).filter(|index| body[*index] != content[start + index]);
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::from_iter(place), "{range}");
    }
}

#[tokio::test]
async fn lengths_that_agree_with_a_wrong_body() {
    let setting = Setting::new().await;
    let Setting {
        client,
        content,
        path,
        ..
    } = &setting;
    for (bytes, fault) in [
        (SIZE - 7, setting.once(|fault| fault.short_by(7))),
        (SIZE + 7, setting.once(|fault| fault.long_by(7))),
    ] {
        let reply = client.get(path).send().await;
        assert_eq!(reply.header("content-length"), Some(&*bytes.to_string()));
        let body = reply.body().await;
        assert_eq!(body.len(), bytes);
        assert_eq!(body[..SIZE - 7], content[..SIZE - 7]);
        assert_eq!(fault.hits(), 1);
    }
}

#[tokio::test]
async fn lengths_that_do_not_agree_with_the_body() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        ..
    } = &setting;
    registry.inject(Fault::on(Kind::BlobHead).wrong_length(5));
    let head = client.head(path).send().await;
    assert_eq!(head.header("content-length"), Some("5"));

    setting.once(|fault| fault.wrong_length(SIZE as u64 + 10));
    let (body, ending) = client.get(path).send().await.rest().await;
    assert_eq!((body, ending), (content.clone(), Ending::Early));

    setting.once(|fault| fault.wrong_length(1000));
    let (body, ending) = client.get(path).send().await.rest().await;
    assert_eq!((body, ending), (content.slice(..1000), Ending::Complete));
}

#[tokio::test]
async fn a_body_may_have_no_length_and_no_end() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        ..
    } = &setting;
    setting.once(|fault| fault.no_content_length());
    let reply = client.get(path).send().await;
    assert_eq!(reply.header("content-length"), None);
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.body().await, *content);

    setting.once(|fault| fault.endless());
    let mut reply = client.get(path).send().await;
    assert_eq!(reply.read_exactly(SIZE).await, *content);
    reply.read_exactly(3 * SIZE).await;
    drop(reply);
    registry
        .wait_for(|log| log.requests()[1].progress == Progress::Broken)
        .await;
}

#[tokio::test]
async fn a_body_ends_at_the_exact_byte() {
    let plain = Setting::new().await;
    let secure = FakeRegistry::builder().tls().start().await;
    let client = Client::tls(secure.address(), secure.ca_pem());
    let secure = Setting::with(secure, client);
    for setting in [plain, secure] {
        let Setting {
            client,
            content,
            path,
            ..
        } = &setting;
        for place in [0, 1, 1000, 65_536, 200_001, SIZE - 1] {
            setting.once(|fault| fault.end_after(place as u64));
            let reply = client.get(path).send().await;
            assert_eq!(reply.header("content-length"), Some("300000"));
            let (body, ending) = reply.rest().await;
            assert_eq!((body.len(), ending), (place, Ending::Early));
            assert_eq!(body, content.slice(..place));
        }
        setting.once(|fault| fault.no_content_length().end_after(1000));
        let (body, ending) = client.get(path).send().await.rest().await;
        assert_eq!((body, ending), (content.slice(..1000), Ending::Early));
    }
}

#[tokio::test]
async fn a_body_is_cut_by_a_reset() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        digest,
    } = &setting;
    setting.once(|fault| fault.cut_after(1000));
    let (body, ending) = client.get(path).send().await.rest().await;
    assert_eq!(ending, Ending::Reset);
    assert!(content.slice(..1000).starts_with(&body));
    registry
        .wait_for(|log| log.requests()[0].progress == Progress::Broken)
        .await;
    assert_eq!(registry.blob_bytes(digest), 1000);

    // The client has read what there was before the cut: then it has it all.
    let gate = setting.once(|fault| fault.stall_after(1000).cut_after(1000));
    let mut reply = client.get(path).send().await;
    assert_eq!(reply.read_exactly(1000).await, content.slice(..1000));
    gate.open();
    assert_eq!(reply.rest().await, (Bytes::new(), Ending::Reset));
}

#[tokio::test]
async fn a_stalled_body_gives_the_bytes_before_the_stall_and_goes_on_when_told() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        digest,
    } = &setting;
    for place in [0, 1000, 150_000] {
        registry.clear_log();
        let gate = setting.once(|fault| fault.stall_after(place as u64));
        let mut reply = client.get(path).send().await;
        assert_eq!(reply.read_exactly(place).await, content.slice(..place));
        gate.reached().await;
        assert_eq!(registry.blob_bytes(digest), place as u64);
        gate.open();
        assert_eq!(reply.body().await, content.slice(place..));
    }
}

#[tokio::test]
async fn a_stall_beyond_all_buffers_is_reached_as_the_client_reads() {
    let registry = FakeRegistry::start().await;
    let content = noise(2, 64 << 20);
    let digest = registry.repository("app").blob(content.clone());
    let place = content.len() - 1;
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(place as u64));
    let client = Client::new(registry.address());
    let path = format!("/v2/app/blobs/{digest}");
    let mut reply = client.get(&path).send().await;
    registry.wait_for(|log| log.blob_bytes(&digest) > 0).await;
    assert!(registry.blob_bytes(&digest) < place as u64);
    let read = reply.read_exactly(place);
    let (start, ()) = tokio::join!(read, gate.reached());
    assert_eq!(registry.blob_bytes(&digest), place as u64);
    gate.open();
    assert!(start == content[..place] && reply.body().await == content[place..]);
}

#[tokio::test]
async fn a_dripping_body_gives_a_piece_for_each_step() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        digest,
    } = &setting;
    let gate = setting.once(|fault| fault.drip(1000));
    let ask = client.get(path).header("range", "bytes=0-2499");
    let mut reply = ask.send().await;
    for pieces in 0..3 {
        gate.reached().await;
        assert_eq!(registry.blob_bytes(digest), pieces * 1000);
        gate.step();
    }
    assert_eq!(reply.read_exactly(2500).await, content.slice(..2500));
    assert_eq!(reply.rest().await, (Bytes::new(), Ending::Complete));
}

#[tokio::test]
async fn an_answer_that_stalls_before_its_headers_comes_when_the_gate_opens() {
    let setting = Setting::new().await;
    let Setting {
        registry,
        client,
        content,
        path,
        ..
    } = &setting;
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_before_headers());
    let test = async {
        gate.reached().await;
        gate.reached().await;
        let log = registry.log();
        assert!(
            log.requests()
                .iter()
                .all(|request| request.progress == Progress::Asked)
        );
        gate.step();
        registry
            .wait_for(|log| {
                log.requests()
                    .iter()
                    .any(|request| request.status.is_some())
            })
            .await;
        assert_eq!(
            registry
                .requests()
                .iter()
                .filter(|request| request.status.is_none())
                .count(),
            1
        );
        gate.open();
    };
    let (first, second, ()) = tokio::join!(client.get(path).send(), client.get(path).send(), test);
    assert_eq!(
        (first.body().await, second.body().await),
        (content.clone(), content.clone())
    );
    assert_eq!(client.get(path).send().await.body().await, *content);
    assert_eq!(gate.hits(), 3);
}

#[tokio::test]
async fn faults_add_up_in_one_answer() {
    let setting = Setting::new().await;
    let Setting {
        client,
        content,
        path,
        ..
    } = &setting;
    setting.once(|fault| fault.no_digest_header().wrong_byte_at(1000).end_after(2000));
    let reply = client.get(path).header("range", "bytes=500-").send().await;
    assert_eq!(reply.header("docker-content-digest"), None);
    let (body, ending) = reply.rest().await;
    assert_eq!((body.len(), ending), (2000, Ending::Early));
    assert_ne!(body[500], content[1000]);
    assert_eq!(
        (&body[..500], &body[501..]),
        (&content[500..1000], &content[1001..2500])
    );
}

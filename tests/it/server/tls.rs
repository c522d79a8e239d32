//! TLS towards clients: in place of plain HTTP or beside it, with certificates of theirs, and with new files.

use std::fs;
use std::net::SocketAddr;

use http::Version;
use larder::server::TlsSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Authority, FakeRegistry, Fault, Image, Kind, TestProxy, noise, within};

const MIB: usize = 1024 * 1024;
const TAG: &str = "/v2/app/manifests/1";

/// A registry with an image, and a larder that speaks TLS.
async fn larder(tls: TlsSettings) -> (FakeRegistry, TestProxy) {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 1000)]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.tls(tls).start().await;
    (registry, proxy)
}

/// TLS on a port of its own.
pub(super) fn beside(tls: TlsSettings) -> TlsSettings {
    TlsSettings {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..tls
    }
}

#[tokio::test]
async fn images_are_pulled_over_tls_by_both_versions_of_http() {
    let authority = Authority::new();
    let (registry, proxy) = larder(authority.settings()).await;
    let content = noise(2, 3 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let client = proxy.tls_client(&authority.pem());
    for (client, version) in [
        (client.clone(), Version::HTTP_11),
        (client.http2(), Version::HTTP_2),
    ] {
        let reply = client.get(TAG).send().await;
        assert_eq!((reply.status.as_u16(), reply.version), (200, version));
        let reply = client.get(&format!("/v2/app/blobs/{digest}")).send().await;
        assert_eq!(reply.version, version);
        assert_eq!(reply.body().await, content);
    }
    // A client that trusts somebody else finds out.
    let other = proxy.tls_client(&Authority::new().pem());
    assert!(other.get(TAG).try_send().await.is_err());
}

#[tokio::test]
async fn plain_http_and_tls_stand_side_by_side() {
    let authority = Authority::new();
    let (_registry, proxy) = larder(beside(authority.settings())).await;
    assert_eq!(proxy.get(TAG).await.status, 200);
    let client = proxy.tls_client(&authority.pem());
    assert_eq!(client.get(TAG).send().await.status, 200);
    // What takes its turns with the other listener gets all of them.
    let (mut plain, mut encrypted) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        plain.push(proxy.client().connect().await);
        encrypted.push(client.connect().await);
    }
    for mut connection in plain.into_iter().chain(encrypted) {
        assert_eq!(connection.get(TAG).send().await.status, 200);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_request_without_encryption_is_told_what_is_wrong() {
    let authority = Authority::new();
    let (_registry, proxy) = larder(authority.settings()).await;
    for client in [proxy.client(), proxy.client().http2()] {
        let reply = client.get(TAG).send().await;
        assert_eq!(reply.status, 400);
        let body = reply.body().await;
        let body = String::from_utf8_lossy(&body);
        assert!(
            body.contains("https://") && body.contains("UNSUPPORTED"),
            "{body}"
        );
    }
    let mut connection = proxy.client().connect().await;
    let reply = connection.get(TAG).send().await;
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(proxy.get("/v2/").await.status == 400);
}

#[tokio::test]
async fn a_handshake_where_no_tls_is_spoken_is_answered_in_http() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::of(&registry).await;
    let mut socket = proxy.socket().await;
    socket
        .write_all(b"\x16\x03\x01\x00\x05hello\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    within("an answer", socket.read_exact(&mut answer))
        .await
        .unwrap();
    // This is what makes clients try again without TLS where they may.
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn what_is_neither_is_closed() {
    let authority = Authority::new();
    let (_registry, proxy) = larder(authority.settings()).await;
    for sent in [&b"\0\0\0\0\0\0"[..], b"\x16\x03\x01\x00\x05hello", b"\xff"] {
        let mut socket = proxy.socket().await;
        socket.write_all(sent).await.unwrap();
        AsyncWriteExt::shutdown(&mut socket).await.unwrap();
        let mut answer = Vec::new();
        // Closed or reset, and nothing that looks like HTTP.
        drop(within("the end", socket.read_to_end(&mut answer)).await);
        assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
    }
    let client = proxy.tls_client(&authority.pem());
    assert_eq!(client.get(TAG).send().await.status, 200);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_and_so_is_one_that_stalls() {
    let authority = Authority::new();
    let (_registry, proxy) = larder(authority.settings()).await;
    tokio::time::pause();
    for sent in [&b""[..], b"\x16\x03\x01\x02"] {
        let mut socket = proxy.socket().await;
        socket.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let limit = std::time::Duration::from_secs(30);
        let ended = tokio::time::timeout(limit, socket.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{}", sent.escape_ascii());
    }
}

#[tokio::test]
async fn clients_show_a_certificate_where_one_is_wanted() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let tls = beside(authority.settings_for(&clients));
    let (_registry, proxy) = larder(tls).await;
    let client = proxy.tls_client(&authority.pem());
    for (client, is_let_in) in [
        (client.clone(), false),
        (client.clone().showing(&Authority::new().vouch()), false),
        (client.clone().showing(&authority.vouch()), false),
        (client.clone().showing(&clients.vouch()), true),
        (client.showing(&clients.vouch()).http2(), true),
    ] {
        let answer = client.get(TAG).try_send().await;
        let is_answered = answer.as_ref().is_ok_and(|reply| reply.status == 200);
        assert_eq!(is_answered, is_let_in, "{answer:?}");
    }
    // Beside it, nobody has to.
    assert_eq!(proxy.get(TAG).await.status, 200);
}

/// Waits, in paused time, until the files are looked at again.
async fn look_again() {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn new_files_take_over_and_bad_ones_do_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let (clients, others) = (Authority::new(), Authority::new());
    let (_registry, proxy) = larder(old.settings_for(&clients)).await;
    let is_served = async |authority: &Authority, clients: &Authority| {
        look_again().await;
        let client = proxy.tls_client(&authority.pem());
        let client = client.showing(&clients.vouch());
        client.get(TAG).try_send().await.is_ok()
    };
    let mut kept = proxy
        .tls_client(&old.pem())
        .showing(&clients.vouch())
        .connect()
        .await;
    assert!(is_served(&old, &clients).await);
    fs::write(old.path("cert.pem"), "no certificate").unwrap();
    assert!(is_served(&old, &clients).await);
    // Half of a pair.
    fs::write(old.path("cert.pem"), new.vouch().certificate).unwrap();
    assert!(is_served(&old, &clients).await);
    old.write(&new.vouch());
    assert!(is_served(&new, &clients).await);
    assert!(!is_served(&old, &clients).await);
    fs::write(old.path("clients.pem"), others.pem()).unwrap();
    assert!(is_served(&new, &others).await);
    assert!(!is_served(&new, &clients).await);
    // Who is connected stays connected.
    assert_eq!(kept.get(TAG).send().await.status, 200);
}

#[tokio::test]
async fn an_answer_over_tls_is_given_to_its_end_when_larder_stops() {
    let authority = Authority::new();
    let (registry, proxy) = larder(beside(authority.settings())).await;
    let content = noise(3, 4 * MIB);
    let digest = registry.repository("app").blob(content.clone());
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(2 * MIB as u64));
    let client = proxy.tls_client(&authority.pem());
    let path = format!("/v2/app/blobs/{digest}");
    let mut over_tls = client.get(&path).send().await;
    let mut plain = proxy.get(&path).await;
    for reply in [&mut over_tls, &mut plain] {
        assert_eq!(reply.read_exactly(MIB).await, content[..MIB]);
    }
    gate.reached().await;
    proxy.begin_stop();
    gate.open();
    for reply in [over_tls, plain] {
        assert_eq!(reply.body().await, content[MIB..]);
    }
    assert_eq!(proxy.stopped().await, 0);
}

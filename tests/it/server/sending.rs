//! How blobs get to the socket: as files where that can be, and the same bytes either way.

use std::fs;
use std::path::Path;

use larder::oci::Digest;

use super::tls::beside;
use crate::support::{Authority, FakeRegistry, TestProxy, noise};

const MIB: usize = 1024 * 1024;

/// Tells whether a blob in this folder is mapped into the memory of this process, in which larder runs.
fn is_mapped(folder: &Path, digest: &Digest) -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let (folder, hex) = (folder.to_str().unwrap(), digest.hex());
    maps.lines()
        .any(|line| line.contains(folder) && line.contains(&hex))
}

#[tokio::test]
async fn plain_http1_sends_files_and_all_else_reads_them() {
    let authority = Authority::new();
    let registry = FakeRegistry::start().await;
    // More than the buffers between the two sides hold while little was read.
    let content = noise(1, 32 * MIB);
    let digest: Digest = registry.repository("app").blob(content.clone());
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.tls(beside(authority.settings())).start().await;
    let path = format!("/v2/app/blobs/{digest}");
    let tls = proxy.tls_client(&authority.pem());
    assert!(tls.get(&path).send().await.body().await == content);
    // That which maps it comes last: it may do so for a moment after its client has everything.
    for (client, what, is_sent) in [
        (tls.clone(), "TLS", false),
        (tls.http2(), "HTTP/2", false),
        (proxy.client().http2(), "HTTP/2 without TLS", false),
        (proxy.client(), "HTTP/1.1", true),
    ] {
        let mut reply = client.get(&path).send().await;
        let begin = reply.read_exactly(MIB).await;
        assert_eq!(is_mapped(&proxy.folder(), &digest), is_sent, "{what}");
        let rest = reply.body().await;
        assert!(begin == content[..MIB] && rest == content[MIB..], "{what}");
    }
    let client = proxy.client();
    let part = client.get(&path).header("range", "bytes=1000001-9000000");
    let part = part.send().await;
    assert!(part.body().await == content[1_000_001..=9_000_000]);
}

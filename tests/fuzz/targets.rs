//! What strangers send, as plain functions over bytes: each panics when something is not as it has to be.

use http::{HeaderMap, HeaderValue};
use larder::oci::{
    ByteRange, Challenge, ChallengeContent, ContentRange, ManifestKind, ManifestView, MediaType,
};
use larder::server::forwarded::{self, Chain};
use larder::server::proxy_protocol::{self, Progress};
use larder::server::route::{Located, Route};

/// Reads lines of a `WWW-Authenticate` header.
pub fn challenge(bytes: &[u8]) {
    let lines = || bytes.split(|byte| *byte == b'\n');
    let found = Challenge::parse(lines());
    assert!(found.len() <= Challenge::MAX_CHALLENGES);
    for challenge in &found {
        assert!(!challenge.scheme.is_empty());
        if let ChallengeContent::Parameters(parameters) = &challenge.content {
            assert!(parameters.len() <= Challenge::MAX_PARAMETERS);
            assert!(parameters.iter().all(|(name, _)| !name.is_empty()));
        }
    }
    // What comes later changes nothing of what was read before, but for the last challenge and its parameters.
    let whole = found.len().saturating_sub(1);
    let more: [&[u8]; 1] = [b"Basic realm=\"x\""];
    let longer = Challenge::parse(lines().chain(more));
    assert_eq!(longer[..whole], found[..whole]);
}

/// Reads a path with its query.
pub fn route(bytes: &[u8]) {
    let target = String::from_utf8_lossy(bytes);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_ref(), None),
    };
    let Ok(Located { route, mount, .. }) = Located::parse(path, query) else {
        return;
    };
    let name = match route {
        Route::ApiVersion | Route::Catalog | Route::Extensions => None,
        Route::Manifest { name, .. }
        | Route::Blob { name, .. }
        | Route::Tags { name }
        | Route::Referrers { name, .. }
        | Route::StartUpload { name }
        | Route::Upload { name, .. } => Some(name),
    };
    // No name leaves its place.
    for segment in name
        .iter()
        .flat_map(|name| name.split('/'))
        .chain(mount.as_deref())
    {
        assert!(!matches!(segment, "" | "." | ".."), "{segment:?}");
        assert!(!segment.contains(['\\', '\0', '\r', '\n']), "{segment:?}");
    }
}

/// Reads a manifest: its `Content-Type` on the first line, then its body.
pub fn manifest(bytes: &[u8]) {
    let (first, body) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (&bytes[..0], bytes),
    };
    let claimed = MediaType::parse(&String::from_utf8_lossy(first));
    let Ok(view) = ManifestView::parse(body, claimed.as_ref()) else {
        return;
    };
    match view.kind {
        ManifestKind::Index => assert!(view.blobs.is_empty()),
        ManifestKind::Manifest => assert!(view.manifests.is_empty()),
        ManifestKind::Schema1 | ManifestKind::Other => {}
    }
    // It says the same of itself without the header, when it says anything.
    if view.declared.is_some() {
        let own = ManifestView::parse(body, None).expect("it says what it is");
        assert_eq!(own.declared, view.declared);
    }
}

/// Reads a `Range`, and the same as a `Content-Range`.
pub fn range(bytes: &[u8]) {
    let value = String::from_utf8_lossy(bytes);
    for total in [0, 1, 1_000, u64::MAX] {
        if let Some(Ok(range)) = ByteRange::parse(&value).map(|range| range.resolve(total)) {
            assert!(range.start() < range.end() && range.end() <= total);
            assert_eq!(range.total(), total);
        }
    }
    if let Some(range) = ContentRange::parse(&value) {
        assert!(range.start() < range.end() && range.end() <= range.total());
    }
}

/// Reads the beginning of a connection as a PROXY protocol header, a piece at a time.
pub fn proxy_header(bytes: &[u8]) {
    let mut read = 0;
    loop {
        match proxy_protocol::parse(&bytes[..read]) {
            Ok(Progress::Needs(more)) => {
                assert!(more > 0 && read + more <= 16 + 4096, "{read} and {more}");
                read += more;
                if read > bytes.len() {
                    return;
                }
            }
            // Nothing of what follows is a part of it.
            Ok(Progress::Whole(_)) => return assert!(read >= 15, "{read}"),
            Err(_) => return,
        }
    }
}

/// Reads lines of `X-Forwarded-For`, and the same as `Forwarded`.
pub fn forwarded(bytes: &[u8]) {
    for name in ["x-forwarded-for", "forwarded"] {
        let (mut client, mut whole) = (HeaderMap::new(), HeaderMap::new());
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                client.append(name, value.clone());
                whole.append(name, value);
            }
        }
        // Whatever a client writes, what a proxy adds behind it is found, and found last.
        whole.append(name, HeaderValue::from_static("for=192.0.2.1"));
        if name == "x-forwarded-for" {
            whole.append(name, HeaderValue::from_static("192.0.2.1"));
        }
        let Chain::Of(hops) = forwarded::chain(&whole) else {
            panic!("there is one header");
        };
        assert_eq!(hops.last(), Some(&Some([192, 0, 2, 1].into())));
        match forwarded::chain(&client) {
            Chain::Of(before) => assert_eq!(hops[..before.len()], before),
            Chain::Nothing => {}
            Chain::Disputed => panic!("there is one header"),
        }
    }
}

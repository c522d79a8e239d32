//! Redirects: followed with what may travel, refused where they lead astray.

use super::server::{Registry, Reply};
use super::*;
use crate::upstream::{ManifestHead, TrustRule};

const WHOLE: TransferRange = TransferRange::WHOLE;

/// Starts a registry that wants a token and sends everyone who has it elsewhere.
async fn sends_to(location: impl Fn() -> String + Send + Sync + 'static) -> Registry {
    let service = Registry::start(|_| Reply::ok(r#"{"token":"secret"}"#)).await;
    Registry::start(move |seen| match seen.header("authorization") {
        None => {
            let value = format!(r#"Bearer realm="{}/token""#, service.url());
            Reply::status(401).header("WWW-Authenticate", &value)
        }
        Some(_) => Reply::status(307).header("Location", &location()),
    })
    .await
}

#[tokio::test]
async fn a_token_stays_behind_and_the_range_travels() {
    let blob = noise(1000);
    let served = blob.clone();
    let storage = Registry::start(move |seen| Reply::range(&served, seen)).await;
    let location = format!("{}/signed?sig=a%2Fb", storage.url());
    let registry = sends_to(move || location.clone()).await;
    let upstream = upstream(&[registry.url()]);
    let range = TransferRange {
        start: 10,
        end: Some(20),
    };
    let mut transfer = transfer(&upstream, &blob, range, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob[10..20]);
    let seen = storage.seen().remove(0);
    assert_eq!(seen.target, "/signed?sig=a%2Fb");
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("range"), Some("bytes=10-19"));
    assert_eq!(seen.header("accept"), Some("*/*"));
    let sender = registry.seen();
    assert_eq!(
        sender.last().unwrap().header("authorization"),
        Some("Bearer secret")
    );
}

#[tokio::test]
async fn a_broken_transfer_asks_the_registry_for_a_new_way() {
    let blob = noise(1000);
    let (served, count) = (blob.clone(), Counter::default());
    let storage = Registry::start(move |seen| match count.next() {
        0 => Reply::ok(served.as_slice()).cut(100),
        _ => Reply::range(&served, seen),
    })
    .await;
    let (base, count) = (storage.url(), Counter::default());
    let registry = sends_to(move || format!("{base}/signed{}", count.next())).await;
    let upstream = upstream(&[registry.url()]);
    let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
    assert_eq!(read(&mut transfer).await.unwrap(), blob);
    assert_eq!(storage.log(), ["GET /signed0", "GET /signed1"]);
    // One refusal in all: the token is shown unasked from then on.
    assert_eq!(registry.log().len(), 3);
}

#[tokio::test]
async fn every_kind_of_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let registry = Registry::start(move |seen| match seen.target.as_str() {
            "/elsewhere" => Reply::ok("{}"),
            // More than is read at once, so that the connection is only kept when it is read to the end.
            _ => Reply::status(status)
                .header("Location", "/elsewhere")
                .body(noise(15_000)),
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        let found = upstream.head_blob(&repository(), &digest(b"{}")).await;
        assert_eq!(found.unwrap().unwrap().size, Some(2));
        let last = registry.log().pop();
        assert_eq!(last.as_deref(), Some("HEAD /elsewhere"), "{status}");
        manifest_of(&upstream, "library/alpine").await.unwrap();
        let last = registry.log().pop();
        assert_eq!(last.as_deref(), Some("GET /elsewhere"), "{status}");
        assert_eq!(registry.connections(), 1, "{status}");
    }
}

#[tokio::test]
async fn redirects_that_are_refused() {
    let metadata = "http://169.254.169.254/latest/meta-data?x=secret";
    let forbidden = |rule, url: &str| format!("not going to {url}: {rule}");
    for (location, message) in [
        (
            metadata,
            forbidden(
                TrustRule::Address,
                "http://169.254.169.254/latest/meta-data",
            ),
        ),
        (
            "ftp://cdn.test/",
            forbidden(TrustRule::Scheme, "ftp://cdn.test/"),
        ),
        (
            "http://u:p@cdn.test/",
            forbidden(TrustRule::UserInfo, "http://cdn.test/"),
        ),
        ("http://", "redirects to nowhere".into()),
        ("?again", "redirects more than 10 times".into()),
    ] {
        let registry =
            Registry::start(move |_| Reply::status(302).header("Location", location)).await;
        let upstream = upstream(&[registry.url()]);
        let error = transfer(&upstream, b"x", WHOLE, None).await.unwrap_err();
        assert!(error.to_string().ends_with(&message), "{error}");
        assert!(registry.log().len() <= 11, "{location}");
    }
}

#[tokio::test]
async fn a_registry_behind_a_registry_gets_a_token_of_its_own() {
    let service = Registry::start(|_| Reply::ok(r#"{"token":"other"}"#)).await;
    let realm = service.url();
    let behind = Registry::start(move |seen| match seen.header("authorization") {
        Some("Bearer other") => Reply::ok("{}"),
        _ => {
            let value = format!(r#"Bearer realm="{realm}/token",scope="repository:x:pull""#);
            Reply::status(401).header("WWW-Authenticate", &value)
        }
    })
    .await;
    let location = format!("{}/v2/x/manifests/1", behind.url());
    let registry = sends_to(move || location.clone()).await;
    let upstream = upstream(&[registry.url()]);
    for _ in 0..2 {
        let found = manifest_of(&upstream, "library/alpine").await.unwrap();
        assert_eq!(found.unwrap().bytes, "{}");
    }
    assert_eq!(service.log(), ["GET /token?scope=repository%3Ax%3Apull"]);
    let shown = behind.seen();
    let shown: Vec<_> = shown
        .iter()
        .map(|seen| seen.header("authorization"))
        .collect();
    assert_eq!(shown, [None, Some("Bearer other"), Some("Bearer other")]);
    assert!(
        registry
            .seen()
            .iter()
            .all(|seen| seen.header("authorization") != Some("Bearer other"))
    );
}

#[tokio::test]
async fn storage_that_takes_no_head_is_asked_by_get() {
    let storage = Registry::start(|seen| match seen.method.as_str() {
        "HEAD" => Reply::status(403),
        _ => Reply::range(&[0; 7], seen),
    })
    .await;
    let location = storage.url() + "/signed";
    let registry = sends_to(move || location.clone()).await;
    let found = upstream(&[registry.url()]);
    let found = found.head_blob(&repository(), &digest(b"x")).await.unwrap();
    assert_eq!(found.unwrap().size, Some(7));
    assert_eq!(storage.seen()[1].header("range"), Some("bytes=0-0"));
}

const NO_CODE: &str = "<Error><Code>AccessDenied</Code></Error>";
const CODE: &str = r#"{"errors":[{"code":"UNKNOWN","message":"gone for good"}]}"#;

/// Starts a registry that sends everyone to a new address at another place each time.
async fn sends_on(place: &Registry) -> Registry {
    let (base, count) = (place.url(), Counter::default());
    Registry::start(move |_| {
        let location = format!("{base}/signed{}", count.next());
        Reply::status(307).header("Location", &location)
    })
    .await
}

#[tokio::test]
async fn storage_that_says_no_is_asked_again_by_way_of_the_registry() {
    let blob = noise(1000);
    for status in [401, 403, 404, 410] {
        let (served, count) = (blob.clone(), Counter::default());
        let storage = Registry::start(move |_| match count.next() {
            0 => Reply::status(status).body(NO_CODE),
            1 => Reply::ok(served.as_slice()).cut(100),
            2 => Reply::status(status),
            _ => Reply::ok(served.as_slice()),
        })
        .await;
        let registry = sends_on(&storage).await;
        let upstream = upstream(&[registry.url()]);
        let mut transfer = transfer(&upstream, &blob, WHOLE, None).await.unwrap();
        assert_eq!(read(&mut transfer).await.unwrap(), blob, "{status}");
        let signed = (0..4).map(|number| format!("GET /signed{number}"));
        assert_eq!(storage.log(), signed.collect::<Vec<_>>(), "{status}");
    }
}

#[tokio::test]
async fn storage_that_always_says_no_makes_no_absence() {
    let other = r#"{"errors":[{"code":10007,"message":"no"}]}"#;
    for body in [NO_CODE, "", other, r#"{"message":"Not Found"}"#] {
        let storage = Registry::start(move |_| Reply::status(404).body(body)).await;
        let registry = sends_on(&storage).await;
        let limits = Limits {
            retry: Schedule::once(),
            ..quick()
        };
        let upstream = upstream_with(&[registry.url()], limits, None);
        let host = storage.url().replace("http://", "");
        let message = format!("{host}, where the registry sent us, answered 404 Not Found");
        let blob = upstream.head_blob(&repository(), &digest(b"x")).await;
        assert_eq!(blob.unwrap_err().to_string(), message);
        let manifest = manifest_of(&upstream, "library/alpine").await;
        assert_eq!(manifest.unwrap_err().to_string(), message);
    }
}

#[tokio::test]
async fn a_registry_that_we_were_sent_to_is_believed() {
    let versioned =
        |status| Reply::status(status).header("Docker-Distribution-Api-Version", "registry/2.0");
    let coded = |status| Reply::status(status).body(CODE);
    for (reply, refusal) in [
        (versioned(404), None),
        (coded(404), None),
        (versioned(403), Some("refused with 403 Forbidden")),
        (
            coded(403),
            Some("refused with 403 Forbidden: 'gone for good'"),
        ),
        (coded(410), Some("refused with 410 Gone: 'gone for good'")),
    ] {
        let shown = format!("{reply:?}");
        let behind = Registry::start(move |_| reply.clone()).await;
        let host = behind.url().replace("http://", "");
        let registry = sends_on(&behind).await;
        let found = manifest_of(&upstream(&[registry.url()]), "library/alpine").await;
        match (found, refusal) {
            (Ok(found), None) => assert_eq!(found, None, "{shown}"),
            (found, refusal) => assert_eq!(
                found.unwrap_err().to_string(),
                format!("{host} {}", refusal.unwrap_or_default())
            ),
        }
        assert_eq!(behind.log().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_head_that_cannot_show_who_speaks_is_followed_by_a_get() {
    let behind = Registry::start(|_| Reply::status(404).body(CODE)).await;
    let registry = sends_on(&behind).await;
    let upstream = upstream(&[registry.url()]);
    let blob = upstream.head_blob(&repository(), &digest(b"x")).await;
    assert_eq!(blob.unwrap(), None);
    let head = upstream
        .head_manifest(&repository(), &tag(), VariantClass::Index)
        .await;
    assert_eq!(head.unwrap(), Some(ManifestHead::Unsupported));
    let methods = behind.seen().into_iter().map(|seen| seen.method);
    assert_eq!(methods.collect::<Vec<_>>(), ["HEAD", "GET", "HEAD"]);
}

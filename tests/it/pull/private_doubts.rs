//! What looks public and is not, and logins that come while others ask.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use larder::upstream::{CredentialSource, EndpointUrl};

use super::private::{larder, registry, status};
use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise, within};

/// Writes a file as docker does, with the login of `acme`. Nobody sees half of it.
fn log_in(file: &Path) {
    let auth = STANDARD.encode("acme:secret");
    let text = format!(r#"{{"auths":{{"up.test":{{"auth":"{auth}"}}}}}}"#);
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

#[tokio::test]
async fn a_login_that_comes_later_opens_nothing_to_others() {
    let registry = registry().await;
    let repository = registry.repository("team/app");
    let image = Image::with_layers([noise(1, 300_000)]).push_as(&repository, "1");
    repository.make_private();
    let other = registry.repository("team/other");
    Image::with_layers([noise(2, 1_000)]).push_as(&other, "1");
    other.make_private();
    let folder = tempfile::tempdir().unwrap();
    let things = [
        "manifests/1".to_owned(),
        format!("manifests/{}", image.digest),
        format!("blobs/{}", image.layers[0]),
    ];
    for (index, thing) in things.iter().enumerate() {
        let file = folder.path().join(format!("auth-{index}.json"));
        let proxy = TestProxy::builder().upstream("up.test", &registry);
        let proxy = proxy.credential("**", CredentialSource::AuthFile(file.clone()));
        let proxy = proxy.limits(|limits| limits.login_file = Duration::ZERO);
        let proxy = proxy.start().await;
        assert_eq!(status(&proxy, "/v2/team/app/manifests/none").await, 404);
        log_in(&file);
        within("the login", async {
            while proxy.get("/v2/team/other/manifests/1").await.status != 200 {}
        })
        .await;
        let path = format!("/v2/team/app/{thing}");
        for _ in 0..2 {
            let status = status(&proxy, &path).await;
            assert!(matches!(status, 403 | 404), "{path}: {status}");
        }
        assert_eq!(proxy.get(&path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_mirror_does_not_say_that_a_repository_is_public() {
    let registry = registry().await;
    let private = registry.repository("team/app");
    let common = noise(1, 1000);
    let image = Image::with_layers([common.clone(), noise(2, 1000)]).push_as(&private, "1");
    private.make_private();
    // It has content by digest, whatever the repository.
    let mirror = FakeRegistry::start().await;
    mirror.repository("team/app").blob(common);
    let url: EndpointUrl = mirror.url().parse().unwrap();
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.login("acme", "secret");
    let proxy = proxy.with(|settings| settings.endpoints.insert(0, url.into()));
    let proxy = proxy.start().await;
    for thing in [
        format!("blobs/{}", image.layers[0]),
        format!("blobs/{}", image.layers[1]),
        "manifests/1".to_owned(),
    ] {
        let path = format!("/v2/team/app/{thing}");
        assert_eq!(status(&proxy, &path).await, 403, "{path}");
    }
}

#[tokio::test]
async fn a_page_to_log_in_at_opens_nothing() {
    let registry = FakeRegistry::builder().basic("acme", "secret");
    let registry = registry.start().await;
    let repository = registry.repository("team/app");
    let image = Image::with_layers([noise(1, 1000)]).push_as(&repository, "1");
    repository.make_private();
    let page = Fault::on([Kind::ManifestHead, Kind::BlobHead])
        .status(200)
        .header("content-type", "text/html; charset=utf-8");
    registry.inject(page);
    let proxy = larder(&registry).await;
    for thing in [
        format!("manifests/{}", image.digest),
        format!("blobs/{}", image.layers[0]),
    ] {
        let path = format!("/v2/team/app/{thing}");
        assert_eq!(status(&proxy, &path).await, 403, "{path}");
    }
}

//! Real registries and their quirks: through larder, an image comes whole from each of them, what is not there is 404,
//! and what is secret stays where it belongs. What each registry does stands in `support/fake/registries.rs`.

mod any;
mod any_login;
mod clouds;
mod clouds_login;
mod docker_hub;
mod docker_hub_login;
mod fetching;
mod ghcr;
mod ghcr_login;
mod google;
mod kubernetes;
mod red_hat;
mod self_hosted;
mod self_hosted_login;
mod version_one;

use larder::oci::Verifier;
use serde_json::Value;

use crate::support::fake::Shown;
use crate::support::image::PushedImage;
use crate::support::{FakeRegistry, Image, Kind, Reply, TestProxy, noise};

/// Puts an image of two layers into a repository: not the same one into every repository.
fn push(registry: &FakeRegistry, repository: &str, tag: &str) -> PushedImage {
    let seed = repository.bytes().map(u64::from).sum();
    let image = Image::with_layers([noise(seed, 100_000), noise(seed + 1, 1_000)]);
    image.push_as(&registry.repository(repository), tag)
}

/// Pulls an image whole, twice, as containerd does: HEAD and GET of the tag, then what it lists.
async fn pull(proxy: &TestProxy, name: &str, tag: &str, image: &PushedImage) {
    for _ in 0..2 {
        let head = proxy.head(&format!("/v2/{name}/manifests/{tag}")).await;
        let get = proxy.get(&format!("/v2/{name}/manifests/{tag}")).await;
        let length = image.bytes.len().to_string();
        for reply in [&head, &get] {
            assert_eq!(reply.status, 200, "{name}:{tag}");
            assert_eq!(reply.header("content-type"), Some(image.media_type));
            assert_eq!(reply.header("content-length"), Some(&*length));
            let digest = reply.header("docker-content-digest");
            assert_eq!(digest, Some(image.digest.to_string().as_str()));
        }
        assert_eq!(get.body().await, image.bytes);
        let path = format!("/v2/{name}/manifests/{}", image.digest);
        assert_eq!(proxy.get(&path).await.body().await, image.bytes);
        for digest in image.layers.iter().chain([&image.config]) {
            let reply = proxy.get(&format!("/v2/{name}/blobs/{digest}")).await;
            assert_eq!(reply.status, 200, "{digest}");
            Verifier::check(*digest, &reply.body().await).unwrap();
        }
    }
}

/// Reads a refusal: its status and code. It passes on no challenge of a registry.
async fn refusal(reply: Reply) -> (u16, String) {
    assert_eq!(reply.header("www-authenticate"), None);
    let status = reply.status.as_u16();
    let body: Value = serde_json::from_slice(&reply.body().await).unwrap();
    let code = body["errors"][0]["code"].as_str().unwrap();
    (status, code.to_owned())
}

/// Asks for a tag and a blob that are not to be had, and expects to be told so.
async fn expect_absence(proxy: &TestProxy, name: &str, tag: &str) {
    let manifest = proxy.get(&format!("/v2/{name}/manifests/{tag}")).await;
    let expected = (404, "MANIFEST_UNKNOWN".to_owned());
    assert_eq!(refusal(manifest).await, expected, "{name}:{tag}");
    let digest = format!("sha256:{}", "a".repeat(64));
    let blob = proxy.get(&format!("/v2/{name}/blobs/{digest}")).await;
    let expected = (404, "BLOB_UNKNOWN".to_owned());
    assert_eq!(refusal(blob).await, expected, "{name}@{digest}");
}

/// Expects that a place was asked, and shown nothing of ours.
fn expect_no_secrets(place: &FakeRegistry) {
    let requests = place.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.authorization(), None, "{request}");
    }
}

/// Expects that the password of a user was shown, to the token service and to nobody else.
fn expect_logins_at_tokens_only(registry: &FakeRegistry, name: &str) {
    let requests = registry.requests();
    let shown = requests.iter().filter_map(|request| match &request.shown {
        Shown::Password { user, .. } => Some((request.kind, user.as_str())),
        Shown::Nothing | Shown::Token(_) | Shown::Unknown => None,
    });
    let shown: Vec<_> = shown.collect();
    assert!(!shown.is_empty());
    assert!(
        shown.iter().all(|found| *found == (Kind::Token, name)),
        "{shown:?}"
    );
}

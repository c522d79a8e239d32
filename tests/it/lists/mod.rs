//! Lists: the tags of a repository, what refers to a manifest, and which repositories are here.

mod catalog;
mod outages;
mod pages;
mod private;
mod referrers;
mod tags;

use serde_json::Value;

use crate::support::{FakeRegistry, Image, PushedImage, Reply, TestProxy, noise};

/// Puts an image into a repository, under these tags.
fn push(registry: &FakeRegistry, name: &str, tags: &[&str]) -> PushedImage {
    let repository = registry.repository(name);
    let image = Image::with_layers([noise(1, 10)]).push(&repository);
    for tag in tags {
        repository.tag(tag, image.digest);
    }
    image
}

/// Reads the JSON document of an answer.
async fn document(reply: Reply) -> Value {
    let status = reply.status;
    let body = reply.body().await;
    serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{status} {body:?}: {error}"))
}

/// Reads the texts of a list in a document.
fn texts(document: &Value, list: &str) -> Vec<String> {
    let entries = document[list].as_array();
    let entries = entries.unwrap_or_else(|| panic!("no {list} in {document}"));
    entries
        .iter()
        .map(|entry| entry.as_str().unwrap().to_owned())
        .collect()
}

/// Asks for a list of tags, and returns it with where it came from.
async fn tags(proxy: &TestProxy, path: &str) -> (Vec<String>, String) {
    let reply = proxy.get(path).await;
    assert_eq!(reply.status, 200, "{path}");
    let outcome = reply.header("cache-status").unwrap().to_owned();
    (texts(&document(reply).await, "tags"), outcome)
}

/// Asks for a path, and returns status, code and words of the refusal.
async fn refusal(proxy: &TestProxy, path: &str) -> (u16, String, String) {
    let reply = proxy.get(path).await;
    let status = reply.status.as_u16();
    let told = &document(reply).await["errors"][0];
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    (status, text("code"), text("message"))
}

/// Where an answer came from.
const HIT: &str = "larder; hit";
const MISS: &str = "larder; fwd=miss; stored";
const REVALIDATED: &str = "larder; fwd=stale; detail=revalidated";
const OFFLINE: &str = "larder; hit; detail=offline";
const UNREACHABLE: &str = "larder; hit; detail=stale_unreachable";
const RATE_LIMITED: &str = "larder; hit; detail=stale_rate_limited";
const DENIED: &str = "larder; hit; detail=stale_denied";
const NOT_FOUND: &str = "larder; hit; detail=stale_not_found";
const SLOW: &str = "larder; hit; detail=stale_slow";

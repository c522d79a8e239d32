//! The freshness contract, from the outside: what a tag costs its registry, and what goes out when it cannot be asked.

mod circuit;
mod demand;
mod freshness;
mod history;
mod matrix;
mod offline;
mod old_clients;
mod outcomes;
mod outlasting;
mod waiting;

use std::time::Duration;

use crate::support::{FakeRegistry, Image, PushedImage, TestProxy, noise};

/// Longer than a tag of these tests is fresh, however much its period is spread.
const STALE: Duration = Duration::from_mins(12);

/// The tag that most tests ask for.
const TAG: &str = "/v2/app/manifests/1";

/// Makes an image, another one for each number, and gives it a tag.
fn push(registry: &FakeRegistry, tag: &str, number: u64) -> PushedImage {
    Image::with_layers([noise(number, 10)]).push_as(&registry.repository("app"), tag)
}

/// Asks for a path, and returns the status and where the answer came from.
async fn outcome(proxy: &TestProxy, path: &str) -> (u16, String) {
    let reply = proxy.get(path).await;
    let outcome = reply.header("cache-status").unwrap_or_default();
    let outcome = outcome.replace("larder; ", "").replace("hit; detail=", "");
    (reply.status.as_u16(), outcome)
}

//! What the tests stand on: registries that run in this process, images to put there, and a client that shows
//! everything.

use std::future::Future;
use std::time::Duration;

pub mod authority;
pub mod client;
pub mod fake;
pub mod forward;
pub mod image;
pub mod proxy;

pub use authority::Authority;
pub use client::{Client, Ending, Reply};
pub use fake::{Bearer, FakeRegistry, Fault, Gate, Kind, Progress};
pub use forward::ForwardProxy;
pub use image::{Image, Index, PushedImage, PushedIndex, noise};
pub use proxy::{TestProxy, TestProxyBuilder};

/// How long a test waits for anything. Far longer than what it waits for takes, so that only a mistake reaches it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a future, and fails the test when it takes longer than anything should.
#[track_caller]
pub fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what} took longer than {PATIENCE:?} ({caller})"),
        }
    }
}

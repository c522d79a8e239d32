//! The behaviour of the room, against registries on loopback.

mod circuits;
mod egress;
mod habits;
mod http2;
mod jumps;
mod listing;
mod logins;
mod manifests;
mod offline;
mod places;
mod redirects;
mod server;
mod standings;
mod tls;
mod tokens;
mod transfers;
mod wrong_logins;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::settings::{Egress, EndpointSettings, Limits, Parts, Settings};
use super::{
    BlobTransfer, EndpointUrl, FetchedManifest, Metrics, Schedule, SetupError, TransferRange,
    Upstream, UpstreamError, Upstreams,
};
use crate::oci::{Algorithm, Digest, Measurer, Reference, RepositoryName, VariantClass};
use crate::runtime::{Clock, InstanceId, Tasks};

/// Limits with which a test does not wait.
fn quick() -> Limits {
    Limits {
        retry: Schedule::new(Duration::from_millis(2), Duration::from_millis(500)),
        same_token: Duration::from_millis(2),
        ..Limits::default()
    }
}

/// Makes an upstream of endpoints, with a file of certificates for all of them.
fn upstream_with(endpoints: &[String], limits: Limits, ca_file: Option<PathBuf>) -> Arc<Upstream> {
    let endpoints = endpoints.iter().map(|url| {
        let mut endpoint = endpoint(url);
        endpoint.tls.ca_file = ca_file.clone();
        endpoint
    });
    upstream_of(endpoints.collect(), limits, Egress::default()).unwrap()
}

/// Settings with nothing but an address.
fn endpoint(url: &str) -> EndpointSettings {
    url.parse::<EndpointUrl>().unwrap().into()
}

/// Makes an upstream of endpoints that are reached in this way.
fn upstream_of(
    endpoints: Vec<EndpointSettings>,
    limits: Limits,
    egress: Egress,
) -> Result<Arc<Upstream>, SetupError> {
    let settings = Settings::new("up.test".parse().unwrap(), endpoints);
    let parts = Parts {
        egress,
        ..parts(limits)
    };
    let upstreams = Upstreams::new(vec![settings], parts)?;
    Ok(upstreams.get(&"up.test".parse().unwrap()).unwrap())
}

/// What upstreams are made with that nobody else has a part in.
fn parts(limits: Limits) -> Parts {
    Parts {
        limits,
        metrics: Metrics::default(),
        egress: Egress::default(),
        clock: Clock::system(),
        tasks: Tasks::new(),
        instance: InstanceId::random(),
    }
}

fn upstream(endpoints: &[String]) -> Arc<Upstream> {
    upstream_with(endpoints, quick(), None)
}

fn repository() -> RepositoryName {
    "library/alpine".parse().unwrap()
}

fn tag() -> Reference {
    Reference::Tag("3.20".parse().unwrap())
}

fn digest(bytes: &[u8]) -> Digest {
    Measurer::measure(Algorithm::Sha256, bytes).digest()
}

/// Bytes that differ from place to place.
fn noise(length: usize) -> Vec<u8> {
    let at = |i: usize| u8::try_from((i * 7 + i / 251) % 256).unwrap();
    (0..length).map(at).collect()
}

/// Asks for a manifest of a repository.
async fn manifest_of(
    upstream: &Upstream,
    repository: &str,
) -> Result<Option<FetchedManifest>, UpstreamError> {
    upstream
        .get_manifest(&repository.parse().unwrap(), &tag(), VariantClass::Index)
        .await
}

/// Begins to transfer a blob that is there.
async fn transfer(
    upstream: &Upstream,
    blob: &[u8],
    range: TransferRange,
    known_total: Option<u64>,
) -> Result<BlobTransfer, UpstreamError> {
    let begun = upstream
        .get_blob(&repository(), &digest(blob), range, known_total)
        .await;
    Ok(begun?.expect("the blob is there"))
}

/// Reads a transfer to its end.
async fn read(transfer: &mut BlobTransfer) -> Result<Vec<u8>, UpstreamError> {
    let mut bytes = Vec::new();
    while let Some(piece) = transfer.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Waits for something that has to come, and not for ever.
async fn within<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let come = tokio::time::timeout(Duration::from_secs(60), coming).await;
    come.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// Counts, from 0 on.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

//! Larders behind larders: tiers work, circles are told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use larder::oci::Verifier;
use larder::runtime::Tasks;
use larder::upstream::EndpointUrl;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{FakeRegistry, Image, Index, Kind, TestProxy, noise};

/// A loopback port whose connections lead where the test says once it knows.
struct Relay {
    address: SocketAddr,
    target: Arc<OnceLock<SocketAddr>>,
    tasks: Tasks,
}

impl Relay {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            target: Arc::default(),
            tasks: Tasks::new(),
        };
        let (target, tasks) = (relay.target.clone(), relay.tasks.clone());
        relay.tasks.spawn("relay", async move {
            let stopping = tasks.stopping();
            while let Some(Ok((mut from, _))) =
                stopping.run_until_cancelled(listener.accept()).await
            {
                let (target, stopping) = (*target.get().unwrap(), stopping.clone());
                tasks.spawn("relayed", async move {
                    let mut to = TcpStream::connect(target).await?;
                    let relayed = tokio::io::copy_bidirectional(&mut from, &mut to);
                    // A connection that broke is over, and that is all.
                    stopping.run_until_cancelled(relayed).await;
                    std::io::Result::Ok(())
                });
            }
        });
        relay
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn leads_to(&self, larder: &TestProxy) {
        let address = larder.url().trim_start_matches("http://").parse();
        self.target.set(address.unwrap()).unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

#[tokio::test]
async fn a_larder_that_is_its_own_registry_says_so() {
    let relay = Relay::start().await;
    let larder = TestProxy::builder().upstream_at("up.test", &relay.url());
    let larder = larder.start().await;
    relay.leads_to(&larder);
    let digest = format!("sha256:{}", "a".repeat(64));
    for path in [
        "/v2/app/manifests/1".to_owned(),
        format!("/v2/app/manifests/{digest}"),
        format!("/v2/app/blobs/{digest}"),
    ] {
        let reply = larder.get(&path).await;
        assert_eq!(reply.status, 502, "{path}");
        let told = String::from_utf8(reply.body().await.to_vec()).unwrap();
        assert!(told.contains("508 Loop Detected"), "{path}: {told}");
        assert_eq!(larder.head(&path).await.status, 502, "{path}");
    }
}

#[tokio::test]
async fn an_endpoint_that_leads_back_is_passed() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 100_000)]).push_as(&registry.repository("app"), "1");
    let relay = Relay::start().await;
    let larder = TestProxy::builder().upstream("up.test", &registry);
    let back: EndpointUrl = relay.url().parse().unwrap();
    let larder = larder.behind(back).start().await;
    relay.leads_to(&larder);
    let manifest = larder.get("/v2/app/manifests/1").await;
    assert_eq!(manifest.body().await, image.bytes);
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    assert_eq!(larder.get(&layer).await.body().await, noise(1, 100_000));
    assert_eq!(registry.count([Kind::ManifestGet, Kind::BlobGet]), 2);
}

#[tokio::test]
async fn a_larder_behind_a_larder_gives_whole_images() {
    let registry = FakeRegistry::builder().bearer().start().await;
    let image = |seed: u64| Image::with_layers([noise(seed, 300_000), noise(seed + 1, 1_000)]);
    let index = Index::of([("linux/amd64", image(1)), ("linux/arm64", image(10))]);
    let pushed = index.push_as(&registry.repository("team/app"), "1");
    let inner = TestProxy::builder()
        .upstream("up.test", &registry)
        .alias("hub");
    let inner = inner.start().await;
    // By the name of the registry as the path of the endpoint, and by its alias.
    for path in ["up.test", "hub"] {
        let url = format!("{}/{path}", inner.url());
        let outer = TestProxy::builder().upstream_at("up.test", &url);
        let outer = outer.start().await;
        let tag = outer.get("/v2/team/app/manifests/1").await;
        assert_eq!(tag.header("content-type"), Some(pushed.media_type));
        assert_eq!(tag.body().await, pushed.bytes, "{path}");
        for image in &pushed.images {
            let manifest = format!("/v2/team/app/manifests/{}", image.digest);
            assert_eq!(outer.get(&manifest).await.body().await, image.bytes);
            for digest in image.layers.iter().chain([&image.config]) {
                let blob = format!("/v2/team/app/blobs/{digest}");
                let blob = outer.get(&blob).await.body().await;
                Verifier::check(*digest, &blob).unwrap();
            }
        }
        assert_eq!(outer.get("/v2/team/app/manifests/none").await.status, 404);
        assert_eq!(outer.get("/v2/team/none/manifests/1").await.status, 404);
    }
    // The second time everything was there.
    assert_eq!(registry.count(Kind::BlobGet), 6);
}

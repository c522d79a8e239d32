//! Several endpoints of one registry: asked in order, and left alone while they fail.

use std::time::Duration;

use larder::upstream::{ApiPath, CircuitLimits, EndpointSettings, EndpointUrl};

use crate::support::proxy::TestProxyBuilder;
use crate::support::{FakeRegistry, Fault, Image, Kind, PushedImage, Reply, TestProxy, noise};

const HOUR: Duration = Duration::from_hours(1);
const RESTING: &str = r#"upstream_resting{upstream="up.test"}"#;
/// So many failures in a row open a circuit in these tests.
const FAILURES: usize = 3;

fn push(registry: &FakeRegistry, tag: &str) -> PushedImage {
    let seed = tag.bytes().map(u64::from).sum();
    Image::with_layers([noise(seed, 100_000)]).push_as(&registry.repository("app"), tag)
}

/// A mirror that has nothing, and the registry behind it.
async fn start() -> [FakeRegistry; 2] {
    [FakeRegistry::start().await, FakeRegistry::start().await]
}

fn both([mirror, registry]: &[FakeRegistry; 2]) -> TestProxyBuilder {
    let proxy = TestProxy::builder().upstream("up.test", registry);
    proxy.behind(mirror.endpoint())
}

/// Lets hosts that fail rest for so long.
fn resting_for(proxy: TestProxyBuilder, rest: Duration) -> TestProxyBuilder {
    proxy.limits(|limits| {
        limits.circuit = CircuitLimits {
            failures: FAILURES,
            within: HOUR,
            first_rest: rest,
            longest_rest: rest,
        };
    })
}

async fn tag(proxy: &TestProxy, tag: &str) -> Reply {
    proxy.get(&format!("/v2/app/manifests/{tag}")).await
}

#[tokio::test]
async fn what_an_endpoint_does_not_have_the_next_one_is_asked_for() {
    let places = start().await;
    let [mirror, registry] = &places;
    let (here, there) = (push(mirror, "here"), push(registry, "there"));
    let proxy = both(&places).start().await;
    for (name, image) in [("here", &here), ("there", &there)] {
        assert_eq!(tag(&proxy, name).await.body().await, image.bytes);
        let layer = format!("/v2/app/blobs/{}", image.layers[0]);
        let layer = proxy.get(&layer).await;
        assert_eq!(layer.status, 200, "{name}");
        layer.body().await;
    }
    assert_eq!(tag(&proxy, "none").await.status, 404);
    let asked = |place: &FakeRegistry| place.count([Kind::ManifestGet, Kind::BlobGet]);
    assert_eq!((asked(mirror), asked(registry)), (5, 3));
    assert_eq!(registry.lines()[0], "GET app/manifests/there");
}

#[tokio::test]
async fn an_endpoint_in_trouble_is_passed_at_once() {
    type Trouble = fn(Fault) -> Fault;
    let troubles: [(&str, Trouble); 4] = [
        ("500", |fault| fault.status(500)),
        ("503", |fault| fault.status(503)),
        ("429", |fault| fault.status(429).retry_after("600")),
        ("no answer", |fault| fault.hang_up()),
    ];
    for (name, trouble) in troubles {
        let places = start().await;
        let [mirror, registry] = &places;
        let image = push(registry, "1");
        mirror.inject(trouble(Fault::everywhere()));
        let proxy = both(&places).start().await;
        assert_eq!(tag(&proxy, "1").await.body().await, image.bytes, "{name}");
        // Nobody waits for it to get well: it is not the last one.
        assert_eq!(mirror.lines(), ["GET app/manifests/1"], "{name}");
        assert_eq!(registry.lines(), ["GET app/manifests/1"], "{name}");
    }
    let places = start().await;
    let image = push(&places[1], "1");
    places[0].stop().await;
    let proxy = both(&places).start().await;
    assert_eq!(tag(&proxy, "1").await.body().await, image.bytes);
}

#[tokio::test]
async fn a_mirror_that_fails_is_left_alone() {
    let places = start().await;
    let [mirror, registry] = &places;
    mirror.inject(Fault::everywhere().status(503));
    let proxy = resting_for(both(&places), HOUR).start().await;
    for number in 0..10 {
        let name = format!("v{number}");
        let image = push(registry, &name);
        assert_eq!(tag(&proxy, &name).await.body().await, image.bytes);
    }
    assert_eq!(mirror.count(Kind::ManifestGet), FAILURES);
    assert_eq!(registry.count(Kind::ManifestGet), 10);
    assert_eq!(proxy.counted(RESTING), Some(1));
}

#[tokio::test]
async fn a_mirror_that_is_well_again_is_asked_again() {
    let places = start().await;
    let [mirror, registry] = &places;
    let trouble = mirror.inject(Fault::everywhere().status(503));
    let proxy = resting_for(both(&places), Duration::from_millis(20));
    let proxy = proxy.start().await;
    for number in 0..FAILURES {
        assert_eq!(tag(&proxy, &format!("none{number}")).await.status, 404);
    }
    trouble.lift();
    let image = push(mirror, "1");
    let mut tries = 0;
    crate::support::within("the mirror", async {
        while tag(&proxy, "1").await.status != 200 {
            // Absence is remembered for a while: whoever asks for something else asks anew.
            tries += 1;
            proxy.advance(HOUR);
        }
    })
    .await;
    assert_eq!(tag(&proxy, "1").await.body().await, image.bytes);
    assert_eq!(proxy.counted(RESTING), Some(0));
    assert_eq!(registry.count(Kind::ManifestGet), FAILURES + tries);
}

#[tokio::test]
async fn a_registry_that_fails_is_left_alone_and_what_is_here_goes_out_at_once() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "here");
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = resting_for(proxy, HOUR).start().await;
    assert_eq!(tag(&proxy, "here").await.body().await, image.bytes);
    proxy.advance(HOUR);
    let trouble = registry.inject(Fault::everywhere().status(503));
    // One thing that fails, however often, may be all that is wrong.
    for number in 0..FAILURES {
        assert_eq!(proxy.counted(RESTING).unwrap_or(0), 0);
        let reply = tag(&proxy, &format!("none{number}")).await;
        assert_eq!(reply.status, 502);
        reply.body().await;
    }
    assert!(trouble.hits() >= FAILURES);
    assert_eq!(proxy.counted(RESTING), Some(1));
    registry.clear_log();
    for _ in 0..5 {
        let stale = tag(&proxy, "here").await;
        let outcome = Some("larder; hit; detail=stale_unreachable");
        assert_eq!(stale.header("cache-status"), outcome);
        assert_eq!(stale.body().await, image.bytes);
        let missing = tag(&proxy, "none").await;
        assert_eq!(missing.status, 502);
        let wait: u64 = missing.header("retry-after").unwrap().parse().unwrap();
        assert!((3_000..=3_600).contains(&wait), "{wait}");
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_path_of_the_endpoint_comes_before_the_repository() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("mirrors/hub/app");
    let image = Image::with_layers([noise(1, 1_000)]).push_as(&repository, "1");
    let url = format!("{}/v2/mirrors/hub", registry.url());
    let endpoint = EndpointSettings {
        api_path: ApiPath::AsWritten,
        ..url.parse::<EndpointUrl>().unwrap().into()
    };
    let elsewhere = FakeRegistry::start().await;
    let proxy = TestProxy::builder().upstream("up.test", &elsewhere);
    let proxy = proxy.behind(endpoint).start().await;
    let reply = tag(&proxy, "1").await;
    assert_eq!(reply.body().await, image.bytes);
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    assert_eq!(proxy.get(&layer).await.body().await, noise(1, 1_000));
    let layer = format!("GET mirrors/hub/app/blobs/{}", image.layers[0]);
    assert_eq!(
        registry.lines(),
        ["GET mirrors/hub/app/manifests/1", &layer]
    );
    assert_eq!(elsewhere.lines(), Vec::<String>::new());
}

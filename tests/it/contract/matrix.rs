//! Every kind of outage × everything that can be asked for, before and after a restart of larder.

use std::time::Duration;

use larder::oci::Digest;

use super::{STALE, outcome};
use crate::support::{FakeRegistry, Fault, Image, PushedImage, TestProxy, TestProxyBuilder, noise};

/// What a registry does on a bad day.
#[derive(Clone, Copy, Debug)]
enum Day {
    /// Nobody is there.
    Down,
    /// It takes connections, and says nothing.
    Hangs,
    /// It says nothing for longer than clients are to wait.
    Dawdles,
    /// It answers with this status.
    Says(u16),
}

const DAYS: [Day; 9] = [
    Day::Down,
    Day::Says(500),
    Day::Says(503),
    Day::Hangs,
    Day::Says(429),
    Day::Dawdles,
    Day::Says(401),
    Day::Says(403),
    Day::Says(502),
];

impl Day {
    /// Why an old answer goes out.
    fn reason(self) -> &'static str {
        match self {
            Self::Down | Self::Hangs | Self::Says(500..=599) => "stale_unreachable",
            Self::Dawdles => "stale_slow",
            Self::Says(429) => "stale_rate_limited",
            Self::Says(401 | 403) => "stale_denied",
            Self::Says(status) => panic!("{status} is no outage"),
        }
    }

    /// What is said of what is not here: never that it does not exist, unless the registry may have meant that.
    fn status(self) -> u16 {
        match self {
            Self::Down | Self::Says(500..=599) => 502,
            Self::Hangs | Self::Dawdles => 504,
            Self::Says(429) => 429,
            Self::Says(401 | 403) => 404,
            Self::Says(status) => panic!("{status} is no outage"),
        }
    }

    async fn begin(self, registry: &FakeRegistry) {
        match self {
            Self::Down => registry.stop().await,
            Self::Hangs | Self::Dawdles => {
                registry.inject(Fault::everywhere().stall_before_headers());
            }
            Self::Says(status) => {
                registry.inject(Fault::everywhere().status(status));
            }
        }
    }

    async fn end(self, registry: &FakeRegistry) {
        registry.clear_faults();
        if matches!(self, Self::Down) {
            registry.restart().await;
        }
    }
}

/// How long a host may be silent in these tests.
const SILENCE: Duration = Duration::from_millis(50);

async fn larder(registry: &FakeRegistry, day: Day) -> TestProxy {
    let builder = TestProxy::builder().upstream("up.test", registry);
    of_day(builder, day).start().await
}

fn of_day(builder: TestProxyBuilder, day: Day) -> TestProxyBuilder {
    let within = match day {
        Day::Dawdles => Duration::ZERO,
        // Longer than it takes until a silent host is given up.
        Day::Down | Day::Hangs | Day::Says(_) => Duration::from_secs(10),
    };
    builder
        .limits(|limits| limits.headers = SILENCE)
        .contract(|keys| keys.answer_within = Some(within))
}

/// What can be asked for of an image that is here, and whether its freshness ends.
fn known(image: &PushedImage) -> Vec<(String, bool)> {
    vec![
        ("/v2/app/manifests/1".into(), true),
        ("/v2/app/tags/list".into(), true),
        (format!("/v2/app/referrers/{}", image.digest), true),
        (format!("/v2/app/manifests/{}", image.digest), false),
        (format!("/v2/app/blobs/{}", image.layers[0]), false),
    ]
}

/// What is not here.
fn unknown() -> Vec<String> {
    let digest = Digest::Sha256([7; 32]);
    vec![
        "/v2/app/manifests/2".into(),
        format!("/v2/app/manifests/{digest}"),
        format!("/v2/app/blobs/{digest}"),
        "/v2/other/tags/list".into(),
        format!("/v2/app/referrers/{digest}"),
    ]
}

async fn check(proxy: &TestProxy, image: &PushedImage, day: Day, when: &str) {
    for (path, ends) in known(image) {
        for _ in 0..2 {
            let expected = if ends { day.reason() } else { "hit" };
            let found = outcome(proxy, &path).await;
            assert_eq!(found, (200, expected.into()), "{path} {day:?} {when}");
        }
        let head = proxy.head(&path).await;
        assert_eq!(head.status, 200, "HEAD {path} {day:?} {when}");
        assert_eq!(head.header("age").is_some(), ends, "{path}");
        assert_eq!(head.header("warning").is_some(), ends, "{path}");
    }
    for path in unknown() {
        let reply = proxy.get(&path).await;
        assert_eq!(reply.status, day.status(), "{path} {day:?} {when}");
        let waits = reply.header("retry-after").is_some();
        assert!(waits || reply.status != 429, "{path} {day:?} {when}");
    }
}

#[tokio::test]
async fn what_is_here_goes_out_whatever_the_registry_does() {
    let registry = FakeRegistry::builder().referrers().start().await;
    let image = Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    let mut proxy = larder(&registry, Day::Down).await;
    for (path, _) in known(&image) {
        assert_eq!(proxy.get(&path).await.status, 200, "{path}");
    }
    for day in DAYS {
        proxy = proxy.reconfigured(|builder| of_day(builder, day)).await;
        proxy.advance(STALE);
        day.begin(&registry).await;
        check(&proxy, &image, day, "before a restart").await;
        proxy = proxy.restart().await;
        check(&proxy, &image, day, "after a restart").await;
        day.end(&registry).await;
        proxy = proxy
            .reconfigured(|builder| of_day(builder, Day::Down))
            .await;
        for (path, ends) in known(&image) {
            let found = outcome(&proxy, &path).await;
            let expected = if ends {
                "fwd=stale; detail=revalidated"
            } else {
                "hit"
            };
            assert_eq!(found, (200, expected.into()), "{path} after {day:?}");
        }
    }
}

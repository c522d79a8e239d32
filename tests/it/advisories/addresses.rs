//! Where larder goes: the operator says it, and neither clients nor registries lead it inside.

use http::Method;

use super::{elsewhere, push, refusal, status, under};
use crate::support::image::PushedImage;
use crate::support::{Bearer, FakeRegistry, Fault, ForwardProxy, Kind, TestProxy};

/// A larder that knows one registry, by several names.
async fn larder(registry: &FakeRegistry) -> TestProxy {
    let proxy = TestProxy::builder().upstream("up.test", registry);
    let proxy = proxy.host("hub.larder.test").alias("hub");
    proxy.start().await
}

/// Everything that can be asked for of an image.
fn things(image: &PushedImage) -> [String; 5] {
    [
        "manifests/1".to_owned(),
        format!("manifests/{}", image.digest),
        format!("blobs/{}", image.layers[0]),
        "tags/list".to_owned(),
        format!("referrers/{}", image.digest),
    ]
}

/// Also the SSRF of Dragonfly: GHSA-g2rq-jv54-wcpr, GHSA-chwm-m7g7-685g.
#[tokio::test]
async fn cve_2026_32591_clients_choose_among_registries_and_name_no_hosts() {
    let [registry, victim] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let image = push(&victim, "app");
    let proxy = larder(&registry).await;
    let (host, port) = (victim.host(), victim.address().port());
    for thing in things(&image) {
        for path in [
            format!("/v2/{host}/app/{thing}"),
            format!("/v2/localhost:{port}/app/{thing}"),
            format!("/v2/up.test@{host}/app/{thing}"),
            format!("/v2/up.test/{host}/app/{thing}"),
            format!("/v2/hub/{host}/app/{thing}"),
            format!("/v2/app/{thing}?ns={host}"),
            format!("/v2/app/{thing}?ns=localhost:{port}"),
            format!("/v2/app/{thing}?ns=http%3A%2F%2F{host}"),
            format!("/v2/app/{thing}?ns=up.test%40{host}"),
            format!("/v2/app/{thing}?ns={host}%23.up.test"),
            format!("/v2/app/{thing}?ns={host}%2F.up.test"),
            format!("/v2/app/{thing}?ns=169.254.169.254"),
            format!("/{host}/v2/app/{thing}"),
            format!("//{host}/v2/app/{thing}"),
        ] {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                let reply = elsewhere(&proxy, method.clone(), &path).await;
                let status = reply.status.as_u16();
                assert!((400..=501).contains(&status), "{method} {path}: {status}");
            }
        }
    }
    assert_eq!(victim.connections(), 0);
}

#[tokio::test]
async fn cve_2026_32591_headers_of_clients_name_no_hosts_either() {
    let [registry, victim] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let image = push(&victim, "app");
    let proxy = larder(&registry).await;
    let host = victim.host();
    for path in things(&image).map(|thing| format!("/v2/app/{thing}")) {
        for name in [
            "host",
            "x-forwarded-host",
            "forwarded",
            "referer",
            "location",
        ] {
            for value in [
                host.clone(),
                format!("{host}.hub.larder.test"),
                format!("host={host}"),
            ] {
                let client = proxy.client();
                let ask = client.get(&path).header(name, &value);
                let status = ask.send().await.status.as_u16();
                // Nothing refers to what is not there, which is no error.
                let is_refused = (400..=501).contains(&status) || path.contains("/referrers/");
                assert!(is_refused, "{path} {name}: {value}: {status}");
            }
        }
    }
    assert_eq!(victim.connections(), 0);
}

/// A registry out on the Internet, as far as larder knows: it is reached through a proxy by its name.
async fn public(registry: &FakeRegistry) -> (ForwardProxy, TestProxy) {
    let egress = ForwardProxy::start().await;
    let proxy = TestProxy::builder()
        .upstream_at("up.test", &under("registry.acme.com", registry))
        .egress(egress.egress("user:pass"))
        .start()
        .await;
    (egress, proxy)
}

/// Addresses of services that only larder's machine or network has, in place of a victim on loopback.
fn inside(victim: &FakeRegistry) -> [String; 8] {
    let port = victim.address().port();
    [
        victim.url().to_owned(),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://localhost:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://metadata.google.internal:{port}"),
        "http://169.254.169.254".to_owned(),
        "http://10.0.0.1".to_owned(),
        "http://[fd00:ec2::254]".to_owned(),
    ]
}

fn expect_nobody_inside_was_asked(egress: &ForwardProxy, victim: &FakeRegistry) {
    assert_eq!(victim.connections(), 0);
    for asked in egress.asked() {
        assert!(asked.line.contains(".acme.com:"), "{asked:?}");
    }
}

#[tokio::test]
async fn cve_2026_2376_no_redirect_of_a_public_registry_leads_inside() {
    let [registry, victim] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let image = push(&victim, "app");
    let (egress, proxy) = public(&registry).await;
    for inside in inside(&victim) {
        let detour = format!("{}/detour", under("cdn.acme.com", &registry));
        for target in [format!("{inside}{{path}}"), detour] {
            let away = [Kind::ManifestGet, Kind::BlobGet, Kind::BlobHead];
            registry.inject(Fault::on(away).redirect(307, &target));
            // The second hop is judged as the first is.
            registry.inject(Fault::on(Kind::Other).redirect(307, format!("{inside}/v2/")));
            for path in [
                "/v2/app/manifests/1".to_owned(),
                format!("/v2/app/blobs/{}", image.layers[0]),
            ] {
                let reply = proxy.get(&path).await;
                let found = refusal(reply).await;
                assert_eq!(found, (502, "DENIED".to_owned()), "{target} {path}");
            }
            registry.clear_faults();
        }
    }
    expect_nobody_inside_was_asked(&egress, &victim);
}

#[tokio::test]
async fn cve_2026_2376_an_address_is_judged_when_its_name_is_resolved() {
    let [registry, victim] = [FakeRegistry::start().await, FakeRegistry::start().await];
    let image = push(&victim, "app");
    let proxy = TestProxy::of(&registry).await;
    let port = victim.address().port();
    // These are no addresses before the resolver makes one of them: the one that stands for this machine.
    for name in ["0", "0x0", "00.0x0"] {
        let target = format!("http://{name}:{port}{{path}}");
        let away = [Kind::ManifestGet, Kind::BlobGet];
        let fault = registry.inject(Fault::on(away).redirect(307, target));
        for path in [
            "/v2/app/manifests/1".to_owned(),
            format!("/v2/app/blobs/{}", image.layers[0]),
        ] {
            let reply = proxy.get(&path).await;
            let found = refusal(reply).await;
            assert_eq!(found, (502, "DENIED".to_owned()), "{name} {path}");
        }
        fault.lift();
    }
    assert_eq!(victim.connections(), 0);
}

/// Also GHSA-28r5-37g7-p6mp and GHSA-vh4v-2xq2-g5cg.
#[tokio::test]
async fn ghsa_xf85_363p_868w_no_realm_leads_inside() {
    let victim = FakeRegistry::start().await;
    for inside in inside(&victim) {
        let bearer = Bearer::own().realm(&format!("{inside}/token"));
        let registry = FakeRegistry::builder().bearer_with(bearer).start().await;
        let (egress, proxy) = public(&registry).await;
        let reply = proxy.get("/v2/app/manifests/1").await;
        let found = refusal(reply).await;
        assert_eq!(found, (502, "DENIED".to_owned()), "{inside}");
        expect_nobody_inside_was_asked(&egress, &victim);
    }
    // Nor does a token service in its place.
    for inside in inside(&victim) {
        let issuer = FakeRegistry::start().await;
        let service = format!("{}/token", under("auth.acme.com", &issuer));
        let bearer = Bearer::issued_by(&issuer).realm(&service);
        issuer.inject(Fault::on(Kind::Token).redirect(307, format!("{inside}/token")));
        let registry = FakeRegistry::builder().bearer_with(bearer).start().await;
        let (egress, proxy) = public(&registry).await;
        let reply = proxy.get("/v2/app/manifests/1").await;
        let found = refusal(reply).await;
        assert_eq!(found, (502, "DENIED".to_owned()), "{inside}");
        expect_nobody_inside_was_asked(&egress, &victim);
    }
}

#[tokio::test]
async fn artifact_keeper_2570_the_proxy_on_the_way_out_may_be_inside() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app");
    let (egress, proxy) = public(&registry).await;
    assert_eq!(status(&proxy, "/v2/app/manifests/1").await, 200);
    assert_eq!(egress.asked().len(), 1);
}

//! Proxies on the way out: what they are told, what the registries behind them may do, and how they fail.

use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;

use super::server::{Registry, Reply};
use super::tls::identity;
use super::*;
use crate::telemetry::with_causes;
use crate::upstream::connect::{Clients, Ways};
use crate::upstream::egress::Proxies;
use crate::upstream::endpoint_url::Site;
use crate::upstream::resolve::Resolver;
use crate::upstream::tls::{EndpointTls, client_config, read_certificates};
use crate::upstream::transport::Exits;
use crate::upstream::trust::Reach;
use crate::upstream::{EgressError, Phase, TrustRule};

/// A user and a password, as they are written and as they are shown.
const LOGIN: (&str, &str) = ("user:secret", "Basic dXNlcjpzZWNyZXQ=");

/// Goes through this host and port for everything.
fn through(proxy: &str) -> Egress {
    let proxy: Arc<str> = format!("http://{}@{proxy}", LOGIN.0).into();
    Egress {
        http: Some(proxy.clone()),
        https: Some(proxy),
        except: Some("0.0.0.0".into()),
    }
}

fn place(registry: &Registry) -> String {
    registry.url().replace("http://", "")
}

fn reached(url: &str, egress: Egress) -> Arc<Upstream> {
    upstream_of(vec![endpoint(url)], quick(), egress).unwrap()
}

#[tokio::test]
async fn without_encryption_the_proxy_sees_whole_requests() {
    let proxy = Registry::start(|seen| match seen.target.contains("/blobs/") {
        true => Reply::status(307).header("Location", "http://cdn.test.example/x"),
        false => Reply::ok("{}"),
    })
    .await;
    // Nobody here resolves the name.
    let upstream = reached("http://r.test.example", through(&place(&proxy)));
    manifest_of(&upstream, "a").await.unwrap().unwrap();
    let redirected = transfer(&upstream, b"{}", TransferRange::WHOLE, None).await;
    assert_eq!(read(&mut redirected.unwrap()).await.unwrap(), b"{}");
    let seen = proxy.seen();
    assert_eq!(seen[0].target, "http://r.test.example/v2/a/manifests/3.20");
    assert_eq!(seen[0].header("host"), Some("r.test.example"));
    assert_eq!(seen[2].target, "http://cdn.test.example/x");
    for request in seen {
        assert_eq!(request.header("proxy-authorization"), Some(LOGIN.1));
        assert_eq!(request.header("authorization"), None);
    }
}

#[tokio::test]
async fn what_is_excepted_is_reached_directly_and_sees_no_login() {
    let proxy = Registry::start(|_| Reply::status(500)).await;
    let registry = Registry::start(|_| Reply::ok("{}")).await;
    // On Linux both lead to this machine; only the first is one that never goes through a proxy.
    for host in ["127.0.0.1", "0.0.0.0"] {
        let url = registry.url().replace("127.0.0.1", host);
        let upstream = reached(&url, through(&place(&proxy)));
        manifest_of(&upstream, "a").await.unwrap().unwrap();
    }
    let seen = registry.seen();
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(request.target, "/v2/a/manifests/3.20");
        assert_eq!(request.header("proxy-authorization"), None);
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_registry_behind_a_proxy_is_public_whatever_the_address_of_the_proxy() {
    for location in [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.5/x",
        "http://127.0.0.1/x",
        "http://[::1]/x",
        // The proxy would resolve these.
        "http://2130706433/x",
        "http://0xa9.0xfe.0xa9fe/x",
        "http://metadata.google.internal/x",
        "http://metadata/x",
    ] {
        let proxy = Registry::start(move |seen| match seen.target.contains("r.test.example") {
            true => Reply::status(302).header("Location", location),
            false => Reply::ok("x"),
        })
        .await;
        let upstream = reached("http://r.test.example", through(&place(&proxy)));
        let error = manifest_of(&upstream, "a").await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Forbidden { rule, .. } if rule == TrustRule::Address),
            "{location}: {error}"
        );
        assert_eq!(proxy.log().len(), 1, "{location}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_down_or_refuses_is_named_without_its_password() {
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let down_place = down.local_addr().unwrap().to_string();
    drop(down);
    let wants_login = Registry::start(|_| Reply::status(407)).await;
    let refuses = Registry::start(|_| Reply::status(403)).await;
    let hangs_up = Registry::start(|_| Reply::hang_up()).await;
    for (proxy, url) in [
        (down_place.clone(), "https://r.test.example"),
        (down_place, "http://r.test.example"),
        (place(&wants_login), "https://r.test.example"),
        (place(&wants_login), "http://r.test.example"),
        (place(&refuses), "https://r.test.example"),
        (place(&hangs_up), "https://r.test.example"),
    ] {
        let upstream = reached(url, through(&proxy));
        let error = manifest_of(&upstream, "a").await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Unreachable { .. }),
            "{error}"
        );
        let text = with_causes(&error);
        assert!(
            text.contains(&format!("no way through the proxy {proxy}")),
            "{text}"
        );
        assert!(!format!("{text} {error:?}").contains("secret"), "{text}");
    }
    let tunnel = wants_login.seen().remove(0);
    assert_eq!(tunnel.method, "CONNECT");
    assert_eq!(tunnel.target, "r.test.example:443");
    assert_eq!(tunnel.header("proxy-authorization"), Some(LOGIN.1));
}

#[tokio::test]
async fn a_proxy_without_an_answer_is_given_up() {
    let proxy = Registry::start(|_| Reply::silence()).await;
    let limits = Limits {
        connect: Duration::from_millis(50),
        retry: Schedule::once(),
        ..quick()
    };
    let settings = vec![endpoint("https://r.test.example")];
    let upstream = upstream_of(settings, limits, through(&place(&proxy))).unwrap();
    let error = manifest_of(&upstream, "a").await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::TimedOut { phase, .. } if phase == Phase::Connect),
        "{error}"
    );
}

#[tokio::test]
async fn an_encrypted_proxy_is_trusted_like_any_host() {
    let identity = identity(&[b"h2", b"http/1.1"]);
    let proxy = Registry::start_tls(identity.acceptor, |_| Reply::ok("{}")).await;
    let url: Uri = "http://r.test.example/x".parse().unwrap();
    let egress = Egress {
        http: Some(proxy.url().into()),
        ..Egress::default()
    };
    let usual = client_config(Vec::new()).unwrap();
    let trusting = client_config(read_certificates(&identity.ca_file).unwrap()).unwrap();
    for (tls, is_trusted) in [(&trusting, true), (&usual, false)] {
        let tasks = Tasks::new();
        let ways = Ways {
            resolver: Resolver::new(&quick(), &tasks),
            exits: Exits {
                proxies: Proxies::new(&egress).unwrap(),
                tls: crate::upstream::tls::proxy_config(tls),
            },
            site: Site::of(&url).unwrap(),
            tls: EndpointTls::usual(&usual),
        };
        let clients = Clients::new(&ways, &quick(), &tasks);
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.clone();
        let answer = clients.reaching(Reach::Public).request(request).await;
        let status = answer.map(|answer| answer.status());
        assert_eq!(status.ok(), is_trusted.then_some(StatusCode::OK));
    }
    assert_eq!(proxy.log(), ["GET http://r.test.example/x"]);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_no_reason_to_go_around_it() {
    let egress = Egress {
        https: Some("socks5://user:secret@p.test".into()),
        ..Egress::default()
    };
    let made = upstream_of(vec![endpoint("https://r.test")], quick(), egress);
    let error = made.unwrap_err();
    assert!(
        matches!(error, SetupError::Egress(EgressError::Scheme(_))),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("secret"));
}

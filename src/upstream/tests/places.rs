//! Endpoints that are not like others: another path, no encryption after all, digests alone.

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::server::{Registry, Reply};
use super::tls::identity;
use super::*;
use crate::upstream::{ApiPath, EndpointScope};

#[tokio::test]
async fn a_path_is_used_as_it_is_written() {
    let registry = Registry::start(|seen| {
        let is_known = seen.header("authorization").is_some();
        match seen.target.as_str() {
            "/base/" => Reply::status(401)
                .header("WWW-Authenticate", r#"Bearer realm="http://127.0.0.1:1/""#),
            _ if is_known => Reply::ok("{}"),
            "/base/open/manifests/3.20" => Reply::ok("{}"),
            _ => Reply::status(401),
        }
    })
    .await;
    let mut settings = endpoint(&format!("{}/base", registry.url()));
    settings.api_path = ApiPath::AsWritten;
    let upstream = upstream_of(vec![settings], quick(), Egress::default()).unwrap();
    manifest_of(&upstream, "open").await.unwrap().unwrap();
    manifest_of(&upstream, "closed").await.unwrap_err();
    let log = registry.log();
    assert_eq!(log[0], "GET /base/open/manifests/3.20");
    // Without a challenge of its own, the refusal leads to the ping.
    assert!(log.contains(&"GET /base/".to_string()), "{log:?}");
}

#[tokio::test]
async fn tags_are_not_asked_of_an_endpoint_for_digests() {
    let mirror = Registry::start(|_| Reply::ok("x")).await;
    let registry = Registry::start(|_| Reply::ok("{}")).await;
    let mut settings = endpoint(&mirror.url());
    settings.scope = EndpointScope::Digests;
    let both = vec![settings.clone(), endpoint(&registry.url())];
    let upstream = upstream_of(both, quick(), Egress::default()).unwrap();
    let ask = async |reference: &Reference| {
        upstream
            .get_manifest(&repository(), reference, VariantClass::Index)
            .await
            .unwrap();
        upstream
            .head_manifest(&repository(), reference, VariantClass::Index)
            .await
            .unwrap();
    };
    ask(&tag()).await;
    assert_eq!((mirror.log().len(), registry.log().len()), (0, 2));
    ask(&Reference::Digest(digest(b"x"))).await;
    let mut body = transfer(&upstream, b"x", TransferRange::WHOLE, None)
        .await
        .unwrap();
    assert_eq!(read(&mut body).await.unwrap(), b"x");
    upstream
        .head_blob(&repository(), &digest(b"x"))
        .await
        .unwrap();
    assert_eq!((mirror.log().len(), registry.log().len()), (4, 2));
    let alone = upstream_of(vec![settings], quick(), Egress::default());
    assert!(matches!(alone, Err(SetupError::NobodyDecides { .. })));
}

/// Says what it thinks of TLS in plain HTTP, and has everything but what is called "none".
async fn plain_server(connections: Arc<Counter>) -> (u16, Tasks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = Tasks::new();
    let spawner = tasks.clone();
    drop(tasks.spawn("registry", async move {
        let stopping = spawner.stopping();
        while let Some(Ok((stream, _))) = stopping.run_until_cancelled(listener.accept()).await {
            connections.next();
            let answer = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let status = match request.uri().path().contains("/none/") {
                    true => 404,
                    false => 200,
                };
                let answer = http::Response::builder().status(status);
                Ok::<_, std::convert::Infallible>(
                    answer.body(Full::<bytes::Bytes>::from("{}")).unwrap(),
                )
            });
            let builder = hyper::server::conn::http1::Builder::new();
            let serving = builder.serve_connection(TokioIo::new(stream), answer);
            let stopping = stopping.clone();
            drop(spawner.spawn("connection", async move {
                stopping.run_until_cancelled(serving).await;
            }));
        }
    }));
    (port, tasks)
}

#[tokio::test]
async fn what_speaks_no_tls_is_asked_without_where_that_is_allowed() {
    let connections = Arc::new(Counter::default());
    let (port, tasks) = plain_server(connections.clone()).await;
    let mut settings = endpoint(&format!("https://127.0.0.1:{port}"));
    let limits = Limits {
        retry: Schedule::once(),
        ..quick()
    };
    let strict = upstream_of(vec![settings.clone()], limits.clone(), Egress::default()).unwrap();
    manifest_of(&strict, "a").await.unwrap_err();
    assert_eq!(connections.next(), 1);
    settings.falls_back_to_http = true;
    let lenient = upstream_of(vec![settings], limits, Egress::default()).unwrap();
    for _ in 0..3 {
        manifest_of(&lenient, "a").await.unwrap().unwrap();
    }
    // It still speaks for itself.
    assert_eq!(manifest_of(&lenient, "none").await.unwrap(), None);
    // One attempt with TLS and one connection without.
    assert_eq!(connections.next(), 1 + 1 + 2);
    tasks.stop();
}

#[tokio::test]
async fn a_wrong_certificate_is_no_reason_to_go_without() {
    let identity = identity(&[]);
    let registry = Registry::start_tls(identity.acceptor, |_| Reply::ok("{}")).await;
    let mut settings = endpoint(&registry.url());
    settings.falls_back_to_http = true;
    let upstream = upstream_of(vec![settings], quick(), Egress::default()).unwrap();
    let error = manifest_of(&upstream, "a").await.unwrap_err();
    assert!(!error.is_passing(), "{error}");
    assert_eq!(registry.connections(), 1);
}

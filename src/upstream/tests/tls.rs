//! Encrypted registries: whom we trust, and that nothing leaves the encryption.

use std::sync::Arc;

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::{Registry, Reply};
use super::*;
use crate::upstream::{Phase, TrustRule};

/// An acceptor of connections, and the file of the certificate that vouches for it.
struct Identity {
    acceptor: TlsAcceptor,
    ca_file: PathBuf,
    _folder: tempfile::TempDir,
}

fn identity(protocols: &[&[u8]]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_string()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.pem()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        ca_file,
        _folder: folder,
    }
}

async fn get(upstream: &Upstream) -> Result<String, UpstreamError> {
    let bytes = manifest_of(upstream, "a").await?.unwrap().bytes;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_certificate_of_the_operator_is_trusted_for_that_endpoint() {
    let identity = identity(&[]);
    let registry = Registry::start_tls(identity.acceptor, |_| Reply::ok("{}")).await;
    let url = [registry.url()];
    let trusting = upstream_with(&url, quick(), Some(identity.ca_file));
    assert_eq!(get(&trusting).await.unwrap(), "{}");
    let before = registry.connections();
    let error = get(&upstream(&url)).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
    // A certificate does not become right within seconds: one try.
    assert_eq!(registry.connections(), before + 1);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    // Nobody accepts, and the system still takes the connection.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let limits = Limits {
        connect: Duration::from_millis(20),
        tls: Duration::from_millis(20),
        retry: Schedule::once(),
        ..quick()
    };
    let error = get(&upstream_with(&[url], limits, None)).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::TimedOut { phase, .. } if phase == Phase::Tls),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_is_sent_on_without_encryption() {
    let identity = identity(&[b"http/1.1"]);
    let plain = Registry::start(|_| Reply::ok("{}")).await;
    let location = plain.url() + "/x";
    let registry =
        Registry::start_tls(identity.acceptor, move |seen| match seen.header("accept") {
            Some("*/*") => Reply::status(302).header("Location", &location),
            _ => {
                let value = format!(r#"Bearer realm="{location}""#);
                Reply::status(401).header("WWW-Authenticate", &value)
            }
        })
        .await;
    let upstream = upstream_with(&[registry.url()], quick(), Some(identity.ca_file));
    let redirected = transfer(&upstream, b"x", TransferRange::WHOLE, None).await;
    for error in [redirected.err(), get(&upstream).await.err()] {
        let error = error.unwrap();
        assert!(
            matches!(error, UpstreamError::Forbidden { rule, .. } if rule == TrustRule::Downgrade),
            "{error}"
        );
    }
    assert_eq!(plain.connections(), 0);
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let identity = identity(&[b"h2", b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = identity.acceptor;
    let tasks = Tasks::new();
    let server = tasks.spawn("registry", async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let answer = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            let version = format!("{:?}", request.version());
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::from(
                version,
            )))
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), answer).await
    });
    let upstream = upstream_with(&[url], quick(), Some(identity.ca_file));
    let answers = futures_util::future::join_all((0..8).map(|_| get(&upstream))).await;
    for answer in answers {
        assert_eq!(answer.unwrap(), "HTTP/2.0");
    }
    server.abort();
}

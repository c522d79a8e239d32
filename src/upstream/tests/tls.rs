//! Encrypted registries: whom we trust, what we show, and that nothing leaves the encryption.

use std::sync::Arc;

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::{Registry, Reply};
use super::*;
use crate::upstream::{ClientCertificate, Phase, TlsError, TrustRule};

/// An acceptor of connections, and the file of the certificate that vouches for it.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    pub(super) ca_file: PathBuf,
    _folder: tempfile::TempDir,
}

pub(super) fn identity(protocols: &[&[u8]]) -> Identity {
    identity_asking(protocols, WebPkiClientVerifier::no_client_auth())
}

/// Lets in whom a verifier lets in.
fn identity_asking(protocols: &[&[u8]], clients: Arc<dyn ClientCertVerifier>) -> Identity {
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
        .with_client_cert_verifier(clients)
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

/// Writes a new certificate of ours and its key into a folder.
fn write_client(folder: &std::path::Path) -> (ClientCertificate, rcgen::Certificate) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["client.test".to_string()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let files = ClientCertificate {
        cert_file: folder.join("client.cert"),
        key_file: folder.join("client.key"),
    };
    std::fs::write(&files.cert_file, certificate.pem()).unwrap();
    std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
    (files, certificate)
}

/// Demands this certificate.
fn demanding(certificate: &rcgen::Certificate) -> Identity {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    identity_asking(&[], verifier.build().unwrap())
}

#[tokio::test]
async fn our_certificate_is_shown_to_the_endpoint_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (files, certificate) = write_client(folder.path());
    let (own, other) = (demanding(&certificate), demanding(&certificate));
    let elsewhere = Registry::start_tls(other.acceptor, |_| Reply::ok("x")).await;
    let location = elsewhere.url() + "/x";
    let registry = Registry::start_tls(own.acceptor, move |seen| match seen.header("accept") {
        Some("*/*") => Reply::status(307).header("Location", &location),
        _ => Reply::ok("{}"),
    })
    .await;
    // Both are trusted.
    let both = [&own.ca_file, &other.ca_file].map(|file| std::fs::read(file).unwrap());
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, both.concat()).unwrap();
    let mut settings = endpoint(&registry.url());
    settings.tls.ca_file = Some(ca_file);
    let stranger = upstream_of(vec![settings.clone()], quick(), Egress::default()).unwrap();
    let error = get(&stranger).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
    assert_eq!(registry.seen().len(), 0);
    settings.tls.client = Some(files);
    let known = upstream_of(vec![settings], quick(), Egress::default()).unwrap();
    assert_eq!(get(&known).await.unwrap(), "{}");
    let error = transfer(&known, b"x", TransferRange::WHOLE, None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
    assert!(elsewhere.connections() > 0);
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn skipped_verification_is_for_the_endpoint_alone() {
    let (own, other) = (identity(&[]), identity(&[]));
    let elsewhere = Registry::start_tls(other.acceptor, |_| Reply::ok("x")).await;
    let location = elsewhere.url() + "/x";
    let registry = Registry::start_tls(own.acceptor, move |seen| {
        match (seen.header("accept"), seen.target.contains("/secret/")) {
            (Some("*/*"), _) => Reply::status(307).header("Location", &location),
            (_, true) => {
                let value = format!(r#"Bearer realm="{location}""#);
                Reply::status(401).header("WWW-Authenticate", &value)
            }
            (_, false) => Reply::ok("{}"),
        }
    })
    .await;
    let mut settings = endpoint(&registry.url());
    settings.tls.skips_verification = true;
    let upstream = upstream_of(vec![settings], quick(), Egress::default()).unwrap();
    assert_eq!(get(&upstream).await.unwrap(), "{}");
    let redirected = transfer(&upstream, b"x", TransferRange::WHOLE, None).await;
    let token = manifest_of(&upstream, "secret").await;
    for error in [redirected.err(), token.err()] {
        let error = error.unwrap();
        let is_about_certificate = !error.is_passing();
        let is_elsewhere = elsewhere.url().ends_with(match &error {
            UpstreamError::Unreachable { host, .. } => &**host,
            other => panic!("{other}"),
        });
        assert!(is_about_certificate && is_elsewhere, "{error}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = write_client(folder.path());
    let made = |files: &ClientCertificate| {
        let mut settings = endpoint("https://r.test");
        settings.tls.client = Some(files.clone());
        match upstream_of(vec![settings], quick(), Egress::default()) {
            Err(SetupError::Tls(error)) => Err(error),
            Err(other) => panic!("{other}"),
            Ok(_) => Ok(()),
        }
    };
    made(&files).unwrap();
    let missing = folder.path().join("missing");
    let without_key = ClientCertificate {
        key_file: missing.clone(),
        ..files.clone()
    };
    let error = made(&without_key).unwrap_err();
    assert!(matches!(&error, TlsError::Key { path, .. } if *path == missing));
    let without_certificate = ClientCertificate {
        cert_file: missing.clone(),
        ..files.clone()
    };
    let error = made(&without_certificate).unwrap_err();
    assert!(matches!(&error, TlsError::File { path, .. } if *path == missing));
    std::fs::write(
        &files.key_file,
        KeyPair::generate().unwrap().serialize_pem(),
    )
    .unwrap();
    let error = made(&files).unwrap_err();
    assert!(matches!(error, TlsError::Pair { .. }), "{error}");
}

#[tokio::test]
async fn a_new_connection_shows_the_certificate_that_is_there_now() {
    let folder = tempfile::tempdir().unwrap();
    let (files, certificate) = write_client(folder.path());
    let identity = demanding(&certificate);
    // Each answer is the last of its connection.
    let registry = Registry::start_tls(identity.acceptor, |_| {
        Reply::ok("{}").header("Connection", "close").cut(2)
    })
    .await;
    let mut settings = endpoint(&registry.url());
    settings.tls.ca_file = Some(identity.ca_file);
    settings.tls.client = Some(files);
    let upstream = upstream_of(vec![settings], quick(), Egress::default()).unwrap();
    for _ in 0..2 {
        assert_eq!(get(&upstream).await.unwrap(), "{}");
    }
    // One that the registry does not know, and files that look different whatever the clock says.
    let (files, _) = write_client(folder.path());
    for path in [files.cert_file, files.key_file] {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    get(&upstream).await.unwrap_err();
}

//! TLS on larder's own listeners: the certificate that is shown, and the clients that are let in. Files are read again
//! when they change, and what cannot be used leaves everything as it was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::metrics::Metrics;
use crate::runtime::{Stamp, Tasks};
use crate::telemetry::with_causes;
use crate::upstream::TlsError;
use crate::upstream::tls::{read_certificates, read_pair};

/// What the configuration says of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Where TLS is spoken beside the plain listener; `None` when it takes the place of plain HTTP there.
    pub listen: Option<SocketAddr>,
    /// The certificate, and those that vouch for it, in PEM form.
    pub cert_file: PathBuf,
    /// Its private key, in PEM form.
    pub key_file: PathBuf,
    /// The certificates of which one has to vouch for every client; `None` when clients show none.
    pub client_ca_file: Option<PathBuf>,
}

/// How long a client may take for a handshake, from its first byte on or in silence: a few round trips, on a bad line.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How many handshakes are under way at once. One takes about a millisecond of a core, so that those who wait for a
/// place still get it in time, and those who stall leave places to others.
const HANDSHAKES: usize = 1_024;
/// How often at most the files are looked at. They are small, and local: reading them takes less than a handshake.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often they are looked at when nobody connects: what is told of the certificate is right a scrape later.
const LOOK_UNASKED: Duration = Duration::from_secs(5);
/// How many sessions can be resumed, each some hundred bytes.
const SESSIONS: usize = 4_096;
/// What is offered to clients that choose (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Does the handshakes of a listener.
#[derive(Debug)]
pub struct Tls {
    files: TlsSettings,
    metrics: Metrics,
    provider: Arc<CryptoProvider>,
    kept: Mutex<Kept>,
    places: Semaphore,
}

#[derive(Debug)]
struct Kept {
    config: Arc<ServerConfig>,
    /// What the files looked like when they were last read, with success or without.
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

/// Why a connection is not encrypted.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// It took too long, or too many others were under way.
    #[error("the handshake took longer than {} seconds", HANDSHAKE_WITHIN.as_secs())]
    Slow,
    /// The client broke it off, has no certificate that is wanted, or speaks something else.
    #[error("the handshake failed")]
    Failed(#[from] std::io::Error),
}

impl Tls {
    /// Reads the files for the first time. When the certificate ends goes to the metrics, then and each time that it is
    /// read again.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn open(files: TlsSettings, metrics: Metrics) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let kept = Kept {
            stamps: stamps(&files),
            config: read(&files, &provider, &metrics)?,
            looked: Instant::now(),
        };
        Ok(Self {
            files,
            metrics,
            provider,
            kept: Mutex::new(kept),
            places: Semaphore::new(HANDSHAKES),
        })
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// [`HandshakeError`] when that takes too long, or comes to nothing.
    pub async fn shake_hands<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = async {
            // It is never closed; without a place the handshake would still be right.
            let _place = self.places.acquire().await.ok();
            TlsAcceptor::from(self.current()).accept(stream).await
        };
        match tokio::time::timeout(HANDSHAKE_WITHIN, Box::pin(handshake)).await {
            Ok(encrypted) => Ok(encrypted?),
            Err(_) => Err(HandshakeError::Slow),
        }
    }

    /// Looks at the files though nobody connects, until the future is dropped.
    pub(super) async fn keep_current(self: Arc<Self>, tasks: Tasks) {
        loop {
            tokio::time::sleep(LOOK_UNASKED).await;
            let tls = self.clone();
            // What is kept stays whole, whatever panics.
            drop(tasks.spawn_blocking(move || drop(tls.current())).await);
        }
    }

    /// Returns what is shown and wanted now. Files that cannot be used, such as half of a new pair, leave it as it is.
    fn current(&self) -> Arc<ServerConfig> {
        // Each change is whole, whatever panics.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.looked.elapsed() < LOOK_EVERY {
            return kept.config.clone();
        }
        kept.looked = Instant::now();
        // Before they are read: what is written meanwhile is seen the next time.
        let stamps = stamps(&self.files);
        if stamps != kept.stamps {
            kept.stamps = stamps;
            let file = self.files.cert_file.display();
            match read(&self.files, &self.provider, &self.metrics) {
                Ok(config) => {
                    kept.config = config;
                    tracing::info!(tls.cert_file = %file, "the certificate was read again");
                }
                Err(error) => tracing::warn!(
                    error = with_causes(&error),
                    tls.cert_file = %file,
                    "the files of TLS changed and cannot be used: what was read before stays"
                ),
            }
        }
        kept.config.clone()
    }
}

fn read(
    files: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    metrics: &Metrics,
) -> Result<Arc<ServerConfig>, TlsError> {
    let pair = read_pair(&files.cert_file, &files.key_file, provider)?;
    let shown = pair.cert.first().and_then(|shown| not_after(shown));
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(roots(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            // It has no lists of revoked certificates, which are all that it could refuse.
            let verifier = verifier
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    // A session is resumed without looking at certificates, and theirs may have ended meanwhile.
    config.session_storage = match &files.client_ca_file {
        None => ServerSessionMemoryCache::new(SESSIONS),
        Some(_) => Arc::new(NoServerSessionStorage {}),
    };
    metrics.certificate_ends(shown);
    Ok(Arc::new(config))
}

/// Returns when a certificate ends, in seconds since 1970.
fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(file)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn stamps(files: &TlsSettings) -> Vec<Option<Stamp>> {
    let all = [&files.cert_file, &files.key_file];
    let all = all.into_iter().chain(&files.client_ca_file);
    all.map(|path| Stamp::at(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prometheus_client::registry::Registry;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_string()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_handshakes_are_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = pair("larder.test");
        let files = TlsSettings {
            listen: None,
            cert_file: folder.path().join("cert"),
            key_file: folder.path().join("key"),
            client_ca_file: None,
        };
        fs::write(&files.cert_file, certificate).unwrap();
        fs::write(&files.key_file, key).unwrap();
        let tls = Tls::open(files, Metrics::default()).unwrap();
        // What is no handshake fails at once, when there is a place for it.
        let shake_hands = async || tls.shake_hands(tokio::io::empty()).await.unwrap_err();
        assert!(matches!(shake_hands().await, HandshakeError::Failed(_)));
        let most = u32::try_from(HANDSHAKES).unwrap();
        let others = tls.places.acquire_many(most).await.unwrap();
        assert!(matches!(shake_hands().await, HandshakeError::Slow));
        drop(others);
        assert!(matches!(shake_hands().await, HandshakeError::Failed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_takes_over_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = TlsSettings {
            listen: None,
            cert_file: path("cert"),
            key_file: path("key"),
            client_ca_file: Some(path("ca")),
        };
        let (certificate, key) = pair("old.test");
        fs::write(path("ca"), &certificate).unwrap();
        fs::write(path("cert"), certificate).unwrap();
        fs::write(path("key"), key).unwrap();
        let tls = Tls::open(files, Metrics::default()).unwrap();
        let old = tls.current();
        let is_old = async || {
            tokio::time::advance(LOOK_EVERY).await;
            Arc::ptr_eq(&old, &tls.current())
        };
        assert!(is_old().await);
        let (certificate, key) = pair("longer-than-the-old.test");
        fs::write(path("cert"), &certificate).unwrap();
        // Not looked at yet, and then half of a pair.
        assert!(Arc::ptr_eq(&old, &tls.current()));
        assert!(is_old().await);
        fs::remove_file(path("key")).unwrap();
        assert!(is_old().await);
        fs::write(path("ca"), "none").unwrap();
        fs::write(path("key"), key).unwrap();
        assert!(is_old().await);
        fs::write(path("ca"), certificate).unwrap();
        assert!(!is_old().await);
        // Nothing changed, nothing is read.
        let new = tls.current();
        tokio::time::advance(LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&new, &tls.current()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_certificate_that_is_shown_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsSettings {
            listen: None,
            cert_file: folder.path().join("cert"),
            key_file: folder.path().join("key"),
            client_ca_file: None,
        };
        let issue = |year: i32| {
            let key = KeyPair::generate().unwrap();
            let mut parameters = CertificateParams::new(vec!["larder.test".into()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            let certificate = parameters.self_signed(&key).unwrap();
            fs::write(&files.cert_file, certificate.pem()).unwrap();
            fs::write(&files.key_file, key.serialize_pem()).unwrap();
        };
        let mut registry = Registry::with_prefix("larder");
        let metrics = Metrics::register(&mut registry);
        let told = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            let name = "larder_tls_certificate_not_after_seconds{} ";
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
        };
        assert_eq!(told(), None);
        issue(2030);
        let tls = Arc::new(Tls::open(files.clone(), metrics).unwrap());
        assert_eq!(told().as_deref(), Some("1893456000"));
        // Past what 32 bits hold, and past what UTCTime can say.
        issue(2060);
        tokio::time::advance(LOOK_EVERY).await;
        drop(tls.current());
        assert_eq!(told().as_deref(), Some("2840140800"));
        // What cannot be used is not shown, and its end says nothing.
        issue(2040);
        fs::remove_file(&files.key_file).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        drop(tls.current());
        assert_eq!(told().as_deref(), Some("2840140800"));
        // So it is when nobody connects.
        issue(2050);
        let watching = tls.keep_current(Tasks::new());
        tokio::time::timeout(LOOK_UNASKED * 3, watching)
            .await
            .unwrap_err();
        assert_eq!(told().as_deref(), Some("2524608000"));
    }
}

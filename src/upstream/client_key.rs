//! Our certificate towards an endpoint, read again when its files change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use tokio::time::Instant;

use super::settings::ClientCertificate;
use super::tls::{TlsError, read_pair};
use crate::runtime::Stamp;
use crate::telemetry::with_causes;

/// A certificate and its key, as the files have them.
#[derive(Debug)]
pub(super) struct ClientKey {
    files: ClientCertificate,
    provider: Arc<CryptoProvider>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    key: Arc<CertifiedKey>,
    /// What the files looked like when they were last read, with success or without.
    stamps: Stamps,
    looked: Instant,
}

/// Of the certificate and of the key; `None` when a file is not there.
type Stamps = (Option<Stamp>, Option<Stamp>);

impl ClientKey {
    /// How often at most the files are looked at. They are small, and local: reading them takes less than a handshake.
    const LOOK_EVERY: Duration = Duration::from_secs(1);

    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub(super) fn open(
        files: ClientCertificate,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let kept = Kept {
            stamps: stamps(&files),
            key: read(&files, &provider)?,
            looked: Instant::now(),
        };
        Ok(Self {
            files,
            provider,
            kept: Mutex::new(kept),
        })
    }

    /// Returns the certificate. Files that cannot be used, such as half of a new pair, leave it as it is.
    fn current(&self) -> Arc<CertifiedKey> {
        // Each change is whole, whatever panics.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.looked.elapsed() < Self::LOOK_EVERY {
            return kept.key.clone();
        }
        kept.looked = Instant::now();
        // Before they are read: what is written meanwhile is seen the next time.
        let stamps = stamps(&self.files);
        if stamps != kept.stamps {
            kept.stamps = stamps;
            match read(&self.files, &self.provider) {
                Ok(key) => kept.key = key,
                Err(error) => tracing::warn!(
                    error = with_causes(&error),
                    "the client certificate changed and cannot be used: the one before stays"
                ),
            }
        }
        kept.key.clone()
    }
}

impl ResolvesClientCert for ClientKey {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.current();
        // Without a scheme in common there is nothing to sign with; the server then says what it thinks of that.
        key.key.choose_scheme(schemes)?;
        Some(key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn read(
    files: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    read_pair(&files.cert_file, &files.key_file, provider).map(Arc::new)
}

fn stamps(files: &ClientCertificate) -> Stamps {
    (Stamp::at(&files.cert_file), Stamp::at(&files.key_file))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::aws_lc_rs;

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
    async fn a_new_pair_takes_over_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let files = ClientCertificate {
            cert_file: folder.path().join("cert"),
            key_file: folder.path().join("key"),
        };
        let (certificate, key) = pair("old.test");
        fs::write(&files.cert_file, certificate).unwrap();
        fs::write(&files.key_file, key).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let kept = ClientKey::open(files.clone(), provider).unwrap();
        let old = kept.current();
        let (certificate, key) = pair("longer-than-the-old.test");
        fs::write(&files.cert_file, certificate).unwrap();
        // Not looked at yet, and then half of a pair.
        assert!(Arc::ptr_eq(&old, &kept.current()));
        tokio::time::advance(ClientKey::LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&old, &kept.current()));
        fs::remove_file(&files.key_file).unwrap();
        tokio::time::advance(ClientKey::LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&old, &kept.current()));
        fs::write(&files.key_file, key).unwrap();
        tokio::time::advance(ClientKey::LOOK_EVERY).await;
        let new = kept.current();
        assert_ne!(old.cert, new.cert);
        // Nothing changed, nothing is read.
        tokio::time::advance(ClientKey::LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&new, &kept.current()));
    }
}

//! What is trusted over TLS: the certificates of the system, and those that the operator adds. What is shown there, and
//! what is taken without a look, is for the endpoint itself alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

use super::client_key::ClientKey;
use super::settings::TlsSettings;
use crate::telemetry::with_causes;

/// How TLS is spoken with an endpoint, and with wherever it sends us.
#[derive(Clone, Debug)]
pub(super) struct EndpointTls {
    /// With the endpoint itself.
    pub(super) own: Arc<ClientConfig>,
    /// With all others.
    pub(super) others: Arc<ClientConfig>,
}

/// Why certificates cannot be used.
#[derive(Clone, Debug, Error)]
pub enum TlsError {
    /// The file cannot be read, or has no certificate.
    #[error("could not read certificates from {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: Arc<pem::Error>,
    },
    /// The file cannot be read, or has no private key.
    #[error("could not read a private key from {}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: Arc<pem::Error>,
    },
    /// A certificate of ours and its private key do not belong together, or the key is of no known kind.
    #[error("could not use the certificate {} with the key {}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// A certificate is not one that can vouch for others, or TLS cannot be set up at all.
    #[error("could not set up TLS")]
    Setup {
        /// Why not.
        #[from]
        source: rustls::Error,
    },
}

/// Reads the certificates of a PEM file, at least one.
///
/// # Errors
/// [`TlsError::File`] when it cannot be read, or has none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|found| match found.is_empty() {
            true => Err(pem::Error::NoItemsFound),
            false => Ok(found),
        });
    certificates.map_err(|source| TlsError::File {
        path: path.to_owned(),
        source: Arc::new(source),
    })
}

/// Reads a certificate with those that vouch for it, and its private key, both from PEM files.
///
/// # Errors
/// [`TlsError`] when one cannot be read, or they do not belong together.
pub fn read_pair(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let certificates = read_certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key {
        path: key.to_owned(),
        source: Arc::new(source),
    })?;
    let pair = CertifiedKey::from_der(certificates, private, provider);
    pair.map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

impl EndpointTls {
    /// Speaks with all in the same way.
    pub(super) fn usual(config: &Arc<ClientConfig>) -> Self {
        Self {
            own: config.clone(),
            others: config.clone(),
        }
    }

    /// Reads the files of an endpoint. `usual` is for endpoints that need none.
    ///
    /// # Errors
    /// [`TlsError`] when a file cannot be used.
    pub(super) fn new(settings: &TlsSettings, usual: &Arc<ClientConfig>) -> Result<Self, TlsError> {
        let others = match &settings.ca_file {
            Some(path) => client_config(read_certificates(path)?)?,
            None => usual.clone(),
        };
        if settings.client.is_none() && !settings.skips_verification {
            return Ok(Self::usual(&others));
        }
        let mut own = (*others).clone();
        // A session is resumed without certificates: it must not stand in for what is changed here or on the disk.
        own.resumption = Resumption::disabled();
        if settings.skips_verification {
            let anyone = Anyone(own.crypto_provider().clone());
            own.dangerous().set_certificate_verifier(Arc::new(anyone));
        }
        if let Some(files) = &settings.client {
            let key = ClientKey::open(files.clone(), own.crypto_provider().clone())?;
            own.client_auth_cert_resolver = Arc::new(key);
        }
        Ok(Self {
            own: Arc::new(own),
            others,
        })
    }
}

/// Trusts the system and these certificates besides.
///
/// A machine without certificates of its own, such as an empty container image, can still reach registries that need
/// none: only a handshake fails there.
pub(super) fn client_config(
    extra: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let has_extra = !extra.is_empty();
    let mut config = match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        Err(error) if has_extra => return Err(error.into()),
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                "no registry can be trusted over TLS"
            );
            builder
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    Ok(Arc::new(config))
}

/// Trusts what the system trusts, and speaks HTTP/1.1 alone, as proxies do.
pub(super) fn proxy_config(usual: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = usual.clone();
    config.alpn_protocols = vec![b"http/1.1".into()];
    Arc::new(config)
}

/// Takes anybody for the endpoint.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(
            read_certificates(&path),
            Err(TlsError::File { .. })
        ));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(matches!(
            read_certificates(&path),
            Err(TlsError::File { .. })
        ));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["r.io".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(&path, certificate.pem().repeat(2)).unwrap();
        assert_eq!(read_certificates(&path).unwrap().len(), 2);
    }
}

//! What is trusted over TLS: the certificates of the system, and those that the operator adds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

use crate::telemetry::with_causes;

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
    /// A certificate is not one that can vouch for others, or TLS cannot be set up at all.
    #[error("could not set up TLS")]
    Setup {
        /// Why not.
        #[from]
        source: rustls::Error,
    },
}

/// Reads the certificates of a PEM file, at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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

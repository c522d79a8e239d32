//! TLS as a client of larder would speak it, and what the certificate that is shown there is worth to it: whether it is
//! trusted, and until when.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::way::{Trust, Verification};
use crate::upstream::TlsError;
use crate::upstream::tls::{read_certificates, read_pair};

/// A moment at which no certificate counts any more: in the year 9999.
const FAR: u64 = 253_402_300_799;

/// What was seen of a certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Why it is not trusted, if it is not.
    pub(super) fault: Option<Error>,
    /// When it, or another that vouches for it, ceases to count; in seconds since 1970.
    pub(super) ends: Option<u64>,
}

/// Looks at certificates as a client does, and remembers what it saw.
#[derive(Debug)]
pub(super) struct Witness {
    verifier: Verifier,
    verification: Verification,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Seen>>,
}

/// Sets up TLS for what a client trusts.
///
/// # Errors
/// [`TlsError`] when a file that the client was told of cannot be used.
pub(super) fn set_up(trust: &Trust) -> Result<(Arc<ClientConfig>, Arc<Witness>), TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut extra = Vec::new();
    for path in &trust.authorities {
        extra.extend(read_certificates(path)?);
    }
    // A machine without any authority can take any certificate all the same.
    let verifier = Verifier::new_with_extra_roots(extra, provider.clone())?;
    let witness = Arc::new(Witness {
        verifier,
        verification: trust.verification,
        provider: provider.clone(),
        seen: Mutex::default(),
    });
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone());
    let mut config = match &trust.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let pair = read_pair(certificate, key, &provider)?;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)))
        }
    };
    config.alpn_protocols = vec![b"http/1.1".into()];
    // Each connection is to show its certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Ok((Arc::new(config), witness))
}

impl Witness {
    /// Returns what was seen last; nothing before the first handshake that came to a certificate.
    pub(super) fn seen(&self) -> Option<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

/// Asks at which moment a chain that counts now ceases to do so.
fn end(verify: impl Fn(UnixTime) -> Result<(), Error>) -> Option<u64> {
    let mut ends = None;
    let mut moment = FAR;
    // A certificate tells its own end; one that vouches for it may end before.
    for _ in 0..8 {
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(moment));
        match verify(at) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => {
                ends = Some(not_after.as_secs());
                moment = not_after.as_secs().saturating_sub(1);
            }
            Ok(()) | Err(_) => break,
        }
    }
    ends
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |moment| {
            let verified =
                self.verifier
                    .verify_server_cert(certificate, others, name, ocsp, moment);
            verified.map(drop)
        };
        let fault = verify(now).err();
        // Where the name is another than that of the certificate, its end is known all the same.
        let ends = end(verify);
        let result = match (&fault, self.verification) {
            (None, _) | (Some(_), Verification::Skipped) => Ok(ServerCertVerified::assertion()),
            (Some(fault), Verification::Done) => Err(fault.clone()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(Seen { fault, ends });
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

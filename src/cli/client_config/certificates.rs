//! The certificates by which a client trusts larder. They are public; the key that belongs to them is not for clients.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::refused::Refused;

/// The longest file of certificates: all public authorities together have a quarter of that.
pub(super) const MAX_CERTIFICATE_BYTES: u64 = 1 << 20;

/// What stands in every PEM file with a private key, of whatever kind.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Certificates in PEM, as they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificates(String);

impl Certificates {
    /// Reads them, and looks whether they are what they are said to be.
    pub(super) fn read(path: &Path) -> Result<Self, Refused> {
        let unreadable = |source| Refused::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        let limited = &mut file.take(MAX_CERTIFICATE_BYTES + 1);
        limited.read_to_string(&mut text).map_err(|error| {
            // Not text: the binary form of a certificate, or something else.
            match error.kind() {
                io::ErrorKind::InvalidData => no_certificates(path, pem::Error::NoItemsFound),
                _ => unreadable(error),
            }
        })?;
        if text.len() as u64 > MAX_CERTIFICATE_BYTES {
            return Err(Refused::TooLong {
                path: path.to_owned(),
            });
        }
        if text.contains(PRIVATE_KEY) {
            return Err(Refused::PrivateKey {
                path: path.to_owned(),
            });
        }
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match found {
            Ok(found) if found.is_empty() => Err(no_certificates(path, pem::Error::NoItemsFound)),
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(no_certificates(path, error)),
        }
    }

    /// Returns them in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.0
    }

    /// Returns the PEM in base64, once more, as some configurations have it.
    pub(super) fn base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

fn no_certificates(path: &Path, source: pem::Error) -> Refused {
    Refused::NoCertificates {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let signed = rcgen::generate_simple_self_signed(["larder".to_owned()]).unwrap();
        let (certificate, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Certificates::read(&path)
        };
        let found = read(format!("# ours\n{certificate}").as_bytes()).unwrap();
        assert!(found.pem().ends_with(&certificate));
        assert_eq!(
            STANDARD.decode(found.base64()).unwrap(),
            found.pem().as_bytes()
        );
        let long = vec![b' '; 1 + (1 << 20)];
        let both = certificate.clone() + &key;
        for (bytes, told) in [
            (&b"nothing"[..], "is not a file of certificates"),
            (b"\xff\x00", "is not a file of certificates"),
            (
                b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                "is not a file",
            ),
            (&long, "has more than 1048576 bytes"),
            (both.as_bytes(), "has a private key in it"),
        ] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = Certificates::read(&path).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}

//! An authority that vouches for servers and clients, and the files that it writes.

use std::fs;
use std::path::PathBuf;

use larder::server::TlsSettings;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

/// An authority, with a folder for its files.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate with its key, in PEM form.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Makes a new authority.
    pub fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "the authority of a test");
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(authority, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Returns its certificate, for those who trust it.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Makes a certificate for a server on this machine, or for a client.
    pub fn vouch(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut certificate =
            CertificateParams::new(["127.0.0.1", "localhost"].map(String::from)).unwrap();
        certificate.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        Pair {
            certificate: certificate.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Signs a certificate, and returns it in PEM form.
    pub fn sign(&self, certificate: &CertificateParams, key: &KeyPair) -> String {
        certificate.signed_by(key, &self.issuer).unwrap().pem()
    }

    /// Returns the path of a file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate and its key to `cert.pem` and `key.pem`.
    pub fn write(&self, pair: &Pair) {
        fs::write(self.path("cert.pem"), &pair.certificate).unwrap();
        fs::write(self.path("key.pem"), &pair.key).unwrap();
    }

    /// Writes a new certificate, and returns the settings of a server that shows it in place of plain HTTP.
    pub fn settings(&self) -> TlsSettings {
        self.write(&self.vouch());
        TlsSettings {
            listen: None,
            cert_file: self.path("cert.pem"),
            key_file: self.path("key.pem"),
            client_ca_file: None,
        }
    }

    /// Returns the same for a server that lets in only clients for whom `clients` vouches.
    pub fn settings_for(&self, clients: &Self) -> TlsSettings {
        fs::write(self.path("clients.pem"), clients.pem()).unwrap();
        TlsSettings {
            client_ca_file: Some(self.path("clients.pem")),
            ..self.settings()
        }
    }
}

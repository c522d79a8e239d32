//! The endpoints of an upstream: what must agree within one, and among them. Files of certificates are looked at.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fault::Faults;
use super::file::EndpointKeys;
use super::logins::LoginReader;
use super::reader::Located;
use crate::upstream::{
    ApiPath, ClientCertificate, EndpointScope, EndpointSettings, EndpointUrl, TlsSettings,
};

/// Makes endpoints of what is written, and says what does not agree.
pub(super) fn endpoints(
    written: Vec<EndpointKeys>,
    logins: &mut LoginReader<'_>,
) -> Vec<EndpointSettings> {
    if let Some(digests_only) = written.last().and_then(|last| last.digests_only.as_ref())
        && digests_only.value
    {
        let message =
            "the last endpoint decides what tags point at, so it has to be asked for everything";
        logins.faults.push(digests_only.place.clone(), message);
    }
    let mut endpoints: Vec<EndpointSettings> = Vec::new();
    for keys in written {
        let Some(url) = keys.url.clone() else {
            continue;
        };
        if endpoints.iter().any(|known| known.url == url.value) {
            let message = format!("'{}' is listed twice", url.value);
            logins.faults.push(url.place, message);
            continue;
        }
        endpoints.push(endpoint(url.value, keys, logins));
    }
    endpoints
}

fn endpoint(
    url: EndpointUrl,
    mut keys: EndpointKeys,
    logins: &mut LoginReader<'_>,
) -> EndpointSettings {
    if !url.is_encrypted() {
        refuse_tls(&url, &mut keys, logins.faults);
    }
    let is_true = |key: &Option<Located<bool>>| key.as_ref().is_some_and(|written| written.value);
    EndpointSettings {
        falls_back_to_http: is_true(&keys.http_fallback),
        api_path: match is_true(&keys.override_path) {
            true => ApiPath::AsWritten,
            false => ApiPath::Versioned,
        },
        scope: match is_true(&keys.digests_only) {
            true => EndpointScope::Digests,
            false => EndpointScope::Everything,
        },
        tls: TlsSettings {
            skips_verification: is_true(&keys.skip_tls_verify),
            ca_file: keys.ca_file.map(|file| certificates(file, logins.faults)),
            client: client(keys.client_cert_file, keys.client_key_file, logins.faults),
        },
        credentials: logins.of_endpoint(keys.credentials),
        url,
    }
}

/// Says which keys make no sense without encryption, and takes the files away, which need not be looked at then.
fn refuse_tls(url: &EndpointUrl, keys: &mut EndpointKeys, faults: &mut Faults) {
    let files = [
        keys.ca_file.take(),
        keys.client_cert_file.take(),
        keys.client_key_file.take(),
    ];
    for file in files.into_iter().flatten() {
        let message = format!("'{url}' is not encrypted and has no use for certificates");
        faults.push(file.place, message);
    }
    let switches = [&keys.skip_tls_verify, &keys.http_fallback];
    for switch in switches.into_iter().flatten().filter(|s| s.value) {
        let message = format!("'{url}' is not encrypted: this has no meaning there");
        faults.push(switch.place.clone(), message);
    }
}

/// Takes the certificate that we show, which needs its key.
fn client(
    cert: Option<Located<PathBuf>>,
    key: Option<Located<PathBuf>>,
    faults: &mut Faults,
) -> Option<ClientCertificate> {
    match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientCertificate {
            cert_file: certificates(cert, faults),
            key_file: private_key(key, faults),
        }),
        (Some(cert), None) => {
            faults.push(
                cert.place,
                "client_key_file is missing: a certificate is of use with its key",
            );
            None
        }
        (None, Some(key)) => {
            faults.push(
                key.place,
                "client_cert_file is missing: a key is of use with its certificate",
            );
            None
        }
        (None, None) => None,
    }
}

/// Says what is wrong with a file of certificates, and returns it.
pub(super) fn certificates(file: Located<PathBuf>, faults: &mut Faults) -> PathBuf {
    if let Err(problem) = read_certificates(&file.value) {
        let message = format!("'{}' {problem}", file.value.display());
        faults.push_about(file.place, vec![file.value.clone()], message);
    }
    file.value
}

/// Tells why a file holds no certificates.
fn read_certificates(path: &Path) -> Result<(), String> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err("holds no certificate in PEM form".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("holds no certificates in PEM form: {error}")),
    }
}

/// Says what is wrong with the file of a key, and returns it.
pub(super) fn private_key(file: Located<PathBuf>, faults: &mut Faults) -> PathBuf {
    let found = read(&file.value).and_then(|bytes| match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(_) => Ok(()),
        Err(pem::Error::NoItemsFound) => Err("holds no key in PEM form".to_owned()),
        // What else is wrong could quote the key.
        Err(_) => Err("holds a key that is not in PEM form".to_owned()),
    });
    if let Err(problem) = found {
        let message = format!("'{}' {problem}", file.value.display());
        faults.push_about(file.place, vec![file.value.clone()], message);
    }
    file.value
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

//! Why a configuration cannot be written, and what can be done instead.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;
use thiserror::Error;

use super::certificates::MAX_CERTIFICATE_BYTES;
use crate::oci::UpstreamName;

/// Something that was asked for and cannot be had.
#[derive(Debug, Error)]
pub(in crate::cli) enum Refused {
    /// The client cannot be kept from going around larder.
    #[error(
        "{client} cannot be strict: after any error of a mirror it goes to the registry itself"
    )]
    NotStrict {
        /// What the client is called.
        client: &'static str,
        /// Where larder is.
        authority: String,
    },
    /// larder does not know the registry.
    #[error(
        "the registry {0} is not configured here: add an [[upstream]] with name = \"{0}\" to the configuration"
    )]
    NotConfigured(UpstreamName),
    /// No registry is known by its name in full.
    #[error("no registry is configured by its name in full, and {client} needs names")]
    NoNames {
        /// What the client is called.
        client: &'static str,
    },
    /// No registry can stand in the name of an image.
    #[error(
        "{client} has the registry in the name of the image, where {name} cannot stand because of its port"
    )]
    NoAlias {
        /// What the client is called.
        client: &'static str,
        /// The first of the registries.
        name: UpstreamName,
    },
    /// The address is a virtual host.
    #[error("at {authority} names lead {} alone, and not to {wanted}", place(found.as_ref()))]
    VirtualHost {
        /// Where larder is.
        authority: String,
        /// Where names lead there.
        found: Option<UpstreamName>,
        /// Where one should lead.
        wanted: UpstreamName,
    },
    /// The client has mirrors of Docker Hub only, which was not asked for.
    #[error("{client} has mirrors of docker.io alone, which is not among the registries")]
    HubNotChosen {
        /// What the client is called.
        client: &'static str,
    },
    /// The client does not say which registry it means, and larder takes it for another.
    #[error(
        "{client} does not say to a mirror that it means docker.io, and here such names lead {}",
        place(found.as_ref())
    )]
    HubNotDefault {
        /// What the client is called.
        client: &'static str,
        /// Where they lead.
        found: Option<UpstreamName>,
    },
    /// There are certificates, and nothing that would be encrypted.
    #[error("--ca-file is for https, and the address of --url has http")]
    NotEncrypted,
    /// The file with certificates cannot be read.
    #[error("--ca-file: '{}' cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is longer than certificates are.
    #[error("--ca-file: '{}' has more than {MAX_CERTIFICATE_BYTES} bytes", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file does not have certificates.
    #[error("--ca-file: '{}' is not a file of certificates in PEM", path.display())]
    NoCertificates {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The file has a key, which clients must not have.
    #[error("--ca-file: '{}' has a private key in it: clients need the certificates alone", path.display())]
    PrivateKey {
        /// Which file.
        path: PathBuf,
    },
}

impl Refused {
    /// Returns what can be done instead, where that is not clear already.
    pub(in crate::cli) fn hint(&self) -> Option<String> {
        match self {
            Self::NotStrict { authority, .. } => Some(format!(
                "use --mode fallback; or put larder in front of the names of images, as in \
                 {authority}/docker.io/library/alpine, and let a firewall keep the client from the registries"
            )),
            Self::HubNotDefault { .. } => Some(
                "set default_upstream = \"docker.io\" in [server]; or give docker.io a name in hosts, and use that in --url"
                    .to_owned(),
            ),
            Self::VirtualHost { authority, .. } => Some(format!(
                "{authority} is in hosts of an [[upstream]]: use another name of larder in --url, or name that upstream alone"
            )),
            Self::NoNames { .. } => Some("name the registries that are used with --upstream".to_owned()),
            Self::NoAlias { name, .. } => Some(format!(
                "give it another name with aliases in the [[upstream]] with name = \"{name}\""
            )),
            Self::NotConfigured(_)
            | Self::HubNotChosen { .. }
            | Self::NotEncrypted
            | Self::Unreadable { .. }
            | Self::TooLong { .. }
            | Self::NoCertificates { .. }
            | Self::PrivateKey { .. } => None,
        }
    }
}

/// Says where names lead.
fn place(found: Option<&UpstreamName>) -> String {
    match found {
        Some(name) => format!("to {name}"),
        None => "nowhere".to_owned(),
    }
}

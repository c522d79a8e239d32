//! All configured upstreams, by name.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::registry::Upstream;
use super::settings::{Limits, Settings};
use crate::oci::UpstreamName;
use crate::runtime::{Clock, Tasks};

/// The upstreams that may be asked. Drop it before the tasks are drained: idle connections are tasks that end with it.
#[derive(Debug)]
pub struct Upstreams {}

impl Upstreams {
    /// Makes upstreams from their settings, in the order of which the first pattern that fits a name counts.
    ///
    /// # Errors
    /// [`TlsError`] when a file of certificates cannot be used.
    pub fn new(
        _settings: Vec<Settings>,
        _limits: Limits,
        _clock: Clock,
        _tasks: Tasks,
    ) -> Result<Self, TlsError> {
        unimplemented!("interface only")
    }

    /// Returns the upstream with this name, `None` when it is not configured.
    pub fn get(&self, _name: &UpstreamName) -> Option<Arc<Upstream>> {
        unimplemented!("interface only")
    }
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
        source: Arc<rustls::pki_types::pem::Error>,
    },
    /// A certificate is not one that can sign others, or the system refuses to set up TLS.
    #[error("could not set up TLS")]
    Setup {
        /// Why not.
        source: Arc<rustls::Error>,
    },
}

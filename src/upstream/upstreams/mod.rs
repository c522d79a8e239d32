//! All configured upstreams, by name. The configuration can change while larder runs.

mod maker;
mod table;

use std::sync::Arc;

use thiserror::Error;

use self::maker::Maker;
use self::table::Table;
use super::egress::EgressError;
use super::registry::Upstream;
use super::settings::{Parts, Settings};
use super::standing::Standing;
use super::switch::Switch;
use super::tls::TlsError;
use crate::oci::{UpstreamName, UpstreamPattern};
use crate::runtime::Live;

/// The upstreams that may be asked. Drop it before the tasks are drained: idle connections are tasks that end with it.
#[derive(Debug)]
pub struct Upstreams {
    table: Live<Table>,
    maker: Maker,
}

/// Why upstreams cannot be asked as the settings say.
#[derive(Clone, Debug, Error)]
pub enum SetupError {
    /// A file of certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A proxy cannot be used.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// Nobody is left to say what tags point at.
    #[error("the last endpoint of {pattern} has to be for everything, not for digests alone")]
    NobodyDecides {
        /// Of which upstreams.
        pattern: UpstreamPattern,
    },
}

impl Upstreams {
    /// Makes upstreams from their settings. A name in full goes before patterns, and among these the first that fits.
    ///
    /// # Errors
    /// [`SetupError`] when a file or a proxy cannot be used.
    pub fn new(settings: Vec<Settings>, parts: Parts) -> Result<Self, SetupError> {
        let maker = Maker::new(parts)?;
        let table = Table::new(settings, &maker)?;
        Ok(Self {
            table: Live::new(table),
            maker,
        })
    }

    /// Goes by other settings, from the next request on. Upstreams of which nothing changed keep their connections, their
    /// tokens and what is known of them, and so do the words of the operator where the mode in the settings is the same.
    /// What is under way goes on as it began.
    ///
    /// # Errors
    /// [`SetupError`] when a file cannot be used; everything stays as it is then.
    pub fn reconfigure(&self, settings: Vec<Settings>) -> Result<(), SetupError> {
        let old = self.table.now();
        let new = old.succeeded_by(settings, &self.maker)?;
        self.table.replace(new);
        Ok(())
    }

    /// Returns the upstream with this name, `None` when it is not configured.
    pub fn get(&self, name: &UpstreamName) -> Option<Arc<Upstream>> {
        self.table.now().get(name, &self.maker)
    }

    /// Returns the switch of an upstream as it is configured, by its name or pattern; `None` when nothing is configured
    /// under it.
    pub fn switch(&self, pattern: &UpstreamPattern) -> Option<Arc<Switch>> {
        self.table.now().switch(pattern)
    }

    /// Returns what is known of each entry, as they are configured and in that order. Nobody is asked, and no upstream is
    /// made that nobody asked for yet.
    pub fn standings(&self) -> Vec<Standing> {
        self.table.now().standings()
    }
}

#[cfg(test)]
mod tests;

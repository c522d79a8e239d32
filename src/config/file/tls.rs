//! What may be written of TLS on larder's own listeners: `[server.tls]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::fault::Place;
use crate::config::reader::{Located, Section, Table};
use crate::config::values;

/// `[server.tls]`: encryption towards clients. Each key can be a variable, as `LARDER_SERVER__TLS__CERT_FILE`.
#[derive(Debug, Default)]
pub(in crate::config) struct TlsKeys {
    /// Where the table is written, if it is.
    pub(in crate::config) place: Option<Place>,
    /// `ip:port` where TLS is spoken, beside plain HTTP at `server.listen`. Default: none, and TLS is what
    /// `server.listen` speaks.
    ///
    /// Danger: what is said of `server.listen` holds here as well, but for `client_ca_file`.
    pub(in crate::config) listen: Option<Located<SocketAddr>>,
    /// The certificate, and after it those that vouch for it, in PEM form. Read again when it changes. Has to be written.
    pub(in crate::config) cert_file: Option<Located<PathBuf>>,
    /// Its private key, in PEM form. Read again when it changes. Has to be written.
    ///
    /// Danger: who can read it can pass for this larder.
    pub(in crate::config) key_file: Option<Located<PathBuf>>,
    /// Certificates in PEM form. Each client has to show one of its own for which one of these vouches. Read again when it
    /// changes. Default: clients show none.
    ///
    /// Danger: it is for connections over TLS alone. Who reaches a plain `server.listen` beside it shows nothing.
    pub(in crate::config) client_ca_file: Option<Located<PathBuf>>,
}

impl TlsKeys {
    pub(super) fn read_table(table: &mut Table<'_>) -> Self {
        Self {
            place: Some(table.place()),
            ..Self::read(table)
        }
    }

    pub(super) fn read(section: &mut impl Section) -> Self {
        Self {
            place: None,
            listen: section.text("listen", values::socket_address),
            cert_file: section.path("cert_file"),
            key_file: section.path("key_file"),
            client_ca_file: section.path("client_ca_file"),
        }
    }

    pub(super) fn over(self, weaker: Self) -> Self {
        Self {
            place: self.place.or(weaker.place),
            listen: self.listen.or(weaker.listen),
            cert_file: self.cert_file.or(weaker.cert_file),
            key_file: self.key_file.or(weaker.key_file),
            client_ca_file: self.client_ca_file.or(weaker.client_ca_file),
        }
    }
}

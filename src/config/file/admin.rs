//! What may be written of the operator's door over TCP: `[admin]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::reader::{Located, Section};
use crate::config::values;

/// `[admin]`: the operator's commands over TCP, beside the socket. Each key can be a variable, as `LARDER_ADMIN__LISTEN`.
#[derive(Debug, Default)]
pub(in crate::config) struct AdminKeys {
    /// `ip:port` where commands are taken from those who show the token. Default: nowhere, but at the socket.
    ///
    /// Danger: there is no TLS. Who sees a request on its way to another address than a loopback one knows the token: put
    /// a proxy that speaks TLS before it.
    pub(in crate::config) listen: Option<Located<SocketAddr>>,
    /// The file of the token: one line of at least 16 characters. Read again when it changes. Has to be written.
    ///
    /// Danger: who can read it can change how larder runs.
    pub(in crate::config) token_file: Option<Located<PathBuf>>,
}

impl AdminKeys {
    pub(super) fn read(section: &mut impl Section) -> Self {
        Self {
            listen: section.text("listen", values::socket_address),
            token_file: section.path("token_file"),
        }
    }

    pub(super) fn over(self, weaker: Self) -> Self {
        Self {
            listen: self.listen.or(weaker.listen),
            token_file: self.token_file.or(weaker.token_file),
        }
    }
}

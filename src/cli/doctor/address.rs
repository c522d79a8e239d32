//! Addresses as clients are told them: with a scheme or without, with a path or without, and sometimes with a password,
//! which is never shown.

use std::fmt;
use std::net::IpAddr;

use http::uri::Authority;

/// Whether what goes to an address is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scheme {
    /// It is not.
    Http,
    /// It is.
    Https,
    /// It is if somebody there can, else it is not: the client finds out.
    Either,
}

impl Scheme {
    /// Returns the port of addresses that name none.
    pub(super) fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https | Self::Either => 443,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https | Self::Either => "https",
        }
    }
}

/// What stands in an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The scheme in lower case, if there is one.
    pub(super) scheme: Option<String>,
    /// The host and port, in lower case.
    pub(super) authority: String,
    /// The path, without a slash at its end; empty when there is none.
    pub(super) path: String,
    /// Whether there is a user or password, which is left out.
    pub(super) has_login: bool,
    /// Whether there is a query or fragment, which is left out.
    pub(super) has_query: bool,
}

impl Written {
    /// Reads an address. `None` when there is no host in it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let end = rest.find(['?', '#']);
        let (rest, has_query) = (&rest[..end.unwrap_or(rest.len())], end.is_some());
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (has_login, authority) = match authority.rsplit_once('@') {
            Some((_, authority)) => (true, authority),
            None => (false, authority),
        };
        let parsed: Authority = authority.parse().ok()?;
        if parsed.host().is_empty() || (authority.ends_with(':') && parsed.port().is_none()) {
            return None;
        }
        Some(Self {
            scheme,
            authority: authority.to_ascii_lowercase(),
            path: path.trim_end_matches('/').to_owned(),
            has_login,
            has_query,
        })
    }

    /// Returns the scheme where it is one that clients speak.
    pub(super) fn known_scheme(&self) -> Option<Scheme> {
        match self.scheme.as_deref() {
            Some("http") => Some(Scheme::Http),
            Some("https") => Some(Scheme::Https),
            Some(_) | None => None,
        }
    }
}

/// A host and port, and how one speaks there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    /// Whether what goes there is encrypted.
    pub(super) scheme: Scheme,
    /// The host, and the port where it is not the usual one.
    authority: String,
}

impl Address {
    /// Makes an address of a host and port that were read.
    pub(super) fn new(scheme: Scheme, authority: &str) -> Self {
        let usual = format!(":{}", scheme.usual_port());
        let authority = match scheme {
            Scheme::Http | Scheme::Https => authority.strip_suffix(&usual).unwrap_or(authority),
            Scheme::Either => authority,
        };
        Self {
            scheme,
            authority: authority.to_owned(),
        }
    }

    /// Returns the host, and the port where it is not the usual one.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the host alone, without brackets.
    pub(super) fn host(&self) -> &str {
        let authority = &self.authority;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => authority,
        };
        host.trim_matches(['[', ']'])
    }

    /// Returns the port.
    pub(super) fn port(&self) -> u16 {
        let port = self.authority.rsplit_once(':');
        let port = port.and_then(|(_, port)| port.parse().ok());
        port.unwrap_or(self.scheme.usual_port())
    }

    /// Returns whether it is the client's own machine.
    pub(super) fn is_loopback(&self) -> bool {
        let address: Option<IpAddr> = self.host().parse().ok();
        self.host() == "localhost"
            || address.is_some_and(|address| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_addresses() {
        for (text, scheme, authority, path) in [
            ("http://Larder:5000", Some("http"), "larder:5000", ""),
            ("HTTPS://larder/", Some("https"), "larder", ""),
            ("larder:5000/quay.io/", None, "larder:5000", "/quay.io"),
            (
                "http://[::1]:5000/v2/a",
                Some("http"),
                "[::1]:5000",
                "/v2/a",
            ),
            ("oci://x", Some("oci"), "x", ""),
        ] {
            let written = Written::read(text).unwrap();
            let parts = (written.scheme.as_deref(), written.authority.as_str());
            assert_eq!(
                (parts, written.path.as_str()),
                ((scheme, authority), path),
                "{text}"
            );
            assert!(!written.has_login && !written.has_query);
        }
        let written = Written::read("https://ada:hunter2@larder/x?token=hunter2").unwrap();
        assert!(written.has_login && written.has_query);
        assert!(!format!("{written:?}").contains("hunter2"));
        for text in [
            "",
            "http://",
            "http:///x",
            "a b",
            "larder:",
            "http://:5000",
            "ré",
        ] {
            assert_eq!(Written::read(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        use Scheme::{Either, Http, Https};
        for (scheme, authority, shown, host, port, is_loopback) in [
            (
                Http,
                "larder:5000",
                "http://larder:5000",
                "larder",
                5000,
                false,
            ),
            (Http, "larder:80", "http://larder", "larder", 80, false),
            (Https, "larder:443", "https://larder", "larder", 443, false),
            (Https, "[::1]", "https://[::1]", "::1", 443, true),
            (Http, "[::1]:80", "http://[::1]", "::1", 80, true),
            (
                Http,
                "127.0.0.2:1",
                "http://127.0.0.2:1",
                "127.0.0.2",
                1,
                true,
            ),
            (
                Either,
                "localhost:80",
                "https://localhost:80",
                "localhost",
                80,
                true,
            ),
        ] {
            let address = Address::new(scheme, authority);
            assert_eq!(address.to_string(), shown);
            let parts = (address.host(), address.port(), address.is_loopback());
            assert_eq!(parts, (host, port, is_loopback), "{shown}");
        }
    }
}

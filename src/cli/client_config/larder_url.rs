//! Where clients reach larder. Hosts and ports only: few clients can have a path there, and larder needs none.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::upstream::{EndpointUrl, EndpointUrlError};

/// The address of larder, as clients have it: `http://host[:port]`, or with `https://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LarderUrl {
    scheme: Scheme,
    host: String,
    /// The host, and the port where it is not the usual one.
    authority: String,
}

/// Whether what goes there is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// It is not.
    Http,
    /// It is.
    Https,
}

impl LarderUrl {
    /// Returns the whole address.
    pub(super) fn text(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}", self.authority)
    }

    /// Returns host and port, as they stand before the name of an image.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the scheme.
    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns whether it is the machine on which the client runs.
    pub(super) fn is_loopback(&self) -> bool {
        let is_address = |address: IpAddr| address.to_canonical().is_loopback();
        self.host == "localhost" || self.address().is_some_and(is_address)
    }

    fn address(&self) -> Option<IpAddr> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok()
    }
}

impl FromStr for LarderUrl {
    type Err = LarderUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: EndpointUrl = text.parse().map_err(|error| match error {
            // Their words are for registries.
            EndpointUrlError::Url | EndpointUrlError::Scheme => LarderUrlError::Form,
            EndpointUrlError::Prefix | EndpointUrlError::ApiVersion => LarderUrlError::Path,
            EndpointUrlError::UserInfo
            | EndpointUrlError::Punycode
            | EndpointUrlError::Host
            | EndpointUrlError::Port
            | EndpointUrlError::Query => LarderUrlError::Url(error),
        })?;
        let shown = url.to_string();
        let (_, authority) = shown.split_once("://").ok_or(LarderUrlError::Form)?;
        if authority.contains('/') {
            return Err(LarderUrlError::Path);
        }
        let scheme = match url.is_encrypted() {
            true => Scheme::Https,
            false => Scheme::Http,
        };
        let larder = Self {
            scheme,
            host: url.host().to_owned(),
            authority: authority.to_owned(),
        };
        match larder.address() {
            Some(address) if address.is_unspecified() => Err(LarderUrlError::Unspecified),
            _ => Ok(larder),
        }
    }
}

/// Why a text is not the address of a larder.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum LarderUrlError {
    /// It is no address, or one for something else.
    #[error("write it as http://host:port or https://host:port")]
    Form,
    /// A part of it is wrong.
    #[error(transparent)]
    Url(EndpointUrlError),
    /// There is a path.
    #[error("leave out the path: larder is at the root of its address, as in http://larder:5000")]
    Path,
    /// It is the address that stands for all of a machine.
    #[error(
        "larder can listen there, but nobody can reach it there: write a name or address of its machine"
    )]
    Unspecified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_larder() {
        for (text, shown, authority, is_loopback) in [
            (
                "http://larder:5000",
                "http://larder:5000",
                "larder:5000",
                false,
            ),
            (
                "HTTPS://Larder.example:443/",
                "https://larder.example",
                "larder.example",
                false,
            ),
            ("http://127.0.0.1:80", "http://127.0.0.1", "127.0.0.1", true),
            ("http://[::1]:5000", "http://[::1]:5000", "[::1]:5000", true),
            ("https://localhost", "https://localhost", "localhost", true),
        ] {
            let url: LarderUrl = text.parse().unwrap();
            let found = (url.text(), url.authority(), url.is_loopback());
            assert_eq!(found, (shown.to_owned(), authority, is_loopback), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_told() {
        use LarderUrlError::*;
        for (text, error) in [
            ("http://larder/v2/docker.io", Path),
            ("http://larder:5000/v2", Path),
            ("http://0.0.0.0:5000", Unspecified),
            ("https://[::]", Unspecified),
            ("larder:5000", Form),
            ("larder", Form),
            ("ftp://larder", Form),
            ("http://ada:secret@larder", Url(EndpointUrlError::UserInfo)),
            ("http://larder?x", Url(EndpointUrlError::Query)),
            ("http://larder:0", Url(EndpointUrlError::Port)),
            ("http://lar\"der", Form),
            ("http://larder/%2e", Path),
        ] {
            assert_eq!(text.parse::<LarderUrl>(), Err(error), "{text}");
        }
    }
}

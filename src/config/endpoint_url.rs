//! Addresses of registry endpoints: `http` or `https`, host, port, and the path that lies before `/v2/`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

use crate::oci::UpstreamName;

/// The address of an endpoint, such as `https://registry-1.docker.io` or `https://artifactory.example/api/docker/remote`.
///
/// It has no user, no query, no fragment and no final slash.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    text: Arc<str>,
    is_encrypted: bool,
    host_length: usize,
    port: u16,
}

impl EndpointUrl {
    /// Returns the host: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        let start = self.text.find("://").map_or(0, |at| at + 3);
        &self.text[start..start + self.host_length]
    }

    /// Returns the port, which is the usual one of the scheme when none was written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the scheme is `https`.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EndpointUrlError::Scheme);
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::HTTPS,
            "http" => Scheme::HTTP,
            _ => return Err(EndpointUrlError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(EndpointUrlError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(EndpointUrlError::User);
        }
        // The grammar of hosts and ports is the one of upstream names; the name itself, with its spellings, is not meant.
        authority
            .parse::<UpstreamName>()
            .map_err(|error| EndpointUrlError::Host(error.to_string()))?;
        let path = path.trim_end_matches('/');
        let is_prefix = path.is_empty() || path[1..].split('/').all(is_segment);
        let authority = authority.to_ascii_lowercase();
        let text = format!("{scheme}://{authority}{path}");
        let uri: Uri = text.parse().map_err(|_| EndpointUrlError::Path)?;
        if !is_prefix || path.ends_with("/v2") {
            return Err(EndpointUrlError::Path);
        }
        let is_encrypted = scheme == Scheme::HTTPS;
        let usual_port = if is_encrypted { 443 } else { 80 };
        Ok(Self {
            text: text.into(),
            is_encrypted,
            host_length: uri.host().map_or(0, str::len),
            port: uri.port_u16().unwrap_or(usual_port),
        })
    }
}

/// Tells whether a text between slashes stays where it is: not empty and not a step to another folder.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Why a text is not the address of an endpoint. No message repeats the text, which could hold a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EndpointUrlError {
    /// Neither `http` nor `https`.
    #[error("it has to begin with https:// or http://")]
    Scheme,
    /// There is a `user@`.
    #[error("user and password do not belong in an address")]
    User,
    /// There is a `?` or a `#`.
    #[error("'?' and '#' do not belong in it")]
    Query,
    /// The host or the port breaks its grammar.
    #[error("{0}")]
    Host(String),
    /// The path cannot stand before `/v2/`.
    #[error("its path is what stands before /v2/, without empty, '.' or '..' parts")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_address() {
        for (text, shown, host, port, is_encrypted) in [
            ("https://ghcr.io", "https://ghcr.io", "ghcr.io", 443, true),
            ("HTTPS://GHCR.io/", "https://ghcr.io", "ghcr.io", 443, true),
            (
                "http://127.0.0.1:5001",
                "http://127.0.0.1:5001",
                "127.0.0.1",
                5001,
                false,
            ),
            ("http://[::1]/x", "http://[::1]/x", "[::1]", 80, false),
            (
                "https://a.example:8443/api/docker/Remote/",
                "https://a.example:8443/api/docker/Remote",
                "a.example",
                8443,
                true,
            ),
        ] {
            let url: EndpointUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(
                (url.host(), url.port(), url.is_encrypted()),
                (host, port, is_encrypted),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address() {
        use EndpointUrlError as E;
        for (text, error) in [
            ("ghcr.io", E::Scheme),
            ("ftp://ghcr.io", E::Scheme),
            ("https://u:p@ghcr.io", E::User),
            ("https://ghcr.io?x", E::Query),
            ("https://ghcr.io/#x", E::Query),
            ("https://ghcr.io/v2/", E::Path),
            ("https://ghcr.io/a//b", E::Path),
            ("https://ghcr.io/a/../b", E::Path),
            ("https://ghcr.io/a b", E::Path),
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(error), "{text}");
        }
        for text in ["https://", "https:///x", "https://a:0", "https://a..b"] {
            let error = text.parse::<EndpointUrl>();
            assert!(matches!(error, Err(E::Host(_))), "{text}");
        }
    }
}

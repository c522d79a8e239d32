//! Where a registry is asked: scheme, host, port, and a path before `/v2/` where a registry lives below one.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

use super::settings::ApiPath;
use crate::oci::UpstreamName;

/// A scheme, a host and a port: who gets what we send. Tokens are for one site and never leave it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Site {
    is_encrypted: bool,
    host: Arc<str>,
    port: u16,
    text: Arc<str>,
}

impl Site {
    /// Returns the site of an absolute URL, `None` when it is neither `http` nor `https`.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let is_encrypted = match url.scheme()? {
            scheme if *scheme == Scheme::HTTPS => true,
            scheme if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let usual = if is_encrypted { 443 } else { 80 };
        let host = url.host()?.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let port = url.port_u16().unwrap_or(usual);
        let text = if port == usual {
            host.into()
        } else {
            format!("{host}:{port}").into()
        };
        Some(Self {
            is_encrypted,
            host: host.into(),
            port,
            text,
        })
    }

    /// Returns whether what is sent there is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Returns the host as it is written in messages: with its port when that is not the usual one.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.text
    }

    /// Returns the host without its port, in lower case and, for an IPv6 address, in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the address, when the host is written as one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok()
    }

    /// Returns the port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether it is this machine, as far as the name says.
    pub(super) fn is_this_machine(&self) -> bool {
        let is_named = *self.host == *"localhost" || self.host.ends_with(".localhost");
        is_named || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Returns whether both are the same host and port, whatever the scheme.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.text)
    }
}

/// The address of a registry: `https://host[:port][/prefix]`, or with `http://` when it is not encrypted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    site: Site,
    prefix: Arc<str>,
}

impl EndpointUrl {
    /// The host that the API of Docker Hub has, which its name is not.
    const DOCKER_HUB: &str = "registry-1.docker.io";

    /// Returns where an upstream is that has no configured endpoint: at its own name, encrypted.
    pub fn of(name: &UpstreamName) -> Self {
        let host = if name.is_docker_hub() {
            Self::DOCKER_HUB
        } else {
            name.as_str()
        };
        format!("https://{host}")
            .parse()
            .expect("the names of upstreams are hosts")
    }

    /// Returns whether what is sent there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.site.is_encrypted
    }

    /// Returns the host, in lower case and, for an IPv6 address, in brackets.
    pub fn host(&self) -> &str {
        &self.site.host
    }

    /// Returns the port, also when it is the usual one.
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// Returns the host and port.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Tells whether a registry's API can be there: `/v2` at the end is for those that are asked as it is written.
    ///
    /// # Errors
    /// [`EndpointUrlError::ApiVersion`] when `/v2` would be there twice.
    pub fn fits(&self, api_path: ApiPath) -> Result<(), EndpointUrlError> {
        match api_path {
            ApiPath::Versioned if self.prefix.ends_with("/v2") => Err(EndpointUrlError::ApiVersion),
            ApiPath::Versioned | ApiPath::AsWritten => Ok(()),
        }
    }

    /// Returns the URL of something that the API has.
    pub(super) fn api(&self, api_path: ApiPath, path: &str) -> Uri {
        let version = match api_path {
            ApiPath::Versioned => "/v2",
            ApiPath::AsWritten => "",
        };
        format!("{self}{version}/{path}")
            .parse()
            .expect("names, tags and digests have no characters that URLs lack")
    }

    /// Returns the same place without encryption: at its port, or at the usual one where that is the usual one here.
    pub(super) fn unencrypted(&self) -> Self {
        let port = match self.site.port {
            443 => 80,
            port => port,
        };
        format!("http://{}:{port}{}", self.site.host, self.prefix)
            .parse()
            .expect("another scheme makes no other place")
    }
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['?', '#']) {
            return Err(EndpointUrlError::Query);
        }
        let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
        if !behind_scheme.split('/').next().is_some_and(str::is_ascii) {
            return Err(EndpointUrlError::Punycode);
        }
        let url: Uri = text.parse().map_err(|_| EndpointUrlError::Url)?;
        let authority = url.authority().ok_or(EndpointUrlError::Url)?.as_str();
        if authority.contains('@') {
            return Err(EndpointUrlError::UserInfo);
        }
        let site = Site::of(&url).ok_or(EndpointUrlError::Scheme)?;
        if !is_host(&site.host) {
            return Err(EndpointUrlError::Host);
        }
        let has_port = authority
            .rsplit(']')
            .next()
            .is_some_and(|end| end.contains(':'));
        if has_port && url.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointUrlError::Port);
        }
        let prefix = url.path().trim_end_matches('/');
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        let is_dotted = |part: &str| matches!(part, "." | "..");
        if !prefix.bytes().all(is_plain) || prefix.split('/').any(is_dotted) {
            return Err(EndpointUrlError::Prefix);
        }
        Ok(Self {
            site,
            prefix: prefix.into(),
        })
    }
}

/// Tells whether a lower-case text is a DNS name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']');
        return inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    text.split('.')
        .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(is_inner))
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.site, self.prefix)
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not the address of a registry.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EndpointUrlError {
    /// Not a URL with a host.
    #[error("write it as https://host[:port][/prefix]")]
    Url,
    /// Another scheme.
    #[error("its scheme has to be https, or http for a registry without encryption")]
    Scheme,
    /// A name or password before the host.
    #[error("credentials do not belong into an address")]
    UserInfo,
    /// The host has letters that DNS lacks.
    #[error("write its host in punycode, as in xn--bcher-kva.example for b\u{fc}cher.example")]
    Punycode,
    /// The host is no name and no address.
    #[error("its host is neither a name nor an address")]
    Host,
    /// The port is none.
    #[error("its port has to be a number from 1 to 65535")]
    Port,
    /// A query or fragment.
    #[error("it cannot have a query or fragment")]
    Query,
    /// `/v2` at its end.
    #[error("leave out /v2, which is added to each request")]
    ApiVersion,
    /// A path with characters that need escapes, or with dots that lead elsewhere.
    #[error("its path may have letters, digits, '-', '.', '_' and '~' only")]
    Prefix,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_endpoints() {
        for (text, shown, api) in [
            ("https://ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/x"),
            (
                "HTTPS://GHCR.io:443/",
                "https://ghcr.io",
                "https://ghcr.io/v2/x",
            ),
            (
                "http://127.0.0.1:5000",
                "http://127.0.0.1:5000",
                "http://127.0.0.1:5000/v2/x",
            ),
            ("http://r.io:80", "http://r.io", "http://r.io/v2/x"),
            ("http://r.io:443", "http://r.io:443", "http://r.io:443/v2/x"),
            (
                "https://[::1]:5000",
                "https://[::1]:5000",
                "https://[::1]:5000/v2/x",
            ),
            (
                "https://a_b.local.",
                "https://a_b.local",
                "https://a_b.local/v2/x",
            ),
            (
                "https://artifactory/api/docker/Remote/",
                "https://artifactory/api/docker/Remote",
                "https://artifactory/api/docker/Remote/v2/x",
            ),
        ] {
            let url: EndpointUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(url.api(ApiPath::Versioned, "x").to_string(), api, "{text}");
            assert_eq!(url.fits(ApiPath::Versioned), Ok(()), "{text}");
        }
        use EndpointUrlError as E;
        for (text, why) in [
            ("", E::Url),
            ("ghcr.io", E::Scheme),
            ("/v2", E::Url),
            ("https://", E::Url),
            ("ftp://r.io", E::Scheme),
            ("https://u:p@r.io", E::UserInfo),
            ("https://r.io:0", E::Port),
            ("https://r.io:", E::Port),
            ("https://r.io:70000", E::Port),
            ("https://r..io", E::Host),
            ("https://[::1", E::Url),
            ("https://[x]", E::Host),
            ("https://r.io?x=1", E::Query),
            ("https://r.io/#x", E::Query),
            ("https://r.io/a/../b", E::Prefix),
            ("https://r.io/a%2fb", E::Prefix),
            ("https://ré.io", E::Punycode),
            ("ré.io/x", E::Punycode),
            ("https://r.io/é", E::Prefix),
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_path_with_the_version_in_it_is_for_those_that_are_asked_as_it_is_written() {
        for (text, api) in [
            ("https://r.io/a/v2/", "https://r.io/a/v2/x"),
            ("https://r.io/v2", "https://r.io/v2/x"),
            ("https://r.io/a", "https://r.io/a/x"),
            ("https://r.io", "https://r.io/x"),
        ] {
            let url: EndpointUrl = text.parse().unwrap();
            assert_eq!(url.fits(ApiPath::AsWritten), Ok(()), "{text}");
            assert_eq!(url.api(ApiPath::AsWritten, "x").to_string(), api, "{text}");
            let why = text.contains("/v2").then_some(EndpointUrlError::ApiVersion);
            assert_eq!(url.fits(ApiPath::Versioned).err(), why, "{text}");
        }
    }

    #[test]
    fn the_same_place_without_encryption() {
        for (text, plain) in [
            ("https://r.io/a", "http://r.io/a"),
            ("https://r.io:5000", "http://r.io:5000"),
            ("https://[::1]:8443", "http://[::1]:8443"),
        ] {
            let url: EndpointUrl = text.parse().unwrap();
            assert_eq!(url.unencrypted().to_string(), plain);
        }
    }

    #[test]
    fn an_upstream_is_at_its_own_name() {
        for (name, url) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("quay.io", "https://quay.io"),
            ("[::1]:5000", "https://[::1]:5000"),
        ] {
            let name: UpstreamName = name.parse().unwrap();
            assert_eq!(EndpointUrl::of(&name).to_string(), url);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(text in "https?://[a-z0-9.-]{1,12}(:[0-9]{1,5})?(/[a-z~.]{0,4}){0,3}") {
            if let Ok(url) = text.parse::<EndpointUrl>() {
                prop_assert_eq!(url.to_string().parse::<EndpointUrl>(), Ok(url));
            }
        }
    }
}

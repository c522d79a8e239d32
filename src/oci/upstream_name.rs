//! Names of registries: a host, with a port when it is not the usual one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The name that an upstream has in keys, logs, metrics and configuration: `host[:port]`, in lower case.
///
/// `docker.io` is the one name of Docker Hub; [`UpstreamName::from_str`] takes all of its spellings.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamName(Arc<str>);

/// Hosts that all mean Docker Hub: the names it had, and the one that its API has.
const DOCKER_HUB_HOSTS: [&str; 6] = [
    "index.docker.io",
    "registry-1.docker.io",
    "registry.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
    "www.docker.io",
];

impl UpstreamName {
    /// The name of Docker Hub.
    pub const DOCKER_HUB: &str = "docker.io";

    /// The longest name, in bytes: a DNS name and a port.
    pub const MAX_LENGTH: usize = 255;

    /// Returns the name of Docker Hub.
    pub fn docker_hub() -> Self {
        Self(Self::DOCKER_HUB.into())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is Docker Hub, where names of one component are in `library/`.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == Self::DOCKER_HUB
    }
}

impl FromStr for UpstreamName {
    type Err = UpstreamNameError;

    /// Reads `host[:port]`. Letters become lower-case, a final dot and the port 443 are dropped, and the spellings of
    /// Docker Hub become `docker.io`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_LENGTH {
            return Err(UpstreamNameError::TooLong);
        }
        let text = text.to_ascii_lowercase();
        let (host, port) = split_port(&text)?;
        let host = host.strip_suffix('.').unwrap_or(host);
        if !is_host(host) {
            return Err(UpstreamNameError::Host(host.escape_default().to_string()));
        }
        if DOCKER_HUB_HOSTS.contains(&host) && port.is_none() {
            return Ok(Self(Self::DOCKER_HUB.into()));
        }
        Ok(Self(match port {
            None => host.into(),
            Some(port) => format!("{host}:{port}").into(),
        }))
    }
}

/// Splits off the port; 443, the usual one, counts as none.
fn split_port(text: &str) -> Result<(&str, Option<u16>), UpstreamNameError> {
    let is_bare_ipv6 = text.ends_with(']');
    let Some((host, port)) = text.rsplit_once(':').filter(|_| !is_bare_ipv6) else {
        return Ok((text, None));
    };
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0);
    let port: u16 = port.ok_or(UpstreamNameError::Port)?;
    Ok((host, (port != 443).then_some(port)))
}

/// Tells whether a lower-case text is a DNS name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    }
    text.split('.').all(is_label)
}

/// Tells whether a lower-case text is one label of a DNS name.
fn is_label(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Which upstreams a configuration entry is for: one name, or a name in which `*` stands for one whole label, as in
/// `*.dkr.ecr.*.amazonaws.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamPattern {
    /// One upstream.
    Exactly(UpstreamName),
    /// Every upstream whose labels fit; `None` fits any label.
    Labels(Vec<Option<Arc<str>>>),
}

impl UpstreamPattern {
    /// Returns whether the pattern is for this upstream.
    pub fn matches(&self, name: &UpstreamName) -> bool {
        match self {
            Self::Exactly(own) => own == name,
            Self::Labels(labels) => {
                let found = name.as_str().split('.');
                found.clone().count() == labels.len()
                    && found
                        .zip(labels)
                        .all(|(found, label)| label.as_deref().is_none_or(|label| label == found))
            }
        }
    }
}

impl FromStr for UpstreamPattern {
    type Err = UpstreamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains('*') {
            return text.parse().map(Self::Exactly);
        }
        let text = text.to_ascii_lowercase();
        let labels = text.split('.').map(|label| match label {
            "*" => Ok(None),
            label if is_label(label) => Ok(Some(label.into())),
            label => Err(UpstreamNameError::Host(label.escape_default().to_string())),
        });
        let labels: Vec<_> = labels.collect::<Result<_, _>>()?;
        // Two fixed labels at the end keep a pattern within one owner's domain.
        let is_anchored = labels.len() > 2 && labels.iter().rev().take(2).all(Option::is_some);
        if is_anchored {
            Ok(Self::Labels(labels))
        } else {
            Err(UpstreamNameError::Unanchored)
        }
    }
}

impl fmt::Display for UpstreamPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => name.fmt(f),
            Self::Labels(labels) => {
                let labels: Vec<&str> = labels
                    .iter()
                    .map(|label| label.as_deref().unwrap_or("*"))
                    .collect();
                f.write_str(&labels.join("."))
            }
        }
    }
}

/// Why a text is not the name of an upstream.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UpstreamNameError {
    /// Longer than [`UpstreamName::MAX_LENGTH`].
    #[error("the registry name has more than {} bytes", UpstreamName::MAX_LENGTH)]
    TooLong,
    /// What stands before the port is no host.
    #[error("'{0}' is no host name: write host or host:port, without scheme, user or path")]
    Host(String),
    /// What stands after the colon is no port.
    #[error("the port of a registry name is a number from 1 to 65535")]
    Port,
    /// A pattern that would take in names of several owners.
    #[error(
        "'*' stands for one label, and the last two labels of a pattern have to be written out"
    )]
    Unanchored,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_registry() {
        for (text, name) in [
            ("docker.io", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("Registry-1.Docker.IO:443", "docker.io"),
            ("www.docker.io.", "docker.io"),
            ("registry.hub.docker.com", "docker.io"),
            ("index.docker.io:5000", "index.docker.io:5000"),
            ("GHCR.io:443", "ghcr.io"),
            ("r.io:80", "r.io:80"),
            ("localhost:5000", "localhost:5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("[::1]", "[::1]"),
            ("up.bench", "up.bench"),
        ] {
            assert_eq!(
                text.parse::<UpstreamName>().unwrap().as_str(),
                name,
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            "a..b",
            "-a.io",
            "a-.io",
            "https://a.io",
            "a.io/x",
            "u@a.io",
            "a.io:",
            "a.io:0",
            "a.io:65536",
            "a.io:+80",
            "a.io:1:2",
            "[::1",
            "[x]",
            "a b",
            "a\0",
            "é.io",
            "*.io",
            &"a".repeat(256),
            &"a".repeat(64),
        ] {
            assert!(text.parse::<UpstreamName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn stars_are_whole_labels() {
        let pattern: UpstreamPattern = "*.dkr.ecr.*.amazonaws.com".parse().unwrap();
        assert_eq!(pattern.to_string(), "*.dkr.ecr.*.amazonaws.com");
        for (name, matches) in [
            ("1234.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("dkr.ecr.eu-west-1.amazonaws.com", false),
            ("a.b.dkr.ecr.eu-west-1.amazonaws.com", false),
            ("1234.dkr.ecr.eu-west-1.amazonaws.com.evil.example", false),
            ("1234.dkr.ecr.eu-west-1.amazonaws.com:5000", false),
        ] {
            assert_eq!(pattern.matches(&name.parse().unwrap()), matches, "{name}");
        }
        for bad in [
            "*",
            "*.com",
            "a.*.com",
            "a*.b.com",
            "*.*.*",
            "*.-a.com",
            "*.a/b.com",
        ] {
            assert!(bad.parse::<UpstreamPattern>().is_err(), "{bad}");
        }
        assert!(
            "docker.io"
                .parse::<UpstreamPattern>()
                .unwrap()
                .matches(&"index.docker.io".parse().unwrap())
        );
    }
}

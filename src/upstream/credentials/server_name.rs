//! What files and helpers know a registry by.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::oci::UpstreamName;

/// A registry, as it is looked up in auth files and asked helpers for. Spellings of Docker Hub are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerName(UpstreamName);

/// A key of an auth file that may be for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerKey {
    /// The registry.
    pub(super) server: ServerName,
    /// The repositories there that begin with this path, as podman writes it; all when there is none.
    pub(super) namespace: Option<Arc<str>>,
}

impl ServerName {
    /// The key that docker has for Docker Hub, since the days of its first API.
    pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

    /// Reads `host[:port]`; `None` when it is none, so that nothing else ever gets to a helper.
    pub(super) fn parse(text: &str) -> Option<Self> {
        UpstreamName::from_str(text).ok().map(Self)
    }

    /// Returns `host[:port]`.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the host without its port.
    pub(super) fn host(&self) -> &str {
        let text = self.as_str();
        match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            Some(_) | None => text,
        }
    }

    /// Returns what a helper knows the registry by.
    pub(super) fn helper_key(&self) -> &str {
        if self.0.is_docker_hub() {
            Self::DOCKER_HUB_KEY
        } else {
            self.as_str()
        }
    }
}

impl ServerKey {
    /// Reads a key of an auth file: `host`, `host:port`, `https://host`, `https://host/v1/`, `host/namespace`. Returns
    /// `None` for what names no registry.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let (rest, has_scheme) = match key.split_once("://") {
            Some((scheme, rest))
                if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") =>
            {
                (rest, true)
            }
            Some(_) => return None,
            None => (key, false),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_api = match path {
            "" | "v1/" | "v2/" => true,
            // Without a scheme these may be namespaces.
            "v1" | "v2" => has_scheme,
            _ => false,
        };
        let namespace = (!is_api).then(|| path.trim_end_matches('/').into());
        Some(Self {
            server: ServerName::parse(host)?,
            namespace,
        })
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keys_mean() {
        for (key, meaning) in [
            ("quay.io", Some(("quay.io", None))),
            ("QUAY.io", Some(("quay.io", None))),
            ("quay.io/", Some(("quay.io", None))),
            ("quay.io:443", Some(("quay.io", None))),
            ("quay.io:5000", Some(("quay.io:5000", None))),
            ("https://quay.io", Some(("quay.io", None))),
            ("HTTPS://quay.io/", Some(("quay.io", None))),
            ("http://quay.io", Some(("quay.io", None))),
            ("http://localhost:5000/v2/", Some(("localhost:5000", None))),
            ("https://quay.io/v1/", Some(("quay.io", None))),
            ("https://quay.io/v2", Some(("quay.io", None))),
            ("quay.io/v1/", Some(("quay.io", None))),
            ("quay.io/v2", Some(("quay.io", Some("v2")))),
            ("quay.io/team-a", Some(("quay.io", Some("team-a")))),
            ("quay.io/team-a/app", Some(("quay.io", Some("team-a/app")))),
            ("https://quay.io/team-a", Some(("quay.io", Some("team-a")))),
            ("https://index.docker.io/v1/", Some(("docker.io", None))),
            ("docker.io", Some(("docker.io", None))),
            ("index.docker.io", Some(("docker.io", None))),
            ("registry-1.docker.io", Some(("docker.io", None))),
            ("docker.io/acme", Some(("docker.io", Some("acme")))),
            (
                "https://index.docker.io/v1/access-token",
                Some(("docker.io", Some("v1/access-token"))),
            ),
            ("[::1]:5000/a", Some(("[::1]:5000", Some("a")))),
            ("", None),
            ("https://", None),
            ("ftp://quay.io", None),
            ("user@quay.io", None),
            ("quay.io:http", None),
            ("a b", None),
            ("-x", None),
        ] {
            let parsed = ServerKey::parse(key);
            let parsed = parsed
                .as_ref()
                .map(|key| (key.server.as_str(), key.namespace.as_deref()));
            assert_eq!(parsed, meaning, "{key}");
        }
    }

    #[test]
    fn what_helpers_are_asked_for() {
        for (server, key, host) in [
            ("quay.io", "quay.io", "quay.io"),
            ("Quay.io:5000", "quay.io:5000", "quay.io"),
            ("docker.io", ServerName::DOCKER_HUB_KEY, "docker.io"),
            (
                "registry-1.docker.io",
                ServerName::DOCKER_HUB_KEY,
                "docker.io",
            ),
            ("[::1]", "[::1]", "[::1]"),
            ("[::1]:5000", "[::1]:5000", "[::1]"),
        ] {
            let server = ServerName::parse(server).unwrap();
            assert_eq!((server.helper_key(), server.host()), (key, host));
        }
        for text in ["", "a b", "a\nb", "--version", "https://quay.io", "a/b"] {
            assert_eq!(ServerName::parse(text), None, "{text}");
        }
    }
}

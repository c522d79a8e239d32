//! A way through larder that a client was told: for which images, to which address, by which path.

use std::path::PathBuf;

use serde::Serialize;

use super::address::Address;
use super::finding::{Spot, Subject};
use crate::addressing::Origin;
use crate::oci::UpstreamName;

/// What a client does for some images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Which client.
    pub(super) client: Subject,
    /// Where it was told so.
    pub(super) spot: Spot,
    /// For which images.
    pub(super) scope: Scope,
    /// Whom it asks.
    pub(super) place: Place,
    /// What stands before the repository in the path: `/v2`, `/v2/quay.io`, `/hub/v2`.
    pub(super) path: String,
    /// Whether it says which registry it means.
    pub(super) naming: Naming,
    /// What it does after an error.
    pub(super) on_error: OnError,
}

/// For which images a way is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of one registry, or those of it whose names begin with some parts.
    Registry {
        /// The registry, as the client has it.
        name: String,
        /// What the repository begins with; empty for all. It is not in the path that the client asks.
        beginning: String,
    },
    /// Those of every registry that no other way is for.
    Others,
}

/// An address, and what is trusted there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The address.
    pub(super) address: Address,
    /// What is trusted there.
    pub(super) trust: Trust,
}

/// What a client trusts at an address, beside the authorities of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trust {
    /// Files with certificates of authorities.
    pub(super) authorities: Vec<PathBuf>,
    /// The files of the certificate that it shows, and of its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    /// Whether it looks at certificates at all.
    pub(super) verification: Verification,
}

/// Whether a client looks at certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verification {
    /// It does.
    #[default]
    Done,
    /// It was told not to.
    Skipped,
}

/// Whether a client says which registry it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// By the parameter `ns`.
    Parameter,
    /// Only by the path, if at all.
    Path,
}

/// What is said of the registry in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// As much as larder needs.
    Enough,
    /// Nothing: larder takes it for its default.
    Nothing,
    /// That it is another one.
    Another(UpstreamName),
}

/// What a client does after an error of larder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnError {
    /// It goes to the registry itself.
    GoesAround,
    /// It fails.
    Fails,
}

impl Scope {
    /// Makes the scope of a whole registry.
    pub(super) fn registry(name: &str) -> Self {
        Self::Registry {
            name: name.to_owned(),
            beginning: String::new(),
        }
    }

    /// Returns the name of the registry, if it is for one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Registry { name, .. } => Some(name),
            Self::Others => None,
        }
    }

    /// Says for people which images these are.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Registry { name, beginning } if beginning.is_empty() => name.clone(),
            Self::Registry { name, beginning } => format!("{name}/{beginning}"),
            Self::Others => "all others".to_owned(),
        }
    }

    /// Returns the repository as it is in the path, for a repository of these images.
    fn within(&self, origin: &Origin) -> Option<String> {
        let repository = origin.repository.as_str();
        match self {
            Self::Others => Some(repository.to_owned()),
            Self::Registry { name, beginning } => {
                if !is_registry(name, &origin.upstream) {
                    return None;
                }
                if beginning.is_empty() {
                    return Some(repository.to_owned());
                }
                let rest = repository.strip_prefix(beginning.as_str())?;
                Some(rest.strip_prefix('/')?.to_owned())
            }
        }
    }
}

/// Tells whether a client's name of a registry, maybe one that stands for all hosts of a domain, is for this one.
fn is_registry(name: &str, upstream: &UpstreamName) -> bool {
    match name.strip_prefix('*') {
        Some(domain) => upstream.as_str().ends_with(domain),
        None => name.parse::<UpstreamName>().as_ref() == Ok(upstream),
    }
}

impl Way {
    /// Returns what the client asks for of a repository, as path and query around a part of the API: `manifests/1`.
    /// `None` when it does not ask here.
    pub(super) fn target(&self, origin: &Origin, part: &str) -> Option<String> {
        let repository = self.scope.within(origin)?;
        let path = format!("{}/{repository}/{part}", self.path);
        Some(match self.naming {
            Naming::Path => path,
            Naming::Parameter => {
                let namespace = self.scope.name().unwrap_or(origin.upstream.as_str());
                format!("{path}?ns={}", namespace.replace(':', "%3A"))
            }
        })
    }

    /// Finds out what the path says of the registry, which is all that larder knows of it where the client does not say it.
    pub(super) fn said(&self) -> Said {
        let upstream = |name: &str| name.parse::<UpstreamName>().ok();
        let registry = self.scope.name().and_then(upstream);
        let segment = self.path.trim_start_matches("/v2").trim_start_matches('/');
        let segment = segment.split('/').next().unwrap_or_default();
        if segment.is_empty() {
            let is_hub = registry.is_some_and(|registry| registry.is_docker_hub());
            return match (self.naming, is_hub) {
                (Naming::Parameter, _) | (Naming::Path, true) => Said::Enough,
                (Naming::Path, false) => Said::Nothing,
            };
        }
        let is_host = segment.contains(['.', ':']) || segment == "localhost";
        match (upstream(segment), registry) {
            (Some(segment), Some(registry)) if is_host && segment != registry => {
                Said::Another(segment)
            }
            // An alias, maybe, which only larder knows.
            _ => Said::Enough,
        }
    }

    /// Returns the address with the path behind it.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.place.address, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::address::Scheme;

    fn way(scope: Scope, path: &str, naming: Naming) -> Way {
        Way {
            client: Subject::Podman,
            spot: Spot::file("/x".as_ref()),
            scope,
            place: Place {
                address: Address::new(Scheme::Http, "larder:5000"),
                trust: Trust::default(),
            },
            path: path.to_owned(),
            naming,
            on_error: OnError::Fails,
        }
    }

    #[test]
    fn clients_ask_as_they_are_told() {
        let part = Scope::Registry {
            name: "quay.io".to_owned(),
            beginning: "org".to_owned(),
        };
        for (scope, path, naming, origin, target) in [
            (
                Scope::registry("docker.io"),
                "/v2",
                Naming::Parameter,
                ("docker.io", "library/alpine"),
                Some("/v2/library/alpine/manifests/1?ns=docker.io"),
            ),
            (
                Scope::registry("docker.io"),
                "/v2",
                Naming::Path,
                ("quay.io", "org/app"),
                None,
            ),
            (
                Scope::Others,
                "/v2",
                Naming::Parameter,
                ("r.example:5000", "app"),
                Some("/v2/app/manifests/1?ns=r.example%3A5000"),
            ),
            (
                part.clone(),
                "/v2/quay.io/org",
                Naming::Path,
                ("quay.io", "org/app"),
                Some("/v2/quay.io/org/app/manifests/1"),
            ),
            (part, "/v2", Naming::Path, ("quay.io", "organic/app"), None),
            (
                Scope::registry("*.example.com"),
                "/v2/x",
                Naming::Path,
                ("a.example.com", "app"),
                Some("/v2/x/app/manifests/1"),
            ),
            (
                Scope::registry("Index.docker.io"),
                "/v2",
                Naming::Path,
                ("docker.io", "library/alpine"),
                Some("/v2/library/alpine/manifests/1"),
            ),
        ] {
            let origin = Origin {
                upstream: origin.0.parse().unwrap(),
                repository: origin.1.parse().unwrap(),
            };
            let found = way(scope, path, naming).target(&origin, "manifests/1");
            assert_eq!(found.as_deref(), target);
        }
    }
    #[test]
    fn the_path_has_to_say_which_registry_is_meant() {
        let quay = || Said::Another("quay.io".parse().unwrap());
        for (registry, path, naming, said) in [
            ("ghcr.io", "/v2", Naming::Path, Said::Nothing),
            ("ghcr.io", "/v2", Naming::Parameter, Said::Enough),
            ("docker.io", "/v2", Naming::Path, Said::Enough),
            ("ghcr.io", "/v2/ghcr.io", Naming::Path, Said::Enough),
            ("ghcr.io", "/v2/alias", Naming::Path, Said::Enough),
            ("ghcr.io", "/v2/quay.io/org", Naming::Path, quay()),
            ("ghcr.io", "/v2/quay.io", Naming::Parameter, quay()),
            (
                "docker.io",
                "/v2/index.docker.io",
                Naming::Path,
                Said::Enough,
            ),
        ] {
            let way = way(Scope::registry(registry), path, naming);
            assert_eq!(way.said(), said, "{registry} {path}");
        }
    }
}

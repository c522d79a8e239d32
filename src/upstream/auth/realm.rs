//! Which token services are shown our logins (protocol 4.5; GHSA-3p65-76g6-3w7r).
//!
//! A registry names its token service in each challenge. Whoever can answer for the registry could name a service of his
//! own, so that the login goes only to the registry's own host, to hosts of the same registrable domain (auth.docker.io for
//! registry-1.docker.io), and to those that the operator lists. Any other service is asked anonymously.

use std::sync::Arc;

use crate::upstream::endpoint_url::Site;

/// The hosts, as `host` or `host:port`, that the operator lists.
#[derive(Clone, Debug, Default)]
pub(in crate::upstream) struct TokenHosts(Arc<[Arc<str>]>);

impl TokenHosts {
    /// Takes the list.
    pub(in crate::upstream) fn new(listed: Vec<Arc<str>>) -> Self {
        Self(listed.into())
    }

    /// Returns whether a login for a registry may be shown to a token service.
    pub(in crate::upstream) fn may_see_login(&self, registry: &Site, service: &Site) -> bool {
        if registry.is_encrypted() && !service.is_encrypted() {
            return false;
        }
        if registry.is_at(service) {
            return true;
        }
        let name = service.name();
        if self
            .0
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(name))
        {
            return true;
        }
        match (domain(registry), domain(service)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
    }
}

/// Returns the domain that somebody registered, as `docker.io` of `auth.docker.io`. Addresses, `localhost` and names under
/// no public suffix have none: of these nobody can tell who owns what.
fn domain(site: &Site) -> Option<&str> {
    let host = site.host();
    if site.address().is_some() {
        return None;
    }
    let is_public = psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known());
    if is_public {
        psl::domain_str(host)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> Site {
        Site::of(&url.parse().unwrap()).unwrap()
    }

    /// A registry, a token service, and whether a login for the one may be shown to the other.
    const PAIRS: &[(&str, &str, bool)] = &[
        // The pairs of the registries that people use.
        (
            "https://registry-1.docker.io",
            "https://auth.docker.io",
            true,
        ),
        ("https://registry.gitlab.com", "https://gitlab.com", true),
        ("https://ghcr.io", "https://ghcr.io", true),
        (
            "https://docker.elastic.co",
            "https://docker-auth.elastic.co",
            true,
        ),
        ("https://lscr.io", "https://ghcr.io", false),
        (
            "https://registry.acme.co.uk",
            "https://auth.acme.co.uk",
            true,
        ),
        // The same public suffix is no kinship.
        ("https://a.co.uk", "https://b.co.uk", false),
        ("https://a.github.io", "https://b.github.io", false),
        ("https://acme.azurecr.io", "https://evil.example", false),
        (
            "https://docker.io.evil.example",
            "https://auth.docker.io",
            false,
        ),
        (
            "https://registry-1.docker.io",
            "https://docker.io.evil.example",
            false,
        ),
        // Never without encryption, unless the registry has none.
        ("https://r.acme.com", "http://r.acme.com", false),
        ("http://r.acme.com", "http://r.acme.com", true),
        ("http://r.acme.com", "https://auth.acme.com", true),
        // Addresses and local names have no kin.
        ("https://10.0.0.1:5000", "https://10.0.0.1:5000", true),
        ("https://10.0.0.1:5000", "https://10.0.0.1:5001", false),
        ("https://10.0.0.1:5000", "https://10.0.0.2:5001", true),
        ("http://localhost:5000", "http://localhost:5001", false),
        (
            "https://r.svc.cluster.local",
            "https://x.svc.cluster.local",
            false,
        ),
        (
            "https://r.acme.internal",
            "https://auth.acme.internal",
            false,
        ),
        // The operator's word.
        ("https://r.acme.com", "https://login.other.example", true),
        (
            "https://r.acme.com",
            "https://login.other.example:8443",
            false,
        ),
        ("https://r.acme.com", "http://login.other.example", false),
    ];

    #[test]
    fn who_may_see_a_login() {
        let listed = TokenHosts::new(vec!["login.other.example".into(), "10.0.0.2:5001".into()]);
        for (registry, service, may) in PAIRS {
            let found = listed.may_see_login(&site(registry), &site(service));
            assert_eq!(found, *may, "{registry} {service}");
        }
    }
}

//! Registries that answer 429 are not asked again before the time they say.
//!
//! A gate is closed for one host and one login, since that is how registries count. Docker Hub has two limits: one on pulls,
//! which are GETs of manifests, and one on requests of any kind. While the first is reached, tags can still be checked by
//! HEAD, and blobs can still be fetched.

use std::time::Duration;

use http::HeaderMap;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::credentials::LoginIdentity;
use super::endpoint_url::Site;
use super::error::RateLimit;
use super::metrics::Kind;
use super::quota::Quota;
use super::standing::{ReachedLimit, later};
use crate::runtime::Timestamp;

/// Who is counted, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Gate {
    site: Site,
    login: Option<LoginIdentity>,
    limit: RateLimit,
}

/// The gates of one endpoint and of the hosts that it leads to.
#[derive(Debug)]
pub(super) struct Gates(Cache<Gate, Instant>);

impl Gates {
    /// How many gates are remembered: a few hosts, a few logins.
    const MAX: u64 = 1_024;
    /// Longer than any gate stays closed.
    const LONGEST: Duration = Duration::from_secs(3_600);

    /// Starts with all gates open.
    pub(super) fn new() -> Self {
        let gates = Cache::builder()
            .max_capacity(Self::MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Self::LONGEST);
        Self(gates.build())
    }

    /// Returns which limit stops a request now, and for how long.
    pub(super) fn closed(
        &self,
        site: &Site,
        login: Option<&LoginIdentity>,
        kind: Kind,
    ) -> Option<(RateLimit, Duration)> {
        let now = Instant::now();
        let stopping = |limit| {
            let gate = Gate {
                site: site.clone(),
                login: login.cloned(),
                limit,
            };
            let until = self.0.get(&gate)?;
            (until > now).then(|| (limit, until - now))
        };
        stopping(RateLimit::Requests).or_else(|| match kind {
            Kind::Pull => stopping(RateLimit::Pulls),
            Kind::Head | Kind::Blob | Kind::List | Kind::Token | Kind::Ping => None,
        })
    }

    /// Returns all that are closed, with how long they will be: by host, those without a login first.
    pub(super) fn all_closed(&self, now: Timestamp) -> Vec<ReachedLimit> {
        let instant = Instant::now();
        let closed = self.0.iter().filter(|(_, until)| *until > instant);
        let mut reached: Vec<ReachedLimit> = closed
            .map(|(gate, until)| ReachedLimit {
                host: gate.site.name().clone(),
                login: gate.login.clone(),
                limit: gate.limit,
                until: later(now, until - instant),
            })
            .collect();
        reached.sort_by_key(|reached| {
            let login = reached.login.as_ref().map(ToString::to_string);
            (reached.host.clone(), login, reached.limit.to_string())
        });
        reached
    }

    /// Closes a gate.
    pub(super) fn close(
        &self,
        site: &Site,
        login: Option<&LoginIdentity>,
        limit: RateLimit,
        wait: Duration,
    ) {
        let gate = Gate {
            site: site.clone(),
            login: login.cloned(),
            limit,
        };
        tracing::warn!(
            host = %site.name(),
            login = login.map(LoginIdentity::as_str),
            wait_seconds = wait.as_secs(),
            "allows no more {limit} for now"
        );
        self.0.insert(gate, Instant::now() + wait);
    }
}

/// Tells which limit a 429 is about: pulls when the registry says that none remain or speaks of pulls, else requests.
pub(super) fn limit_of(headers: &HeaderMap, words: Option<&str>, kind: Kind) -> RateLimit {
    let none_remain = Quota::of(headers).is_some_and(|quota| quota.remaining == 0);
    let speaks_of_pulls = words.is_some_and(|words| words.to_ascii_lowercase().contains("pull"));
    if kind == Kind::Pull && (none_remain || speaks_of_pulls) {
        RateLimit::Pulls
    } else {
        RateLimit::Requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::of(&"https://registry-1.docker.io".parse().unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_is_for_one_login_and_one_limit_until_its_time() {
        let (gates, site) = (Gates::new(), site());
        let acme = LoginIdentity::new("user acme");
        let wait = Duration::from_secs(60);
        gates.close(&site, None, RateLimit::Pulls, wait);
        gates.close(&site, Some(&acme), RateLimit::Requests, wait);
        for (login, kind, limit) in [
            (None, Kind::Pull, Some(RateLimit::Pulls)),
            (None, Kind::Head, None),
            (Some(&acme), Kind::Pull, Some(RateLimit::Requests)),
            (Some(&acme), Kind::Blob, Some(RateLimit::Requests)),
            (Some(&LoginIdentity::new("user other")), Kind::Pull, None),
        ] {
            let closed = gates.closed(&site, login, kind);
            assert_eq!(closed, limit.map(|limit| (limit, wait)), "{login:?}");
        }
        tokio::time::advance(wait).await;
        assert_eq!(gates.closed(&site, None, Kind::Pull), None);
    }

    #[test]
    fn the_two_limits_of_docker_hub() {
        let spent = HeaderMap::from_iter(
            [
                ("ratelimit-limit", "100;w=21600"),
                ("ratelimit-remaining", "0;w=21600"),
            ]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())),
        );
        let plain = HeaderMap::new();
        let words = "You have reached your pull rate limit.";
        for (headers, words, kind, limit) in [
            (&plain, Some(words), Kind::Pull, RateLimit::Pulls),
            (&spent, None, Kind::Pull, RateLimit::Pulls),
            (
                &plain,
                Some("Too Many Requests"),
                Kind::Pull,
                RateLimit::Requests,
            ),
            (&plain, None, Kind::Pull, RateLimit::Requests),
            (&spent, Some(words), Kind::Head, RateLimit::Requests),
        ] {
            assert_eq!(limit_of(headers, words, kind), limit, "{words:?}");
        }
    }
}

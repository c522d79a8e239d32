//! How much a registry lets us pull, as it tells with manifests: `ratelimit-limit: 100;w=21600` (Docker Hub).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::credentials::LoginIdentity;
use super::error::UpstreamError;
use super::registry::Upstream;
use super::standing::ToldQuota;
use crate::runtime::Timestamp;
use crate::telemetry::with_causes;

/// The repository that Docker Hub has for asking about limits (its manual, "Pull usage and limits").
pub(super) const SAMPLE: &str = "ratelimitpreview/test";

/// What a registry allows within a window of time, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many pulls in one window.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// How long the window is.
    pub window: Duration,
}

impl Quota {
    /// The window where none is said: that of Docker Hub.
    const USUAL_WINDOW: Duration = Duration::from_hours(6);

    /// Reads what an answer says. Registries and accounts without limits say nothing.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let read = |name| amount(headers.get(name)?.to_str().ok()?);
        let (limit, window) = read("ratelimit-limit")?;
        let (remaining, other_window) = read("ratelimit-remaining")?;
        Some(Self {
            limit,
            remaining,
            window: window.or(other_window).unwrap_or(Self::USUAL_WINDOW),
        })
    }
}

/// What a registry said last, for each login.
#[derive(Debug)]
pub(super) struct Quotas(Cache<Option<LoginIdentity>, (Quota, Timestamp)>);

impl Quotas {
    /// How many logins are remembered: as many as a keyring remembers, more or less.
    const MAX: u64 = 64;

    /// Starts with nothing said.
    pub(super) fn new() -> Self {
        let said = Cache::builder()
            .max_capacity(Self::MAX)
            .eviction_policy(EvictionPolicy::lru());
        Self(said.build())
    }

    /// Takes down what is said to a login, or to those without one.
    pub(super) fn note(&self, login: Option<&LoginIdentity>, quota: Quota, now: Timestamp) {
        self.0.insert(login.cloned(), (quota, now));
    }

    /// Returns what was said, to those without a login first.
    pub(super) fn told(&self) -> Vec<ToldQuota> {
        let said = self.0.iter().map(|(login, (quota, at))| ToldQuota {
            login: (*login).clone(),
            quota,
            at,
        });
        let mut told: Vec<ToldQuota> = said.collect();
        told.sort_by(|one, other| {
            let name = |told: &ToldQuota| told.login.as_ref().map(ToString::to_string);
            name(one).cmp(&name(other))
        });
        told
    }
}

impl fmt::Display for Quota {
    /// Writes "about 100 pulls per 6h, 76 of them left".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = humantime::format_duration(self.window);
        let Self {
            limit, remaining, ..
        } = self;
        write!(
            f,
            "about {limit} pulls per {window}, {remaining} of them left"
        )
    }
}

/// Asks a registry what it lets us pull, and writes it into the log. Of one that is not to be asked there is nothing to say.
pub async fn announce(upstream: Arc<Upstream>) {
    let name = upstream.name();
    match upstream.quota().await {
        Ok(Some((login, quota))) => {
            let login = login.as_ref().map_or("anonymous", LoginIdentity::as_str);
            tracing::info!(
                upstream.name = %name,
                pulls.limit = quota.limit,
                pulls.remaining = quota.remaining,
                pulls.window_seconds = quota.window.as_secs(),
                "{login} to {name}: {quota}"
            );
        }
        Ok(None) => tracing::info!(upstream.name = %name, "{name} tells of no limit of pulls"),
        Err(UpstreamError::Offline { .. }) => {}
        Err(error) => tracing::debug!(
            upstream.name = %name,
            error = with_causes(&error),
            "could not ask for the limit of pulls"
        ),
    }
}

/// Reads a number and the window behind it: `100;w=21600`.
fn amount(text: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = text.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts
        .find_map(|part| part.strip_prefix("w="))
        .and_then(|seconds| seconds.parse().ok())
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs);
    Some((number, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(limit: &str, remaining: &str) -> Option<Quota> {
        let headers = [
            ("RateLimit-Limit", limit),
            ("ratelimit-remaining", remaining),
        ];
        let headers = headers
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Quota::of(&HeaderMap::from_iter(headers))
    }

    #[test]
    fn what_docker_hub_says() {
        let hours = Duration::from_hours(6);
        for (limit, remaining, read) in [
            ("100;w=21600", "76;w=21600", Some((100, 76, hours))),
            ("200", "0", Some((200, 0, hours))),
            (" 100 ; w=60", "5", Some((100, 5, Duration::from_mins(1)))),
            ("100;w=0", "5;w=x", Some((100, 5, hours))),
            ("100;w=21600", "", None),
            ("", "5", None),
            ("-1", "5", None),
            ("many", "5", None),
        ] {
            let found = quota(limit, remaining);
            let found = found.map(|quota| (quota.limit, quota.remaining, quota.window));
            assert_eq!(found, read, "{limit} {remaining}");
        }
        let told = quota("100;w=21600", "76;w=21600").unwrap().to_string();
        assert_eq!(told, "about 100 pulls per 6h, 76 of them left");
    }
}

//! What is known of the configured registries, for their operators: plain data, as it is at one moment. Nobody is asked for
//! it, and no registry is made for it that nobody asked yet.

use std::sync::Arc;
use std::time::Duration;

use super::credentials::{CredentialReport, LoginIdentity};
use super::error::{RateLimit, UpstreamError};
use super::quota::Quota;
use super::switch::Mode;
use crate::oci::{UpstreamName, UpstreamPattern};
use crate::runtime::Timestamp;
use crate::telemetry::with_causes;

/// What is known of one configured entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name or pattern, as it is configured.
    pub pattern: UpstreamPattern,
    /// Whether it is asked.
    pub mode: Mode,
    /// Since when it is not.
    pub offline_since: Option<Timestamp>,
    /// The registry of that name, or those that fit the pattern and were asked for lately, by name.
    pub upstreams: Vec<UpstreamStanding>,
}

/// What is known of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStanding {
    /// Its name.
    pub name: UpstreamName,
    /// Its endpoints, in the order in which they are asked.
    pub endpoints: Vec<EndpointStanding>,
}

/// What is known of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStanding {
    /// Its address.
    pub url: String,
    /// Itself, and then the hosts that it led to within the last hour: its token service, its storage. By name, and 64 of
    /// them at most.
    pub hosts: Vec<HostStanding>,
    /// The limits that stop requests now.
    pub limits: Vec<ReachedLimit>,
    /// What it said last about pulls, for each login.
    pub quotas: Vec<ToldQuota>,
    /// How its logins are, as far as that is known without looking.
    pub logins: Vec<CredentialReport>,
}

/// What is known of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStanding {
    /// The host, with its port when that is not the usual one.
    pub host: Arc<str>,
    /// How it is.
    pub state: HostState,
    /// Since when it is so; `None` when it was not asked.
    pub since: Option<Timestamp>,
    /// How it failed last, however long ago.
    pub last_failure: Option<LastFailure>,
    /// When it is found out whether it is back, while it rests. `None` when the next request will find out, or one is about
    /// to.
    pub next_probe: Option<Timestamp>,
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostState {
    /// Nobody asked it yet.
    Unasked,
    /// The last request was answered.
    Answers,
    /// The last request failed, and others are still sent.
    Fails,
    /// It failed so often that it is left alone.
    Rests,
}

/// A failure, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// What happened.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// A limit that a host said was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedLimit {
    /// Which host.
    pub host: Arc<str>,
    /// For which login, `None` for those without one.
    pub login: Option<LoginIdentity>,
    /// Of what there were too many.
    pub limit: RateLimit,
    /// Until when it is not asked.
    pub until: Timestamp,
}

/// What a registry said about pulls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldQuota {
    /// For which login, `None` for those without one.
    pub login: Option<LoginIdentity>,
    /// What it said.
    pub quota: Quota,
    /// When.
    pub at: Timestamp,
}

impl HostStanding {
    /// Describes a host that nobody asked.
    pub(super) fn unasked(host: &Arc<str>) -> Self {
        Self {
            host: host.clone(),
            state: HostState::Unasked,
            since: None,
            last_failure: None,
            next_probe: None,
        }
    }
}

impl EndpointStanding {
    /// Describes an endpoint that nobody asked.
    pub(super) fn unasked(url: String, host: &Arc<str>) -> Self {
        Self {
            url,
            hosts: vec![HostStanding::unasked(host)],
            limits: Vec::new(),
            quotas: Vec::new(),
            logins: Vec::new(),
        }
    }
}

impl LastFailure {
    /// The most characters of it: what a person reads, whatever a chain of causes has to say.
    const MAX_CHARACTERS: usize = 500;

    /// Describes a failure.
    pub(super) fn of(failure: &UpstreamError, at: Timestamp) -> Self {
        let text = with_causes(failure);
        Self {
            text: text.chars().take(Self::MAX_CHARACTERS).collect(),
            at,
        }
    }
}

/// Returns the moment that comes this long after another.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_add(wait))
}

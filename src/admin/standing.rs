//! Puts together what is known of the upstreams: how they answer, and what their troubles cost.

use super::document::{
    Endpoint, Host, Lacking, LastFailure, Limited, Login, LoginState, Quota, ReachedLimit,
    Registry, State, Upstream, Upstreams,
};
use crate::cache::Cache;
use crate::cache::ledger::Account;
use crate::runtime::Timestamp;
use crate::upstream::{
    CredentialReport, CredentialState, EndpointStanding, HostStanding, HostState, LoginIdentity,
    RateLimit, Standing, ToldQuota, UpstreamStanding,
};

/// Describes all upstreams.
pub(super) fn upstreams(cache: &Cache, now: Timestamp) -> Upstreams {
    let standings = cache.upstreams().standings().into_iter();
    let upstreams = standings.map(|standing| {
        let Standing {
            pattern,
            mode,
            offline_since,
            upstreams,
        } = standing;
        let registries = upstreams.into_iter().map(|standing| {
            let account = cache.account(&standing.name);
            registry(standing, account)
        });
        Upstream {
            name: pattern.to_string(),
            mode,
            offline_since: offline_since.map(Into::into),
            registries: registries.collect(),
        }
    });
    Upstreams {
        at: now.into(),
        upstreams: upstreams.collect(),
    }
}

fn registry(standing: UpstreamStanding, account: Account) -> Registry {
    let endpoints: Vec<Endpoint> = standing.endpoints.into_iter().map(endpoint).collect();
    let hosts = endpoints.iter().flat_map(|endpoint| &endpoint.hosts);
    // Of several the first counts, which is the registry itself rather than those that it leads to.
    let worst = hosts.rev().max_by_key(|host| host.state);
    let stale = account.stale.into_iter();
    let lacking = account.lacking.into_iter().map(|lacking| Lacking {
        image: lacking.image,
        requests: lacking.requests,
        first: lacking.first.into(),
        last: lacking.last.into(),
        reason: lacking.reason,
    });
    Registry {
        name: standing.name.to_string(),
        state: worst.map_or(State::Unasked, |host| host.state),
        since: worst.and_then(|host| host.since),
        stale: stale
            .map(|(reason, count)| (reason.name().to_owned(), count))
            .collect(),
        lacking: lacking.collect(),
        endpoints,
    }
}

fn endpoint(standing: EndpointStanding) -> Endpoint {
    let limits = standing.limits.into_iter().map(|reached| ReachedLimit {
        host: reached.host.to_string(),
        login: login(reached.login.as_ref()),
        limit: match reached.limit {
            RateLimit::Pulls => Limited::Pulls,
            RateLimit::Requests => Limited::Requests,
        },
        until: reached.until.into(),
    });
    Endpoint {
        url: standing.url,
        hosts: standing.hosts.into_iter().map(host).collect(),
        limits: limits.collect(),
        quotas: standing.quotas.into_iter().map(quota).collect(),
        logins: standing.logins.into_iter().map(reported).collect(),
    }
}

fn reported(report: CredentialReport) -> Login {
    Login {
        login: report.identity.as_str().to_owned(),
        state: match report.state {
            CredentialState::Unknown => LoginState::Unknown,
            CredentialState::Usable => LoginState::Usable,
            CredentialState::Suspended => LoginState::Suspended,
            CredentialState::Unreadable => LoginState::Unreadable,
        },
    }
}

fn host(standing: HostStanding) -> Host {
    Host {
        host: standing.host.to_string(),
        state: match standing.state {
            HostState::Unasked => State::Unasked,
            HostState::Answers => State::Answers,
            HostState::Fails => State::Fails,
            HostState::Rests => State::Rests,
        },
        since: standing.since.map(Into::into),
        last_failure: standing.last_failure.map(|failure| LastFailure {
            message: failure.text,
            at: failure.at.into(),
        }),
        next_probe: standing.next_probe.map(Into::into),
    }
}

fn quota(told: ToldQuota) -> Quota {
    Quota {
        login: login(told.login.as_ref()),
        limit: told.quota.limit,
        remaining: told.quota.remaining,
        window_seconds: told.quota.window.as_secs(),
        at: told.at.into(),
    }
}

fn login(identity: Option<&LoginIdentity>) -> Option<String> {
    identity.map(|identity| identity.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_host_speaks_for_its_registry_and_of_equals_the_first() {
        let host = |state, since| HostStanding {
            host: "h.example".into(),
            state,
            since: Some(Timestamp::from_millis(since)),
            last_failure: None,
            next_probe: None,
        };
        let answers = host(HostState::Answers, 1_000);
        let since = |other| {
            let standing = UpstreamStanding {
                name: "r.example".parse().unwrap(),
                endpoints: vec![EndpointStanding {
                    url: "https://r.example".into(),
                    hosts: vec![answers.clone(), other],
                    limits: Vec::new(),
                    quotas: Vec::new(),
                    logins: Vec::new(),
                }],
            };
            let told = registry(standing, Account::default());
            (told.state, told.since.unwrap().0.as_millis())
        };
        let newer = host(HostState::Answers, 2_000);
        assert_eq!(since(newer), (State::Answers, 1_000));
        let worse = host(HostState::Fails, 3_000);
        assert_eq!(since(worse), (State::Fails, 3_000));
    }
}

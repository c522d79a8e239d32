//! How the registries stand, for people to read: a table, what there is to say of each that is in trouble, and the names of
//! those that nobody asked yet.

use crate::admin::document::{
    Host, Limited, Login, LoginState, Moment, Quota, ReachedLimit, Registry, State, Upstream,
    Upstreams,
};
use crate::cli::ago::{ago, until};
use crate::cli::columns::columns;
use crate::cli::printable::short;
use crate::upstream::Mode;

/// What stands where there is nothing to say.
const UNSAID: &str = "-";
/// How many things that people lack are shown of each registry. JSON has all of them.
const LACKING: usize = 20;

/// Writes how the upstreams stand.
pub(super) fn table(document: &Upstreams) -> String {
    let now = document.at;
    let (mut rows, mut details, mut unasked) = (Vec::new(), Vec::new(), Vec::new());
    for upstream in &document.upstreams {
        let is_pattern = !is_alone(upstream);
        if upstream.mode == Mode::Offline && is_pattern {
            rows.push(offline(&upstream.name, upstream.offline_since, now));
        }
        let told = upstream.registries.iter().filter(|registry| {
            upstream.mode == Mode::Offline
                || registry.state != State::Unasked
                || is_missed(registry)
        });
        let told: Vec<&Registry> = told.collect();
        if told.is_empty() && upstream.mode == Mode::Online {
            unasked.push(short(&upstream.name));
        }
        for registry in told {
            rows.push(row(upstream, registry, now));
            details.extend(detail(upstream, registry, now));
        }
    }
    let mut lines = Vec::new();
    if !rows.is_empty() {
        let heads = [
            "REGISTRY",
            "STATE",
            "SINCE",
            "STALE ANSWERS",
            "LACKING",
            "PULLS LEFT",
            "NEXT PROBE",
        ];
        lines = columns(&heads, rows);
    }
    lines.extend(details);
    if !unasked.is_empty() {
        lines.extend((!lines.is_empty()).then(String::new));
        lines.push(format!("not asked yet: {}", unasked.join(", ")));
    }
    lines.join("\n")
}

/// Tells whether an upstream is one registry, rather than all that fit a pattern.
fn is_alone(upstream: &Upstream) -> bool {
    let mut registries = upstream.registries.iter();
    registries.any(|registry| registry.name == upstream.name)
}

/// Tells whether somebody went without something of a registry, or had an old answer.
fn is_missed(registry: &Registry) -> bool {
    !registry.stale.is_empty() || !registry.lacking.is_empty()
}

/// A pattern whose registries are not asked, whichever they are.
fn offline(name: &str, since: Option<Moment>, now: Moment) -> Vec<String> {
    let since = since.map_or_else(|| UNSAID.to_owned(), |since| ago(since, now));
    let unsaid = std::iter::repeat_n(UNSAID.to_owned(), 4);
    let said = [name.to_owned(), Mode::Offline.name().to_owned(), since];
    said.into_iter().chain(unsaid).collect()
}

fn row(upstream: &Upstream, registry: &Registry, now: Moment) -> Vec<String> {
    let (state, since) = match upstream.mode {
        Mode::Offline => (Mode::Offline.name(), upstream.offline_since),
        Mode::Online => (name(registry.state), registry.since),
    };
    let since = since.map(|since| ago(since, now));
    let quotas = registry.endpoints.iter().flat_map(|place| &place.quotas);
    // What is left to those who have least.
    let quota = quotas.min_by_key(|quota| quota.remaining);
    let quota = quota.map(|quota| format!("{} of {}", quota.remaining, quota.limit));
    let probe = hosts(registry).filter_map(|host| host.next_probe).min();
    let probe = probe.filter(|_| upstream.mode == Mode::Online);
    let unsaid = || UNSAID.to_owned();
    let unprobed = if upstream.mode == Mode::Online && registry.state == State::Rests {
        "with the next request".to_owned()
    } else {
        unsaid()
    };
    vec![
        registry.name.clone(),
        state.to_owned(),
        since.unwrap_or_else(unsaid),
        registry.stale.values().sum::<u64>().to_string(),
        registry.lacking.len().to_string(),
        quota.unwrap_or_else(unsaid),
        probe.map_or(unprobed, |probe| until(probe, now)),
    ]
}

/// Says what is wrong with a login.
fn troubled_login(told: &Login) -> Option<String> {
    let what = match told.state {
        LoginState::Unknown | LoginState::Usable => return None,
        LoginState::Suspended => "was refused, and is left alone for some minutes",
        LoginState::Unreadable => "cannot be read",
    };
    Some(format!("the login {} {what}", told.login))
}

/// Says what there is to say of a registry beside its row.
fn detail(upstream: &Upstream, registry: &Registry, now: Moment) -> Vec<String> {
    let mut lines = Vec::new();
    if upstream.mode == Mode::Online {
        let troubled = hosts(registry).filter(|host| host.state >= State::Fails);
        lines.extend(troubled.map(|host| trouble(host, now)));
    }
    for place in &registry.endpoints {
        lines.extend(place.limits.iter().map(|reached| limit(reached, now)));
        lines.extend(place.quotas.iter().map(|told| quota(told, now)));
        lines.extend(place.logins.iter().filter_map(troubled_login));
    }
    if !registry.stale.is_empty() {
        let counts = registry.stale.iter();
        let counts: Vec<String> = counts
            .map(|(reason, count)| format!("{count} {}", short(reason).replace('_', " ")))
            .collect();
        lines.push(format!("stale answers: {}", counts.join(", ")));
    }
    if !registry.lacking.is_empty() {
        lines.push("people lack:".to_owned());
        let rows = registry.lacking.iter().take(LACKING).map(|lacking| {
            vec![
                lacking.image.clone(),
                lacking.requests.to_string(),
                ago(lacking.first, now),
                ago(lacking.last, now),
                lacking.reason.clone(),
            ]
        });
        let heads = ["IMAGE", "REQUESTS", "FIRST", "LAST", "WHY"];
        let rows = columns(&heads, rows.collect()).into_iter();
        lines.extend(rows.map(|row| format!("  {row}")));
        let further = registry.lacking.len().saturating_sub(LACKING);
        lines.extend((further > 0).then(|| format!("  and {further} more, see --output json")));
    }
    if lines.is_empty() {
        return lines;
    }
    let heading = [String::new(), short(&registry.name)];
    let lines = lines.into_iter().map(|line| format!("  {line}"));
    heading.into_iter().chain(lines).collect()
}

fn hosts(registry: &Registry) -> impl Iterator<Item = &Host> {
    let places = registry.endpoints.iter();
    places.flat_map(|place| &place.hosts)
}

fn trouble(host: &Host, now: Moment) -> String {
    let (name, state) = (short(&host.host), name(host.state));
    match &host.last_failure {
        Some(failure) => {
            let when = ago(failure.at, now);
            format!("{name} {state}; {when}: {}", short(&failure.message))
        }
        None => format!("{name} {state}"),
    }
}

fn limit(reached: &ReachedLimit, now: Moment) -> String {
    let what = match reached.limit {
        Limited::Pulls => "pulls",
        Limited::Requests => "requests",
    };
    let (host, login) = (short(&reached.host), login(reached.login.as_ref()));
    let until = until(reached.until, now);
    format!("{host} allows no more {what} ({login}); it is asked for them again {until}")
}

fn quota(told: &Quota, now: Moment) -> String {
    let Quota {
        limit, remaining, ..
    } = told;
    let window = std::time::Duration::from_secs(told.window_seconds);
    let window = humantime::format_duration(window);
    let (login, when) = (login(told.login.as_ref()), ago(told.at, now));
    format!("{login}: {remaining} of about {limit} pulls per {window} left, as was said {when}")
}

fn login(name: Option<&String>) -> String {
    name.map_or_else(|| "anonymous".to_owned(), |name| short(name))
}

fn name(state: State) -> &'static str {
    match state {
        State::Unasked => "not asked yet",
        State::Answers => "answers",
        State::Fails => "fails",
        State::Rests => "rests",
    }
}

#[cfg(test)]
mod tests;

//! `larder check`: says what is wrong with the configuration, or else what it means.

use bytesize::ByteSize;

use super::failure::Failure;
use super::log_settings;
use super::output::Output;
use crate::addressing::{Alias, VirtualHost};
use crate::cache::freshness::Freshness;
use crate::config::{self, Flags, Loaded, Settings, Surroundings};
use crate::telemetry::log::LogLevel;
use crate::upstream::{self, EndpointSettings};

/// Reads the configuration and prints what it means.
pub(super) fn check(
    flags: &Flags,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let loaded = config::load(flags, surroundings).map_err(Failure::Configured)?;
    log_settings(surroundings, LogLevel::default())?;
    output.data(&report(&loaded));
    Ok(())
}

/// Says who can pull what.
pub(super) fn exposure(settings: &Settings) -> String {
    let names: Vec<String> = settings
        .upstreams
        .iter()
        .map(|upstream| upstream.pattern.to_string())
        .collect();
    format!(
        "anyone who can reach {} can pull every public image of: {}",
        settings.server.listen,
        names.join(", ")
    )
}

/// Says what a configuration means.
fn report(loaded: &Loaded) -> String {
    let settings = &loaded.settings;
    let file = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => "no file, all defaults".to_owned(),
    };
    let overrides = match loaded.overrides.as_slice() {
        [] => String::new(),
        names => format!(" (overridden by {})", names.join(", ")),
    };
    let lines = [
        ("configuration", format!("{file}{overrides}")),
        ("registry", format!("http://{}", settings.server.listen)),
        ("metrics", metrics(settings)),
        ("cache", cache(settings)),
        ("tags", freshness(settings.cache.tags.freshness)),
        ("default", default_upstream(settings)),
    ];
    let mut report: Vec<String> = lines
        .iter()
        .map(|(label, value)| format!("{label:14} {value}"))
        .collect();
    report.push("upstreams".to_owned());
    report.extend(upstreams(settings));
    report.push(String::new());
    report.push(exposure(settings));
    let reach = if settings.server.listen.ip().is_loopback() {
        "only this machine can reach that address"
    } else {
        "other machines can reach that address, and no client has to log in"
    };
    report.push(reach.to_owned());
    report.join("\n")
}

fn metrics(settings: &Settings) -> String {
    match settings.metrics_listen {
        Some(address) => format!("http://{address}"),
        None => "none".to_owned(),
    }
}

fn cache(settings: &Settings) -> String {
    let path = settings.store.path.display();
    match settings.store.min_free {
        Some(bytes) => format!(
            "{path}, leaving {} free",
            ByteSize::b(bytes).display().iec()
        ),
        None => format!("{path}, leaving the usual reserve free"),
    }
}

fn freshness(freshness: Freshness) -> String {
    match freshness {
        Freshness::For(duration) => {
            format!(
                "asked for again after {}",
                humantime::format_duration(duration)
            )
        }
        Freshness::Always => "asked for each time".to_owned(),
        Freshness::Immutable => "never asked for again".to_owned(),
    }
}

fn default_upstream(settings: &Settings) -> String {
    match &settings.addressing.default {
        Some(name) => format!("names without a registry lead to {name}"),
        None => "names without a registry lead nowhere".to_owned(),
    }
}

/// Describes each upstream on a line of its own.
fn upstreams(settings: &Settings) -> Vec<String> {
    let describe = |upstream: &upstream::Settings| {
        let pattern = &upstream.pattern;
        let rules = &settings.addressing.upstreams;
        let rule = rules.iter().find(|rule| rule.pattern == *pattern);
        let names: Vec<&str> = rule
            .into_iter()
            .flat_map(|rule| {
                let aliases = rule.aliases.iter().map(Alias::as_str);
                aliases.chain(rule.hosts.iter().map(VirtualHost::as_str))
            })
            .collect();
        let mut line = format!("  {pattern}: {}", endpoints(upstream));
        if !names.is_empty() {
            line.push_str(&format!("; also named {}", names.join(", ")));
        }
        let mut own = settings.cache.tags.per_upstream.iter();
        if let Some((_, own)) = own.find(|(own, _)| own == pattern) {
            line.push_str(&format!("; tags {}", freshness(*own)));
        }
        line
    };
    settings.upstreams.iter().map(describe).collect()
}

fn endpoints(upstream: &upstream::Settings) -> String {
    if upstream.endpoints.is_empty() {
        return "https:// and its own name".to_owned();
    }
    let describe = |endpoint: &EndpointSettings| {
        let url = &endpoint.url;
        match &endpoint.tls.ca_file {
            Some(file) => format!("{url} (trusts {})", file.display()),
            None if url.is_encrypted() => url.to_string(),
            None => format!("{url} (not encrypted)"),
        }
    };
    let endpoints: Vec<String> = upstream.endpoints.iter().map(describe).collect();
    endpoints.join(", then ")
}

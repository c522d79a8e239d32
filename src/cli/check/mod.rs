//! `larder check`: says what is wrong with the configuration, or else what it means.

mod arguments;
mod contract;
mod exposure;
mod upstreams;

use bytesize::ByteSize;

pub(super) use arguments::{CheckArguments, CheckForm};
pub(super) use exposure::exposure;
pub(super) use upstreams::offline;

use super::failure::Failure;
use super::log_settings;
use super::output::Output;
use crate::admin;
use crate::config::{self, Flags, Loaded, Settings, Surroundings};
use crate::telemetry::log::LogLevel;

/// Reads the configuration and prints what it means.
pub(super) fn check(
    flags: &Flags,
    form: CheckForm,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let loaded = config::load(flags, surroundings).map_err(Failure::Configured)?;
    log_settings(surroundings, LogLevel::default())?;
    output.data(&match form {
        CheckForm::Report => report(&loaded),
        CheckForm::Effective => effective(&loaded),
    });
    Ok(())
}

/// Writes the configuration that is in effect, and what is not in the file at all.
fn effective(loaded: &Loaded) -> String {
    let proxies = upstreams::proxies(&loaded.settings.egress);
    format!(
        "# proxies towards registries: {}\n\n{}",
        proxies.escape_debug(),
        loaded.effective
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
        ("registry", registry(settings)),
        ("metrics", metrics(settings)),
        ("cache", cache(settings)),
        ("stop", stop(settings)),
        ("default", default_upstream(settings)),
        ("proxies", upstreams::proxies(&settings.egress)),
    ];
    let labelled = |(label, value): (&str, String)| format!("{label:14} {value}");
    let mut report: Vec<String> = lines.into_iter().map(labelled).collect();
    let offline = offline(settings).map(|names| format!("{names}: never asked"));
    let more = [
        ("commands", commands(settings).into_iter().collect()),
        ("offline", offline.into_iter().collect()),
        ("tags", contract::usual(&settings.cache.tags)),
        ("logins", upstreams::shared_logins(loaded)),
    ];
    for (label, lines) in more {
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        report.extend(labels.zip(lines).map(labelled));
    }
    report.push("upstreams".to_owned());
    report.extend(upstreams::upstreams(loaded));
    report.push(String::new());
    report.extend(exposure(settings));
    report.push(exposure::reach(settings).to_owned());
    if !loaded.warnings.is_empty() {
        report.push(String::new());
        let warnings = loaded.warnings.iter();
        report.extend(warnings.map(|warning| format!("warning: {warning}")));
    }
    report.join("\n")
}

fn registry(settings: &Settings) -> String {
    let listen = settings.server.listen;
    let Some(tls) = &settings.server.tls else {
        return format!("http://{listen}");
    };
    let urls = match tls.listen {
        None => format!("https://{listen}"),
        Some(beside) => format!("http://{listen} and https://{beside}"),
    };
    format!("{urls}, with the certificate {}", tls.cert_file.display())
}

fn metrics(settings: &Settings) -> String {
    match settings.metrics_listen {
        Some(address) => format!("http://{address}"),
        None => "none".to_owned(),
    }
}

/// Says where commands are taken beside the socket.
fn commands(settings: &Settings) -> Option<String> {
    let admin::Settings { listen, token_file } = settings.admin.as_ref()?;
    let token_file = token_file.display();
    Some(format!("http://{listen}, with the token in {token_file}"))
}

fn cache(settings: &Settings) -> String {
    let path = settings.store.path.display();
    let size = |bytes: u64| ByteSize::b(bytes).display().iec();
    let kept = match settings.retention.max_size {
        Some(bytes) => format!("up to {}", size(bytes)),
        None => "up to 80 % of the file system".to_owned(),
    };
    match settings.store.min_free {
        Some(bytes) => format!("{path}, {kept}, leaving {} free", size(bytes)),
        None => format!("{path}, {kept}, leaving the usual reserve free"),
    }
}

fn stop(settings: &Settings) -> String {
    if settings.drain_timeout.is_zero() {
        return "answers under way are cut at once".to_owned();
    }
    let limit = humantime::format_duration(settings.drain_timeout);
    format!("answers under way are given for up to {limit}")
}

fn default_upstream(settings: &Settings) -> String {
    match &settings.addressing.default {
        Some(name) => format!("names without a registry lead to {name}"),
        None => "names without a registry lead nowhere".to_owned(),
    }
}

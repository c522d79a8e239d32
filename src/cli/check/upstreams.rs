//! Describes the upstreams: where they are asked, as whom, and through which proxies.

use super::contract;
use crate::addressing::{Alias, VirtualHost};
use crate::config::{Loaded, Settings};
use crate::upstream::{
    self, ApiPath, CredentialSettings, CredentialSource, Egress, EndpointScope, EndpointSettings,
    Mode, SecretSource,
};

/// Describes each upstream: a line for what it is, and one for each login of its own and what it says of tags.
pub(super) fn upstreams(loaded: &Loaded) -> Vec<String> {
    let describe = |upstream: &upstream::Settings| {
        let mut lines = vec![upstream_line(&loaded.settings, upstream)];
        let is_own = |login: &&CredentialSettings| {
            loaded.auth_files.not_for.contains(&upstream.pattern) || !is_of_all(loaded, login)
        };
        let own = upstream.credentials.iter().filter(is_own);
        lines.extend(own.map(|login| format!("    login: {}", login_line(login))));
        for endpoint in &upstream.endpoints {
            let logins = endpoint
                .credentials
                .iter()
                .map(|login| format!("    login for {}: {}", endpoint.url, login_line(login)));
            lines.extend(logins);
        }
        let mut contracts = loaded.settings.cache.tags.upstreams.iter();
        let own = contracts.find(|contract| contract.upstreams == upstream.pattern);
        let tags = own.into_iter().flat_map(contract::of_upstream);
        lines.extend(tags.map(|tags| format!("    {tags}")));
        if !upstream.token_hosts.is_empty() {
            let hosts = upstream.token_hosts.join(", ");
            lines.push(format!(
                "    logins also go to the token services of {hosts}"
            ));
        }
        lines
    };
    loaded
        .settings
        .upstreams
        .iter()
        .flat_map(describe)
        .collect()
}

/// Describes the logins for all upstreams, a line each.
pub(super) fn shared_logins(loaded: &Loaded) -> Vec<String> {
    let files = &loaded.auth_files;
    let mut lines: Vec<String> = files
        .used
        .iter()
        .map(|file| format!("file {}, for the registries that it names", file.display()))
        .collect();
    if !files.used.is_empty() && !files.not_for.is_empty() {
        let names: Vec<String> = files.not_for.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "not for {}: asked somewhere else than under its name",
            names.join(", ")
        ));
    }
    if lines.is_empty() {
        lines.push("no file of docker or podman for all upstreams".to_owned());
    }
    lines
}

/// Names the upstreams that are not asked, if there are any.
pub(in crate::cli) fn offline(settings: &Settings) -> Option<String> {
    let all = settings.upstreams.iter();
    let (offline, online): (Vec<_>, Vec<_>) =
        all.partition(|upstream| upstream.mode == Mode::Offline);
    let names = |upstreams: &[&upstream::Settings]| {
        let names: Vec<String> = upstreams
            .iter()
            .map(|one| one.pattern.to_string())
            .collect();
        names.join(", ")
    };
    match (offline.as_slice(), online.as_slice()) {
        ([], _) => None,
        (_, []) => Some("all upstreams".to_owned()),
        (offline, online) if offline.len() > online.len() => {
            Some(format!("all upstreams but {}", names(online)))
        }
        (offline, _) => Some(names(offline)),
    }
}

/// Describes the proxies, without user and password.
pub(super) fn proxies(egress: &Egress) -> String {
    let through = |scheme: &str, proxy: &Option<std::sync::Arc<str>>| {
        let proxy = without_user(proxy.as_deref()?);
        Some(format!("{scheme} through {proxy}"))
    };
    let mut parts: Vec<String> = [
        through("https", &egress.https),
        through("http", &egress.http),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        return "none".to_owned();
    }
    if let Some(except) = &egress.except {
        parts.push(format!("but not to {except}"));
    }
    parts.join(", ")
}

/// Leaves out of the address of a proxy what stands before its last '@', whatever it is, and what follows its host.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}")
}

fn upstream_line(settings: &Settings, upstream: &upstream::Settings) -> String {
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
    match upstream.mode {
        Mode::Online => {}
        Mode::Offline => line.push_str("; offline"),
    }
    line
}

fn endpoints(upstream: &upstream::Settings) -> String {
    if upstream.endpoints.is_empty() {
        return "https:// and its own name".to_owned();
    }
    let endpoints: Vec<String> = upstream.endpoints.iter().map(endpoint).collect();
    endpoints.join(", then ")
}

fn endpoint(endpoint: &EndpointSettings) -> String {
    let mut remarks = Vec::new();
    if !endpoint.url.is_encrypted() {
        remarks.push("not encrypted".to_owned());
    }
    let tls = &endpoint.tls;
    if let Some(file) = &tls.ca_file {
        remarks.push(format!("trusts {}", file.display()));
    }
    if let Some(client) = &tls.client {
        remarks.push(format!("shows {}", client.cert_file.display()));
    }
    if tls.skips_verification {
        remarks.push("takes any certificate".to_owned());
    }
    if endpoint.falls_back_to_http {
        remarks.push("not encrypted where it speaks no TLS".to_owned());
    }
    match endpoint.api_path {
        ApiPath::Versioned => {}
        ApiPath::AsWritten => remarks.push("no /v2/ added".to_owned()),
    }
    match endpoint.scope {
        EndpointScope::Everything => {}
        EndpointScope::Digests => remarks.push("digests only".to_owned()),
    }
    match remarks.is_empty() {
        true => endpoint.url.to_string(),
        false => format!("{} ({})", endpoint.url, remarks.join(", ")),
    }
}

/// Tells whether a login is a file for all upstreams, which is told once.
fn is_of_all(loaded: &Loaded, login: &CredentialSettings) -> bool {
    match &login.source {
        CredentialSource::AuthFile(file) => loaded.auth_files.used.contains(file),
        CredentialSource::Anonymous
        | CredentialSource::Password { .. }
        | CredentialSource::IdentityToken(_)
        | CredentialSource::RegistryToken(_)
        | CredentialSource::Helper(_) => false,
    }
}

/// Describes a login: where it comes from and what it is for, never what it is.
fn login_line(login: &CredentialSettings) -> String {
    let source = match &login.source {
        CredentialSource::Anonymous => "nobody".to_owned(),
        CredentialSource::Password {
            username,
            password,
            next,
        } => {
            let next = next.as_ref().map_or_else(String::new, |next| {
                format!(", then from {}", next.display())
            });
            format!("user {username} (password {}{next})", secret(password))
        }
        CredentialSource::IdentityToken(token) => format!("identity token {}", secret(token)),
        CredentialSource::RegistryToken(token) => format!("registry token {}", secret(token)),
        CredentialSource::AuthFile(file) => format!("file {}", file.display()),
        CredentialSource::Helper(helper) => format!("helper {helper}"),
    };
    format!("{source}, for {}", repositories(login))
}

fn secret(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => format!("from {}", path.display()),
        SecretSource::Value(_) => "from a variable".to_owned(),
    }
}

fn repositories(login: &CredentialSettings) -> String {
    match login.repositories.as_str() {
        "**" => "all repositories".to_owned(),
        pattern => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_proxy_is_not_shown() {
        for (url, shown) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://ada:hunter2@proxy:3128/x", "http://proxy:3128"),
            ("https://ada:hunt/er@2@proxy", "https://proxy"),
            ("http://ada@[::1]:3128?x", "http://[::1]:3128"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }
}

//! What is no fault and should be known: what is not there yet, and what can be seen by others.

use std::path::Path;

use super::auth_files::AuthFiles;
use super::settings::Settings;
use super::surroundings::Surroundings;
use crate::admin;
use crate::server;
use crate::upstream::{
    self, CredentialSettings, CredentialSource, EndpointSettings, HelperName, SecretSource,
};

/// Returns what should be known of settings, a sentence each.
pub(super) fn warnings(
    settings: &Settings,
    files: &AuthFiles,
    surroundings: &Surroundings,
) -> Vec<String> {
    let absent = files.used.iter().filter_map(|file| absent(file));
    let mut warnings: Vec<String> = absent
        .map(|what| format!("logins of all: {what}"))
        .collect();
    for upstream in &settings.upstreams {
        let own = upstream.credentials.iter();
        let others = upstream.endpoints.iter().flat_map(|e| &e.credentials);
        let is_told = |login: &&CredentialSettings| match &login.source {
            CredentialSource::AuthFile(file) => files.used.contains(file),
            CredentialSource::Anonymous
            | CredentialSource::Password { .. }
            | CredentialSource::IdentityToken(_)
            | CredentialSource::RegistryToken(_)
            | CredentialSource::Helper(_) => false,
        };
        for login in own.chain(others).filter(|login| !is_told(login)) {
            let missing = missing(&login.source, surroundings);
            let name = &upstream.pattern;
            warnings.extend(
                missing
                    .into_iter()
                    .map(|what| format!("login of {name}: {what}")),
            );
        }
        warnings.extend(seen_by_others(upstream));
    }
    for file in &files.kept_back {
        warnings.push(format!(
            "{} is not used, since other machines can reach {}: to use it for all who can, name it in \
             credentials.auth_files; else set credentials.user_files to false",
            file.display(),
            settings.open_addresses()
        ));
    }
    warnings.extend(plain_beside(&settings.server));
    warnings.extend(settings.admin.as_ref().and_then(token_in_the_clear));
    warnings
}

/// Says that certificates are wanted of those clients only who come over TLS.
fn plain_beside(server: &server::Settings) -> Option<String> {
    let tls = server.tls.as_ref()?;
    let is_open = tls.listen.is_some() && !server.listen.ip().to_canonical().is_loopback();
    (is_open && tls.client_ca_file.is_some()).then(|| {
        format!(
            "clients at {} show no certificate, since no TLS is spoken there: set server.listen to a loopback address, or \
             leave out server.tls.listen",
            server.listen
        )
    })
}

/// Says that the token of the operator can be seen on its way.
fn token_in_the_clear(admin: &admin::Settings) -> Option<String> {
    (!admin.listen.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "commands are taken at {}, which other machines can reach, and there is no TLS: whoever sees a request on its way \
             knows the token. Set admin.listen to a loopback address and put a proxy that speaks TLS before it, or use the \
             socket",
            admin.listen
        )
    })
}

/// Says what a login needs and does not find.
fn missing(source: &CredentialSource, surroundings: &Surroundings) -> Vec<String> {
    let secret = |secret: &SecretSource| match secret {
        SecretSource::File(path) => absent(path),
        SecretSource::Value(_) => None,
    };
    match source {
        CredentialSource::Anonymous => Vec::new(),
        CredentialSource::Password { password, next, .. } => {
            let next = next.as_deref().and_then(absent);
            secret(password).into_iter().chain(next).collect()
        }
        CredentialSource::IdentityToken(token) | CredentialSource::RegistryToken(token) => {
            secret(token).into_iter().collect()
        }
        CredentialSource::AuthFile(path) => absent(path).into_iter().collect(),
        CredentialSource::Helper(helper) if is_installed(helper, surroundings) => Vec::new(),
        CredentialSource::Helper(helper) => {
            vec![format!(
                "there is no program docker-credential-{helper} in PATH"
            )]
        }
    }
}

fn absent(path: &Path) -> Option<String> {
    let is_absent = !path.exists();
    is_absent.then(|| format!("there is no file {}", path.display()))
}

fn is_installed(helper: &HelperName, surroundings: &Surroundings) -> bool {
    let program = format!("docker-credential-{helper}");
    let path = surroundings.variable("PATH");
    path.is_some_and(|path| {
        std::env::split_paths(path).any(|folder| folder.join(&program).is_file())
    })
}

/// Says which logins can be seen on their way to a registry.
fn seen_by_others(upstream: &upstream::Settings) -> Vec<String> {
    let last = upstream.endpoints.len().saturating_sub(1);
    let is_login = |login: &CredentialSettings| login.source != CredentialSource::Anonymous;
    let warning = |(index, endpoint): (usize, &EndpointSettings)| {
        let inherited = upstream.credentials.iter().any(is_login) && index == last;
        if !inherited && !endpoint.credentials.iter().any(is_login) || is_loopback(endpoint) {
            return None;
        }
        let (name, url) = (&upstream.pattern, &endpoint.url);
        let danger = if !url.is_encrypted() {
            "is sent in the clear"
        } else if endpoint.tls.skips_verification {
            "is sent to whoever is on the way, since skip_tls_verify takes any certificate"
        } else if endpoint.falls_back_to_http {
            "is sent in the clear when http_fallback takes effect"
        } else {
            return None;
        };
        Some(format!("login of {name}: what is for {url} {danger}"))
    };
    upstream
        .endpoints
        .iter()
        .enumerate()
        .filter_map(warning)
        .collect()
}

fn is_loopback(endpoint: &EndpointSettings) -> bool {
    let host = endpoint.url.host();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

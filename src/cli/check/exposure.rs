//! Says what is exposed to whom.

use ipnet::IpNet;

use crate::cache::{Audience, ShareRule};
use crate::config::Settings;
use crate::oci::UpstreamPattern;
use crate::server::{CatalogAudience, ProxyProtocol};
use crate::upstream::{self, CredentialSettings, CredentialSource, EndpointSettings};

/// Says who can pull what, and who may do more, a sentence each.
pub(in crate::cli) fn exposure(settings: &Settings) -> Vec<String> {
    let all = settings.upstreams.iter();
    let public = names(all.clone().map(|upstream| &upstream.pattern));
    let anyone = anyone(settings);
    let mut sentences = vec![format!("{anyone} can pull every public image of: {public}")];
    let mut kept = Vec::new();
    for upstream in all.filter(|upstream| has_login(upstream)) {
        match shared(settings, &upstream.pattern) {
            Some(sentence) => sentences.push(sentence),
            None => kept.push(&upstream.pattern),
        }
    }
    if !kept.is_empty() {
        let kept = names(kept.into_iter());
        sentences.push(format!(
            "only clients on this machine can pull private images of: {kept}"
        ));
    }
    match settings.server.catalog {
        CatalogAudience::ThisMachine => {}
        CatalogAudience::Everyone => sentences.push(format!(
            "{anyone} can list which repositories are here, those that only this machine can pull left out"
        )),
    }
    if !settings.server.refresh_from.is_empty() {
        sentences.push(format!(
            "clients of {} can have registries asked at once, by Cache-Control: no-cache",
            networks(&settings.server.refresh_from)
        ));
    }
    let proxies = &settings.server.proxies;
    if !proxies.trusted.is_empty() {
        let trusted = networks(&proxies.trusted);
        sentences.push(match proxies.protocol {
            ProxyProtocol::Absent => format!("{trusted} is believed when it says for whom it asks"),
            ProxyProtocol::Required => format!(
                "only {trusted} can connect, and is believed when it says for whom, by the PROXY protocol"
            ),
        });
    }
    sentences
}

/// Says who can ask: where they have to get to, and what they have to show there.
fn anyone(settings: &Settings) -> String {
    let listen = settings.server.listen;
    let tls = settings.server.tls.as_ref();
    let shown = tls.and_then(|tls| tls.client_ca_file.as_ref());
    let shown = shown.map_or_else(String::new, |file| {
        format!(" with a certificate of {}", file.display())
    });
    match tls.and_then(|tls| tls.listen) {
        Some(beside) => format!("anyone who can reach {listen}, or {beside}{shown},"),
        None => format!("anyone who can reach {listen}{shown}"),
    }
}

fn networks(networks: &[IpNet]) -> String {
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    networks.join(", ")
}

/// Says that others can reach larder, or that they cannot.
pub(super) fn reach(settings: &Settings) -> &'static str {
    if settings.is_for_this_machine() {
        "only this machine can reach that address, unless something here passes requests on: without \
         X-Forwarded-For or the like, whoever it asks for counts as this machine"
    } else if settings.has_certified_clients() {
        "other machines can reach that address with such a certificate, and no client has to log in"
    } else {
        "other machines can reach that address, and no client has to log in"
    }
}

/// Says to whom the private images of an upstream go, unless all of them stay on this machine.
fn shared(settings: &Settings, pattern: &UpstreamPattern) -> Option<String> {
    let rules = settings.cache.share.as_slice().iter();
    let mut rules: Vec<&ShareRule> = rules.filter(|rule| rule.upstreams == *pattern).collect();
    if rules
        .iter()
        .all(|rule| rule.audience == Audience::ThisMachine)
    {
        return None;
    }
    // What goes where the rest goes is told with it.
    while let [.., before, rest] = rules[..]
        && before.audience == rest.audience
    {
        rules.remove(rules.len() - 2);
    }
    let last = rules.len() - 1;
    let part = |(index, rule): (usize, &&ShareRule)| {
        let which = match (index, last) {
            (0, 0) => "all".to_owned(),
            (index, last) if index == last => "all others".to_owned(),
            _ => rule.repositories.to_string(),
        };
        match rule.audience {
            Audience::Everyone => {
                let anyone = anyone(settings);
                let anyone = anyone.trim_end_matches(',');
                format!("{which} to {anyone}, without a login")
            }
            Audience::ThisMachine => format!("{which} to clients on this machine"),
        }
    };
    let parts: Vec<String> = rules.iter().enumerate().map(part).collect();
    Some(format!(
        "private images of {pattern} go, as share says, {}",
        parts.join(", ")
    ))
}

/// Tells whether more than public images can be pulled from an upstream: with a login, or with a certificate.
fn has_login(upstream: &upstream::Settings) -> bool {
    let is_login = |login: &CredentialSettings| login.source != CredentialSource::Anonymous;
    let is_known = |endpoint: &EndpointSettings| {
        endpoint.tls.client.is_some() || endpoint.credentials.iter().any(is_login)
    };
    upstream.credentials.iter().any(is_login) || upstream.endpoints.iter().any(is_known)
}

fn names<'a>(patterns: impl Iterator<Item = &'a UpstreamPattern>) -> String {
    let names: Vec<String> = patterns.map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{ClientCertificate, EndpointUrl};

    #[test]
    fn who_shows_a_certificate_may_see_what_is_private() {
        let url: EndpointUrl = "https://r.example".parse().unwrap();
        let mut endpoint = EndpointSettings::from(url);
        let settings = |endpoint: &EndpointSettings| {
            upstream::Settings::new("r.example".parse().unwrap(), vec![endpoint.clone()])
        };
        assert!(!has_login(&settings(&endpoint)));
        endpoint.tls.client = Some(ClientCertificate {
            cert_file: "client.pem".into(),
            key_file: "client.key".into(),
        });
        assert!(has_login(&settings(&endpoint)));
    }
}

//! Who asks, and may they: decides once per request, before anything else is done.
//!
//! Client authentication is off: everyone is anonymous, and an `Authorization` that a client sends is neither read nor
//! passed on. What is known of a client is whether it is on this machine; who gets what is private, the cache decides
//! (`cache/visibility.rs`).

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use ipnet::IpNet;

use crate::addressing::{Action, Caller, Grant, Place, Target};
use crate::cache::Demand;

/// Headers by which proxies say that they ask for somebody else, besides those that begin with [`FORWARDED`].
const PROXIED: &[&str] = &[
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
];
/// What the names of other such headers begin with: `X-Forwarded-For` and its family.
const FORWARDED: &str = "x-forwarded";

/// Finds out who asks. A proxy on this machine that says so is not taken for a client on this machine: it asks for
/// somebody who may be anywhere. Nothing in such a header is believed.
pub fn caller(client: SocketAddr, headers: &HeaderMap) -> Caller {
    let is_here = client.ip().to_canonical().is_loopback();
    Caller::Anonymous(if is_here && !is_proxied(headers) {
        Place::Loopback
    } else {
        Place::Elsewhere
    })
}

/// Finds out how fresh an answer has to be: whoever is on this machine or in one of these networks may say, by
/// `Cache-Control: no-cache`, that the registry is to be asked now (RFC 9111, section 5.2.1.4). Of others that is not
/// taken: it would spend what the registry allows.
pub fn demand(client: SocketAddr, headers: &HeaderMap, networks: &[IpNet]) -> Demand {
    let mut values = headers.get_all(CACHE_CONTROL).iter();
    let wants_now = values.any(|value| value.to_str().is_ok_and(says_no_cache));
    if !wants_now || is_proxied(headers) {
        return Demand::Usual;
    }
    let address = client.ip().to_canonical();
    let may = address.is_loopback() || networks.iter().any(|network| network.contains(&address));
    if may { Demand::Now } else { Demand::Usual }
}

fn says_no_cache(value: &str) -> bool {
    let mut directives = value.split(',').map(str::trim);
    directives.any(|directive| directive.eq_ignore_ascii_case("no-cache"))
}

/// Decides about a request: everyone may pull.
pub fn decide(caller: Caller, target: Target) -> Grant {
    Grant::new(caller, target, Action::Pull)
}

fn is_proxied(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(http::HeaderName::as_str);
    names.any(|name| name.starts_with(FORWARDED) || PROXIED.contains(&name))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn who_is_on_this_machine() {
        use Place::{Elsewhere, Loopback};
        for (client, header, place) in [
            ("127.0.0.1:1", "accept", Loopback),
            ("127.8.8.8:1", "accept", Loopback),
            ("[::1]:1", "authorization", Loopback),
            ("[::ffff:127.0.0.1]:1", "accept", Loopback),
            ("[::ffff:192.0.2.1]:1", "accept", Elsewhere),
            ("[::ffff:127.0.0.1]:1", "via", Elsewhere),
            ("192.0.2.1:1", "accept", Elsewhere),
            ("192.168.0.1:1", "accept", Elsewhere),
            ("0.0.0.0:1", "accept", Elsewhere),
            ("[::]:1", "accept", Elsewhere),
            ("[2001:db8::1]:1", "accept", Elsewhere),
            ("192.0.2.1:1", "x-forwarded-for", Elsewhere),
            ("127.0.0.1:1", "Forwarded", Elsewhere),
            ("127.0.0.1:1", "X-Forwarded-For", Elsewhere),
            ("127.0.0.1:1", "x-forwarded-host", Elsewhere),
            ("127.0.0.1:1", "x-forwarded-proto", Elsewhere),
            ("127.0.0.1:1", "X-Real-IP", Elsewhere),
            ("127.0.0.1:1", "Via", Elsewhere),
            ("[::1]:1", "CF-Connecting-IP", Elsewhere),
        ] {
            // Whatever the header says, and be it nothing.
            for value in ["127.0.0.1", ""] {
                let mut headers = HeaderMap::new();
                let name = HeaderName::from_bytes(header.as_bytes()).unwrap();
                headers.insert(name, value.parse().unwrap());
                let found = caller(client.parse().unwrap(), &headers);
                assert_eq!(found, Caller::Anonymous(place), "{client} {header}");
            }
        }
    }

    #[test]
    fn who_may_have_the_registry_asked_now() {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap());
        for (client, lines, demand) in [
            ("127.0.0.1:1", &["no-cache"][..], Demand::Now),
            ("[::1]:1", &["max-age=0, No-Cache"], Demand::Now),
            ("10.1.2.3:1", &["no-store", "no-cache"], Demand::Now),
            ("[::ffff:10.1.2.3]:1", &["no-cache"], Demand::Now),
            ("[2001:db8::7]:1", &["no-cache"], Demand::Now),
            ("192.0.2.1:1", &["no-cache"], Demand::Usual),
            ("[::ffff:192.0.2.1]:1", &["no-cache"], Demand::Usual),
            ("127.0.0.1:1", &["no-cached"], Demand::Usual),
            ("127.0.0.1:1", &[], Demand::Usual),
        ] {
            let client: SocketAddr = client.parse().unwrap();
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().unwrap());
            }
            let found = super::demand(client, &headers, &networks);
            assert_eq!(found, demand, "{client} {lines:?}");
            // Who asks for somebody else may not, wherever it is.
            headers.insert("x-forwarded-for", "127.0.0.1".parse().unwrap());
            let found = super::demand(client, &headers, &networks);
            assert_eq!(found, Demand::Usual, "{client} {lines:?}");
        }
    }
}

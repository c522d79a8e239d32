//! Who asks, and may they: decides once per request, before anything else is done.
//!
//! Client authentication is off: everyone is anonymous, and an `Authorization` that a client sends is neither read nor
//! passed on. What is known of a client is where it is, and whether that is this machine; who gets what is private, the
//! cache decides (`cache/visibility.rs`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use ipnet::IpNet;

use super::forwarded::{self, Chain, Hops};
use super::proxy_protocol::Told;
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

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever connected.
    Itself(SocketAddr),
    /// A trusted proxy for plain TCP, which says for whom it connected.
    Proxy {
        /// The address of the proxy.
        address: SocketAddr,
        /// For whom.
        told: Told,
    },
}

/// Who asks, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    /// Headers do not always tell it.
    port: Option<u16>,
    standing: Standing,
}

/// How it is known where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is connected, and says of nobody else.
    Connected,
    /// A trusted proxy says so, or is itself the client.
    Vouched,
    /// It is not: the address is that of whoever asks for it.
    Unknown,
}

impl Client {
    /// Finds out who asks. Only what a trusted proxy says is believed, and whoever else says that it asks for somebody
    /// may ask for anybody.
    pub fn find(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let at = |address: SocketAddr, standing| Self {
            address: address.ip().to_canonical(),
            port: Some(address.port()),
            standing,
        };
        let (nearest, standing) = match peer {
            Peer::Itself(address) => (address, Standing::Connected),
            Peer::Proxy { address, told } => match told {
                Told::Client(client) => (client, Standing::Vouched),
                Told::Nobody => return at(address, Standing::Unknown),
            },
        };
        let is_trusted = match standing {
            Standing::Connected => is_in(trusted, nearest.ip()),
            Standing::Vouched | Standing::Unknown => is_believed(trusted, nearest.ip()),
        };
        if !is_trusted {
            return match is_proxied(headers) {
                true => at(nearest, Standing::Unknown),
                false => at(nearest, standing),
            };
        }
        match forwarded::chain(headers) {
            Chain::Of(hops) => match first_untrusted(&hops, trusted) {
                Some(address) => Self {
                    address,
                    port: None,
                    standing: Standing::Vouched,
                },
                None => at(nearest, Standing::Unknown),
            },
            Chain::Nothing if !is_proxied(headers) => at(nearest, Standing::Vouched),
            Chain::Nothing | Chain::Disputed => at(nearest, Standing::Unknown),
        }
    }

    /// Returns who the client is to the rooms below. On this machine is who is connected over its loopback interface and
    /// asks for itself; what comes by way of a proxy never is, not even when that says so.
    pub fn caller(&self) -> Caller {
        Caller::Anonymous(if self.is_on_this_machine() {
            Place::Loopback
        } else {
            Place::Elsewhere
        })
    }

    /// Finds out how fresh an answer has to be: whoever is on this machine or in one of these networks may say, by
    /// `Cache-Control: no-cache`, that the registry is to be asked now (RFC 9111, section 5.2.1.4). Of others that is not
    /// taken: it would spend what the registry allows.
    pub fn demand(&self, headers: &HeaderMap, networks: &[IpNet]) -> Demand {
        let mut values = headers.get_all(CACHE_CONTROL).iter();
        let wants_now = values.any(|value| value.to_str().is_ok_and(says_no_cache));
        match wants_now && self.may_refresh(networks) {
            true => Demand::Now,
            false => Demand::Usual,
        }
    }

    fn may_refresh(&self, networks: &[IpNet]) -> bool {
        match self.standing {
            Standing::Connected => self.is_on_this_machine() || is_in(networks, self.address),
            // A loopback address is true of a connection alone, never of what is said.
            Standing::Vouched => !self.address.is_loopback() && is_in(networks, self.address),
            Standing::Unknown => false,
        }
    }

    fn is_on_this_machine(&self) -> bool {
        match self.standing {
            Standing::Connected => self.address.is_loopback(),
            Standing::Vouched | Standing::Unknown => false,
        }
    }
}

/// As the log has it: `192.0.2.1:4711`, or without a port where nobody told it.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// Decides about a request: everyone may pull.
pub fn decide(caller: Caller, target: Target) -> Grant {
    Grant::new(caller, target, Action::Pull)
}

/// Tells whether an address is in one of these networks.
pub(super) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Finds the client in what proxies say: whoever the nearest of those that are not trusted was seen as, or the first of
/// all when they are. `None` when somebody on the way was not told.
fn first_untrusted(hops: &Hops, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut client = None;
    for hop in hops.iter().rev() {
        client = *hop;
        if !is_believed(trusted, client?) {
            break;
        }
    }
    client
}

/// Tells whether an address that was told is that of a trusted proxy. A loopback address is one of another machine.
fn is_believed(trusted: &[IpNet], address: IpAddr) -> bool {
    !address.to_canonical().is_loopback() && is_in(trusted, address)
}

fn says_no_cache(value: &str) -> bool {
    let mut directives = value.split(',').map(str::trim);
    directives.any(|directive| directive.eq_ignore_ascii_case("no-cache"))
}

fn is_proxied(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(http::HeaderName::as_str);
    names.any(|name| name.starts_with(FORWARDED) || PROXIED.contains(&name))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn itself(address: &str) -> Peer {
        Peer::Itself(address.parse().unwrap())
    }

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
                let found = Client::find(itself(client), &headers, &[]);
                assert_eq!(
                    found.caller(),
                    Caller::Anonymous(place),
                    "{client} {header}"
                );
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
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().unwrap());
            }
            let found = Client::find(itself(client), &headers, &[]);
            let found = found.demand(&headers, &networks);
            assert_eq!(found, demand, "{client} {lines:?}");
            // Who asks for somebody else may not, wherever it is.
            headers.insert("x-forwarded-for", "127.0.0.1".parse().unwrap());
            let found = Client::find(itself(client), &headers, &[]);
            let found = found.demand(&headers, &networks);
            assert_eq!(found, Demand::Usual, "{client} {lines:?}");
        }
    }

    /// Finds a client behind proxies of 10.0.0.0/8 and 127.0.0.1, who wants the registry asked now. Returns who it is,
    /// and whether it may: clients of 10.9.0.0/16, 192.0.2.0/24 and 127.0.0.0/8 may.
    fn behind(peer: Peer, lines: &[(&'static str, &str)]) -> (String, Demand) {
        let networks = |list: &[&str]| -> Vec<IpNet> {
            list.iter()
                .map(|network| network.parse().unwrap())
                .collect()
        };
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, "no-cache".parse().unwrap());
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted = networks(&["10.0.0.0/8", "127.0.0.1/32"]);
        let client = Client::find(peer, &headers, &trusted);
        let caller = Caller::Anonymous(Place::Elsewhere);
        assert_eq!(client.caller(), caller, "{peer:?} {lines:?}");
        let may = networks(&["10.9.0.0/16", "192.0.2.0/24", "127.0.0.0/8"]);
        (client.to_string(), client.demand(&headers, &may))
    }

    #[test]
    fn who_asks_by_way_of_a_trusted_proxy() {
        use Demand::{Now, Usual};
        const XFF: &str = "x-forwarded-for";
        for (peer, lines, client, demand) in [
            ("10.0.0.1:1", &[(XFF, "192.0.2.7")][..], "192.0.2.7", Now),
            (
                "10.0.0.1:1",
                &[("forwarded", "for=192.0.2.7")],
                "192.0.2.7",
                Now,
            ),
            (
                "[::ffff:10.0.0.1]:1",
                &[(XFF, "192.0.2.7")],
                "192.0.2.7",
                Now,
            ),
            ("127.0.0.1:1", &[(XFF, "192.0.2.7")], "192.0.2.7", Now),
            ("10.0.0.1:1", &[(XFF, "203.0.113.5")], "203.0.113.5", Usual),
            // What a client wrote itself stands before what the proxies say of it.
            (
                "10.0.0.1:1",
                &[(XFF, "192.0.2.7, 203.0.113.5, 10.0.0.2")],
                "203.0.113.5",
                Usual,
            ),
            (
                "10.0.0.1:1",
                &[(XFF, "192.0.2.7"), (XFF, "203.0.113.5")],
                "203.0.113.5",
                Usual,
            ),
            (
                "10.0.0.1:1",
                &[(XFF, "10.9.0.3, 10.0.0.2")],
                "10.9.0.3",
                Now,
            ),
        ] {
            let found = behind(itself(peer), lines);
            assert_eq!(found, (client.to_owned(), demand), "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_a_proxy_says_that_is_not_believed() {
        use Demand::{Now, Usual};
        const XFF: &str = "x-forwarded-for";
        for (peer, lines, client, demand) in [
            // Nobody is on this machine because a header says so.
            ("10.0.0.1:1", &[(XFF, "127.0.0.1")][..], "127.0.0.1", Usual),
            ("127.0.0.1:1", &[(XFF, "127.0.0.1")], "127.0.0.1", Usual),
            ("127.0.0.1:1", &[(XFF, "::1")], "::1", Usual),
            (
                "10.0.0.1:1",
                &[(XFF, "192.0.2.7, 127.0.0.1")],
                "127.0.0.1",
                Usual,
            ),
            ("127.0.0.1:1", &[], "127.0.0.1:1", Usual),
            // A proxy that does not say for whom it asks.
            ("10.9.0.1:1", &[], "10.9.0.1:1", Now),
            (
                "10.9.0.1:1",
                &[(XFF, "192.0.2.7, unknown")],
                "10.9.0.1:1",
                Usual,
            ),
            ("10.9.0.1:1", &[("via", "1.1 x")], "10.9.0.1:1", Usual),
            (
                "10.9.0.1:1",
                &[(XFF, "192.0.2.7"), ("forwarded", "for=192.0.2.8")],
                "10.9.0.1:1",
                Usual,
            ),
            // One that is not trusted.
            ("192.0.2.9:1", &[(XFF, "10.9.0.3")], "192.0.2.9:1", Usual),
        ] {
            let found = behind(itself(peer), lines);
            assert_eq!(found, (client.to_owned(), demand), "{peer} {lines:?}");
        }
    }

    #[test]
    fn who_connects_by_way_of_a_trusted_proxy() {
        use Demand::{Now, Usual};
        const XFF: &str = "x-forwarded-for";
        let told = |client: &str| Told::Client(client.parse().unwrap());
        for (told, lines, client, demand) in [
            (told("192.0.2.7:9"), &[][..], "192.0.2.7:9", Now),
            (told("203.0.113.5:9"), &[], "203.0.113.5:9", Usual),
            (told("127.0.0.1:9"), &[], "127.0.0.1:9", Usual),
            (
                told("127.0.0.1:9"),
                &[(XFF, "192.0.2.7")],
                "127.0.0.1:9",
                Usual,
            ),
            (Told::Nobody, &[], "10.9.0.1:1", Usual),
            (Told::Nobody, &[(XFF, "192.0.2.7")], "10.9.0.1:1", Usual),
            // What the client says of others is not the word of the proxy.
            (
                told("192.0.2.7:9"),
                &[(XFF, "192.0.2.8")],
                "192.0.2.7:9",
                Usual,
            ),
            (told("10.0.0.2:9"), &[(XFF, "192.0.2.7")], "192.0.2.7", Now),
        ] {
            let address = "10.9.0.1:1".parse().unwrap();
            let found = behind(Peer::Proxy { address, told }, lines);
            assert_eq!(found, (client.to_owned(), demand), "{told:?} {lines:?}");
        }
    }
}

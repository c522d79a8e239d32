//! Where we go when a registry names a place: redirects and the realms of tokens.
//!
//! The danger is that a registry out on the Internet sends us to a service that only we can reach. So what came from a
//! public address leads to public addresses only, whatever name they hide behind: literals are judged here, names when
//! they are resolved (`connect.rs`). What came from a private address may lead to private ones. Addresses that are
//! special to this machine or its cloud are never gone to. The endpoints that the operator listed are gone to anyway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::endpoint_url::Site;
use super::error::{TrustRule, UpstreamError};

/// A place to send a request to, judged and found good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    /// The whole address.
    pub(super) url: Uri,
    /// Who is there.
    pub(super) site: Site,
    /// Which addresses its name may resolve to.
    pub(super) reach: Reach,
}

/// Who named a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    /// Its own place.
    pub(super) site: &'a Site,
    /// Whether its answer came from a private address.
    pub(super) is_private: bool,
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Those that everyone can reach.
    Public,
    /// Those of private networks and of this machine, too.
    Private,
    /// All.
    Anywhere,
}

impl Reach {
    /// Returns whether this address may be connected to.
    pub(super) fn admits(self, address: IpAddr) -> bool {
        match (self, AddressClass::of(address)) {
            (Self::Anywhere, _) | (_, AddressClass::Public) => true,
            (Self::Private, AddressClass::Private) => true,
            (Self::Public, AddressClass::Private) | (_, AddressClass::Special) => false,
        }
    }

    /// Returns whether a host may be gone to whose name somebody else resolves. Then only the name can be judged.
    pub(super) fn admits_name(self, host: &str) -> bool {
        match (self, NameClass::of(host)) {
            (Self::Anywhere, _) | (_, NameClass::Global) => true,
            (Self::Private, NameClass::Local) => true,
            (Self::Public, NameClass::Local) | (_, NameClass::Disguise) => false,
        }
    }
}

/// What kind of name a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameClass {
    /// It means the same to everyone, or is an address, which is judged as such.
    Global,
    /// It means something in one network alone, such as the metadata services of some clouds.
    Local,
    /// Resolvers take it for an address, though it is not written like one: 2130706433, 0x7f.1.
    Disguise,
}

impl NameClass {
    /// The domains that are no part of the public tree: RFC 6761, RFC 6762, ICANN, RFC 8375, and what routers use.
    const LOCAL: [&str; 6] = [
        "localhost",
        "local",
        "internal",
        "home.arpa",
        "localdomain",
        "lan",
    ];

    /// Judges a host.
    fn of(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        if host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() {
            return Self::Global;
        }
        let last = host.rsplit('.').next().unwrap_or(host);
        let is_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
        // As browsers do (URL Standard, "ends in a number").
        if last.bytes().all(|b| b.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex) {
            return Self::Disguise;
        }
        let is_below = |domain: &&str| {
            let above = host.strip_suffix(domain);
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        if !host.contains('.') || Self::LOCAL.iter().any(is_below) {
            Self::Local
        } else {
            Self::Global
        }
    }
}

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressClass {
    /// Everyone can reach it.
    Public,
    /// Only this machine or its network can.
    Private,
    /// It means something to this machine or its cloud alone: link-local, metadata services, no unicast at all.
    Special,
}

impl AddressClass {
    /// Metadata services whose addresses do not look like it: Azure, Alibaba, Oracle.
    const METADATA_V4: [Ipv4Addr; 3] = [
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    /// The same with version 6: Amazon, Google.
    const METADATA_V6: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
    ];

    /// Judges an address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        if Self::METADATA_V4.contains(&address) {
            return Self::Special;
        }
        match address.octets() {
            [0 | 224.., ..] | [169, 254, ..] => Self::Special,
            [10 | 127, ..] | [192, 168, ..] | [192, 0, 0, _] => Self::Private,
            [172, 16..=31, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if Self::METADATA_V6.contains(&address) || address.is_unspecified() {
            return Self::Special;
        }
        if address.is_loopback() {
            return Self::Private;
        }
        let v4 = |high: u16, low: u16| {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            // Version 4 in version 6: mapped, compatible, translated (NAT64), 6to4.
            [0, 0, 0, 0, 0, 0xffff | 0, high, low] => v4(high, low),
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
            [0x2002, high, low, ..] => v4(high, low),
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Self::Private,
            // Local-use NAT64, Teredo, link-local and multicast: what is behind cannot be seen.
            [0x64, 0xff9b, 1, ..]
            | [0x2001, 0, ..]
            | [0xfe80..=0xfebf, ..]
            | [0xff00..=0xffff, ..] => Self::Special,
            _ => Self::Public,
        }
    }
}

/// The rules of one upstream.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    listed: Vec<Site>,
}

impl Trust {
    /// Trusts the listed endpoints of an upstream, each for itself.
    pub(super) fn new(listed: Vec<Site>) -> Self {
        Self { listed }
    }

    /// Returns whether a place is one that the configuration names.
    pub(super) fn lists(&self, site: &Site) -> bool {
        self.listed.contains(site)
    }

    /// Judges a place that somebody named.
    ///
    /// # Errors
    /// [`UpstreamError::Forbidden`], with the rule that it breaks.
    pub(super) fn admit(&self, sender: Sender<'_>, url: Uri) -> Result<Hop, UpstreamError> {
        let forbidden = |rule| {
            Err(UpstreamError::Forbidden {
                rule,
                url: shown(&url).into(),
            })
        };
        let Some(site) = Site::of(&url) else {
            return forbidden(TrustRule::Scheme);
        };
        if url.authority().is_some_and(|a| a.as_str().contains('@')) {
            return forbidden(TrustRule::UserInfo);
        }
        if sender.site.is_encrypted() && !site.is_encrypted() {
            return forbidden(TrustRule::Downgrade);
        }
        let reach = if self.listed.iter().any(|listed| listed.is_at(&site)) {
            Reach::Anywhere
        } else if sender.is_private {
            Reach::Private
        } else {
            Reach::Public
        };
        match site.address() {
            Some(address) if !reach.admits(address) => forbidden(TrustRule::Address),
            _ => Ok(Hop { url, site, reach }),
        }
    }
}

/// Writes a URL for people: without user and query, which may be secret, and not too long.
pub(super) fn shown(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("unknown");
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().map(|port| format!(":{port}"));
    let text = format!(
        "{scheme}://{host}{}{}",
        port.unwrap_or_default(),
        url.path()
    );
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_for_everyone() {
        use AddressClass::{Private, Public, Special};
        for (address, class) in [
            ("1.1.1.1", Public),
            ("172.15.0.1", Public),
            ("172.32.0.1", Public),
            ("100.63.0.1", Public),
            ("192.0.1.1", Public),
            ("223.255.255.255", Public),
            ("127.0.0.1", Private),
            ("127.255.0.1", Private),
            ("10.1.2.3", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("198.18.0.1", Private),
            ("0.0.0.0", Special),
            ("0.1.2.3", Special),
            ("169.254.169.254", Special),
            ("100.100.100.200", Special),
            ("168.63.129.16", Special),
            ("192.0.0.192", Special),
            ("224.0.0.1", Special),
            ("255.255.255.255", Special),
            ("2606:4700::1111", Public),
            ("::1", Private),
            ("fd12:3456::1", Private),
            ("fec0::1", Private),
            ("::", Special),
            ("fe80::1", Special),
            ("ff02::1", Special),
            ("fd00:ec2::254", Special),
            ("fd20:ce::254", Special),
            ("2001:0:4136:e378::1", Special),
            ("64:ff9b:1::1", Special),
            ("::ffff:1.1.1.1", Public),
            ("::ffff:127.0.0.1", Private),
            ("::ffff:169.254.169.254", Special),
            ("::10.0.0.1", Private),
            ("64:ff9b::a00:1", Private),
            ("64:ff9b::a9fe:a9fe", Special),
            ("2002:7f00:1::", Private),
            ("2002:101:101::", Public),
        ] {
            assert_eq!(
                AddressClass::of(address.parse().unwrap()),
                class,
                "{address}"
            );
        }
    }

    #[test]
    fn names_that_only_others_resolve() {
        use NameClass::{Disguise, Global, Local};
        for (host, class) in [
            ("cdn.io", Global),
            ("cdn.io.", Global),
            ("1password.example", Global),
            ("x.locale", Global),
            ("10.0.0.1", Global),
            ("[::1]", Global),
            ("localhost", Local),
            ("a.LOCALHOST.", Local),
            ("metadata", Local),
            ("metadata.google.internal", Local),
            ("nas.local", Local),
            ("router.home.arpa", Local),
            ("2130706433", Disguise),
            ("0x7f.1", Disguise),
            ("127.0.0.0x1", Disguise),
            ("169.254.43518", Disguise),
            ("r.io.0x", Disguise),
            ("", Disguise),
        ] {
            assert_eq!(NameClass::of(host), class, "{host}");
            assert!(Reach::Anywhere.admits_name(host));
            assert_eq!(Reach::Private.admits_name(host), class != Disguise);
            assert_eq!(Reach::Public.admits_name(host), class == Global);
        }
    }

    fn judged(sender: &str, is_private: bool, target: &str) -> Result<Reach, TrustRule> {
        let site = |text: &str| Site::of(&text.parse().unwrap()).unwrap();
        let trust = Trust::new(vec![site("https://r.io"), site("http://10.0.0.5:5000")]);
        let sender = Sender {
            site: &site(sender),
            is_private,
        };
        match trust.admit(sender, target.parse().unwrap()) {
            Ok(hop) => Ok(hop.reach),
            Err(UpstreamError::Forbidden { rule, .. }) => Err(rule),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn where_a_public_registry_may_send_us() {
        for (target, judgement) in [
            ("https://cdn.io/x?sig=1", Ok(Reach::Public)),
            ("https://8.8.8.8/", Ok(Reach::Public)),
            ("https://r.io/v2/", Ok(Reach::Anywhere)),
            ("https://R.io.:443/v2/", Ok(Reach::Anywhere)),
            ("https://r.io:8443/", Ok(Reach::Public)),
            ("http://cdn.io/", Err(TrustRule::Downgrade)),
            ("http://r.io/", Err(TrustRule::Downgrade)),
            ("ftp://cdn.io/", Err(TrustRule::Scheme)),
            ("https://user@cdn.io/", Err(TrustRule::UserInfo)),
            ("https://user:pass@cdn.io/", Err(TrustRule::UserInfo)),
            ("https://127.0.0.1/", Err(TrustRule::Address)),
            ("https://10.0.0.5/", Err(TrustRule::Address)),
            ("https://10.0.0.5:5000/", Ok(Reach::Anywhere)),
            ("https://[::1]:5000/", Err(TrustRule::Address)),
            ("https://[::ffff:10.0.0.1]/", Err(TrustRule::Address)),
            ("https://169.254.169.254/latest", Err(TrustRule::Address)),
            // Names, and what looks like one, are judged when they are resolved.
            ("https://localhost/", Ok(Reach::Public)),
            ("https://2130706433/", Ok(Reach::Public)),
        ] {
            assert_eq!(judged("https://r.io", false, target), judgement, "{target}");
        }
    }

    #[test]
    fn where_a_private_registry_may_send_us() {
        for (target, judgement) in [
            ("http://10.0.0.6/x", Ok(Reach::Private)),
            ("http://127.0.0.1:9/", Ok(Reach::Private)),
            ("https://cdn.io/", Ok(Reach::Private)),
            ("http://169.254.169.254/", Err(TrustRule::Address)),
            ("http://[fe80::1]/", Err(TrustRule::Address)),
            ("http://0.0.0.0/", Err(TrustRule::Address)),
        ] {
            assert_eq!(
                judged("http://10.0.0.5:5000", true, target),
                judgement,
                "{target}"
            );
        }
    }

    #[test]
    fn what_is_shown_of_a_url_is_no_secret() {
        let url = "https://u:p@cdn.io:8443/blob/x?X-Amz-Signature=abc"
            .parse()
            .unwrap();
        assert_eq!(shown(&url), "https://cdn.io:8443/blob/x");
    }
}

//! Reads the texts that stand for values. Each error completes a sentence that starts with the text.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;

use crate::addressing::{Alias, AliasError, VirtualHost};
use crate::cache::Audience;
use crate::cache::freshness::{Freshness, StaleLimit};
use crate::oci::{
    ImagePattern, NameError, RepositoryPattern, UpstreamName, UpstreamNameError, UpstreamPattern,
};
use crate::server::CatalogAudience;
use crate::upstream::{ApiPath, EndpointUrl, HelperName};

/// The longest wait for a registry where there is an answer without it: as long as where there is none. Clients give
/// up: containerd after 30 seconds, and it waits anew for each thing that it asks for.
const ANSWER_WITHIN_AT_MOST: Duration = Duration::from_secs(10);

/// The longest time that answers are given after a signal to stop: what takes a day is stuck, and nobody waits for a stop
/// for longer.
const DRAIN_AT_MOST: Duration = Duration::from_hours(24);

/// How much of an IPv6 address says that it stands for an IPv4 address, in bits.
const MAPPED_PREFIX: u8 = 96;

/// Where names lead that name no upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DefaultUpstream {
    /// Nowhere: they are answered with 404.
    Nowhere,
    /// To this upstream.
    To(UpstreamName),
}

/// Reads `ip:port`. Host names are not taken: one name can have several addresses.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "is no address to listen on: write ip:port, as in 127.0.0.1:5000, or 0.0.0.0:5000 for all addresses"
            .to_owned()
    })
}

/// Reads `"none"` or the name of an upstream.
pub(super) fn default_upstream(text: &str) -> Result<DefaultUpstream, String> {
    if text == "none" {
        return Ok(DefaultUpstream::Nowhere);
    }
    bare_name(text)
        .and_then(|text| Ok(DefaultUpstream::To(text.parse().map_err(reason)?)))
        .map_err(|reason| format!("is neither \"none\" nor the name of a registry: {reason}"))
}

/// Reads a number of bytes with its unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    match text.parse::<ByteSize>() {
        Ok(size) if has_unit => Ok(size.as_u64()),
        Ok(_) | Err(_) => {
            Err("is no size: write a number and its unit, as in 10GiB or 500MB".to_owned())
        }
    }
}

/// Reads a number of bytes with its unit, at least one.
pub(super) fn some_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("would keep nothing: write how much may be kept, as in 200GiB".to_owned()),
        size => Ok(size),
    }
}

/// Reads a duration, `"always"` or `"immutable"`.
pub(super) fn freshness(text: &str) -> Result<Freshness, String> {
    match text {
        "always" => Ok(Freshness::Always),
        "immutable" => Ok(Freshness::Immutable),
        text => match humantime::parse_duration(text) {
            Ok(duration) if duration.is_zero() => {
                Err("is no freshness: to ask each time, write \"always\"".to_owned())
            }
            Ok(duration) => Ok(Freshness::For(duration)),
            Err(_) => Err("is no freshness: write a duration with its unit, as in 10m or 1h30m, \"always\" or \"immutable\"".to_owned()),
        },
    }
}

/// Reads how long what is old goes out: a duration, which `0` is as well, or `"unlimited"`.
pub(super) fn stale_limit(text: &str) -> Result<StaleLimit, String> {
    match (text, duration(text)) {
        ("unlimited", _) => Ok(StaleLimit::Unlimited),
        (_, Some(limit)) => Ok(StaleLimit::For(limit)),
        (_, None) => Err(
            "is no limit: write a duration with its unit, as in 30m or 24h, 0 for not at all, or \"unlimited\""
                .to_owned(),
        ),
    }
}

/// Reads how long a client waits that could be answered at once.
pub(super) fn answer_within(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Some(wait) if wait <= ANSWER_WITHIN_AT_MOST => Ok(wait),
        Some(_) => Err(format!(
            "is too long, since clients give up while larder waits: write {} at most",
            humantime::format_duration(ANSWER_WITHIN_AT_MOST)
        )),
        None => Err(
            "is no duration: write it with its unit, as in 500ms or 2s, or 0 to answer at once"
                .to_owned(),
        ),
    }
}

/// Reads how long answers may take to be given after a signal to stop.
pub(super) fn drain_timeout(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Some(wait) if wait <= DRAIN_AT_MOST => Ok(wait),
        Some(_) => Err("is too long, since whoever stops larder waits for it: write 24h at most".to_owned()),
        None => Err(
            "is no duration: write it with its unit, as in 30s or 10m, or 0 to cut what is under way at once"
                .to_owned(),
        ),
    }
}

/// Reads a duration with its unit, which only 0 does not need.
fn duration(text: &str) -> Option<Duration> {
    match text {
        "0" => Some(Duration::ZERO),
        text => humantime::parse_duration(text).ok(),
    }
}

/// Reads a network, or an address as the network of that one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse().map(|address: IpAddr| IpNet::from(address));
    // The clients are known by the addresses that they have where both kinds are told apart.
    let canonical = |network: IpNet| match network {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_PREFIX => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - MAPPED_PREFIX).unwrap_or(network),
            None => network,
        },
        IpNet::V4(_) | IpNet::V6(_) => network,
    };
    match text.parse().or_else(|_| address()) {
        Ok(network) => Ok(canonical(network).trunc()),
        Err(_) => Err(
            "is neither a network nor an address: write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32"
                .to_owned(),
        ),
    }
}

/// Reads who can list what is here.
pub(super) fn catalog_audience(text: &str) -> Result<CatalogAudience, String> {
    Ok(match audience(text)? {
        Audience::Everyone => CatalogAudience::Everyone,
        Audience::ThisMachine => CatalogAudience::ThisMachine,
    })
}

/// Reads the name of an upstream, or the pattern of a family of names.
pub(super) fn upstream_pattern(text: &str) -> Result<UpstreamPattern, String> {
    bare_name(text)
        .and_then(|text| text.parse().map_err(reason))
        .map_err(|reason| format!("is not the name of a registry: {reason}"))
}

/// Reads the address of an endpoint.
pub(super) fn endpoint_url(text: &str) -> Result<EndpointUrl, String> {
    let url: Result<EndpointUrl, _> = text.parse();
    url.and_then(|url| url.fits(ApiPath::Versioned).map(|()| url))
        .map_err(|error| format!("is not an endpoint: {error}"))
}

/// Reads an alias: one path segment that cannot be taken for a host, nor for a name that has a meaning already.
pub(super) fn alias(text: &str) -> Result<Alias, String> {
    text.parse().map_err(|error| {
        let reason = match error {
            AliasError::Reserved => "the name has a meaning of its own",
            AliasError::HostLike => "with '.' or ':' it would be taken for a host",
            AliasError::NotOneSegment => "it has to be one path segment, without '/'",
            AliasError::Name(
                NameError::Empty | NameError::TooLong { .. } | NameError::Component(_),
            ) => "write lower-case letters and digits, with '-' or '_' between them",
        };
        format!("is no alias: {reason}")
    })
}

/// Reads a virtual host, `host` or `host:port`.
pub(super) fn host(text: &str) -> Result<VirtualHost, String> {
    bare_name(text)
        .and_then(|text| text.parse().map_err(reason))
        .map_err(|reason| format!("is no host: {reason}"))
}

/// Reads to whom private content goes.
pub(super) fn audience(text: &str) -> Result<Audience, String> {
    match text {
        "everyone" => Ok(Audience::Everyone),
        "this-machine" => Ok(Audience::ThisMachine),
        _ => Err("is neither \"everyone\" nor \"this-machine\"".to_owned()),
    }
}

/// Reads which repositories a rule is for.
pub(super) fn repository_pattern(text: &str) -> Result<RepositoryPattern, String> {
    text.parse().map_err(|error| {
        format!(
            "{error}: write the names of repositories, as in team/app or team/** for all below team"
        )
    })
}

/// Reads which tags a rule is for.
pub(super) fn image_pattern(text: &str) -> Result<ImagePattern, String> {
    text.parse().map_err(|error| {
        let first = text.split('/').next().filter(|first| *first != text);
        match first {
            Some(host) if host.contains(':') && host.parse::<UpstreamName>().is_ok() => format!(
                "has the name of a registry: leave out '{host}/', the rule is for this upstream alone"
            ),
            Some(_) | None => format!(
                "is no image: {error}; write the repository as its registry calls it, ':' and the tag, as in \
                 library/alpine:3.* or team/**:v*"
            ),
        }
    })
}

/// Reads any text, which is judged later, where it is not repeated: it could be a password in the wrong place.
pub(super) fn any(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Reads the name of a credential helper.
pub(super) fn helper(text: &str) -> Result<HelperName, String> {
    if text.starts_with("docker-credential-") {
        return Err("is the program: leave out 'docker-credential-'".to_owned());
    }
    text.parse::<HelperName>()
        .map_err(|error| error.to_string())
}

/// Passes on what is no address: said here, since the colon of `https://` would else be taken for the one of a port.
fn bare_name(text: &str) -> Result<&str, String> {
    if text.contains('/') {
        Err("write host or host:port, without scheme and path".to_owned())
    } else {
        Ok(text)
    }
}

fn reason(error: UpstreamNameError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (text, bytes) in [
            ("10GiB", 10 << 30),
            ("1.5 KiB", 1536),
            ("500MB", 500_000_000),
            ("0B", 0),
            ("2g", 2_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "10", "GiB", "-1GiB", "10GiBs", "10 %", "1e3GiB"] {
            assert!(size(text).is_err(), "{text:?}");
            assert!(some_size(text).is_err(), "{text:?}");
        }
        assert_eq!(some_size("1KiB"), Ok(1024));
        assert!(some_size("0GiB").unwrap_err().contains("nothing"));
    }

    #[test]
    fn freshness_is_a_duration_or_a_word() {
        for (text, value) in [
            ("10m", Freshness::For(Duration::from_secs(600))),
            ("1h 30m", Freshness::For(Duration::from_secs(5400))),
            ("always", Freshness::Always),
            ("immutable", Freshness::Immutable),
        ] {
            assert_eq!(freshness(text), Ok(value));
        }
        for text in ["", "10", "0s", "-1s", "never", "Always", "99999999999999y"] {
            assert!(freshness(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn aliases_cannot_be_taken_for_anything_else() {
        for text in ["hub", "team-a", "a__b", "0"] {
            assert_eq!(alias(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "Hub",
            "a/b",
            "a.b",
            "a:1",
            "-a",
            "local",
            "v2",
            "localhost",
            "a b",
        ] {
            assert!(alias(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn hosts_keep_their_own_spelling() {
        assert_eq!(
            host("Hub.Larder.example:5000").unwrap().as_str(),
            "hub.larder.example:5000"
        );
        assert_eq!(
            host("registry-1.docker.io").unwrap().as_str(),
            "registry-1.docker.io"
        );
        for text in ["", "https://a.io", "a.io/x", "*.a.io"] {
            assert!(host(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_place_to_listen_is_an_address_and_a_port() {
        for text in ["127.0.0.1:5000", "[::]:5000", "0.0.0.0:0"] {
            assert_eq!(socket_address(text).unwrap().to_string(), text);
        }
        for text in ["5000", ":5000", "localhost:5000", "127.0.0.1", "::1:5000:x"] {
            assert!(socket_address(text).is_err(), "{text:?}");
        }
    }
}

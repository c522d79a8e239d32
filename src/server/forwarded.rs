//! What HTTP proxies say of whom they ask for: `X-Forwarded-For`, and `Forwarded` (RFC 7239). Only read here; whether any
//! of it is believed, `access.rs` decides.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

/// Who asked whom, as proxies add it: the last one is whom the nearest proxy saw. `None` stands for what is no address.
pub type Hops = Vec<Option<IpAddr>>;

/// By which proxies name whom they ask for.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the headers of a request say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Nothing.
    Nothing,
    /// For whom it is asked, by way of whom.
    Of(Hops),
    /// One header says something else than the other. A proxy writes one of them, and the other one may be the client's.
    Disputed,
}

/// Reads the headers of a request.
pub fn chain(headers: &HeaderMap) -> Chain {
    let usual = hops(headers, &FORWARDED_FOR, |entry| node(entry.trim()));
    let standard = hops(headers, &FORWARDED, for_whom);
    match (usual, standard) {
        (None, None) => Chain::Nothing,
        (Some(hops), None) | (None, Some(hops)) => Chain::Of(hops),
        (Some(usual), Some(standard)) if usual == standard => Chain::Of(usual),
        (Some(_), Some(_)) => Chain::Disputed,
    }
}

/// Reads all lines of a header as one list. Lists are short: all headers of a request are at most as long as larder takes.
fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Option<Hops> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let of_line = |line: &http::HeaderValue| match line.to_str() {
        Ok(line) => line.split(',').map(&read).collect(),
        Err(_) => vec![None],
    };
    Some(lines.flat_map(of_line).collect())
}

/// Reads `for` of one element of `Forwarded`. What is written twice says nothing.
fn for_whom(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, value) = found.next()?;
    match found.next() {
        None => node(value.trim()),
        Some(_) => None,
    }
}

/// Reads an address, with or without quotes, brackets and port.
fn node(text: &str) -> Option<IpAddr> {
    let text = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    let bare = || {
        let inside = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        inside.unwrap_or(text).parse::<IpAddr>().ok()
    };
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare()
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain_of(lines: &[(&'static str, &str)]) -> Chain {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        chain(&headers)
    }

    fn of(hops: &[&str]) -> Chain {
        Chain::Of(hops.iter().map(|hop| hop.parse().ok()).collect())
    }

    #[test]
    fn what_proxies_say() {
        let (xff, std) = ("x-forwarded-for", "forwarded");
        for (lines, found) in [
            (&[][..], Chain::Nothing),
            (&[("x-real-ip", "192.0.2.1")], Chain::Nothing),
            (&[(xff, "192.0.2.1")], of(&["192.0.2.1"])),
            (
                &[(xff, "192.0.2.1, 10.0.0.1:80"), (xff, "[2001:db8::1]:443")],
                of(&["192.0.2.1", "10.0.0.1", "2001:db8::1"]),
            ),
            (&[(xff, "::ffff:192.0.2.1")], of(&["192.0.2.1"])),
            (&[(xff, "2001:db8::1")], of(&["2001:db8::1"])),
            (&[(xff, "192.0.2.1,,unknown")], of(&["192.0.2.1", "", ""])),
            (&[(xff, "")], of(&[""])),
            (&[(xff, "\"192.0.2.1")], of(&[""])),
            (&[(xff, "192.0.2.1 10.0.0.1")], of(&[""])),
            (
                &[(
                    std,
                    "for=192.0.2.1;proto=https, By=x; FOR=\"[2001:db8::1]:4711\"",
                )],
                of(&["192.0.2.1", "2001:db8::1"]),
            ),
            (&[(std, "for=_hidden, by=10.0.0.1")], of(&["", ""])),
            (&[(std, "for=192.0.2.1;for=10.0.0.1")], of(&[""])),
            (
                &[(xff, "192.0.2.1"), (std, "for=\"192.0.2.1:80\"")],
                of(&["192.0.2.1"]),
            ),
            (
                &[(xff, "192.0.2.1"), (std, "for=10.0.0.1")],
                Chain::Disputed,
            ),
        ] {
            assert_eq!(chain_of(lines), found, "{lines:?}");
        }
    }
}

//! Redirects: which answers are one, and where it leads (RFC 9110, section 15.4; RFC 3986, section 5.2).

use http::{StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// How many redirects are followed in a row.
pub(super) const MAX_REDIRECTS: usize = 10;

/// What some registries leave in a `Location` and no URL has.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Returns whether an answer sends us elsewhere. Our methods, GET and HEAD, stay what they are for all of these.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns where a `Location` leads from a URL, `None` when that is no URL at all.
pub(super) fn resolve(base: &Uri, location: &[u8]) -> Option<Uri> {
    let text = percent_encode(location.trim_ascii(), UNFIT).to_string();
    let text = text.split('#').next().unwrap_or_default();
    if has_scheme(text) {
        return absolute(text);
    }
    let scheme = base.scheme_str()?;
    if text.starts_with("//") {
        return absolute(&format!("{scheme}:{text}"));
    }
    let authority = base.authority()?;
    let path = match text.bytes().next() {
        None => base.path_and_query()?.to_string(),
        Some(b'/') => text.to_string(),
        Some(b'?') => format!("{}{text}", base.path()),
        Some(_) => {
            let folder = base
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{text}"))
        }
    };
    absolute(&format!("{scheme}://{authority}{path}"))
}

/// Reads a whole URL: with scheme and host, and with a port that exists if it names one.
pub(super) fn absolute(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let behind_host = url.authority()?.as_str().rsplit(['@', ']']).next()?;
    let port = behind_host.split_once(':').map_or("", |(_, port)| port);
    let is_sound = url.scheme().is_some() && (port.is_empty() || url.port_u16().is_some());
    is_sound.then_some(url)
}

/// Tells whether a text begins with a scheme and a colon.
fn has_scheme(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_inner)
    })
}

/// Resolves `.` and `..` in the path of a path and query.
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    let path = format!("/{}", kept.join("/"));
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_locations_lead() {
        let base: Uri = "https://r.io:8443/v2/a/blobs/x?y=1".parse().unwrap();
        for (location, target) in [
            (
                "https://cdn.io/b?sig=a%2Fb#f",
                Some("https://cdn.io/b?sig=a%2Fb"),
            ),
            ("HTTPS://cdn.io", Some("https://cdn.io/")),
            ("//cdn.io/b", Some("https://cdn.io/b")),
            ("/b?c=/../d", Some("https://r.io:8443/b?c=/../d")),
            ("?z=2", Some("https://r.io:8443/v2/a/blobs/x?z=2")),
            ("", Some("https://r.io:8443/v2/a/blobs/x?y=1")),
            ("z", Some("https://r.io:8443/v2/a/blobs/z")),
            ("../z?q=../r", Some("https://r.io:8443/v2/a/z?q=../r")),
            ("./z/..", Some("https://r.io:8443/v2/a/blobs/")),
            ("../../../../../z", Some("https://r.io:8443/z")),
            (
                " /with space|é ",
                Some("https://r.io:8443/with%20space%7C%C3%A9"),
            ),
            ("mailto:me", None),
            ("https://", None),
            // What is before the '@' is a user, which the rules of trust refuse.
            (
                "https://good.io\\@evil.io/",
                Some("https://good.io%5C@evil.io/"),
            ),
            ("https://evil.io:99999/", None),
        ] {
            let found = resolve(&base, location.as_bytes()).map(|url| url.to_string());
            assert_eq!(found.as_deref(), target, "{location:?}");
        }
    }

    proptest! {
        #[test]
        fn no_location_panics(location: Vec<u8>) {
            let base: Uri = "https://r.io/v2/a".parse().unwrap();
            if let Some(url) = resolve(&base, &location) {
                prop_assert!(url.host().is_some());
            }
        }
    }
}

//! Where a list goes on: the `Link` header of a page (distribution-spec, "Listing Tags"; RFC 8288).

/// Returns the target of the first link to the next page, as it is written, in the values of the `Link` headers.
///
/// What cannot be read ends its value: a list that seems to end is better than one that goes on at a place made up.
pub fn next_page<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    values.into_iter().find_map(|value| {
        let mut links = Links { rest: value };
        links.find_map(|link| link.is_next.then_some(link.target))
    })
}

/// One link of a value.
struct Link<'a> {
    target: &'a str,
    is_next: bool,
}

/// The links of a value, in order.
struct Links<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        let inner = self.rest.trim_start_matches([' ', '\t', ',']);
        let (target, rest) = inner.strip_prefix('<')?.split_once('>')?;
        self.rest = rest;
        let mut rel = None;
        while let Some((name, value)) = self.parameter() {
            // Only the first one counts (RFC 8288, section 3.3).
            if name.eq_ignore_ascii_case("rel") {
                rel = rel.or(Some(value));
            }
        }
        let kinds = rel.unwrap_or_default();
        Some(Link {
            target: target.trim(),
            is_next: kinds
                .split_ascii_whitespace()
                .any(|kind| kind.eq_ignore_ascii_case("next")),
        })
    }
}

impl<'a> Links<'a> {
    /// Takes the next parameter of the link at hand, `None` behind the last one.
    fn parameter(&mut self) -> Option<(&'a str, &'a str)> {
        let inner = self.rest.trim_start().strip_prefix(';')?.trim_start();
        let (name, behind) = inner.split_at(inner.find(['=', ';', ',']).unwrap_or(inner.len()));
        let Some(value) = behind.strip_prefix('=') else {
            self.rest = behind;
            return Some((name.trim_end(), ""));
        };
        let value = value.trim_start();
        let (value, rest) = match value.strip_prefix('"') {
            Some(quoted) => until_quote(quoted),
            None => value.split_at(value.find([';', ',']).unwrap_or(value.len())),
        };
        self.rest = rest;
        Some((name.trim_end(), value.trim_end()))
    }
}

/// Splits behind the quote that ends a quoted text. Relations have no escapes, so they are left as they are.
fn until_quote(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => return (&text[..at], &text[at + 1..]),
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn how_registries_write_the_next_page() {
        for (value, next) in [
            (
                r#"</v2/a/tags/list?last=1&n=2>; rel="next""#,
                Some("/v2/a/tags/list?last=1&n=2"),
            ),
            ("<?last=1>;rel=next", Some("?last=1")),
            (
                "< https://r.io/x >  ; REL = \"Next\" ",
                Some("https://r.io/x"),
            ),
            (
                r#"<a,b;c>; title="x, <y>; \"rel=\""; rel=next"#,
                Some("a,b;c"),
            ),
            (r#"<a>; rel="prev", <b>; rel="last next"; n=1"#, Some("b")),
            ("<a>; rel=prev; rel=next", None),
            ("<a>; rel", None),
            ("<a>", None),
            (r#"<a>; title="rel=next"#, None),
            ("a; rel=next", None),
            ("<a; rel=next", None),
            ("", None),
            (",, <a>;;rel=next", Some("a")),
        ] {
            assert_eq!(next_page([value]), next, "{value}");
        }
        assert_eq!(next_page(["<a>; rel=prev", "<b>; rel=next"]), Some("b"));
        assert_eq!(next_page([]), None);
    }

    proptest! {
        #[test]
        fn no_value_panics(value in ".*", links in "[<>;,= \"\\\\relnxt]*") {
            for value in [value, links] {
                if let Some(next) = next_page([value.as_str()]) {
                    prop_assert!(value.contains(next));
                }
            }
        }
    }
}

//! Conditions on entity tags (RFC 9110, section 13). The entity tag of content is its digest, in quotes.

use super::digest::Digest;

/// The value of an `If-Match`, `If-None-Match` or `If-Range` header, all lines joined.
///
/// Quotes may be missing and tags may be weak: registries and their clients write all of these forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTags<'a>(&'a str);

impl<'a> EntityTags<'a> {
    /// Takes the value of the header.
    pub fn new(value: &'a str) -> Self {
        Self(value)
    }

    /// Returns whether one of the tags is this digest, or all are meant by `*`.
    pub fn matches(&self, digest: &Digest) -> bool {
        let expected = digest.to_string();
        self.0
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || bare(tag) == expected)
    }

    /// Returns the digest that the only tag is, if it is one: some registries name content in `ETag` alone.
    pub fn digest(&self) -> Option<Digest> {
        bare(self.0.trim()).parse().ok()
    }
}

/// Strips the weakness mark and the quotes.
fn bare(tag: &str) -> &str {
    let strong = tag.strip_prefix("W/").unwrap_or(tag);
    strong
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(strong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_entity_tags() {
        let hex = "c".repeat(64);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        for (value, matches) in [
            (format!("\"{digest}\""), true),
            (digest.to_string(), true),
            (format!("W/\"{digest}\""), true),
            (format!("\"x\", \"{digest}\""), true),
            ("*".into(), true),
            ("\"x\"".into(), false),
            (String::new(), false),
            (format!("\"{hex}\""), false),
            (format!("\"{digest}"), false),
        ] {
            assert_eq!(EntityTags::new(&value).matches(&digest), matches, "{value}");
        }
        assert_eq!(
            EntityTags::new(&format!("\"{digest}\"")).digest(),
            Some(digest)
        );
        assert_eq!(EntityTags::new("\"abc\"").digest(), None);
    }
}

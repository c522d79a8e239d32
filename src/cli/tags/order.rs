//! The order in which tags are shown: versions before everything else, the newest first, then the rest by alphabet.
//!
//! A version is numbers with dots between them, perhaps after a `v`, and perhaps with words behind them: `3`, `1.25`,
//! `v1.2.3`, `2024.01.15`, `1.25-alpine3.20`, `1.2.3-rc.1`, `3.13.0b2`. Numbers are compared as numbers. Of the same
//! numbers, the plain version is the newest, then come its variants (`-alpine`), then what was before it: `-rc.2`, `-rc.1`,
//! `-beta`.

use std::cmp::{Ordering, Reverse};

use crate::oci::Tag;

/// Words that say that something came before the version.
const BEFORE: [&str; 17] = [
    "a",
    "alpha",
    "b",
    "beta",
    "c",
    "canary",
    "dev",
    "ea",
    "m",
    "milestone",
    "next",
    "nightly",
    "pre",
    "preview",
    "prerelease",
    "rc",
    "snapshot",
];

/// Sorts tags into the order in which they are shown, and drops those that are there twice.
pub(super) fn sort(tags: &mut Vec<Tag>) {
    tags.sort_by_cached_key(|tag| Rank::of(tag.as_str()));
    tags.dedup();
}

/// Where a tag stands. Less is shown before more; tags that differ are never equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    version: Place,
    /// What decides between `1.0`, `v1.0` and `01.0`, and among all that is no version.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Version {
        numbers: Reverse<Vec<Number>>,
        stage: Stage,
        suffix: Vec<Part>,
    },
    Other,
}

/// Whether a version is out, or else the word that says how near it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Released,
    Before(Reverse<String>),
}

/// A piece of what stands behind the numbers. A text that ends is shown first, then words, then numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    Number(Reverse<Number>),
}

/// A number of any length, without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Number(String);

impl Number {
    fn of(digits: &str) -> Self {
        Self(digits.trim_start_matches('0').to_owned())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Rank {
    fn of(tag: &str) -> Self {
        Self {
            version: version(tag).unwrap_or(Place::Other),
            text: tag.to_owned(),
        }
    }
}

/// Reads a tag as a version.
fn version(tag: &str) -> Option<Place> {
    let mut rest = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let mut numbers = Vec::new();
    loop {
        let digits;
        (digits, rest) = split_while(rest, |b| b.is_ascii_digit());
        if digits.is_empty() {
            return None;
        }
        numbers.push(Number::of(digits));
        match rest.strip_prefix('.') {
            Some(more) if more.starts_with(|c: char| c.is_ascii_digit()) => rest = more,
            _ => break,
        }
    }
    let mut suffix = parts(rest);
    let known = match suffix.first() {
        Some(Part::Word(word)) if BEFORE.contains(&word.as_str()) => Some(word.clone()),
        Some(Part::Word(_) | Part::Number(_)) | None => None,
    };
    let is_joined = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_joined && !known.as_ref().is_some_and(|word| stands_alone(rest, word)) {
        return None;
    }
    let stage = match known {
        Some(word) => {
            suffix.remove(0);
            Stage::Before(Reverse(word))
        }
        None => Stage::Released,
    };
    Some(Place::Version {
        numbers: Reverse(numbers),
        stage,
        suffix,
    })
}

/// Tells whether nothing but a number follows a word at the beginning of a text, up to its end or a separator: `rc1` is
/// what it says, and the letters of a hash (`7e59bad`) are not.
fn stands_alone(text: &str, word: &str) -> bool {
    let (_, behind) = split_while(&text[word.len()..], |b| b.is_ascii_digit());
    behind.is_empty() || behind.starts_with(is_separator)
}

/// Splits a suffix into words and numbers.
fn parts(mut rest: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        rest = rest.trim_start_matches(is_separator);
        let (digits, behind) = split_while(rest, |b| b.is_ascii_digit());
        let (word, behind) = if digits.is_empty() {
            split_while(behind, |b| b.is_ascii_alphabetic())
        } else {
            ("", behind)
        };
        match (digits, word) {
            ("", "") => return parts,
            ("", word) => parts.push(Part::Word(word.to_ascii_lowercase())),
            (digits, _) => parts.push(Part::Number(Reverse(Number::of(digits)))),
        }
        rest = behind;
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '.' | '_')
}

/// Splits behind the bytes at the beginning for which something holds.
fn split_while(text: &str, holds: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !holds(b));
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(tags: &[&str]) -> Vec<String> {
        let mut tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        sort(&mut tags);
        tags.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_comes_first_and_the_rest_last() {
        for order in [
            &["v1.10.0", "v1.9.0", "v1.9", "v1.2.3", "v1"][..],
            &["3.20", "3.19.4", "3.19.3", "3.19", "edge", "latest"],
            &["1.2.3", "1.2.3-rc.10", "1.2.3-rc.2", "1.2.3-beta", "1.2.2"],
            &[
                "1.2.3",
                "v1.2.3",
                "1.2.3-alpine",
                "1.2.3-slim",
                "v1.2.3-rc1",
            ],
            &[
                "1.25",
                "1.25-alpine",
                "1.25-alpine3.20",
                "1.25-alpine3.9",
                "1.25-bookworm",
                "1.24-alpine",
            ],
            &[
                "3.13.0",
                "3.13.0-slim",
                "3.13.0rc1",
                "3.13.0rc1-slim",
                "3.13.0b1",
                "3.13.0a2",
                "3.12.8",
            ],
            &["20240115", "20231231", "2024.01.15", "2024.01.2", "7"],
            &["18446744073709551617", "18446744073709551616", "1"],
            &[
                "1.0.0-SNAPSHOT",
                "0.9",
                "7e59bad",
                "Main",
                "V",
                "abc",
                "main",
                "sha256-1.sig",
                "v",
                "v-1",
                "vendor",
            ],
            &["1.x", "1_1"],
        ] {
            let mut backwards = order.to_vec();
            backwards.reverse();
            assert_eq!(sorted(order), order);
            assert_eq!(sorted(&backwards), order);
        }
    }

    #[test]
    fn a_tag_is_shown_once() {
        assert_eq!(sorted(&["1", "latest", "1", "01"]), ["01", "1", "latest"]);
    }

    proptest! {
        #[test]
        fn the_order_is_total(
            tags in prop::collection::vec("(v?[0-2]{1,2}(\\.[0-2]){0,2})?([.-]?(rc|alpine|x|b)?[0-9]{0,2}){0,2}", 3)
        ) {
            let [a, b, c] = [0, 1, 2].map(|index| Rank::of(&tags[index]));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, tags[0] == tags[1]);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        #[test]
        fn no_tag_panics(tag in "[a-zA-Z0-9_.-]{1,40}") {
            prop_assert_eq!(Rank::of(&tag), Rank::of(&tag));
        }
    }
}

//! How long an answer is fresh when its owner says nothing: what a tag looks like tells how often it moves.

use std::time::Duration;

use super::{Freshness, Subject};
use crate::cache::sight::Visibility;

/// For tags that tell nothing.
const USUAL: Duration = Duration::from_mins(10);
/// For full versions, which are hardly ever made again.
const VERSION: Duration = Duration::from_hours(24);
/// For tags that are there to move.
const MOVING: Duration = Duration::from_secs(5);
/// For signatures and what else refers to a manifest: it comes soon after the manifest.
const SIGNATURES: Duration = Duration::from_secs(60);
/// For private repositories: whoever lost a login is to lose what it opened.
const PRIVATE: Duration = Duration::from_secs(5);

/// The names of tags that are there to move, and what begins the names of more.
const MOVING_NAMES: [&str; 5] = ["latest", "main", "master", "edge", "nightly"];
const MOVING_PREFIX: &str = "dev";

/// Returns how long an answer is fresh when nothing is said.
pub(super) fn freshness(visibility: Visibility, subject: Subject<'_>) -> Freshness {
    Freshness::For(match (visibility, subject) {
        (Visibility::Private, _) => PRIVATE,
        (Visibility::Public, Subject::Tags) => USUAL,
        (Visibility::Public, Subject::Referrers(_)) => SIGNATURES,
        (Visibility::Public, Subject::Tag(tag)) => of_tag(tag.as_str()),
    })
}

fn of_tag(tag: &str) -> Duration {
    if MOVING_NAMES.contains(&tag) || tag.starts_with(MOVING_PREFIX) {
        MOVING
    } else if tag.starts_with("sha256-") || tag.starts_with("sha512-") {
        SIGNATURES
    } else if is_full_version(tag) {
        VERSION
    } else {
        USUAL
    }
}

/// Tells whether a tag names a version in full: three numbers, perhaps with a `v` before them and a suffix behind.
fn is_full_version(tag: &str) -> bool {
    let mut rest = tag.strip_prefix('v').unwrap_or(tag);
    for number in 0..3 {
        if number > 0 {
            let Some(behind) = rest.strip_prefix('.') else {
                return false;
            };
            rest = behind;
        }
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if behind.len() == rest.len() {
            return false;
        }
        rest = behind;
    }
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Digest, Tag};

    #[test]
    fn what_tags_look_like() {
        for (tag, fresh) in [
            ("1.2.3", VERSION),
            ("v1.2.3", VERSION),
            ("v1.2.3-x", VERSION),
            ("1.2.3_4", VERSION),
            ("1.2.3.4", VERSION),
            ("10.0.19-alpine", VERSION),
            ("1.2", USUAL),
            ("v1", USUAL),
            ("1.2.x", USUAL),
            ("1.2.3rc1", USUAL),
            ("vv1.2.3", USUAL),
            ("3.20", USUAL),
            ("stable", USUAL),
            ("latest", MOVING),
            ("latest-alpine", USUAL),
            ("main", MOVING),
            ("master", MOVING),
            ("edge", MOVING),
            ("nightly", MOVING),
            ("dev", MOVING),
            ("develop", MOVING),
            ("Latest", USUAL),
            ("sha256-0a1b.sig", SIGNATURES),
            ("sha256-0a1b", SIGNATURES),
            ("sha512-0a1b", SIGNATURES),
        ] {
            assert_eq!(of_tag(tag), fresh, "{tag}");
        }
    }

    #[test]
    fn what_is_private_is_fresh_for_seconds() {
        let tag: Tag = "1.2.3".parse().unwrap();
        let digest = Digest::Sha256([0; 32]);
        for (subject, public) in [
            (Subject::Tag(&tag), VERSION),
            (Subject::Tags, USUAL),
            (Subject::Referrers(&digest), SIGNATURES),
        ] {
            let public = Freshness::For(public);
            assert_eq!(freshness(Visibility::Public, subject), public);
            let private = Freshness::For(PRIVATE);
            assert_eq!(freshness(Visibility::Private, subject), private);
        }
    }
}

//! What may be written of how fresh a tag is: in `[tags]` for all, in `[[upstream]]` for one registry, and in
//! `[[upstream.tag_rule]]` for some of its tags.

use std::time::Duration;

use crate::cache::freshness::{Freshness, StaleLimit};
use crate::config::fault::Place;
use crate::config::reader::{Located, Section, Table};
use crate::config::values;
use crate::oci::ImagePattern;

/// The keys of the freshness contract. What one place leaves out the next says: the first rule that matches, its
/// upstream, `[tags]`, and then the default.
#[derive(Debug, Default)]
pub(in crate::config) struct TagKeys {
    /// How long a tag goes out before its registry is asked again, give or take a tenth: a duration with its unit
    /// (`"10m"`), `"always"` (ask each time) or `"immutable"` (never ask again). Default: by what the tag looks like;
    /// see `cache/freshness/shape.rs`.
    ///
    /// Danger: with `"immutable"`, a tag that moves upstream keeps its old content here. What is written in `[tags]` or
    /// for an upstream counts for private repositories too, of which the default is 5 seconds: for as long, who lost
    /// access keeps what is here.
    pub(in crate::config) freshness: Option<Located<Freshness>>,
    /// How long, after that, it still goes out while the registry cannot be reached or is in trouble: a duration, `0`
    /// (not at all) or `"unlimited"`. Default: `"unlimited"`.
    pub(in crate::config) stale_on_unreachable: Option<Located<StaleLimit>>,
    /// The same, while the registry allows no more requests. Default: `"unlimited"`.
    pub(in crate::config) stale_on_rate_limit: Option<Located<StaleLimit>>,
    /// The same, while the registry says that there is no such tag. Default: `0`.
    ///
    /// Danger: with more, what was deleted upstream can still be pulled here.
    pub(in crate::config) stale_on_not_found: Option<Located<StaleLimit>>,
    /// The same, while the registry refuses larder. Default: `"24h"` for what is public, `0` for what is private.
    ///
    /// Danger: with more, who lost access upstream can still pull here what is private.
    pub(in crate::config) stale_on_denied: Option<Located<StaleLimit>>,
    /// How long a client waits for the registry before it gets what is here, and the registry is asked on behind it: a
    /// duration up to `"10s"`; `0` is not at all. Default: `"1.5s"`.
    pub(in crate::config) answer_within: Option<Located<Duration>>,
}

impl TagKeys {
    pub(super) fn read(section: &mut impl Section) -> Self {
        Self {
            freshness: section.text_or_zero("freshness", values::freshness),
            stale_on_unreachable: section.text_or_zero("stale_on_unreachable", values::stale_limit),
            stale_on_rate_limit: section.text_or_zero("stale_on_rate_limit", values::stale_limit),
            stale_on_not_found: section.text_or_zero("stale_on_not_found", values::stale_limit),
            stale_on_denied: section.text_or_zero("stale_on_denied", values::stale_limit),
            answer_within: section.text_or_zero("answer_within", values::answer_within),
        }
    }

    pub(super) fn over(self, weaker: Self) -> Self {
        Self {
            freshness: self.freshness.or(weaker.freshness),
            stale_on_unreachable: self.stale_on_unreachable.or(weaker.stale_on_unreachable),
            stale_on_rate_limit: self.stale_on_rate_limit.or(weaker.stale_on_rate_limit),
            stale_on_not_found: self.stale_on_not_found.or(weaker.stale_on_not_found),
            stale_on_denied: self.stale_on_denied.or(weaker.stale_on_denied),
            answer_within: self.answer_within.or(weaker.answer_within),
        }
    }
}

/// `[[upstream.tag_rule]]`: what is different for some tags of a registry. The first rule that matches counts.
#[derive(Debug)]
pub(in crate::config) struct TagRuleKeys {
    /// Which tags: `repository:tag`, as the registry calls them; without `:`, all tags. `*` stops at `/`, `**` does not.
    /// Has to be written.
    pub(in crate::config) images: Option<Located<ImagePattern>>,
    /// What holds for them. At least one has to be written.
    pub(in crate::config) keys: TagKeys,
    /// How many keys are written, be they right or wrong.
    pub(in crate::config) written: usize,
    pub(in crate::config) place: Place,
}

impl TagRuleKeys {
    /// What may be written of the tags of a rule.
    pub(in crate::config) const KEYS: [&str; 6] = [
        "freshness",
        "stale_on_unreachable",
        "stale_on_rate_limit",
        "stale_on_not_found",
        "stale_on_denied",
        "answer_within",
    ];

    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let is_written = |key: &&&str| table.place_of(key).is_some();
        Self {
            written: Self::KEYS.iter().filter(is_written).count(),
            place: table.place(),
            images: table.required_text("match", values::image_pattern),
            keys: TagKeys::read(table),
        }
    }
}

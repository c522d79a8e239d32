//! What a repository is taken for: pure decisions from what is known of it, who asks, and the time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::error::CacheError;
use crate::cache::sight::Visibility;
use crate::runtime::Timestamp;
use crate::upstream::Openness;

/// How long the registry's word on whether a repository is public counts.
pub(super) const VISIBILITY_COUNTS: Duration = Duration::from_hours(24);
/// How long it counts that the registry refused somebody without a login, for those to whom the repository is refused
/// because of it. Docker Hub and GHCR refuse everybody what does not exist yet, and it may be pushed for all to see.
const REFUSAL_COUNTS: Duration = Duration::from_mins(10);
/// How long a repository is taken for public on an old word, while the registry is asked behind the answer. After it the
/// registry is asked first: twice as long, so that a client a day is enough to keep it from being waited for.
const PUBLIC_LASTS: Duration = VISIBILITY_COUNTS.saturating_mul(2);
/// How long it counts that the registry had nothing to show to somebody without a login, or could not be asked.
pub(super) const NO_WORD_COUNTS: Duration = Duration::from_mins(1);

/// What is known of whether a repository is public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// The last word of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) said: Option<Said>,
    /// When the registry last said, since that word, that there is no such thing: so it may hide what is private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unsaid: Option<Timestamp>,
}

/// A word of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) visibility: Visibility,
    pub(super) at: Timestamp,
}

impl Finding {
    /// Returns the last word of the registry, if it counts without asking again for somebody who may see this much.
    pub(super) fn fresh(&self, reach: Reach, now: Timestamp) -> Option<Visibility> {
        let said = self.said?;
        let period = match (said.visibility, reach) {
            (Visibility::Public, _) | (Visibility::Private, Reach::All) => VISIBILITY_COUNTS,
            (Visibility::Private, Reach::PublicOnly) => REFUSAL_COUNTS,
        };
        counts(said.at, period, now).then_some(said.visibility)
    }

    /// Returns what is known after the registry was heard.
    pub(super) fn hearing(self, openness: Openness, now: Timestamp) -> Self {
        let said = |visibility| Self {
            said: Some(Said {
                visibility,
                at: now,
            }),
            unsaid: None,
        };
        let is_doubted = self
            .unsaid
            .is_some_and(|at| counts(at, NO_WORD_COUNTS, now));
        match openness {
            Openness::Open => said(Visibility::Public),
            Openness::Closed => said(Visibility::Private),
            Openness::Unsaid if is_doubted || self.fresh(Reach::All, now).is_some() => self,
            Openness::Unsaid => Self {
                unsaid: Some(now),
                ..self
            },
        }
    }

    /// Returns the last word of the registry, whatever its age.
    pub(super) fn last(&self) -> Option<Visibility> {
        self.said.map(|said| said.visibility)
    }

    /// Returns what the last word makes of a repository while the registry cannot be asked.
    fn outlasting(&self, now: Timestamp) -> Option<Verdict> {
        self.said.map(|said| match said.visibility {
            Visibility::Private => Verdict::Private,
            Visibility::Public if self.unsaid.is_none() && counts(said.at, PUBLIC_LASTS, now) => {
                Verdict::Public
            }
            Visibility::Public => Verdict::OncePublic,
        })
    }
}

/// What a repository is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Anybody may read it.
    Public,
    /// Anybody could read it when the registry was last heard, and that was long ago or is in doubt. What is here may go
    /// out; nothing comes by a login that somebody without one would not get.
    OncePublic,
    /// Whoever has a login may read it.
    Private,
}

impl Verdict {
    /// Returns who may read.
    pub(super) fn visibility(self) -> Visibility {
        match self {
            Self::Public | Self::OncePublic => Visibility::Public,
            Self::Private => Visibility::Private,
        }
    }
}

impl From<Visibility> for Verdict {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Private => Self::Private,
        }
    }
}

/// Tells whether something of that moment still counts. A moment in the future means that the clock was set back: it
/// says nothing.
pub(super) fn counts(at: Timestamp, period: Duration, now: Timestamp) -> bool {
    at <= now && now.since(at) < period
}

/// What came of asking in the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lately {
    /// Nobody asked.
    Nothing,
    /// Somebody without a login was told that the thing that is wanted now does not exist.
    Unsaid,
    /// The registry could not be asked.
    Failed,
}

/// How much a caller may see of a repository: what [`super::may_read`] says of it if it is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    PublicOnly,
}

/// What to do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take the repository for this.
    Take(Verdict),
    /// Take it for this, and ask the registry behind the answer.
    TakeAndAsk(Verdict),
    /// Ask the registry first.
    Ask,
}

/// Decides what a repository is taken for. In doubt it is private; who may see that needs not wait for the truth.
pub(super) fn decide(finding: &Finding, lately: Lately, reach: Reach, now: Timestamp) -> Step {
    if let Some(visibility) = finding.fresh(reach, now) {
        return Step::Take(visibility.into());
    }
    match (finding.outlasting(now), lately, reach) {
        (_, Lately::Unsaid, _) => Step::Take(Verdict::Private),
        (Some(last), Lately::Failed, _) => Step::Take(last),
        (Some(Verdict::Public), Lately::Nothing, _) => Step::TakeAndAsk(Verdict::Public),
        (Some(Verdict::OncePublic), Lately::Nothing, _) => Step::Ask,
        (Some(Verdict::Private), Lately::Nothing, Reach::All) => Step::TakeAndAsk(Verdict::Private),
        (Some(Verdict::Private), Lately::Nothing, Reach::PublicOnly) => Step::Ask,
        (None, Lately::Failed, Reach::All) => Step::Take(Verdict::Private),
        (None, Lately::Nothing, Reach::All) => match finding.unsaid {
            None => Step::Ask,
            Some(at) if counts(at, NO_WORD_COUNTS, now) => Step::Take(Verdict::Private),
            Some(_) => Step::TakeAndAsk(Verdict::Private),
        },
        (None, Lately::Nothing | Lately::Failed, Reach::PublicOnly) => Step::Ask,
    }
}

/// Decides what a repository is taken for after the registry was asked. Where it could not be, its last word counts,
/// for as much as it is worth by now.
pub(super) fn conclude(
    answer: Result<Openness, CacheError>,
    finding: &Finding,
    reach: Reach,
    now: Timestamp,
) -> Result<Verdict, CacheError> {
    match (answer, finding.outlasting(now), reach) {
        (Ok(Openness::Open), _, _) => Ok(Verdict::Public),
        (Ok(Openness::Closed | Openness::Unsaid), _, _) => Ok(Verdict::Private),
        (Err(_), Some(last), _) => Ok(last),
        (Err(_), None, Reach::All) => Ok(Verdict::Private),
        (Err(error), None, Reach::PublicOnly) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;
    const DAY: u64 = 24 * 60 * 60 * 1000;
    const MINUTE: u64 = 60 * 1000;

    fn finding(said: Option<(Visibility, u64)>, unsaid: Option<u64>) -> Finding {
        let ago = |millis| Timestamp::from_millis(NOW - millis);
        Finding {
            said: said.map(|(visibility, millis)| Said {
                visibility,
                at: ago(millis),
            }),
            unsaid: unsaid.map(ago),
        }
    }

    /// What was said how long ago, what was not, what came of asking, and what is done for those who see all and for
    /// the others.
    type Row = (Option<(Visibility, u64)>, Option<u64>, Lately, [Step; 2]);

    fn check(rows: &[Row]) {
        for (said, unsaid, lately, [all, public_only]) in rows {
            let known = finding(*said, *unsaid);
            for (reach, step) in [(Reach::All, all), (Reach::PublicOnly, public_only)] {
                let found = decide(&known, *lately, reach, Timestamp::from_millis(NOW));
                assert_eq!(found, *step, "{known:?} {lately:?} {reach:?}");
            }
        }
    }

    fn take(visibility: Visibility) -> Step {
        Step::Take(visibility.into())
    }

    fn take_and_ask(visibility: Visibility) -> Step {
        Step::TakeAndAsk(visibility.into())
    }

    #[test]
    fn decisions_on_a_word() {
        use Lately::{Failed, Nothing, Unsaid};
        use Step::Ask;
        use Visibility::{Private, Public};
        let (fresh, old, overdue) = (DAY - 1, DAY, 2 * DAY);
        let refused = 10 * MINUTE - 1;
        check(&[
            // A word counts for a day, whatever happens meanwhile.
            (Some((Public, 0)), None, Nothing, [take(Public); 2]),
            (Some((Public, fresh)), None, Nothing, [take(Public); 2]),
            (Some((Public, fresh)), Some(1), Unsaid, [take(Public); 2]),
            (Some((Private, 0)), None, Nothing, [take(Private); 2]),
            (Some((Private, refused)), None, Nothing, [take(Private); 2]),
            // A refusal counts as long only for those whom it does not keep out.
            (
                Some((Private, refused + 1)),
                None,
                Nothing,
                [take(Private), Ask],
            ),
            (Some((Private, fresh)), None, Nothing, [take(Private), Ask]),
            (Some((Private, fresh)), None, Failed, [take(Private); 2]),
            (Some((Private, fresh)), None, Unsaid, [take(Private); 2]),
            // After it, what is served anyway is served at once, and others wait for what may open it to them.
            (
                Some((Public, old)),
                None,
                Nothing,
                [take_and_ask(Public); 2],
            ),
            (
                Some((Private, old)),
                None,
                Nothing,
                [take_and_ask(Private), Ask],
            ),
            (
                Some((Public, overdue - 1)),
                None,
                Nothing,
                [take_and_ask(Public); 2],
            ),
            // Not for ever.
            (Some((Public, overdue)), None, Nothing, [Ask; 2]),
            (
                Some((Private, overdue)),
                None,
                Nothing,
                [take_and_ask(Private), Ask],
            ),
        ]);
    }

    #[test]
    fn decisions_in_doubt() {
        use Lately::{Failed, Nothing, Unsaid};
        use Step::Ask;
        use Visibility::{Private, Public};
        let once_public = Step::Take(Verdict::OncePublic);
        let (old, overdue) = (DAY, 2 * DAY);
        check(&[
            // The old word holds while the registry cannot be asked, but opens nothing new.
            (Some((Public, old)), None, Failed, [take(Public); 2]),
            (Some((Public, overdue - 1)), None, Failed, [take(Public); 2]),
            (Some((Public, overdue)), None, Failed, [once_public; 2]),
            (Some((Public, old)), Some(1), Failed, [once_public; 2]),
            (Some((Private, overdue)), None, Failed, [take(Private); 2]),
            (Some((Private, old)), None, Failed, [take(Private); 2]),
            // What is hidden is private; that it was public before makes no difference.
            (Some((Public, old)), Some(MINUTE), Nothing, [Ask; 2]),
            (Some((Public, old)), Some(1), Nothing, [Ask; 2]),
            (Some((Public, old)), Some(1), Unsaid, [take(Private); 2]),
            (Some((Private, old)), Some(1), Unsaid, [take(Private); 2]),
            // Without a word there is nothing for those who may see only what is public.
            (None, None, Nothing, [Ask, Ask]),
            (None, None, Failed, [take(Private), Ask]),
            (None, Some(1), Nothing, [take(Private), Ask]),
            (None, Some(MINUTE - 1), Nothing, [take(Private), Ask]),
            (None, Some(MINUTE), Nothing, [take_and_ask(Private), Ask]),
            (None, Some(1), Unsaid, [take(Private); 2]),
        ]);
    }

    #[test]
    fn a_word_from_the_future_says_nothing() {
        let known = finding(Some((Visibility::Public, 0)), None);
        let before = Timestamp::from_millis(NOW - 1);
        assert_eq!(known.fresh(Reach::All, before), None);
        let found = decide(&known, Lately::Nothing, Reach::PublicOnly, before);
        assert_eq!(found, Step::Ask);
        let found = conclude(Err(CacheError::TooSlow), &known, Reach::PublicOnly, before);
        assert_eq!(found.unwrap(), Verdict::OncePublic);
    }

    #[test]
    fn what_is_known_after_a_word() {
        use Openness::{Closed, Open, Unsaid};
        use Visibility::{Private, Public};
        let now = Timestamp::from_millis(NOW);
        for (said, unsaid, openness, said_then, unsaid_then) in [
            (None, None, Open, Some((Public, 0)), None),
            (None, Some(1), Closed, Some((Private, 0)), None),
            (
                Some((Public, DAY)),
                Some(1),
                Closed,
                Some((Private, 0)),
                None,
            ),
            (Some((Private, DAY)), None, Open, Some((Public, 0)), None),
            (None, None, Unsaid, None, Some(0)),
            (None, Some(MINUTE), Unsaid, None, Some(0)),
            // Not written down each time.
            (None, Some(1), Unsaid, None, Some(1)),
            // Nothing is a word against a fresh one; against an old one it is a doubt.
            (Some((Public, 1)), None, Unsaid, Some((Public, 1)), None),
            (
                Some((Public, DAY)),
                None,
                Unsaid,
                Some((Public, DAY)),
                Some(0),
            ),
        ] {
            let found = finding(said, unsaid).hearing(openness, now);
            assert_eq!(
                found,
                finding(said_then, unsaid_then),
                "{said:?} {unsaid:?} {openness:?}"
            );
        }
    }

    #[test]
    fn conclusions() {
        use Verdict::{OncePublic, Private, Public};
        let (public, private) = (Visibility::Public, Visibility::Private);
        for (answer, said, unsaid, [all, public_only]) in [
            (Ok(Openness::Open), None, None, [Some(Public); 2]),
            (
                Ok(Openness::Open),
                Some((private, DAY)),
                None,
                [Some(Public); 2],
            ),
            (
                Ok(Openness::Closed),
                Some((public, DAY)),
                None,
                [Some(Private); 2],
            ),
            (
                Ok(Openness::Unsaid),
                Some((public, DAY)),
                None,
                [Some(Private); 2],
            ),
            (Ok(Openness::Unsaid), None, None, [Some(Private); 2]),
            (
                Err(()),
                Some((public, 2 * DAY - 1)),
                None,
                [Some(Public); 2],
            ),
            (
                Err(()),
                Some((public, 2 * DAY)),
                None,
                [Some(OncePublic); 2],
            ),
            (Err(()), Some((public, DAY)), Some(1), [Some(OncePublic); 2]),
            (Err(()), Some((private, DAY)), None, [Some(Private); 2]),
            (Err(()), None, None, [Some(Private), None]),
        ] {
            for (reach, verdict) in [(Reach::All, all), (Reach::PublicOnly, public_only)] {
                let answer = answer.map_err(|()| CacheError::TooSlow);
                let told = format!("{answer:?} {said:?} {unsaid:?} {reach:?}");
                let known = finding(said, unsaid);
                let found = conclude(answer, &known, reach, Timestamp::from_millis(NOW));
                assert_eq!(found.ok(), verdict, "{told}");
            }
        }
    }
}

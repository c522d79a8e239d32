//! What to do with a refusal: show a token, show it again, get another one, or take it as the answer.

pub(super) mod challenge;
pub(super) mod tokens;

use http::StatusCode;

use self::challenge::{Challenge, Complaint};
use self::tokens::{Errand, Token};
use crate::oci::RepositoryName;

/// A token that was shown with a request, and the history of that.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) errand: Errand,
    pub(super) token: Token,
    /// How often a token was got for this request.
    pub(super) fetched: u32,
    /// How often this token was shown again.
    pub(super) repeated: u32,
}

impl Shown {
    /// Shows the same token again.
    pub(super) fn again(self) -> Self {
        Self {
            repeated: self.repeated + 1,
            ..self
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The answer stands.
    Accept,
    /// Wait a moment and show the same token again: the clock of the registry may be behind that of the token service.
    Repeat,
    /// Get this token and show it.
    Fetch(Errand),
}

/// How often a token that was just issued is shown again.
const MAX_REPEATS: u32 = 2;

/// Decides what follows an answer. `wanted` is the errand that its challenge leads to, with its complaint.
pub(super) fn next(
    status: StatusCode,
    wanted: Option<(Errand, Option<Complaint>)>,
    shown: Option<&Shown>,
) -> Next {
    match (status, shown) {
        (StatusCode::UNAUTHORIZED, None) => match wanted {
            Some((errand, _)) => Next::Fetch(errand),
            None => Next::Accept,
        },
        (StatusCode::UNAUTHORIZED, Some(shown)) => {
            let (errand, complaint) = match wanted {
                Some((errand, complaint)) => (errand, complaint),
                None => (shown.errand.clone(), None),
            };
            let is_same = errand == shown.errand;
            let is_too_new =
                shown.token.is_young() && complaint != Some(Complaint::InsufficientScope);
            if is_same && is_too_new && shown.repeated < MAX_REPEATS {
                Next::Repeat
            } else if shown.fetched == 0 || (shown.fetched == 1 && !is_same) {
                Next::Fetch(errand)
            } else {
                Next::Accept
            }
        }
        // Some registries refuse a token that ran out this way.
        (StatusCode::FORBIDDEN, Some(shown)) if shown.fetched == 0 && shown.token.is_old() => {
            Next::Fetch(shown.errand.clone())
        }
        _ => Next::Accept,
    }
}

/// Returns the scopes to ask for: those of the challenge first, since some services look at the first only, then reading
/// the repository, unless that is among them.
pub(super) fn scopes(challenge: &Challenge, repository: &RepositoryName) -> Vec<String> {
    let allows_reading = |scope: &String| {
        scope
            .strip_prefix("repository:")
            .and_then(|rest| rest.rsplit_once(':'))
            .is_some_and(|(name, actions)| {
                let mut actions = actions.split(',');
                name == repository.as_str() && actions.any(|action| matches!(action, "pull" | "*"))
            })
    };
    let mut scopes = challenge.scopes.clone();
    if !scopes.iter().any(allows_reading) {
        scopes.push(format!("repository:{repository}:pull"));
    }
    scopes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shown(errand: &Errand, fetched: u32, repeated: u32) -> Shown {
        Shown {
            errand: errand.clone(),
            token: Token::sample(Duration::from_secs(300)),
            fetched,
            repeated,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_a_refusal() {
        let (same, other) = (Errand::sample("a"), Errand::sample("b"));
        let (denied, forbidden) = (StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN);
        let fetch = |errand: &Errand| Next::Fetch(errand.clone());
        let insufficient = Some((same.clone(), Some(Complaint::InsufficientScope)));
        let invalid = Some((same.clone(), Some(Complaint::InvalidToken)));
        let plain = Some((same.clone(), None));
        let new = |fetched, repeated| Some(shown(&same, fetched, repeated));
        let old = |fetched| {
            let mut old = shown(&same, fetched, 0);
            old.token = old.token.aged(Duration::from_secs(200));
            Some(old)
        };
        for (number, (status, wanted, shown, expected)) in [
            (StatusCode::OK, None, new(0, 0), Next::Accept),
            (denied, None, None, Next::Accept),
            (denied, plain.clone(), None, fetch(&same)),
            // A token that was issued this moment.
            (denied, plain.clone(), new(1, 0), Next::Repeat),
            (denied, invalid.clone(), new(1, 1), Next::Repeat),
            (denied, None, new(1, 1), Next::Repeat),
            (denied, invalid.clone(), new(1, 2), Next::Accept),
            (denied, invalid.clone(), new(0, 2), fetch(&same)),
            (denied, insufficient.clone(), new(1, 0), Next::Accept),
            (
                denied,
                Some((other.clone(), None)),
                new(1, 0),
                fetch(&other),
            ),
            (denied, Some((other.clone(), None)), new(2, 0), Next::Accept),
            // A token from before.
            (denied, invalid, old(0), fetch(&same)),
            (denied, insufficient, old(0), fetch(&same)),
            (denied, None, old(0), fetch(&same)),
            (denied, plain, old(1), Next::Accept),
            (forbidden, None, None, Next::Accept),
            (forbidden, None, new(0, 0), Next::Accept),
            (forbidden, None, old(0), fetch(&same)),
            (forbidden, None, old(1), Next::Accept),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(
                next(status, wanted, shown.as_ref()),
                expected,
                "case {number}"
            );
        }
    }

    #[test]
    fn scopes_of_a_token() {
        let repository = "library/alpine".parse().unwrap();
        let own = "repository:library/alpine:pull";
        for (wanted, asked) in [
            (vec![], vec![own]),
            (vec![own], vec![own]),
            (
                vec!["repository:library/alpine:push,pull"],
                vec!["repository:library/alpine:push,pull"],
            ),
            (
                vec!["repository:library/alpine:*"],
                vec!["repository:library/alpine:*"],
            ),
            (
                vec!["repository:library/alpine:push"],
                vec!["repository:library/alpine:push", own],
            ),
            (vec!["registry:catalog:*"], vec!["registry:catalog:*", own]),
            (
                vec!["repository:other:pull"],
                vec!["repository:other:pull", own],
            ),
        ] {
            let challenge = Challenge {
                realm: "https://r.io/token".into(),
                service: None,
                scopes: wanted.into_iter().map(String::from).collect(),
                complaint: None,
            };
            assert_eq!(scopes(&challenge, &repository), asked);
        }
    }
}

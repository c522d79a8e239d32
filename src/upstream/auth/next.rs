//! What to do with a refusal: show a token, show it again, get another one, show a login, or take it as the answer.

use http::{HeaderValue, StatusCode};

use super::challenge::{Challenge, Complaint};
use super::exchange::basic;
use super::token::Token;
use super::tokens::Errand;
use crate::oci::{RepositoryName, Scope};
use crate::upstream::credentials::{Login, LoginIdentity, LoginSecret};

/// What was shown with a request.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// A token that a token service gave.
    Token(Box<Errand>, Token),
    /// A login itself: a user and a password, or a token for the registry.
    Login(Login),
}

impl Proof {
    /// Returns the login that may be shown to a registry itself, if this one may.
    pub(super) fn of_login(login: &Login) -> Option<Self> {
        match &login.secret {
            LoginSecret::Password { .. } | LoginSecret::RegistryToken(_) => {
                Some(Self::Login(login.clone()))
            }
            LoginSecret::IdentityToken { .. } => None,
        }
    }

    /// Returns the header that shows it. `None` when no header can hold it.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let login = match self {
            Self::Token(_, token) => return Some(token.authorization().clone()),
            Self::Login(login) => login,
        };
        match &login.secret {
            LoginSecret::Password { username, password } => Some(basic(username, password)),
            LoginSecret::RegistryToken(token) | LoginSecret::IdentityToken { token, .. } => {
                let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
                let mut value = bearer.ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        }
    }

    /// Returns who pays where requests are counted.
    pub(super) fn payer(&self) -> Option<&LoginIdentity> {
        match self {
            Self::Token(errand, _) => errand.login.as_ref().map(|login| &login.identity),
            Self::Login(login) => Some(&login.identity),
        }
    }
}

/// What was shown with a request, and the history of that.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) proof: Proof,
    /// How often a token was got for this request.
    pub(super) fetched: u32,
    /// How often this token was shown again.
    pub(super) repeated: u32,
}

/// What a challenge wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A token, which this errand would bring; what was wrong with the one that was shown.
    Token(Box<Errand>, Option<Complaint>),
    /// The login itself.
    Login,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The answer stands.
    Accept,
    /// Wait a moment and show the same token again: the clock of the registry may be behind that of the token service.
    Repeat,
    /// Get this token and show it.
    Fetch(Box<Errand>),
    /// Show the login itself.
    Show,
    /// Find out whether this login is right.
    Doubt(Login),
}

/// How often a token that was just issued is shown again.
const MAX_REPEATS: u32 = 2;

/// Decides what follows an answer.
pub(super) fn next(status: StatusCode, wanted: Option<Wanted>, shown: Option<&Shown>) -> Next {
    match shown.map(|shown| (&shown.proof, shown)) {
        None => match (status, wanted) {
            (StatusCode::UNAUTHORIZED, Some(Wanted::Token(errand, _))) => Next::Fetch(errand),
            (StatusCode::UNAUTHORIZED, Some(Wanted::Login)) => Next::Show,
            _ => Next::Accept,
        },
        Some((Proof::Token(errand, token), shown)) => match (status, wanted) {
            (StatusCode::UNAUTHORIZED, Some(Wanted::Login)) => Next::Show,
            (StatusCode::UNAUTHORIZED, Some(Wanted::Token(wanted, complaint))) => {
                after_token(shown, token, wanted == *errand, wanted, complaint)
            }
            (StatusCode::UNAUTHORIZED, None) => {
                after_token(shown, token, true, errand.clone(), None)
            }
            // Some registries refuse a token that ran out this way.
            (StatusCode::FORBIDDEN, _) if shown.fetched == 0 && token.is_old() => {
                Next::Fetch(errand.clone())
            }
            _ => Next::Accept,
        },
        Some((Proof::Login(login), shown)) => match (status, wanted) {
            (StatusCode::UNAUTHORIZED, Some(Wanted::Token(errand, _)))
                if shown.fetched == 0 && !login.is_registry_token() =>
            {
                Next::Fetch(errand)
            }
            // Amazon's registries answer 400 to a password that ran out.
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST, _) => {
                Next::Doubt(login.clone())
            }
            _ => Next::Accept,
        },
    }
}

/// Decides what follows a 401 to a token.
fn after_token(
    shown: &Shown,
    token: &Token,
    is_same: bool,
    wanted: Box<Errand>,
    complaint: Option<Complaint>,
) -> Next {
    let is_too_new = token.is_young() && complaint != Some(Complaint::InsufficientScope);
    if is_same && is_too_new && shown.repeated < MAX_REPEATS {
        Next::Repeat
    } else if shown.fetched == 0 || (shown.fetched == 1 && !is_same) {
        Next::Fetch(wanted)
    } else {
        Next::Accept
    }
}

/// Returns the scopes to ask for: those of the challenge first, since some services look at the first only, then reading
/// the repository, unless that is among them.
pub(super) fn scopes(challenge: &Challenge, repository: &RepositoryName) -> Vec<String> {
    let allows_reading = |scope: &String| {
        let scope = scope.parse::<Scope>();
        scope.is_ok_and(|scope| scope.covers(repository, "pull"))
    };
    let mut scopes = challenge.scopes.clone();
    if !scopes.iter().any(allows_reading) {
        scopes.push(Scope::pull(repository).to_string());
    }
    scopes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::credentials::Secret;

    fn shown(errand: &Errand, fetched: u32, repeated: u32) -> Shown {
        Shown {
            proof: Proof::Token(
                Box::new(errand.clone()),
                Token::sample(Duration::from_secs(300)),
            ),
            fetched,
            repeated,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_a_refusal() {
        let (same, other) = (Errand::sample("a"), Errand::sample("b"));
        let (denied, forbidden) = (StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN);
        let fetch = |errand: &Errand| Next::Fetch(Box::new(errand.clone()));
        let insufficient = Some(Wanted::Token(
            Box::new(same.clone()),
            Some(Complaint::InsufficientScope),
        ));
        let invalid = Some(Wanted::Token(
            Box::new(same.clone()),
            Some(Complaint::InvalidToken),
        ));
        let plain = Some(Wanted::Token(Box::new(same.clone()), None));
        let new = |fetched, repeated| Some(shown(&same, fetched, repeated));
        let old = |fetched| {
            let token = Token::sample(Duration::from_secs(300)).aged(Duration::from_secs(200));
            Some(Shown {
                proof: Proof::Token(Box::new(same.clone()), token),
                ..shown(&same, fetched, 0)
            })
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
                Some(Wanted::Token(Box::new(other.clone()), None)),
                new(1, 0),
                fetch(&other),
            ),
            (
                denied,
                Some(Wanted::Token(Box::new(other.clone()), None)),
                new(2, 0),
                Next::Accept,
            ),
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

    fn login() -> Login {
        Login {
            identity: LoginIdentity::new("user acme"),
            secret: LoginSecret::Password {
                username: "acme".into(),
                password: Secret::new("x"),
            },
        }
    }

    #[test]
    fn a_token_for_the_registry_is_doubted_before_another_is_got() {
        let login = Login {
            identity: LoginIdentity::new("registry token"),
            secret: LoginSecret::RegistryToken(Secret::new("x")),
        };
        let wanted = Wanted::Token(Box::new(Errand::sample("a")), None);
        let shown = Shown {
            proof: Proof::Login(login.clone()),
            fetched: 0,
            repeated: 0,
        };
        let next = next(StatusCode::UNAUTHORIZED, Some(wanted), Some(&shown));
        assert_eq!(next, Next::Doubt(login));
    }

    #[test]
    fn what_follows_a_login() {
        let (login, errand) = (login(), Errand::sample("a"));
        let token = Some(Wanted::Token(Box::new(errand.clone()), None));
        let basic = Some(Wanted::Login);
        let shown = |fetched| {
            Some(Shown {
                proof: Proof::Login(login.clone()),
                fetched,
                repeated: 0,
            })
        };
        for (status, wanted, shown, expected) in [
            (401, basic.clone(), None, Next::Show),
            (403, basic.clone(), None, Next::Accept),
            (200, None, shown(0), Next::Accept),
            (404, None, shown(0), Next::Accept),
            (401, basic.clone(), shown(0), Next::Doubt(login.clone())),
            (403, None, shown(0), Next::Doubt(login.clone())),
            (400, None, shown(0), Next::Doubt(login.clone())),
            (
                401,
                token.clone(),
                shown(0),
                Next::Fetch(Box::new(errand.clone())),
            ),
            (401, token, shown(1), Next::Doubt(login.clone())),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(next(status, wanted, shown.as_ref()), expected, "{status}");
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

//! What a registry wants to see before it answers: a token, and from where, or a user and a password.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};

use crate::oci;

/// A Bearer challenge: where to get a token, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Challenge {
    /// The URL of the token service.
    pub(in crate::upstream) realm: String,
    /// Which service the token is for.
    pub(in crate::upstream) service: Option<String>,
    /// What the token has to allow.
    pub(in crate::upstream) scopes: Vec<String>,
    /// What was wrong with the token that was shown.
    pub(in crate::upstream) complaint: Option<Complaint>,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Complaint {
    /// It is not (or not yet, or no longer) valid.
    InvalidToken,
    /// It is valid, and does not allow this.
    InsufficientScope,
}

/// What the headers of a 401 answer ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Demand {
    /// The first Bearer challenge that says where to get a token.
    pub(in crate::upstream) bearer: Option<Challenge>,
    /// Whether a user and a password are taken.
    pub(in crate::upstream) has_basic: bool,
    /// Whether there is nothing at all, not even something that cannot be understood.
    pub(in crate::upstream) is_empty: bool,
}

impl Demand {
    /// Reads all `WWW-Authenticate` lines. They are read as far as they can be understood.
    pub(in crate::upstream) fn of(headers: &HeaderMap) -> Self {
        let lines = || headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges = oci::Challenge::parse(lines().map(HeaderValue::as_bytes));
        Self {
            bearer: challenges.iter().find_map(bearer),
            has_basic: challenges.iter().any(|challenge| challenge.is("Basic")),
            is_empty: lines().all(|line| line.as_bytes().trim_ascii().is_empty()),
        }
    }
}

/// Reads a Bearer challenge with a realm.
fn bearer(challenge: &oci::Challenge) -> Option<Challenge> {
    if !challenge.is("Bearer") {
        return None;
    }
    let parameter = |name| {
        challenge
            .parameter(name)
            .filter(|value| !value.trim().is_empty())
    };
    let scope = parameter("scope").unwrap_or_default();
    Some(Challenge {
        realm: parameter("realm")?.to_owned(),
        service: parameter("service").map(String::from),
        scopes: scope.split_whitespace().map(String::from).collect(),
        complaint: match parameter("error") {
            Some("invalid_token") => Some(Complaint::InvalidToken),
            Some("insufficient_scope") => Some(Complaint::InsufficientScope),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(lines: &[&str]) -> Demand {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        Demand::of(&headers)
    }

    #[test]
    fn challenges_of_registries() {
        let hub = Challenge {
            realm: "https://auth.docker.io/token".into(),
            service: Some("registry.docker.io".into()),
            scopes: vec!["repository:library/alpine:pull,push".into()],
            complaint: Some(Complaint::InvalidToken),
        };
        let line = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push",error="invalid_token""#;
        let spaced = r#"bEARER Realm = "https://auth.docker.io/token" , SERVICE="registry.docker.io", scope="repository:library/alpine:pull,push" ,, error=invalid_token"#;
        let behind_basic = format!(r#"Basic realm="a, b=\"c\"", {line}"#);
        for lines in [
            vec![line],
            vec![spaced],
            vec![behind_basic.as_str()],
            vec!["Negotiate", line],
            vec!["Negotiate oYG2MIGz==", line],
            vec![r#"Bearer service="no realm""#, line],
        ] {
            let found = demand(&lines);
            assert_eq!(found.bearer.as_ref(), Some(&hub), "{lines:?}");
            assert_eq!(found.has_basic, lines[0] == behind_basic, "{lines:?}");
            assert!(!found.is_empty, "{lines:?}");
        }
    }

    #[test]
    fn scopes_and_missing_parameters() {
        let found =
            demand(&[r#"Bearer realm="https://r.io/t?x=1",service="",scope="a:b:c  d:e:f""#]);
        let challenge = found.bearer.unwrap();
        assert_eq!(challenge.realm, "https://r.io/t?x=1");
        assert_eq!(challenge.service, None);
        assert_eq!(challenge.scopes, ["a:b:c", "d:e:f"]);
        assert_eq!(challenge.complaint, None);
    }

    #[test]
    fn what_is_no_bearer_challenge() {
        for (lines, has_basic, is_empty) in [
            (vec![], false, true),
            (vec!["", " \t"], false, true),
            (vec![r#"Basic realm="x""#], true, false),
            (vec!["bASIC"], true, false),
            (vec!["garbage =,="], false, false),
            (vec!["Bearer"], false, false),
            (vec![r#"Bearer realm="""#, "Basic"], true, false),
        ] {
            let expected = Demand {
                bearer: None,
                has_basic,
                is_empty,
            };
            assert_eq!(demand(&lines), expected, "{lines:?}");
        }
    }
}

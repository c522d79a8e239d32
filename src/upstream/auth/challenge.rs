//! What a registry wants to see before it answers: the Bearer challenges in `WWW-Authenticate` (RFC 9110, section 11).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;

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
pub(in crate::upstream) enum Demand {
    /// A Bearer token.
    Bearer(Challenge),
    /// Something that we do not have, Basic credentials for example.
    Other,
    /// Nothing: there is no challenge.
    Nothing,
}

impl Demand {
    /// Reads all `WWW-Authenticate` lines. A line is read as far as it can be understood.
    pub(in crate::upstream) fn of(headers: &HeaderMap) -> Self {
        let lines: Vec<&str> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .collect();
        let bearer = lines
            .iter()
            .flat_map(|line| ChallengeParser::new(line).map_while(Result::ok))
            .find_map(|challenge| bearer(&challenge));
        match bearer {
            Some(challenge) => Self::Bearer(challenge),
            None if lines.iter().all(|line| line.trim().is_empty()) => Self::Nothing,
            None => Self::Other,
        }
    }
}

/// Reads a Bearer challenge with a realm.
fn bearer(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
    if !challenge.scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameter = |name: &str| {
        challenge
            .params
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_unescaped())
            .filter(|value| !value.is_empty())
    };
    let scope = parameter("scope").unwrap_or_default();
    Some(Challenge {
        realm: parameter("realm")?,
        service: parameter("service"),
        scopes: scope.split_whitespace().map(String::from).collect(),
        complaint: match parameter("error").as_deref() {
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
            assert_eq!(demand(&lines), Demand::Bearer(hub.clone()), "{lines:?}");
        }
    }

    #[test]
    fn scopes_and_missing_parameters() {
        let Demand::Bearer(challenge) =
            demand(&[r#"Bearer realm="https://r.io/t?x=1",service="",scope="a:b:c  d:e:f""#])
        else {
            panic!("a Bearer challenge");
        };
        assert_eq!(challenge.realm, "https://r.io/t?x=1");
        assert_eq!(challenge.service, None);
        assert_eq!(challenge.scopes, ["a:b:c", "d:e:f"]);
        assert_eq!(challenge.complaint, None);
    }

    #[test]
    fn what_is_no_bearer_challenge() {
        for (lines, found) in [
            (vec![], Demand::Nothing),
            (vec![""], Demand::Nothing),
            (vec![r#"Basic realm="x""#], Demand::Other),
            (vec!["garbage =,="], Demand::Other),
            (vec!["Bearer"], Demand::Other),
        ] {
            assert_eq!(demand(&lines), found, "{lines:?}");
        }
    }
}

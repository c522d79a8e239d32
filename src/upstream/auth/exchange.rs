//! Asking a token service: by GET, anonymously or with a password, or by POST (OAuth2), as the login and the service want.
//!
//! See "Token Authentication" of the distribution project (`token.md`, `oauth.md`). A password goes by GET first, which
//! every service takes; an identity token goes by POST, and as a password where POST is not taken (protocol 4.2.2).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;

use super::token::Token;
use super::tokens::Errand;
use crate::upstream::credentials::{LoginSecret, Secret};
use crate::upstream::error::UpstreamError;
use crate::upstream::metrics::Kind;
use crate::upstream::redirect::{self, MAX_REDIRECTS};
use crate::upstream::request::base_headers;
use crate::upstream::wire::{Message, Step, Wire};

/// The most that is read of an answer of a token service.
const MAX_ANSWER: usize = 128 << 10;
/// How we introduce ourselves to OAuth2 services.
const CLIENT_ID: &str = "larder";

/// Characters that stand for themselves in a query and in a form.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns the header that shows a user and a password.
pub(in crate::upstream) fn basic(username: &str, password: &Secret) -> HeaderValue {
    let encoded = BASE64.encode(format!("{username}:{}", password.expose()));
    let mut value =
        HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 fits into a header");
    value.set_sensitive(true);
    value
}

/// Gets the token of an errand.
pub(super) async fn fetch(wire: &Arc<Wire>, errand: &Errand) -> Result<Token, UpstreamError> {
    let secret = errand.login.as_ref().map(|login| &login.secret);
    match secret {
        None | Some(LoginSecret::RegistryToken(_)) => ask(wire, errand, &get(errand, None)?).await,
        Some(LoginSecret::Password { username, password }) => {
            let shown = (username.as_ref(), password);
            let got = ask(wire, errand, &get(errand, Some(shown))?).await;
            match got {
                Err(error) if does_not_get(&error) => {
                    let form = [
                        ("grant_type", "password"),
                        ("username", username),
                        ("password", password.expose()),
                    ];
                    ask(wire, errand, &post(errand, &form)).await
                }
                got => got,
            }
        }
        Some(LoginSecret::IdentityToken { username, token }) => {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose()),
            ];
            let posted = ask(wire, errand, &post(errand, &form)).await;
            match (posted, username) {
                (Err(error), Some(username)) if does_not_post(&error) => {
                    let shown = (username.as_ref(), token);
                    ask(wire, errand, &get(errand, Some(shown))?).await
                }
                (posted, _) => posted,
            }
        }
    }
}

/// Tells whether a service takes no GET.
fn does_not_get(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Refused { status, .. } if matches!(status.as_u16(), 404 | 405))
}

/// Tells whether a service takes no POST, or not this way. Some say 400 or 401 (protocol 4.2.2).
fn does_not_post(error: &UpstreamError) -> bool {
    matches!(
        error,
        UpstreamError::Refused { status, .. } if matches!(status.as_u16(), 400 | 401 | 404 | 405)
    )
}

/// One question to a token service.
struct Question {
    url: Uri,
    method: Method,
    headers: HeaderMap,
    authorization: Option<HeaderValue>,
    body: Bytes,
}

/// Asks in the query: the realm with what it had, the service, the account, and each scope apart.
fn get(errand: &Errand, shown: Option<(&str, &Secret)>) -> Result<Question, UpstreamError> {
    let realm = errand.realm.url.to_string();
    let service = errand
        .service
        .iter()
        .map(|service| ("service", service.as_str()));
    let account = shown.iter().map(|(username, _)| ("account", *username));
    let scopes = errand.scopes.iter().map(|scope| ("scope", scope.as_str()));
    let url = redirect::absolute(&with_query(&realm, service.chain(account).chain(scopes)))
        .ok_or_else(|| {
            let fault = "names a token service that is no URL";
            UpstreamError::protocol(errand.realm.site.name(), fault)
        })?;
    Ok(Question {
        url,
        method: Method::GET,
        headers: base_headers("application/json"),
        authorization: shown.map(|(username, password)| basic(username, password)),
        body: Bytes::new(),
    })
}

/// Asks in a form, with all scopes in one field.
fn post(errand: &Errand, login: &[(&str, &str)]) -> Question {
    let scopes = errand.scopes.join(" ");
    let service = errand
        .service
        .iter()
        .map(|service| ("service", service.as_str()));
    let scope = (!scopes.is_empty()).then_some(("scope", scopes.as_str()));
    let fields = login.iter().copied();
    let fields = fields
        .chain([("client_id", CLIENT_ID)])
        .chain(service)
        .chain(scope);
    let fields: Vec<String> = fields.map(|(name, value)| pair(name, value)).collect();
    let mut headers = base_headers("application/json");
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    Question {
        url: errand.realm.url.clone(),
        method: Method::POST,
        headers,
        authorization: None,
        body: fields.join("&").into(),
    }
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, PLAIN))
}

/// Adds to the query of a URL.
fn with_query<'a>(url: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut address = url.split('#').next().unwrap_or_default().to_owned();
    for (name, value) in pairs {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(&pair(name, value));
    }
    address
}

/// Asks, and follows where that leads. A login goes nowhere but to the service itself.
async fn ask(
    wire: &Arc<Wire>,
    errand: &Errand,
    question: &Question,
) -> Result<Token, UpstreamError> {
    let mut hop = errand.realm.clone();
    hop.url = question.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let is_own = hop.site == errand.realm.site;
        if !is_own && !question.body.is_empty() {
            let fault = "redirects a request with a login to another host";
            return Err(UpstreamError::protocol(errand.realm.site.name(), fault));
        }
        let payer = errand.login.as_ref().map(|login| &login.identity);
        let message = Message {
            authorization: question.authorization.as_ref().filter(|_| is_own),
            body: question.body.clone(),
            ..Message::new(Kind::Token, &question.method, &question.headers).paid_by(payer)
        };
        let answer = wire.send(&hop, message).await?;
        match wire.step(answer).await? {
            Step::Onward(next) => hop = next,
            Step::Arrived(answer) => {
                let answer = wire.judge(answer).await?;
                let (host, status) = (answer.host().clone(), answer.status());
                if status != StatusCode::OK {
                    return Err(UpstreamError::Refused {
                        host,
                        status,
                        message: None,
                        login: errand.login.as_ref().map(|login| login.identity.clone()),
                    });
                }
                let body = answer.into_body().collect("a token", MAX_ANSWER).await?;
                return Token::parse(&body, Instant::now())
                    .map_err(|fault| UpstreamError::protocol(&host, fault));
            }
        }
    }
    Err(Wire::too_many_redirects(&hop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::credentials::{Login, LoginIdentity};
    use crate::upstream::endpoint_url::Site;
    use crate::upstream::trust::{Hop, Reach};

    fn errand(realm: &str, service: Option<&str>, scopes: &[&str]) -> Errand {
        let url: Uri = realm.parse().unwrap();
        let site = Site::of(&url).unwrap();
        Errand {
            site: site.clone(),
            realm: Hop {
                url,
                site,
                reach: Reach::Public,
            },
            service: service.map(String::from),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            login: None,
        }
    }

    #[test]
    fn questions_by_get() {
        let acme = Secret::new("pass:word");
        for (realm, service, scopes, user, url) in [
            (
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                &["repository:library/alpine:pull"][..],
                None,
                "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Falpine%3Apull",
            ),
            (
                "https://r.io/t?x=1",
                None,
                &["a", "b&c"],
                Some("org+robot"),
                "https://r.io/t?x=1&account=org%2Brobot&scope=a&scope=b%26c",
            ),
            ("https://r.io", None, &[], None, "https://r.io/"),
            (
                "https://r.io",
                Some("s"),
                &[],
                None,
                "https://r.io/?service=s",
            ),
        ] {
            let shown = user.map(|user| (user, &acme));
            let question = get(&errand(realm, service, scopes), shown).unwrap();
            assert_eq!(question.url.to_string(), url);
            assert_eq!(question.authorization.is_some(), user.is_some());
        }
        let shown = basic("org+robot", &acme);
        assert_eq!(shown, "Basic b3JnK3JvYm90OnBhc3M6d29yZA==");
        assert!(shown.is_sensitive());
    }

    #[test]
    fn questions_by_post() {
        let mut errand = errand("https://r.io/t", Some("a b"), &["x:y:pull", "z"]);
        errand.login = Some(Login {
            identity: LoginIdentity::new("identity token"),
            secret: LoginSecret::RegistryToken(Secret::new("unused")),
        });
        let form = [("grant_type", "refresh_token"), ("refresh_token", "s+e/c=")];
        let question = post(&errand, &form);
        assert_eq!(question.method, Method::POST);
        assert_eq!(
            question.body,
            "grant_type=refresh_token&refresh_token=s%2Be%2Fc%3D&client_id=larder&service=a%20b&scope=x%3Ay%3Apull%20z"
        );
        assert_eq!(question.url, "https://r.io/t");
        assert_eq!(
            question.headers[CONTENT_TYPE],
            "application/x-www-form-urlencoded"
        );
    }
}

//! Who may pull: challenges, the token endpoint, and what tokens are good for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{StatusCode, header};
use serde_json::json;

use super::FakeRegistry;
use super::answer::Answer;
use super::request::{Kind, Request};

/// How a registry asks for tokens.
#[derive(Clone, Debug)]
pub struct Bearer {
    realm: Option<String>,
    /// The tokens of the registry that issues them, if it is another.
    issuer: Option<Arc<Tokens>>,
    beside: Vec<String>,
    is_on_ping_only: bool,
}

impl Bearer {
    /// Tokens of the registry itself, asked for as Docker Hub does.
    pub fn own() -> Self {
        Self {
            realm: None,
            issuer: None,
            beside: Vec::new(),
            is_on_ping_only: false,
        }
    }

    /// Tokens that another registry issues.
    pub fn issued_by(other: &FakeRegistry) -> Self {
        Self {
            realm: Some(format!("{}/token", other.url())),
            issuer: Some(Arc::clone(&other.state.access.tokens)),
            ..Self::own()
        }
    }

    /// Names another realm in the challenge, whoever is there.
    pub fn realm(mut self, url: &str) -> Self {
        self.realm = Some(url.into());
        self
    }

    /// Puts another challenge before the real one, on the same line.
    pub fn beside(mut self, challenge: &str) -> Self {
        self.beside.push(challenge.into());
        self
    }

    /// Gives the challenge on the ping only; other requests get a bare 401, as from GCR.
    pub fn on_ping_only(mut self) -> Self {
        self.is_on_ping_only = true;
        self
    }
}

/// What a registry lets pass.
#[derive(Debug, Default)]
pub struct Access {
    /// How tokens are asked for, if they do.
    pub bearer: Option<Bearer>,
    /// Whether user and password do on every request.
    pub is_basic: bool,
    /// Those who may see private repositories.
    pub users: Vec<(String, String)>,
    /// The tokens that were issued here.
    pub tokens: Arc<Tokens>,
    /// The URL of the registry itself.
    pub url: String,
}

impl Access {
    /// Returns why a request may not pass, as the answer that says so.
    pub fn refuse(&self, request: &Request, is_private: bool) -> Option<Answer> {
        let is_open = self.bearer.is_none() && !self.is_basic;
        if is_open || matches!(request.kind, Kind::Token | Kind::Storage) {
            return None;
        }
        let Some(authorization) = request.authorization() else {
            return Some(self.challenge(request, None));
        };
        if self.is_basic && self.user(&authorization).is_some() {
            return None;
        }
        let tokens = self
            .bearer
            .as_ref()
            .and_then(|bearer| bearer.issuer.as_ref());
        let tokens = tokens.unwrap_or(&self.tokens);
        let token = authorization
            .strip_prefix("Bearer ")
            .filter(|_| self.bearer.is_some());
        match token.and_then(|token| tokens.grant(token)) {
            None => Some(self.challenge(request, Some("invalid_token"))),
            Some(grant) if grant.covers(request, is_private) => None,
            Some(_) => Some(self.challenge(request, Some("insufficient_scope"))),
        }
    }

    /// A 401 with the challenge of this registry.
    pub fn challenge(&self, request: &Request, error: Option<&str>) -> Answer {
        let mut answer = Answer::error_of(StatusCode::UNAUTHORIZED, "authentication required");
        let mut challenges = Vec::new();
        if let Some(bearer) = &self.bearer {
            if bearer.is_on_ping_only && request.kind != Kind::Ping {
                return answer;
            }
            challenges.clone_from(&bearer.beside);
            let own = format!("{}/token", self.url);
            let realm = bearer.realm.as_deref().unwrap_or(&own);
            let mut challenge = format!("Bearer realm=\"{realm}\",service=\"fake\"");
            if let Some(repository) = &request.repository {
                challenge += &format!(",scope=\"repository:{repository}:pull\"");
            }
            if let Some(error) = error {
                challenge += &format!(",error=\"{error}\"");
            }
            challenges.push(challenge);
        }
        if self.is_basic {
            challenges.push("Basic realm=\"fake\"".into());
        }
        if !challenges.is_empty() {
            answer.set(header::WWW_AUTHENTICATE, &challenges.join(", "));
        }
        answer
    }

    /// Answers at the token endpoint.
    pub fn issue(&self, request: &Request) -> Answer {
        let authorization = request.authorization();
        let user = authorization
            .as_ref()
            .and_then(|authorization| self.user(authorization));
        if authorization.is_some() && user.is_none() {
            return Answer::error_of(StatusCode::UNAUTHORIZED, "wrong user or password");
        }
        let grant = Grant {
            scopes: request.query("scope"),
            is_of_user: user.is_some(),
        };
        Answer::json(StatusCode::OK, self.tokens.issue(grant))
    }

    /// Returns the user whose name and password these are.
    fn user(&self, authorization: &str) -> Option<&str> {
        let known = self.users.iter();
        let mut known = known.filter(|(name, password)| basic(name, password) == authorization);
        known.next().map(|(name, _)| name.as_str())
    }
}

/// The tokens that a registry has issued, and how it hands them out.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<Issued>);

#[derive(Debug, Default)]
struct Issued {
    grants: HashMap<String, Grant>,
    count: usize,
    shape: Shape,
}

/// The fields of the token endpoint's answer.
#[derive(Clone, Debug)]
struct Shape {
    token: Option<&'static str>,
    expires_in: Option<u64>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            token: Some("token"),
            expires_in: Some(300),
        }
    }
}

impl Tokens {
    /// Says this life time from now on. Nothing expires by itself: see [`Tokens::revoke_all`].
    pub fn expire_in(&self, seconds: u64) {
        self.0.lock().unwrap().shape.expires_in = Some(seconds);
    }

    /// Says no life time from now on.
    pub fn without_expiry(&self) {
        self.0.lock().unwrap().shape.expires_in = None;
    }

    /// Gives tokens in this field from now on, `access_token` for one.
    pub fn in_field(&self, name: &'static str) {
        self.0.lock().unwrap().shape.token = Some(name);
    }

    /// Answers without a token from now on.
    pub fn without_token(&self) {
        self.0.lock().unwrap().shape.token = None;
    }

    /// Makes every token that was issued so far invalid.
    pub fn revoke_all(&self) {
        self.0.lock().unwrap().grants.clear();
    }

    fn issue(&self, grant: Grant) -> String {
        let mut issued = self.0.lock().unwrap();
        issued.count += 1;
        let token = format!("token-{}", issued.count);
        let mut document = json!({});
        if let Some(field) = issued.shape.token {
            document[field] = json!(token);
        }
        if let Some(seconds) = issued.shape.expires_in {
            document["expires_in"] = json!(seconds);
        }
        issued.grants.insert(token, grant);
        document.to_string()
    }

    fn grant(&self, token: &str) -> Option<Grant> {
        self.0.lock().unwrap().grants.get(token).cloned()
    }
}

/// What a token is good for.
#[derive(Clone, Debug)]
struct Grant {
    scopes: Vec<String>,
    is_of_user: bool,
}

impl Grant {
    fn covers(&self, request: &Request, is_private: bool) -> bool {
        let Some(repository) = &request.repository else {
            return true;
        };
        let in_scope = self.scopes.iter().any(|scope| {
            let actions = scope
                .strip_prefix("repository:")
                .and_then(|rest| rest.rsplit_once(':'))
                .filter(|(name, _)| name == repository)
                .map(|(_, actions)| actions);
            actions.is_some_and(|actions| actions.split(',').any(|action| action == "pull"))
        });
        in_scope && (self.is_of_user || !is_private)
    }
}

/// Returns the `Authorization` header of a user (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut header = String::from("Basic ");
    for group in format!("{user}:{password}").as_bytes().chunks(3) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
            header.push(if digit <= group.len() {
                char::from(DIGITS[index])
            } else {
                '='
            });
        }
    }
    header
}

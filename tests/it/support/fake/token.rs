//! The token endpoint: whom it gives tokens, in which form, and what they are good for.

use std::collections::HashMap;
use std::sync::Mutex;

use http::{Method, StatusCode, header};
use serde_json::json;

use super::answer::Answer;
use super::content::Content;
use super::request::{Request, Shown};

/// The tokens that a registry has issued, and how it hands them out. Changes are seen by the next request.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<Issued>);

#[derive(Debug, Default)]
struct Issued {
    grants: HashMap<String, Grant>,
    count: usize,
    shape: Shape,
    policy: Policy,
}

/// The fields of the token endpoint's answer.
#[derive(Clone, Debug)]
struct Shape {
    /// What a token is in; `token` for GET and `access_token` for POST when nothing is said.
    fields: Option<&'static [&'static str]>,
    expires_in: Option<u64>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            fields: None,
            expires_in: Some(300),
        }
    }
}

/// Whom the token endpoint turns away, and with which status.
#[derive(Debug, Default)]
struct Policy {
    get: Option<StatusCode>,
    post: Option<StatusCode>,
    /// By `grant_type`.
    grants: HashMap<&'static str, StatusCode>,
    anonymous: Option<StatusCode>,
    /// Those who ask for repositories that are not there or not for them.
    hidden: Option<StatusCode>,
    reads_first_scope_only: bool,
}

/// What the answers look like.
impl Tokens {
    /// Says this life time from now on. Nothing expires by itself: see [`Tokens::revoke_all`].
    pub fn expire_in(&self, seconds: u64) {
        self.0.lock().unwrap().shape.expires_in = Some(seconds);
    }

    /// Says no life time from now on.
    pub fn without_expiry(&self) {
        self.0.lock().unwrap().shape.expires_in = None;
    }

    /// Gives tokens in these fields from now on: `token`, `access_token`, or both, with the same token.
    pub fn in_fields(&self, names: &'static [&'static str]) {
        self.0.lock().unwrap().shape.fields = Some(names);
    }

    /// Answers without a token from now on.
    pub fn without_token(&self) {
        self.in_fields(&[]);
    }
}

/// Whom it turns away.
impl Tokens {
    /// Makes every token that was issued so far invalid.
    pub fn revoke_all(&self) {
        self.0.lock().unwrap().grants.clear();
    }

    /// Answers every GET with this status from now on.
    pub fn refuse_get(&self, status: u16) {
        self.0.lock().unwrap().policy.get = Some(code(status));
    }

    /// Answers every POST with this status from now on.
    pub fn refuse_post(&self, status: u16) {
        self.0.lock().unwrap().policy.post = Some(code(status));
    }

    /// Answers a POST of this `grant_type` with this status from now on.
    pub fn refuse_grant(&self, grant_type: &'static str, status: u16) {
        let mut issued = self.0.lock().unwrap();
        issued.policy.grants.insert(grant_type, code(status));
    }

    /// Gives no tokens to those without a login from now on, but this status.
    pub fn refuse_anonymous(&self, status: u16) {
        self.0.lock().unwrap().policy.anonymous = Some(code(status));
    }

    /// Answers with this status from now on when a repository is asked for that is not there, or not for this user.
    /// Until then the token is given all the same, and good for nothing.
    pub fn refuse_hidden(&self, status: u16) {
        self.0.lock().unwrap().policy.hidden = Some(code(status));
    }

    /// Looks at the first scope that is asked for only, from now on.
    pub fn read_first_scope_only(&self) {
        self.0.lock().unwrap().policy.reads_first_scope_only = true;
    }
}

/// At work.
impl Tokens {
    /// Answers at the token endpoint.
    pub(super) fn answer(&self, request: &Request, content: &Content) -> Answer {
        let mut issued = self.0.lock().unwrap();
        let user = match issued.policy.admit(request) {
            Ok(user) => user,
            Err(status) => return Answer::error_of(status, "wrong user or password"),
        };
        let mut scopes = scopes(request);
        if issued.policy.reads_first_scope_only {
            scopes.truncate(1);
        }
        let grant = Grant { scopes, user };
        if let Some(status) = issued.policy.hidden
            && grant
                .repositories()
                .any(|name| !content.shows(name, grant.user()))
        {
            return Answer::error_of(status, "requested access to the resource is denied");
        }
        Answer::json(StatusCode::OK, issued.issue(grant, &request.method))
    }

    /// Returns what a token is good for.
    pub(super) fn grant(&self, token: &str) -> Option<Grant> {
        self.0.lock().unwrap().grants.get(token).cloned()
    }
}

impl Policy {
    /// Returns who gets a token, `None` for anybody, or the status for those who get none.
    fn admit(&self, request: &Request) -> Result<Option<String>, StatusCode> {
        let refusal = if request.method == Method::POST {
            self.post.or_else(|| self.refuse_form(request))
        } else {
            self.get
        };
        if let Some(status) = refusal {
            return Err(status);
        }
        match &request.shown {
            Shown::Password {
                user,
                is_right: true,
            } => Ok(Some(user.clone())),
            Shown::Nothing => self.anonymous.map_or(Ok(None), Err),
            Shown::Password { .. } | Shown::Token(_) | Shown::Unknown => {
                Err(StatusCode::UNAUTHORIZED)
            }
        }
    }

    /// Returns the status for a POST that is not what OAuth2 wants (`docs/spec/auth/oauth.md` of distribution).
    fn refuse_form(&self, request: &Request) -> Option<StatusCode> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let is_form = request.header(header::CONTENT_TYPE.as_str()).as_deref() == Some(FORM);
        let has_all = ["grant_type", "service", "client_id"]
            .iter()
            .all(|name| !request.form(name).is_empty());
        let is_whole = is_form && has_all && request.shown != Shown::Nothing;
        if !is_whole || request.authorization().is_some() {
            return Some(StatusCode::BAD_REQUEST);
        }
        let grant_type = request.form("grant_type").swap_remove(0);
        match grant_type.as_str() {
            "password" | "refresh_token" => self.grants.get(&*grant_type).copied(),
            _ => Some(StatusCode::BAD_REQUEST),
        }
    }
}

impl Issued {
    fn issue(&mut self, grant: Grant, method: &Method) -> String {
        self.count += 1;
        let token = format!("token-{}", self.count);
        let mut document = json!({});
        let usual: &[&str] = match *method {
            Method::POST => &["access_token"],
            _ => &["token"],
        };
        for field in self.shape.fields.unwrap_or(usual) {
            document[field] = json!(token);
        }
        if let Some(seconds) = self.shape.expires_in {
            document["expires_in"] = json!(seconds);
        }
        self.grants.insert(token, grant);
        document.to_string()
    }
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    scopes: Vec<String>,
    user: Option<String>,
}

impl Grant {
    /// Returns the user that it was issued to.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns whether it is for what a request asks for.
    pub(super) fn covers(&self, request: &Request) -> bool {
        let repository = request.repository.as_deref();
        repository.is_none_or(|name| self.repositories().any(|granted| granted == name))
    }

    /// Returns the repositories that it is for.
    fn repositories(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().filter_map(|scope| {
            let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
            let mut actions = actions.split(',');
            actions
                .any(|action| matches!(action, "pull" | "*"))
                .then_some(name)
        })
    }
}

/// Returns the scopes that a request asks for: each its own parameter, or with spaces between them in a form.
fn scopes(request: &Request) -> Vec<String> {
    let given = if request.method == Method::POST {
        request.form("scope")
    } else {
        request.query("scope")
    };
    let split = given.iter().flat_map(|scopes| scopes.split(' '));
    split
        .filter(|scope| !scope.is_empty())
        .map(String::from)
        .collect()
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

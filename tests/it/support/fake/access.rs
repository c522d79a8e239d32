//! Who may pull: passwords and tokens that are shown, what they open, and the challenge for those who show none.

use std::sync::Arc;

use http::{StatusCode, header};

use super::answer::Answer;
use super::bearer::Bearer;
use super::content::Content;
use super::request::{Kind, Request, Shown};
use super::token::Tokens;
use super::users::{Users, read_basic};

/// What a registry lets pass.
#[derive(Debug)]
pub struct Access {
    /// How tokens are asked for, if they do.
    pub bearer: Option<Bearer>,
    /// Whether user and password do on every request.
    pub is_basic: bool,
    /// The status for repositories that are not there, for those who may log in; they are 404 otherwise.
    pub absence: Option<StatusCode>,
    /// Those who may see private repositories.
    pub users: Users,
    /// The tokens that were issued here.
    pub tokens: Arc<Tokens>,
    /// Where tokens are issued.
    pub token_path: &'static str,
    /// The URL of the registry itself.
    pub url: String,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            bearer: None,
            is_basic: false,
            absence: None,
            users: Users::default(),
            tokens: Arc::default(),
            token_path: "/token",
            url: String::new(),
        }
    }
}

impl Access {
    /// Returns where tokens are issued.
    pub fn token_url(&self) -> String {
        format!("{}{}", self.url, self.token_path)
    }

    /// Finds out who sends a request. Logins are counted.
    pub fn recognise(&self, request: &Request) -> Shown {
        if let Some(login) = self.posted(request) {
            return login;
        }
        let Some(authorization) = request.authorization() else {
            return Shown::Nothing;
        };
        if let Some((user, password)) = read_basic(&authorization) {
            let is_right = self.users.log_in(&user, &password);
            return Shown::Password { user, is_right };
        }
        let token = authorization.strip_prefix("Bearer ");
        match token.and_then(|token| self.issuer().grant(token)) {
            Some(grant) => Shown::Token(grant),
            None => Shown::Unknown,
        }
    }

    /// Finds the login in the form of a request for a token.
    fn posted(&self, request: &Request) -> Option<Shown> {
        let field = |name| request.form(name).into_iter().next();
        match field("grant_type")?.as_str() {
            "password" => {
                let (user, password) = (field("username")?, field("password")?);
                let is_right = self.users.log_in(&user, &password);
                Some(Shown::Password { user, is_right })
            }
            "refresh_token" => Some(match self.users.identify(&field("refresh_token")?) {
                Some(user) => Shown::Password {
                    user,
                    is_right: true,
                },
                None => Shown::Unknown,
            }),
            _ => None,
        }
    }

    fn issuer(&self) -> &Tokens {
        let issuer = self.bearer.as_ref().and_then(Bearer::issuer);
        issuer.unwrap_or(&self.tokens)
    }

    /// Returns why a request may not pass, as the answer that says so.
    pub fn refuse(&self, request: &Request, content: &Content) -> Option<Answer> {
        let is_open = self.bearer.is_none() && !self.is_basic;
        if is_open || matches!(request.kind, Kind::Token | Kind::Storage) {
            return None;
        }
        let user = match &request.shown {
            Shown::Nothing => return Some(self.challenge(request, None)),
            Shown::Password {
                user,
                is_right: true,
            } if self.is_basic => Some(user.as_str()),
            Shown::Token(grant) if self.bearer.is_some() => {
                if !grant.covers(request) {
                    return Some(self.challenge(request, Some("insufficient_scope")));
                }
                grant.user()
            }
            Shown::Password { .. } | Shown::Token(_) | Shown::Unknown => {
                return Some(self.challenge(request, Some("invalid_token")));
            }
        };
        let repository = request.repository.as_deref()?;
        if !content.has(repository) {
            return self.absence.map(|status| self.hide(request, status));
        }
        let is_hidden = !content.shows(repository, user);
        let status = self.absence.unwrap_or(StatusCode::UNAUTHORIZED);
        is_hidden.then(|| self.hide(request, status))
    }

    /// Says that a repository is not there, or not for this one.
    fn hide(&self, request: &Request, status: StatusCode) -> Answer {
        if status == StatusCode::UNAUTHORIZED {
            return self.challenge(request, Some("insufficient_scope"));
        }
        Answer::error_of(status, "requested access to the resource is denied")
    }

    /// A 401 with the challenge of this registry.
    pub fn challenge(&self, request: &Request, error: Option<&str>) -> Answer {
        let mut answer = Answer::error_of(StatusCode::UNAUTHORIZED, "authentication required");
        let mut challenges = match &self.bearer {
            Some(bearer) => bearer.challenges(request, &self.token_url(), error),
            None => Vec::new(),
        };
        if self.is_basic {
            challenges.push("Basic realm=\"fake\"".into());
        }
        if !challenges.is_empty() {
            answer.set(header::WWW_AUTHENTICATE, &challenges.join(", "));
        }
        answer
    }
}

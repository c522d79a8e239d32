//! How a registry asks for tokens: its challenge, and who issues what it asks for.

use std::sync::Arc;

use super::FakeRegistry;
use super::request::{Kind, Request};
use super::token::Tokens;

/// How a registry asks for tokens.
#[derive(Clone, Debug)]
pub struct Bearer {
    realm: Option<String>,
    service: &'static str,
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
            service: "fake",
            issuer: None,
            beside: Vec::new(),
            is_on_ping_only: false,
        }
    }

    /// Tokens that another registry issues.
    pub fn issued_by(other: &FakeRegistry) -> Self {
        let access = &other.state.access;
        Self {
            realm: Some(access.token_url()),
            issuer: Some(Arc::clone(&access.tokens)),
            ..Self::own()
        }
    }

    /// Names another realm in the challenge, whoever is there.
    pub fn realm(mut self, url: &str) -> Self {
        self.realm = Some(url.into());
        self
    }

    /// Names the service in the challenge; nothing leaves it out.
    pub fn service(mut self, service: &'static str) -> Self {
        self.service = service;
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

    /// Returns the tokens of another registry that are good here, if they are.
    pub(super) fn issuer(&self) -> Option<&Tokens> {
        self.issuer.as_deref()
    }

    /// Returns the challenges that a request gets. `own` is the realm of the registry itself.
    pub(super) fn challenges(
        &self,
        request: &Request,
        own: &str,
        error: Option<&str>,
    ) -> Vec<String> {
        if self.is_on_ping_only && request.kind != Kind::Ping {
            return Vec::new();
        }
        let realm = self.realm.as_deref().unwrap_or(own);
        let mut challenge = format!("Bearer realm=\"{realm}\"");
        if !self.service.is_empty() {
            challenge += &format!(",service=\"{}\"", self.service);
        }
        if let Some(repository) = &request.repository {
            challenge += &format!(",scope=\"repository:{repository}:pull\"");
        }
        if let Some(error) = error {
            challenge += &format!(",error=\"{error}\"");
        }
        let mut challenges = self.beside.clone();
        challenges.push(challenge);
        challenges
    }
}

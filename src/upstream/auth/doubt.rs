//! When a login is refused: is it wrong, or may it not read this? Registries say both with the same words, and they lock
//! accounts that show wrong passwords, so it is found out once: by a token that allows nothing, or by the ping.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::authenticator::Authenticator;
use super::next::Proof;
use super::tokens::Errand;
use super::turns::Voice;
use crate::upstream::answer::Answer;
use crate::upstream::credentials::Login;
use crate::upstream::error::LoginProblem;
use crate::upstream::error::UpstreamError::{self, Refused};
use crate::upstream::metrics::Kind;
use crate::upstream::refusal;
use crate::upstream::request::base_headers;
use crate::upstream::trust::Hop;
use crate::upstream::wire::Message;

/// How many logins are tried for one request: the one that is there, and those that come after it.
const MAX_LOGINS: u32 = 3;

/// What was found out about a login.
pub(super) enum Doubted {
    /// It is right, or nobody can tell: the refusal is about what was asked for.
    Stands(Box<Answer>),
    /// It is wrong.
    Wrong,
}

/// Tells whether an answer to a login alone says that it is wrong.
fn is_about_login(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

impl Authenticator {
    /// Gets a token. When the login is refused, the ones that come after it are tried, and in the end none.
    pub(super) async fn token(
        &self,
        errand: Errand,
        voice: &mut Voice<'_>,
    ) -> Result<Proof, UpstreamError> {
        let mut errand = errand;
        for _ in 0..=MAX_LOGINS {
            errand = self.in_turn(errand, voice).await;
            let failure = match self.obtain(&errand).await {
                Ok(token) => return Ok(Proof::Token(Box::new(errand), token)),
                Err(failure) => failure,
            };
            let (
                Refused {
                    host,
                    message,
                    status,
                    ..
                },
                Some(login),
            ) = (&failure, errand.login.clone())
            else {
                return Err(failure);
            };
            // Some services refuse tokens for what does not exist, or may not be seen: is it the login that is wrong?
            if self.is_beyond_doubt(&login, *status) {
                return Err(failure);
            }
            self.take_turn(voice).await;
            if voice.login.as_ref() != Some(&login) {
                errand = errand.with_login(voice.login.clone());
                continue;
            }
            match self.tokens.renew(&errand.without_scopes()).await {
                Ok(_) => {
                    self.accepted(&login);
                    return Err(failure);
                }
                Err(Refused { status, .. }) if is_about_login(status) => {}
                Err(other) => return Err(other),
            }
            self.replace(&login, host.clone(), message.clone(), voice)
                .await;
            errand = errand.with_login(voice.login.clone());
        }
        let token = self.obtain(&errand).await?;
        Ok(Proof::Token(Box::new(errand), token))
    }

    /// Waits for the turn of an errand, where the token service is about to see a login. Returns it with the login that
    /// is for it then.
    pub(super) async fn in_turn(&self, errand: Errand, voice: &mut Voice<'_>) -> Errand {
        if errand.login.is_none() || self.tokens.is_there(&errand) {
            return errand;
        }
        self.take_turn_unless_proven(voice).await;
        errand.with_login(voice.login.clone())
    }

    /// Finds out whether a login is right that was shown to the registry itself and refused.
    pub(super) async fn doubted(
        &self,
        home: &Hop,
        login: &Login,
        mut answer: Answer,
        voice: &mut Voice<'_>,
    ) -> Doubted {
        if self.is_beyond_doubt(login, answer.status()) {
            return Doubted::Stands(Box::new(answer));
        }
        self.take_turn(voice).await;
        if voice.login.as_ref() != Some(login) {
            self.wire.drain(answer).await;
            return Doubted::Wrong;
        }
        let headers = base_headers("*/*");
        let authorization = Proof::Login(login.clone()).authorization();
        let message = Message {
            authorization: authorization.as_ref(),
            ..Message::new(Kind::Ping, &Method::GET, &headers).paid_by(Some(&login.identity))
        };
        let Ok(ping) = self.wire.send(home, message).await else {
            return Doubted::Stands(Box::new(answer));
        };
        let status = ping.status();
        self.wire.drain(ping).await;
        if status.is_success() {
            self.accepted(login);
        }
        if !is_about_login(status) {
            return Doubted::Stands(Box::new(answer));
        }
        let words = refusal::read(&mut answer).await.message;
        self.replace(login, answer.host().clone(), words, voice)
            .await;
        self.wire.drain(answer).await;
        Doubted::Wrong
    }

    /// Goes on without a login that was refused and may be right.
    pub(super) async fn leave(&self, login: &Login, mut answer: Answer, voice: &mut Voice<'_>) {
        let words = refusal::read(&mut answer).await.message;
        let by = answer.host().clone();
        self.wire.drain(answer).await;
        voice.login = None;
        *voice.trouble = Some((login.identity.clone(), LoginProblem::Wrong { by, words }));
    }

    /// Takes down that a login is wrong, and goes on with what comes after it.
    async fn replace(
        &self,
        login: &Login,
        by: Arc<str>,
        words: Option<Arc<str>>,
        voice: &mut Voice<'_>,
    ) {
        self.proven.invalidate(login);
        voice.login = self.keyring.refused(login).await;
        self.tell_logins();
        if voice.login.is_none() {
            let problem = LoginProblem::Wrong { by, words };
            *voice.trouble = Some((login.identity.clone(), problem));
        }
    }

    /// Returns whether a refusal with this status cannot be about the login, which was right a moment ago. A 401 can:
    /// the password may have changed since.
    fn is_beyond_doubt(&self, login: &Login, status: StatusCode) -> bool {
        status != StatusCode::UNAUTHORIZED && self.proven.contains_key(login)
    }
}

//! Logins of which nobody knows whether they are right are shown by one request at a time: registries lock accounts, and
//! a crowd that shows a wrong password at once does so often before the first of them hears that it is wrong.

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::authenticator::{Authenticator, Trouble};
use crate::oci::RepositoryName;
use crate::upstream::credentials::Login;

/// With which login a request goes on.
pub(super) struct Voice<'a> {
    pub(super) login: Option<Login>,
    pub(super) repository: &'a RepositoryName,
    pub(super) trouble: &'a mut Trouble,
    /// Held while the login is shown, until somebody says what it is worth.
    turn: Option<OwnedSemaphorePermit>,
}

impl<'a> Voice<'a> {
    /// Goes on with this login.
    pub(super) fn new(
        login: Option<Login>,
        repository: &'a RepositoryName,
        trouble: &'a mut Trouble,
    ) -> Self {
        Self {
            login,
            repository,
            trouble,
            turn: None,
        }
    }

    /// Lets others show theirs.
    pub(super) fn end_turn(&mut self) {
        self.turn = None;
    }
}

impl Authenticator {
    /// Does what [`Authenticator::take_turn`] does, unless the login was accepted a moment ago.
    pub(super) async fn take_turn_unless_proven(&self, voice: &mut Voice<'_>) {
        if !self.is_proven(voice) {
            self.take_turn(voice).await;
        }
    }

    /// Waits until nobody else finds out whether a login is right, for no longer than a token may take. What they found
    /// out counts: the login may be another one then, or none. The turn ends with the voice.
    pub(super) async fn take_turn(&self, voice: &mut Voice<'_>) {
        if voice.turn.is_some() || voice.login.is_none() {
            return;
        }
        if let Ok(turn) = self.turns.clone().try_acquire_owned() {
            voice.turn = Some(turn);
            return;
        }
        let waiting = timeout(self.wire.limits.token, self.turns.clone().acquire_owned());
        voice.turn = waiting.await.ok().and_then(Result::ok);
        voice.login = self.login(voice.repository, voice.trouble).await;
        if self.is_proven(voice) {
            voice.end_turn();
        }
    }

    fn is_proven(&self, voice: &Voice<'_>) -> bool {
        let login = voice.login.as_ref();
        login.is_some_and(|login| self.proven.contains_key(login))
    }
}

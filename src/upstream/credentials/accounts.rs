//! What became of logins that were shown: which secret to show next, and which login to leave alone.
//!
//! Several requests show the same login at once. What they hear about it counts as one refusal until it is handed out
//! again: else a single wrong password would look like many.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::breaker::Breaker;
use super::source::{Maker, Offer};
use super::{Login, LoginIdentity, LoginSecret, Standing};
use crate::oci::RepositoryName;

/// The logins that were handed out.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The registry, for the log.
    server: Arc<str>,
    table: Mutex<Vec<Account>>,
}

/// Which source a login came from, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the source.
    pub(super) source: usize,
    /// A repository that it was for.
    pub(super) repository: RepositoryName,
}

/// Whether a refusal tells something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// The first that is heard of it.
    New,
    /// It was known since this secret was handed out.
    Echo,
}

struct Account {
    identity: LoginIdentity,
    maker: Maker,
    place: Place,
    /// What people made: all that may be shown. What a helper made: what was shown, the latest last.
    secrets: Vec<LoginSecret>,
    /// What was accepted last.
    preferred: Option<LoginSecret>,
    /// What was refused since a secret was handed out that had not been.
    refused: Vec<LoginSecret>,
    /// Whether something was handed out since a refusal counted.
    attempt: Attempt,
    breaker: Breaker,
    used: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    None,
    Open,
}

impl Accounts {
    /// So many logins are remembered: an auth file may have many for one registry.
    const MAX: usize = 64;

    /// Starts with none.
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.into(),
            table: Mutex::default(),
        }
    }

    /// Hands out a login, unless it is left alone.
    pub(super) fn admit(&self, offer: &Offer, place: &Place, now: Instant) -> Standing {
        let mut table = self.table();
        let account = account_of(&mut table, offer, place, now);
        if let Err(until) = account.breaker.admit(now) {
            return Standing::Suspended {
                identity: offer.identity.clone(),
                until,
            };
        }
        if account.untried(offer).is_none() {
            account.refused.clear();
        }
        match account.untried(offer) {
            Some(secret) => Standing::Ready(account.hand_out(secret)),
            None => Standing::Nobody,
        }
    }

    /// Takes down that a secret was refused. Returns where the login came from; `None` when it was never handed out.
    pub(super) fn note(&self, login: &Login) -> Option<(Place, Novelty)> {
        let mut table = self.table();
        let accounts = table.iter_mut().filter(|account| account.has(login));
        let account = accounts.max_by_key(|account| account.used)?;
        let novelty = if account.refused.contains(&login.secret) {
            Novelty::Echo
        } else {
            account.turn_down(&login.secret);
            Novelty::New
        };
        Some((account.place.clone(), novelty))
    }

    /// Returns what else may be shown instead of a refused login, from what its source says by now. When there is
    /// nothing else, the refusal counts.
    pub(super) fn another(
        &self,
        login: &Login,
        offer: &Offer,
        place: &Place,
        now: Instant,
    ) -> Option<Login> {
        let mut table = self.table();
        let account = account_of(&mut table, offer, place, now);
        account.turn_down(&login.secret);
        let is_open = match account.breaker {
            Breaker::Open { .. } => true,
            Breaker::Closed { .. } | Breaker::Trying { .. } => false,
        };
        let is_tired = account.refused.len() >= Account::MAX_TRIED;
        if let Some(secret) = account.untried(offer).filter(|_| !is_open && !is_tired) {
            return Some(account.hand_out(secret));
        }
        if account.attempt == Attempt::Open {
            account.attempt = Attempt::None;
            if let Some(length) = account.breaker.refused(now) {
                tracing::warn!(
                    upstream.name = &*self.server,
                    login = %account.identity,
                    suspended_ms = length.as_millis(),
                    "a login was refused twice and is left alone for a while, since registries lock accounts: correct \
                     its password or token"
                );
            }
        }
        None
    }

    /// Takes down that a login was accepted.
    pub(super) fn accepted(&self, login: &Login) {
        let mut table = self.table();
        for account in table.iter_mut().filter(|account| account.has(login)) {
            account.refused.clear();
            account.preferred = Some(login.secret.clone());
            if account.breaker.accepted() {
                tracing::info!(
                    upstream.name = &*self.server,
                    login = %account.identity,
                    "a login that was left alone is accepted again"
                );
            }
        }
    }

    /// Returns whether a login of this place with one of these secrets was suspended and not accepted since.
    pub(super) fn is_suspended(&self, place: &LoginIdentity, secrets: &[LoginSecret]) -> bool {
        self.table().iter().any(|account| {
            let is_meant = match account.maker {
                Maker::People => account.secrets.iter().any(|own| secrets.contains(own)),
                Maker::Helper(_) => true,
            };
            account.identity.is_of(place) && is_meant && account.breaker.is_suspended()
        })
    }

    fn table(&self) -> MutexGuard<'_, Vec<Account>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the account of an offer, which is made when there is none.
fn account_of<'a>(
    table: &'a mut Vec<Account>,
    offer: &Offer,
    place: &Place,
    now: Instant,
) -> &'a mut Account {
    let index = match table.iter().position(|account| account.is_of(offer)) {
        Some(index) => index,
        None => {
            if table.len() >= Accounts::MAX {
                let least = table.iter().enumerate();
                let least =
                    least.min_by_key(|(_, account)| (account.breaker.is_suspended(), account.used));
                if let Some((index, _)) = least {
                    drop(table.swap_remove(index));
                }
            }
            table.push(Account::new(offer, place, now));
            table.len() - 1
        }
    };
    let account = &mut table[index];
    account.used = now;
    account.place = place.clone();
    account
}

impl Account {
    /// So many secrets are tried in a row: a helper may have a new one each time.
    const MAX_TRIED: usize = 2;
    /// So many secrets are remembered: what was shown a while ago may be refused only now.
    const MAX_SHOWN: usize = 4;

    fn new(offer: &Offer, place: &Place, now: Instant) -> Self {
        Self {
            identity: offer.identity.clone(),
            maker: offer.maker.clone(),
            place: place.clone(),
            secrets: offer.secrets.clone(),
            preferred: None,
            refused: Vec::new(),
            attempt: Attempt::None,
            breaker: Breaker::default(),
            used: now,
        }
    }

    fn is_of(&self, offer: &Offer) -> bool {
        let is_same = match self.maker {
            Maker::People => self.secrets == offer.secrets,
            Maker::Helper(_) => true,
        };
        self.identity == offer.identity && self.maker == offer.maker && is_same
    }

    fn has(&self, login: &Login) -> bool {
        self.identity == login.identity && self.secrets.contains(&login.secret)
    }

    fn turn_down(&mut self, secret: &LoginSecret) {
        remember(&mut self.refused, secret);
    }

    /// Returns the secret to show next: the one that was accepted last, or the first that was not refused.
    fn untried(&self, offer: &Offer) -> Option<LoginSecret> {
        let preferred = self.preferred.iter();
        let preferred = preferred.filter(|secret| offer.secrets.contains(secret));
        let mut secrets = preferred.chain(&offer.secrets);
        secrets
            .find(|secret| !self.refused.contains(secret))
            .cloned()
    }

    fn hand_out(&mut self, secret: LoginSecret) -> Login {
        self.attempt = Attempt::Open;
        remember(&mut self.secrets, &secret);
        Login {
            identity: self.identity.clone(),
            secret,
        }
    }
}

/// Adds a secret to a list of the latest.
fn remember(list: &mut Vec<LoginSecret>, secret: &LoginSecret) {
    if !list.contains(secret) {
        list.push(secret.clone());
        if list.len() > Account::MAX_SHOWN {
            drop(list.remove(0));
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("identity", &self.identity)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Secret;
    use super::*;

    #[test]
    fn what_is_suspended_is_not_forgotten_for_others() {
        let accounts = Accounts::new("r.io");
        let place = Place {
            source: 0,
            repository: "a".parse().unwrap(),
        };
        let offer = |number: usize| Offer {
            identity: LoginIdentity::new("file x"),
            maker: Maker::People,
            secrets: vec![LoginSecret::RegistryToken(Secret::new(&number.to_string()))],
        };
        let start = Instant::now();
        for _ in 0..2 {
            let Standing::Ready(login) = accounts.admit(&offer(0), &place, start) else {
                panic!("suspended early");
            };
            assert!(accounts.note(&login).is_some());
            assert_eq!(accounts.another(&login, &offer(0), &place, start), None);
        }
        for number in 1..200 {
            let now = start + Duration::from_millis(u64::try_from(number).unwrap());
            let standing = accounts.admit(&offer(number), &place, now);
            assert!(matches!(standing, Standing::Ready(_)), "{standing:?}");
        }
        assert_eq!(accounts.table().len(), Accounts::MAX);
        let standing = accounts.admit(&offer(0), &place, start + Duration::from_secs(1));
        assert!(
            matches!(standing, Standing::Suspended { .. }),
            "{standing:?}"
        );
    }
}

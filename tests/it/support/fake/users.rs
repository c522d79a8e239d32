//! The users of a registry: their passwords, which change, and who logged in with a right or a wrong one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Those whom a registry knows. Changes are seen by the next request.
#[derive(Debug, Default)]
pub struct Users(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Passwords by name.
    passwords: BTreeMap<String, String>,
    /// Passwords that let in whoever shows them, under any name.
    for_all_names: Vec<String>,
    /// The names of users, by the identity tokens that stand for them.
    identities: BTreeMap<String, String>,
    logins: Logins,
}

/// How often somebody showed a password or an identity token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// One that was right.
    pub right: usize,
    /// One that was wrong, or of somebody unknown.
    pub wrong: usize,
}

impl Users {
    /// Gives a user, known before or not, this password.
    pub fn set_password(&self, name: &str, password: &str) {
        let mut known = self.0.lock().unwrap();
        known.passwords.insert(name.into(), password.into());
    }

    /// Lets everybody in who shows this password, under any name.
    pub fn accept_any_name(&self, password: &str) {
        self.0.lock().unwrap().for_all_names.push(password.into());
    }

    /// Lets an identity token stand for a user: the token endpoint takes it for a login.
    pub fn accept_identity(&self, name: &str, token: &str) {
        let mut known = self.0.lock().unwrap();
        known.identities.insert(token.into(), name.into());
    }

    /// Returns how often somebody tried to log in, by Basic or at the token endpoint.
    pub fn logins(&self) -> Logins {
        self.0.lock().unwrap().logins
    }

    /// Looks at a name and a password, counts them, and returns whether they are right.
    pub(super) fn log_in(&self, name: &str, password: &str) -> bool {
        let mut known = self.0.lock().unwrap();
        let is_own = known.passwords.get(name).is_some_and(|own| own == password);
        let is_right = is_own || known.for_all_names.iter().any(|one| one == password);
        known.logins.count(is_right);
        is_right
    }

    /// Looks at an identity token, counts it, and returns whose it is.
    pub(super) fn identify(&self, token: &str) -> Option<String> {
        let mut known = self.0.lock().unwrap();
        let user = known.identities.get(token).cloned();
        known.logins.count(user.is_some());
        user
    }
}

impl Logins {
    fn count(&mut self, is_right: bool) {
        if is_right {
            self.right += 1;
        } else {
            self.wrong += 1;
        }
    }
}

/// Returns the `Authorization` header of a user (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Reads the name and the password of an `Authorization` header.
pub(super) fn read_basic(authorization: &str) -> Option<(String, String)> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.into(), password.into()))
}

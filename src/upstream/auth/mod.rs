//! What a registry is shown so that it answers: tokens, got from its token service, or a user and a password.
//!
//! [`Authenticator`] leads the conversation, [`next`] decides what follows an answer, [`doubt`] finds out whether a login is
//! wrong, [`turns`] keeps crowds from showing one before that is known, [`tokens`] keeps what was got by [`exchange`], and [`realm`] says which token services may see a login.

mod authenticator;
pub(super) mod challenge;
mod doubt;
mod exchange;
mod next;
mod realm;
mod token;
mod tokens;
mod turns;

pub(super) use authenticator::{Authenticator, Trouble};
pub(super) use realm::TokenHosts;

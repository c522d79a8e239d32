//! Who asks, and may they: decides once per request, before anything else is done.

use crate::addressing::{Action, Caller, Grant, Target};

/// Decides about a request. Client authentication is off: everyone is anonymous and may pull, and an `Authorization`
/// that a client sends is neither read nor passed on.
pub fn decide(target: Target) -> Grant {
    Grant::new(Caller::Anonymous, target, Action::Pull)
}

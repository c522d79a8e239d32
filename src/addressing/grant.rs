//! What a caller may do: the only argument that opens the cache and what is hosted.

use super::{Origin, Target};
use crate::oci::RepositoryName;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Nobody in particular: client authentication is off. All that is known is where they are.
    Anonymous(Place),
}

/// Where a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On the machine that larder runs on, connected over its loopback interface.
    Loopback,
    /// Anywhere else, or behind a proxy on this machine.
    Elsewhere,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// To read manifests and blobs.
    Pull,
}

/// Permission for a caller to do one thing with one target. Made by the server's access room, once per request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant<T = Target> {
    caller: Caller,
    target: T,
    action: Action,
}

/// A grant, by what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Granted {
    /// For a repository that is hosted here.
    Hosted(Grant<RepositoryName>),
    /// For a repository of another registry.
    Proxied(Grant<Origin>),
}

impl<T> Grant<T> {
    /// Grants an action. Whoever calls this has decided that the caller may.
    pub fn new(caller: Caller, target: T, action: Action) -> Self {
        Self {
            caller,
            target,
            action,
        }
    }

    /// Returns who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns what may be used.
    pub fn target(&self) -> &T {
        &self.target
    }

    /// Returns what may be done.
    pub fn action(&self) -> Action {
        self.action
    }
}

impl Grant {
    /// Sorts the grant by what it is for.
    pub fn sort(self) -> Granted {
        let Self {
            caller,
            target,
            action,
        } = self;
        match target {
            Target::Hosted(target) => Granted::Hosted(Grant {
                caller,
                target,
                action,
            }),
            Target::Proxied(target) => Granted::Proxied(Grant {
                caller,
                target,
                action,
            }),
        }
    }
}

//! How a command ends when it fails: an error with its causes, a hint where one is known, and the exit code.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use thiserror::Error;

use super::client_config::{NotDelivered, Refused};
use super::not_done::NotDone;
use super::printable;
use super::trouble::Trouble;
use crate::config::Faults;
use crate::store::StoreError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All went well.
    Done,
    /// Something failed while running.
    Failed,
    /// The configuration or the command line is wrong.
    Misused,
    /// The registry is not configured, or cannot be found or reached; or no larder runs that could be told something.
    NoRegistry,
    /// The repository is not there, or may not be seen.
    NoRepository,
    /// The tag, the digest or the platform is not there.
    NoReference,
    /// The login was refused, or could not be used.
    LoginRefused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Misused => Self::from(2),
            Exit::NoRegistry => Self::from(3),
            Exit::NoRepository => Self::from(4),
            Exit::NoReference => Self::from(5),
            Exit::LoginRefused => Self::from(6),
        }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is wrong.
    Configured(Faults),
    /// Something else that was asked for is wrong.
    Misused(anyhow::Error),
    /// A registry did not give what was asked for.
    Visiting(Box<Trouble>),
    /// What the operator wanted was not done.
    Operating(Box<NotDone>),
    /// It failed while running.
    Running(anyhow::Error),
}

impl From<NotDone> for Failure {
    fn from(not_done: NotDone) -> Self {
        Self::Operating(Box::new(not_done))
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Visiting(Box::new(trouble))
    }
}

/// Where larder could not listen: the context of the error that says why.
#[derive(Clone, Copy, Debug, Error)]
pub(super) enum NotListening {
    /// For the registry API.
    #[error("could not listen at {0}")]
    Registry(SocketAddr),
    /// For the registry API over TLS.
    #[error("could not listen at {0} for TLS")]
    RegistryTls(SocketAddr),
    /// For health and metrics.
    #[error("could not listen at {0} for health and metrics")]
    Health(SocketAddr),
    /// For the operator's commands.
    #[error("could not listen at {0} for the operator's commands")]
    Commands(SocketAddr),
}

impl Failure {
    /// Makes a failure of something that was asked for and makes no sense.
    pub(super) fn misused(error: impl Into<anyhow::Error>) -> Self {
        Self::Misused(error.into())
    }

    /// Makes a failure of something that went wrong while running.
    pub(super) fn running(error: impl Into<anyhow::Error>) -> Self {
        Self::Running(error.into())
    }

    /// Returns the exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Configured(_) | Self::Misused(_) => Exit::Misused,
            Self::Visiting(trouble) => trouble.exit(),
            Self::Operating(not_done) => not_done.exit(),
            Self::Running(_) => Exit::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::Configured(faults) => {
                let count = faults.as_slice().len();
                let plural = if count == 1 { "" } else { "s" };
                return write!(
                    f,
                    "{faults}\nerror: the configuration has {count} fault{plural}"
                );
            }
            Self::Visiting(trouble) => {
                let hint = trouble.hint().map(Cow::Owned);
                return told(f, anyhow::Chain::new(&**trouble), hint);
            }
            Self::Operating(not_done) => {
                let hint = not_done.hint().map(Cow::Borrowed);
                return told(f, anyhow::Chain::new(&**not_done), hint);
            }
            Self::Misused(error) | Self::Running(error) => error,
        };
        told(f, error.chain(), hint(error))
    }
}

/// Tells an error, its causes and what to do. Some of the words are those of other hosts.
fn told(
    f: &mut fmt::Formatter<'_>,
    mut chain: anyhow::Chain<'_>,
    hint: Option<Cow<'_, str>>,
) -> fmt::Result {
    if let Some(error) = chain.next() {
        write!(f, "error: {}", printable::line(&error.to_string()))?;
    }
    for cause in chain {
        write!(f, "\n  because: {}", printable::line(&cause.to_string()))?;
    }
    match hint {
        Some(hint) => write!(f, "\nhint: {hint}"),
        None => Ok(()),
    }
}

/// The first port that every user may listen at, unless the system was told otherwise.
const FREE_PORTS: u16 = 1024;

/// Returns what to do about an error, where that is known.
fn hint(error: &anyhow::Error) -> Option<Cow<'static, str>> {
    if let Some(door) = error.downcast_ref::<NotListening>() {
        let kind = error.downcast_ref::<io::Error>()?.kind();
        return listen_hint(*door, kind);
    }
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return refused.hint().map(Cow::Owned);
    }
    if let Some(not_delivered) = error.downcast_ref::<NotDelivered>() {
        return not_delivered.hint().map(Cow::Borrowed);
    }
    let store = error.chain().find_map(|cause| cause.downcast_ref());
    store.and_then(store_hint).map(Cow::Borrowed)
}

fn listen_hint(door: NotListening, kind: io::ErrorKind) -> Option<Cow<'static, str>> {
    let (address, setting) = match door {
        NotListening::Registry(address) => (address, "--listen or server.listen"),
        NotListening::RegistryTls(address) => (address, "server.tls.listen"),
        NotListening::Health(address) => (address, "server.metrics_listen"),
        NotListening::Commands(address) => (address, "admin.listen"),
    };
    match kind {
        io::ErrorKind::AddrInUse => {
            let port = address.port();
            let hint = format!(
                "another program listens there, or another larder: `ss -ltnp 'sport = :{port}'` says which to its owner \
                 and to root; stop it, or choose another address with {setting}"
            );
            Some(hint.into())
        }
        io::ErrorKind::AddrNotAvailable => Some(
            "this machine does not have that address; 0.0.0.0 stands for all that it has".into(),
        ),
        io::ErrorKind::PermissionDenied if (1..FREE_PORTS).contains(&address.port()) => {
            let hint = format!(
                "ports below {FREE_PORTS} need root or CAP_NET_BIND_SERVICE; choose a higher one with {setting}"
            );
            Some(hint.into())
        }
        _ => None,
    }
}

fn store_hint(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::InUse { .. } => {
            Some("give each larder a folder of its own, with --cache-path or cache.path")
        }
        StoreError::Newer { .. } => {
            Some("run the newer larder, or set another folder with --cache-path or cache.path")
        }
        StoreError::Io { source, .. } => file_system_hint(source.kind()),
        StoreError::Records { source, .. } => {
            file_system_hint(source.downcast_ref::<io::Error>()?.kind())
        }
        StoreError::NoSpace { .. }
        | StoreError::Conflict { .. }
        | StoreError::Damaged { .. }
        | StoreError::Truncated { .. } => None,
    }
}

fn file_system_hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::PermissionDenied => Some(
            "choose a folder that this user may write, with --cache-path or cache.path; all in it has to be this user's",
        ),
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "that file system can only be read; choose a folder on another, with --cache-path or cache.path",
        ),
        io::ErrorKind::NotADirectory => Some(
            "something that is no folder is in the way; choose another folder, with --cache-path or cache.path",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn not_listening(door: NotListening, kind: io::ErrorKind) -> String {
        let error = Err::<(), _>(io::Error::from(kind)).context(door);
        Failure::running(error.unwrap_err()).to_string()
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_a_hint() {
        let registry = NotListening::Registry("127.0.0.1:5000".parse().unwrap());
        assert_eq!(
            not_listening(registry, io::ErrorKind::AddrInUse),
            "error: could not listen at 127.0.0.1:5000\n  \
             because: address in use\n\
             hint: another program listens there, or another larder: `ss -ltnp 'sport = :5000'` says which to its owner \
             and to root; stop it, or choose another address with --listen or server.listen"
        );
        let error = anyhow::anyhow!("no luck");
        assert_eq!(Failure::running(error).to_string(), "error: no luck");
    }

    #[test]
    fn the_hint_names_the_setting_of_the_door_that_stays_shut() {
        let registry = |address: &str| NotListening::Registry(address.parse().unwrap());
        let tls = |address: &str| NotListening::RegistryTls(address.parse().unwrap());
        let health = |address: &str| NotListening::Health(address.parse().unwrap());
        let (in_use, denied) = (io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied);
        for (door, kind, named) in [
            (registry("127.0.0.1:80"), denied, "1024 need root"),
            (registry("127.0.0.1:80"), denied, "--listen"),
            (tls("127.0.0.1:5443"), in_use, "server.tls.listen"),
            (health("127.0.0.1:5001"), in_use, "server.metrics_listen"),
            (
                NotListening::Commands("127.0.0.1:5002".parse().unwrap()),
                in_use,
                "admin.listen",
            ),
            (health("127.0.0.1:81"), denied, "server.metrics_listen"),
            (
                health("10.9.8.7:81"),
                io::ErrorKind::AddrNotAvailable,
                "0.0.0.0",
            ),
        ] {
            let told = not_listening(door, kind);
            let (_, hint) = told.split_once("\nhint: ").expect(&told);
            assert!(hint.contains(named), "{told}");
            let is_other = !matches!(door, NotListening::Registry(_));
            assert!(!(is_other && hint.contains("--listen")), "{told}");
        }
        for port in [0, 5000] {
            let told = not_listening(registry(&format!("127.0.0.1:{port}")), denied);
            assert!(!told.contains("hint"), "{told}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_has_its_hint() {
        let io = |kind: io::ErrorKind| StoreError::io("make", "/cache", kind.into());
        let records = |kind| StoreError::records("open", "/cache", io::Error::from(kind));
        let in_use = StoreError::InUse {
            path: "/cache".into(),
            owner: "7".into(),
        };
        let newer = StoreError::Newer {
            path: "/cache".into(),
            found: "blobs-v2".into(),
            known: "blobs-v1".into(),
        };
        for (error, hint) in [
            (in_use, "a folder of its own"),
            (newer, "run the newer larder"),
            (io(io::ErrorKind::PermissionDenied), "this user may write"),
            (io(io::ErrorKind::ReadOnlyFilesystem), "only be read"),
            (io(io::ErrorKind::NotADirectory), "is no folder"),
            (
                records(io::ErrorKind::PermissionDenied),
                "this user may write",
            ),
            (records(io::ErrorKind::ReadOnlyFilesystem), "only be read"),
        ] {
            let told = Failure::running(error).to_string();
            let (_, told) = told.split_once("\nhint: ").expect(&told);
            assert!(told.contains(hint), "{told}");
        }
        for error in [io(io::ErrorKind::NotFound), records(io::ErrorKind::Other)] {
            let told = Failure::running(error).to_string();
            assert!(!told.contains("hint"), "{told}");
        }
    }
}

//! How a command ends when it fails: an error with its causes, a hint where one is known, and the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Misused => Self::from(2),
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
    /// It failed while running.
    Running(anyhow::Error),
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
            Self::Misused(error) | Self::Running(error) => error,
        };
        write!(f, "error: {error}")?;
        for cause in error.chain().skip(1) {
            write!(f, "\n  because: {cause}")?;
        }
        match hint(error) {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Returns what to do about an error, where that is known.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return store_hint(error);
        }
        match cause.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::AddrInUse => {
                Some("another program listens there; choose another address with --listen")
            }
            io::ErrorKind::AddrNotAvailable => {
                Some("this machine does not have that address; 0.0.0.0 stands for all that it has")
            }
            _ => None,
        }
    })
}

fn store_hint(error: &StoreError) -> Option<&'static str> {
    if let StoreError::InUse { .. } = error {
        Some("give each larder a folder of its own, with --cache-path or cache.path")
    } else if let StoreError::Newer { .. } = error {
        Some("run the newer larder, or set another folder with --cache-path or cache.path")
    } else if let StoreError::Io { source, .. } = error
        && source.kind() == io::ErrorKind::PermissionDenied
    {
        Some("choose a folder that this user may write, with --cache-path or cache.path")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_a_hint() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::AddrInUse))
            .context("could not listen at 127.0.0.1:5000")
            .unwrap_err();
        assert_eq!(
            Failure::running(error).to_string(),
            "error: could not listen at 127.0.0.1:5000\n  \
             because: address in use\n\
             hint: another program listens there; choose another address with --listen"
        );
        let error = anyhow::anyhow!("no luck");
        assert_eq!(Failure::running(error).to_string(), "error: no luck");
    }

    #[test]
    fn a_folder_that_cannot_be_used_has_its_hint() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let in_use = StoreError::InUse {
            path: "/cache".into(),
            owner: "7".into(),
        };
        let newer = StoreError::Newer {
            path: "/cache".into(),
            found: "blobs-v2".into(),
            known: "blobs-v1".into(),
        };
        for error in [StoreError::io("make", "/cache", denied), in_use, newer] {
            let told = Failure::running(error).to_string();
            assert!(told.contains("\nhint: "), "{told}");
        }
        let other = io::Error::from(io::ErrorKind::NotFound);
        let told = Failure::running(StoreError::io("make", "/cache", other)).to_string();
        assert!(!told.contains("hint"), "{told}");
    }
}

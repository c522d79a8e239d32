//! What the configuration needs to know of the process, taken in as values so that tests can make it up.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fault::{Faults, Place};

/// The environment of a process.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The environment variables whose names are text.
    pub variables: BTreeMap<String, OsString>,
    /// Whether the process has all rights.
    pub is_root: bool,
    /// Where `larder.toml` is looked for first; empty means the working folder.
    pub working_folder: PathBuf,
    /// Where `larder.toml` is looked for after that.
    pub system_folder: PathBuf,
    /// Where larder is listened for already.
    pub sockets: GivenSockets,
    /// Where the larder that reads its configuration again serves the registry API: what is written anew changes nothing
    /// about that.
    pub open_at: Vec<SocketAddr>,
}

/// The addresses of sockets that whoever started this process opened for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenSockets {
    /// For the registry API.
    pub registry: Option<SocketAddr>,
    /// For the registry API over TLS, beside that.
    pub registry_tls: Option<SocketAddr>,
    /// For health and metrics.
    pub metrics: Option<SocketAddr>,
}

/// A configuration file that was found.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Surroundings {
    /// The variable that names the configuration file.
    pub const CONFIG_VARIABLE: &str = "LARDER_CONFIG";

    /// The longest configuration file, in bytes: far more than anyone writes, and less than would hurt.
    pub const MAX_FILE_SIZE: u64 = 1 << 20;

    const FILE_NAME: &str = "larder.toml";

    /// Reads the environment of this process.
    pub fn of_process() -> Self {
        let text_name =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self {
            variables: std::env::vars_os().filter_map(text_name).collect(),
            is_root: rustix::process::geteuid().is_root(),
            working_folder: PathBuf::new(),
            system_folder: PathBuf::from("/etc/larder"),
            sockets: GivenSockets::default(),
            open_at: Vec::new(),
        }
    }

    /// Returns a variable, unless it is empty.
    pub fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    /// Returns the files that are looked for: the one that a flag names, else the one that the environment names, else
    /// those of the working folder and of the system, of which the first that is there counts.
    pub fn file_candidates(&self, named: Option<&Path>) -> Vec<PathBuf> {
        let by_variable = self.variable(Self::CONFIG_VARIABLE).map(PathBuf::from);
        match named.map(Path::to_owned).or(by_variable) {
            Some(named) => vec![self.working_folder.join(named)],
            None => self.usual_files().into(),
        }
    }

    fn usual_files(&self) -> [PathBuf; 2] {
        [&self.working_folder, &self.system_folder].map(|folder| folder.join(Self::FILE_NAME))
    }

    /// Reads the configuration file: the one that a flag names, else the one that the environment names, else the one
    /// of the working folder, else the one of the system. `None` when nothing is named and nothing is there.
    pub(super) fn find_file(&self, named: Option<&Path>, faults: &mut Faults) -> Option<FoundFile> {
        let by_variable = self.variable(Self::CONFIG_VARIABLE).map(PathBuf::from);
        let named = match (named, by_variable) {
            (Some(path), _) => Some((Place::Flag("--config"), path.to_owned())),
            (None, Some(path)) => Some((Place::Variable(Self::CONFIG_VARIABLE.to_owned()), path)),
            (None, None) => None,
        };
        if let Some((place, path)) = named {
            let path = self.working_folder.join(path);
            return match read_bounded(&path) {
                Ok(text) => Some(FoundFile { path, text }),
                Err(error) => {
                    faults.push(
                        place,
                        format!("'{}' cannot be read: {error}", path.display()),
                    );
                    None
                }
            };
        }
        for path in self.usual_files() {
            match read_bounded(&path) {
                Ok(text) => return Some(FoundFile { path, text }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    faults.push(Place::File(path), format!("cannot be read: {error}"));
                    return None;
                }
            }
        }
        None
    }

    /// Returns the cache folder of those who name none.
    pub(super) fn default_cache_folder(&self) -> Option<PathBuf> {
        if self.is_root {
            return Some(PathBuf::from("/var/lib/larder"));
        }
        // systemd puts several folders into one variable, with ':' between them.
        let state = self
            .variable("STATE_DIRECTORY")
            .and_then(|folders| std::env::split_paths(folders).next());
        // A relative folder in this variable is to be ignored (XDG Base Directory Specification).
        let cache = self
            .variable("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute());
        let home = || {
            self.variable("HOME")
                .map(|home| Path::new(home).join(".cache"))
        };
        state.or_else(|| Some(cache.or_else(home)?.join("larder")))
    }
}

/// Reads a file as text, up to [`Surroundings::MAX_FILE_SIZE`].
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limit = Surroundings::MAX_FILE_SIZE;
    let read = File::open(path)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if read as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(text)
}

//! The files of a machine, as they are: some are not there, some may not be read, and strangers may have written them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes: far more than the configuration of any client.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most entries of a folder that are looked at: more than there are registries on any machine.
const MAX_ENTRIES: usize = 1_000;

/// Where the files of the clients are.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    root: PathBuf,
    home: Option<PathBuf>,
}

/// What became of reading something.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// It is not there.
    Nothing,
    /// It is there.
    Here(T),
    /// It is there, or might be, and cannot be read.
    Hidden(io::Error),
}

impl Machine {
    /// Looks below a folder, and into a home folder.
    pub(super) fn new(root: PathBuf, home: Option<PathBuf>) -> Self {
        Self { root, home }
    }

    /// Returns where a file is that a client knows by an absolute path.
    pub(super) fn system(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns where a file of the home folder is, if there is a home folder.
    pub(super) fn home(&self, path: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(path))
    }
}

/// Reads a file of text.
pub(super) fn read(path: &Path) -> Found<String> {
    let text = || {
        // Something else than a file, such as a pipe, would keep us waiting.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut text = String::new();
        let length = File::open(path)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)?;
        if length as u64 > MAX_FILE_BYTES {
            let message = format!("it has more than {MAX_FILE_BYTES} bytes");
            return Err(io::Error::other(message));
        }
        Ok(text)
    };
    sorted(text())
}

/// Returns the names of what is in a folder, sorted.
pub(super) fn list(folder: &Path) -> Found<Vec<String>> {
    let names = || {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)?.take(MAX_ENTRIES) {
            // Clients do not know what to do with other names either.
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    };
    sorted(names())
}

fn sorted<T>(read: io::Result<T>) -> Found<T> {
    match read {
        Ok(found) => Found::Here(found),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Found::Nothing,
            _ => Found::Hidden(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_clients_are_below_the_root() {
        let machine = Machine::new("/mnt/node".into(), None);
        assert_eq!(
            machine.system("/etc/docker"),
            Path::new("/mnt/node/etc/docker")
        );
        assert_eq!(machine.home(".docker"), None);
        let machine = Machine::new("/".into(), Some("/home/ada".into()));
        assert_eq!(machine.system("/etc/docker"), Path::new("/etc/docker"));
        assert_eq!(machine.home(".docker"), Some("/home/ada/.docker".into()));
    }

    #[test]
    fn what_is_no_text_of_some_length_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(matches!(read(&path), Found::Nothing));
        assert!(matches!(read(&path.join("below")), Found::Nothing));
        fs::write(&path, "text").unwrap();
        assert!(matches!(read(&path), Found::Here(text) if text == "text"));
        for (bytes, told) in [
            (vec![b' '; (1 << 20) + 1], "more than"),
            (b"\xff\xfe".to_vec(), "UTF-8"),
        ] {
            fs::write(&path, bytes).unwrap();
            let found = read(&path);
            assert!(
                matches!(&found, Found::Hidden(error) if error.to_string().contains(told)),
                "{found:?}"
            );
        }
        assert!(
            matches!(read(folder.path()), Found::Hidden(error) if error.to_string() == "it is no file")
        );
        assert!(matches!(list(folder.path()), Found::Here(names) if names == ["file"]));
        assert!(matches!(list(&path), Found::Nothing));
    }
}

//! Hands over the files of a client: as text, as JSON, or below a folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::file::{ClientFile, FILE_MODE};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::printable;

/// What becomes of files that are there already and differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// They stay, and nothing is written.
    Kept,
    /// They are written over.
    Replaced,
}

/// Why files were not written.
#[derive(Debug, Error)]
pub(in crate::cli) enum NotDelivered {
    /// There are others.
    #[error("nothing was written, since there are files that differ: {}", shown(.0))]
    Differs(Vec<PathBuf>),
    /// A file or folder could not be written or looked at.
    #[error("could not {verb} '{}'", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl NotDelivered {
    /// Returns what can be done about it, where that is known.
    pub(in crate::cli) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Differs(_) => Some(
                "compare them, and write over them with --force, or choose another folder: files of a client often have more in them",
            ),
            Self::Io { .. } => None,
        }
    }
}

/// A file for machines.
#[derive(Serialize)]
struct Document<'a> {
    path: &'a str,
    mode: String,
    content: String,
}

/// Shows the files as they are. What a single file cannot say in comments goes beside it.
pub(super) fn as_text(files: &[ClientFile], output: &mut Output) {
    if let [file] = files {
        tell_asides(files, output);
        output.data(&file.content());
        return;
    }
    let shown = files.iter().map(|file| {
        let aside = file.aside().unwrap_or_default();
        format!("# ---- {}\n{aside}{}", file.path, file.content())
    });
    let shown: Vec<String> = shown.collect();
    output.data(&shown.join("\n"));
}

/// Shows the files as JSON.
pub(super) fn as_json(files: &[ClientFile], output: &mut Output) {
    tell_asides(files, output);
    let documents = files.iter().map(|file| Document {
        path: &file.path,
        mode: format!("{FILE_MODE:04o}"),
        content: file.content(),
    });
    let documents: Vec<Document<'_>> = documents.collect();
    output.data(&printable::json(&documents));
}

/// Writes the files below a folder, in which their paths are those at the client.
pub(super) fn to_folder(
    files: &[ClientFile],
    folder: &Path,
    existing: Existing,
    output: &mut Output,
) -> Result<(), Failure> {
    let targets: Vec<(PathBuf, &ClientFile)> = files
        .iter()
        .map(|file| (folder.join(below(&file.path)), file))
        .collect();
    let written = match existing {
        Existing::Kept => check(&targets),
        Existing::Replaced => Ok(()),
    };
    written
        .and_then(|()| write_all(&targets))
        .map_err(Failure::running)?;
    tell_asides(files, output);
    let paths = targets.iter().map(|(path, _)| path.display().to_string());
    let paths: Vec<String> = paths.collect();
    output.data(&paths.join("\n"));
    Ok(())
}

/// Says what the files themselves cannot say.
fn tell_asides(files: &[ClientFile], output: &mut Output) {
    for aside in files.iter().filter_map(ClientFile::aside) {
        output.talk(&aside);
    }
}

/// Returns where a path of a client is below a folder.
fn below(path: &str) -> &str {
    path.strip_prefix("~/")
        .unwrap_or(path)
        .trim_start_matches('/')
}

/// Looks for files that differ.
fn check(targets: &[(PathBuf, &ClientFile)]) -> Result<(), NotDelivered> {
    let mut differing = Vec::new();
    for (path, file) in targets {
        match fs::read(path) {
            Ok(found) if found == file.content().as_bytes() => {}
            Ok(_) => differing.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("read", path, source)),
        }
    }
    match differing.is_empty() {
        true => Ok(()),
        false => Err(NotDelivered::Differs(differing)),
    }
}

fn write_all(targets: &[(PathBuf, &ClientFile)]) -> Result<(), NotDelivered> {
    for (path, file) in targets {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| failed("make", folder, source))?;
        }
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE);
        let written = options
            .open(path)
            .and_then(|mut open| open.write_all(file.content().as_bytes()));
        written.map_err(|source| failed("write", path, source))?;
    }
    Ok(())
}

fn failed(verb: &'static str, path: &Path, source: io::Error) -> NotDelivered {
    NotDelivered::Io {
        verb,
        path: path.to_owned(),
        source,
    }
}

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

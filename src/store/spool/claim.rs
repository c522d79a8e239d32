//! The names in a spool area, and who is using them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::oci::Digest;
use crate::runtime::{Clock, Tasks};
use crate::store::space::SpaceFloor;

/// What all spools of a folder share.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) folder: PathBuf,
    pub(super) floor: SpaceFloor,
    pub(super) tasks: Tasks,
    pub(super) clock: Clock,
    /// The number of the next fresh spool.
    pub(super) next: AtomicU64,
    in_use: Mutex<HashSet<SpoolName>>,
}

impl Area {
    pub(super) fn new(folder: &Path, floor: SpaceFloor, tasks: Tasks, clock: Clock) -> Self {
        Self {
            folder: folder.to_owned(),
            floor,
            tasks,
            clock,
            next: AtomicU64::new(0),
            in_use: Mutex::default(),
        }
    }

    /// Takes a name for one user; `None` when another has it.
    pub(super) fn claim(self: &Arc<Self>, name: SpoolName) -> Option<Claim> {
        let is_free = self.in_use().insert(name);
        is_free.then(|| Claim {
            area: Arc::clone(self),
            name,
        })
    }

    fn in_use(&self) -> MutexGuard<'_, HashSet<SpoolName>> {
        self.in_use.lock().expect("nothing panics while it counts")
    }
}

/// The name of a spool: its content, and a number, since one content may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpoolName {
    pub(super) digest: Digest,
    pub(super) number: u64,
}

/// One of the files of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The bytes.
    Content,
    /// What is known of them.
    Side,
    /// What will be known of them, while it is written.
    NewSide,
}

impl Part {
    const ALL: [Self; 3] = [Self::Content, Self::Side, Self::NewSide];

    fn extension(self) -> &'static str {
        match self {
            Self::Content => "spool",
            Self::Side => "json",
            Self::NewSide => "json-new",
        }
    }
}

impl SpoolName {
    /// Returns the name of one of the files.
    pub(super) fn file_name(&self, part: Part) -> String {
        let (algorithm, hex) = (self.digest.algorithm(), self.digest.hex());
        format!("{algorithm}-{hex}.{}.{}", self.number, part.extension())
    }

    /// Reads the name of a file; `None` when it is not one of ours.
    pub(super) fn parse(file_name: &str) -> Option<(Self, Part)> {
        let mut fields = file_name.split('.');
        let (content, number) = (fields.next()?, fields.next()?.parse().ok()?);
        let extension = fields.next()?;
        let (algorithm, hex) = content.split_once('-')?;
        let digest = format!("{algorithm}:{hex}").parse().ok()?;
        let is_part = |part: &Part| part.extension() == extension;
        let part = Part::ALL.into_iter().find(is_part)?;
        let name = Self { digest, number };
        (name.file_name(part) == file_name).then_some((name, part))
    }
}

/// The only use of a name in this process, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    area: Arc<Area>,
    name: SpoolName,
}

impl Claim {
    pub(super) fn name(&self) -> &SpoolName {
        &self.name
    }

    pub(super) fn folder(&self) -> &Path {
        &self.area.folder
    }

    pub(super) fn floor(&self) -> &SpaceFloor {
        &self.area.floor
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.area.tasks
    }

    pub(super) fn content_path(&self) -> PathBuf {
        self.path(Part::Content)
    }

    pub(super) fn path(&self, part: Part) -> PathBuf {
        self.area.folder.join(self.name.file_name(part))
    }

    /// Removes all files of the name and then gives it up, on the pool for blocking work where there is one.
    ///
    /// What cannot be removed now is swept later.
    pub(super) fn remove_files(claim: Arc<Self>, file: Arc<File>) {
        let tasks = claim.area.tasks.clone();
        let remove = move || {
            for part in Part::ALL {
                fs::remove_file(claim.path(part)).ok();
            }
            drop(file);
            drop(claim);
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            drop(tasks.spawn_blocking(remove));
        } else {
            remove();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.area.in_use().remove(&self.name);
    }
}

/// The longest name has to fit into what file systems allow.
const _: () = assert!("sha512-".len() + 128 + ".18446744073709551615.json-new".len() <= 255);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for digest in [Digest::Sha256([7; 32]), Digest::Sha512([8; 64])] {
            for part in Part::ALL {
                let name = SpoolName { digest, number: 41 };
                let text = name.file_name(part);
                assert_eq!(SpoolName::parse(&text), Some((name, part)));
            }
        }
        let hex = Digest::Sha256([7; 32]).hex();
        for stranger in [
            "notes.txt".to_owned(),
            format!("sha256-{hex}.spool"),
            format!("sha256-{hex}.01.spool"),
            format!("sha256-{hex}.1.spool.bak"),
            format!("sha256-{hex}.1.txt"),
            format!("md5-{hex}.1.spool"),
            String::new(),
        ] {
            assert_eq!(SpoolName::parse(&stranger), None, "{stranger}");
        }
    }
}

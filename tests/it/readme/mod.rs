//! The code blocks of the READMEs are right: each is in a known language, which it keeps to, and each that is for a shell is
//! run by `real::readme`, or the README says why it is not.

use std::fs;
use std::path::PathBuf;

mod fences;
mod not_run;
mod syntax;

pub(crate) use fences::{Block, Language};
pub(crate) use not_run::to_run;

/// The variable that names another folder with the documents: to try what is not in this one yet.
const FOLDER: &str = "LARDER_READMES";

/// A document with code blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Document {
    /// `README.md`.
    Larder,
    /// `deploy/README.md`.
    Deploying,
}

impl Document {
    /// All of them, in the order in which their blocks are run.
    pub(crate) const ALL: [Self; 2] = [Self::Larder, Self::Deploying];

    /// Returns where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Larder => "README.md",
            Self::Deploying => "deploy/README.md",
        }
    }

    /// Returns what is in it.
    pub(crate) fn text(self) -> String {
        let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folder = std::env::var_os(FOLDER).map_or_else(here, PathBuf::from);
        let path = folder.join(self.path());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// Returns all blocks of all documents, in their order.
pub(crate) fn blocks() -> Vec<Block> {
    let blocks = Document::ALL.into_iter().flat_map(fences::blocks);
    blocks.collect()
}

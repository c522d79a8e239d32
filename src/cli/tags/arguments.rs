//! What can be written behind `larder tags`.

use std::num::NonZeroUsize;

use clap::Args;

use crate::addressing::ImageName;
use crate::cli::args::{FolderArguments, Format};

/// What `larder tags --help` says behind the flags.
pub(in crate::cli) const TAGS_HELP: &str = "\
Versions come first, the newest at the top, then all other tags by alphabet. Numbers are compared as
numbers, and what came before a version (1.2.3-rc.1) stands below it.

No server has to run, and nothing is kept: this asks with the configuration and the logins that
`larder serve` uses, and so tells whether they work. The JSON has the keys registry, repository
and tags.

With --history nothing is asked: it shows where a tag pointed as larder saw it, the newest first,
at most 100 moves; without a tag, of latest. The JSON has the keys registry, repository, tag and
variants: class (index, or manifest for clients that read no indexes), visibility (public or
private) and moves (digest, first_seen, last_seen, is_present).

`larder --help` has the exit codes.";

/// The flags of `larder tags`.
#[derive(Args, Debug)]
pub(in crate::cli) struct TagsArguments {
    /// The repository, as behind larder's address in `docker pull`: alpine, ghcr.io/org/app.
    ///
    /// With --history, an image: alpine:3.20.
    pub(super) image: ImageName,
    /// Shows where one tag pointed, as far as larder saw it.
    #[arg(long, conflicts_with = "limit")]
    pub(super) history: bool,
    /// Shows the first so many tags. All are read all the same, since registries do not sort them.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub(super) limit: Option<NonZeroUsize>,
    /// How to show them: one a line, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) folder: FolderArguments,
}

/// Reads a number of things.
fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "write a number from 1 on")
}

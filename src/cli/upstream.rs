//! `larder upstream`: says whether a registry is asked, until larder stops.

use clap::{Args, ValueEnum};

use super::args::{FolderArguments, Format};
use super::failure::Failure;
use super::operator;
use super::output::Output;
use super::printable;
use crate::admin::document::ModeChanged;
use crate::config::Surroundings;
use crate::upstream::Mode;

/// What `larder upstream --help` says behind the flags.
pub(super) const UPSTREAM_HELP: &str = "\
Offline, a registry is not asked for anything: what is in the cache goes out, and what is not there
cannot be had, which `larder status --upstreams` shows. To start that way, set offline in the
configuration.

The JSON has the keys upstream, before and now. `larder --help` has the exit codes.";

/// The flags of `larder upstream`.
#[derive(Args, Debug)]
pub(super) struct UpstreamArguments {
    /// The registry, as it is configured: docker.io, '*.dkr.ecr.*.amazonaws.com'.
    name: String,
    /// Whether it is asked.
    #[arg(value_enum)]
    mode: ModeName,
    /// How to show what came of it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    folder: FolderArguments,
}

/// Whether a registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// It is never asked.
    Offline,
    /// It is asked.
    Online,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Offline => Self::Offline,
            ModeName::Online => Self::Online,
        }
    }
}

/// What to do when no larder runs: there is nothing that could be told.
const INSTEAD: &str = "the mode lasts until larder stops; to start with it, set offline in the [[upstream]], or in [server] for all";

/// Changes the mode of an upstream, and prints what it was.
pub(super) fn upstream(
    arguments: UpstreamArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let UpstreamArguments {
        name,
        mode,
        output: format,
        folder,
    } = arguments;
    let done = operator::command(&folder.into(), surroundings, INSTEAD, async |client| {
        operator::heard(client.set_mode(&name, mode.into()).await)
    })?;
    output.data(&match format {
        Format::Table => table(&done),
        Format::Json => printable::json(&done),
    });
    Ok(())
}

fn table(done: &ModeChanged) -> String {
    let name = printable::short(&done.upstream);
    let (before, now) = (done.before.name(), done.now.name());
    if done.before == done.now {
        format!("{name} is {now}, as before")
    } else {
        format!("{name} is {now} until larder stops; it was {before}")
    }
}

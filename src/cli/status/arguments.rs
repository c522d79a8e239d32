//! What can be written behind `larder status`.

use clap::Args;

use crate::cli::args::{FolderArguments, Format};

/// What `larder status --help` says behind the flags.
pub(in crate::cli) const STATUS_HELP: &str = "\
A running larder tells it, of the time since it started; no registry is asked. A registry rests when
it failed so often that it is left alone until the next probe.

The JSON has the keys at and upstreams: name, mode, offline_since and registries, of which each has
  name, state (unasked, answers, fails or rests: of the worst of its hosts), since
  stale        how many old answers went out, by reason
  lacking      what people lack: image, requests, first, last, reason
  endpoints    url, hosts (host, state, since, last_failure, next_probe), limits (host, login,
               limit, until), quotas (login, limit, remaining, window_seconds, at)
Moments are in UTC, as RFC 3339 has them, and null stands for what is not there. `larder --help` has
the exit codes.";

/// The flags of `larder status`.
#[derive(Args, Debug)]
pub(in crate::cli) struct StatusArguments {
    #[command(flatten)]
    pub(super) parts: StatusParts,
    /// How to show it: as a table, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) folder: FolderArguments,
}

/// What is to be told, at least one.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct StatusParts {
    /// Of the registries: whether they answer, what was served without them, and what people lack.
    #[arg(long)]
    pub(super) upstreams: bool,
}

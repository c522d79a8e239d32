//! What can be written behind `larder inspect`.

use clap::Args;

use super::platform::PlatformName;
use crate::addressing::ImageName;
use crate::cli::args::{ConfigArguments, Format};

/// What `larder inspect --help` says behind the flags.
pub(in crate::cli) const INSPECT_HELP: &str = "\
No server has to run, and nothing is kept: this asks with the configuration and the logins that
`larder serve` uses, and so tells whether they work. What a digest names was checked against it.

The JSON has these keys; sizes are in bytes, and null stands for what is not there:
  registry, repository, login, tag, digest, media_type, size_bytes, annotations
  platforms    of an index: os, architecture, variant, media_type, digest, size_bytes
  image        digest, media_type, size_bytes, artifact_type, annotations, config_media_type,
               layers (media_type, digest, size_bytes), layers_size_bytes, and
               config: created, author, os, architecture, variant, user, entrypoint, cmd, env,
               working_dir, exposed_ports, labels, history_length
  referrers    artifact_type, media_type, digest, size_bytes; null when they could not be asked for

`larder --help` has the exit codes.";

/// The flags of `larder inspect`.
#[derive(Args, Debug)]
pub(in crate::cli) struct InspectArguments {
    /// The image, as behind larder's address in `docker pull`: alpine:3.20, ghcr.io/org/app@sha256:….
    ///
    /// A digest counts before a tag; without both, the tag is latest.
    pub(super) image: ImageName,
    /// Which image of an index to describe, as os/architecture[/variant].
    ///
    /// Default: the one for this machine, else for linux/amd64, else the first.
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<PlatformName>,
    /// How to show it: as a table, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) config: ConfigArguments,
}

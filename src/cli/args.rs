//! What can be written on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flags;

/// A caching pull-through proxy for container registries.
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    version,
    long_about = LONG_ABOUT,
    after_help = "Try `larder --help` for an example, `larder check` to see what is configured.",
    after_long_help = EXAMPLE,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const LONG_ABOUT: &str = "A caching pull-through proxy for container registries.\n\n\
    Clients such as docker, containerd, podman or skopeo pull from larder; larder pulls from the registry, \
    checks every byte against its digest, keeps it, and serves it from then on.";

const EXAMPLE: &str = "\
Example:
  larder serve &
  skopeo copy --src-tls-verify=false \\
      docker://127.0.0.1:5000/ghcr.io/containerd/busybox:1.36 oci:busybox

  The first part of the name says which registry is meant. Without one it is docker.io:
  127.0.0.1:5000/alpine is docker.io/library/alpine.

Configuration:
  --config, else $LARDER_CONFIG, else ./larder.toml, else /etc/larder/larder.toml. Every key is
  optional. Variables like LARDER_SERVER__LISTEN override the file, flags override both.
  LARDER_LOG, else RUST_LOG, sets the level of the log, as in `info` or
  `info,larder::upstream=debug`.

Exit codes:
  0  all went well
  1  something failed while running
  2  the configuration or the command line is wrong";

/// What can be done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves the registry API until SIGTERM or SIGINT.
    Serve(ServeArguments),
    /// Says what is wrong with the configuration, or what is configured and who can pull what.
    #[command(
        after_long_help = "Faults go to standard error and make the exit code 2. Each names file, line, column \
            and key, or the variable or flag. Nothing is started and nothing is asked over the network."
    )]
    Check(CheckArguments),
}

/// The flags of `larder serve`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Hint: `larder check` reads the same configuration without starting anything."
)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Where to serve the registry API, as ip:port [default: 127.0.0.1:5000].
    ///
    /// There is no client authentication: who reaches this address can pull what larder can pull. Overrides
    /// server.listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<OsString>,
    /// The folder to keep content in, for one larder alone.
    ///
    /// Default: /var/lib/larder for root, else the first folder of $STATE_DIRECTORY, else $XDG_CACHE_HOME/larder or
    /// ~/.cache/larder. Overrides cache.path.
    #[arg(long, value_name = "FOLDER")]
    cache_path: Option<OsString>,
}

/// The flags of `larder check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    config: ConfigArguments,
}

/// The flags of every command that reads the configuration.
#[derive(Args, Debug)]
struct ConfigArguments {
    /// The configuration file; it has to exist.
    ///
    /// Default: $LARDER_CONFIG, else ./larder.toml, else /etc/larder/larder.toml, else none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl From<ServeArguments> for Flags {
    fn from(arguments: ServeArguments) -> Self {
        Self {
            config: arguments.config.config,
            listen: arguments.listen,
            cache_path: arguments.cache_path,
        }
    }
}

impl From<CheckArguments> for Flags {
    fn from(arguments: CheckArguments) -> Self {
        Self {
            config: arguments.config.config,
            ..Self::default()
        }
    }
}

//! What can be written on the command line: the commands, and the flags that several of them have. What one command alone
//! takes stands with it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::check::CheckArguments;
use super::client_config::{CLIENT_CONFIG_HELP, ClientConfigArguments};
use super::config::{CONFIG_HELP, ConfigFormArguments};
use super::doctor::{DOCTOR_HELP, DoctorArguments};
use super::healthcheck::{HEALTHCHECK_HELP, HealthcheckArguments};
use super::inspect::{INSPECT_HELP, InspectArguments};
use super::refresh::{REFRESH_HELP, RefreshArguments};
use super::reload::{RELOAD_HELP, ReloadArguments};
use super::serve::ServeArguments;
use super::status::{STATUS_HELP, StatusArguments};
use super::tags::{TAGS_HELP, TagsArguments};
use super::upstream::{UPSTREAM_HELP, UpstreamArguments};
use crate::admin::AdminUrl;
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
  2  the configuration or the command line is wrong
  3  the registry is not configured, is offline, cannot be found or reached, or is in trouble; or
     no larder is running that could be told something
  4  the repository does not exist, or may not be seen
  5  the tag, the digest or the platform does not exist, or larder knows nothing of it
  6  the login was refused, or could not be used";

/// What can be done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves the registry API until SIGTERM or SIGINT.
    Serve(ServeArguments),
    /// Says what is wrong with the configuration, or what is configured and who can pull what.
    #[command(
        after_long_help = "Faults go to standard error and make the exit code 2. Each names file, line, column \
            and key, or the variable or flag. Nothing is started and nothing is asked over the network.\n\n\
            With --effective, each line says behind it whether its value is the default, built in, or from a line of the \
            file, a variable, a flag or a socket. It can be read again as a configuration. No secret is in it, only where \
            secrets are."
    )]
    Check(CheckArguments),
    /// Prints what can be configured: a commented example, or a JSON schema.
    #[command(after_long_help = CONFIG_HELP)]
    Config(ConfigFormArguments),
    /// Lists the tags of a repository, straight from its registry.
    #[command(after_long_help = TAGS_HELP)]
    Tags(TagsArguments),
    /// Describes an image or artifact, straight from its registry.
    #[command(after_long_help = INSPECT_HELP)]
    Inspect(InspectArguments),
    /// Has the registry asked now what a tag points at, however fresh it is.
    #[command(after_long_help = REFRESH_HELP)]
    Refresh(RefreshArguments),
    /// Stops asking a registry, or asks it again, until larder stops.
    #[command(after_long_help = UPSTREAM_HELP)]
    Upstream(UpstreamArguments),
    /// Has the running larder read its configuration again.
    #[command(after_long_help = RELOAD_HELP)]
    Reload(ReloadArguments),
    /// Says how the running larder stands.
    #[command(after_long_help = STATUS_HELP)]
    Status(StatusArguments),
    /// Asks the larder that runs with this configuration, or at this address, whether it is ready.
    #[command(after_long_help = HEALTHCHECK_HELP)]
    Healthcheck(HealthcheckArguments),
    /// Writes the configuration by which a client pulls through larder.
    #[command(after_long_help = CLIENT_CONFIG_HELP)]
    ClientConfig(Box<ClientConfigArguments>),
    /// Says what is wrong with the clients here and with their larder, and what to do.
    #[command(after_long_help = DOCTOR_HELP)]
    Doctor(Box<DoctorArguments>),
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For machines.
    Json,
}

/// The flags of every command that reads the configuration.
#[derive(Args, Debug)]
pub(super) struct ConfigArguments {
    /// The configuration file; it has to exist.
    ///
    /// Default: $LARDER_CONFIG, else ./larder.toml, else /etc/larder/larder.toml, else none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The flags of every command that looks into the cache folder, or for the larder that has it.
#[derive(Args, Debug)]
pub(super) struct FolderArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The cache folder of the larder in question. Overrides cache.path.
    #[arg(long, value_name = "FOLDER")]
    cache_path: Option<OsString>,
    #[command(flatten)]
    pub(super) remote: RemoteArguments,
}

/// The flags by which a larder is reached over TCP.
#[derive(Args, Clone, Debug)]
pub(super) struct RemoteArguments {
    /// Where the larder in question takes commands over TCP, as http://host:port. See admin.listen.
    ///
    /// No configuration is read then. There is no TLS: to another machine, go through a tunnel such as `ssh -L`.
    #[arg(
        long,
        value_name = "URL",
        requires = "admin_token_file",
        conflicts_with = "cache_path"
    )]
    pub(super) admin_url: Option<AdminUrl>,
    /// The file of the token to show there, as admin.token_file of that larder has it.
    #[arg(long, value_name = "FILE", requires = "admin_url")]
    pub(super) admin_token_file: Option<PathBuf>,
}

impl From<FolderArguments> for Flags {
    fn from(arguments: FolderArguments) -> Self {
        Self {
            cache_path: arguments.cache_path,
            ..arguments.config.into()
        }
    }
}

impl From<&ConfigArguments> for Flags {
    fn from(arguments: &ConfigArguments) -> Self {
        Self {
            config: arguments.config.clone(),
            ..Self::default()
        }
    }
}

impl From<ConfigArguments> for Flags {
    fn from(arguments: ConfigArguments) -> Self {
        (&arguments).into()
    }
}

//! What can be written on the command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::client_config::{CLIENT_CONFIG_HELP, ClientConfigArguments};
use super::doctor::{DOCTOR_HELP, DoctorArguments};
use super::inspect::PlatformName;
use crate::addressing::ImageName;
use crate::admin::AdminUrl;
use crate::config::Flags;
use crate::upstream::Mode;

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
    /// Asks the larder that runs with this configuration whether it is ready.
    #[command(after_long_help = HEALTHCHECK_HELP)]
    Healthcheck(ConfigArguments),
    /// Writes the configuration by which a client pulls through larder.
    #[command(after_long_help = CLIENT_CONFIG_HELP)]
    ClientConfig(Box<ClientConfigArguments>),
    /// Says what is wrong with the clients here and with their larder, and what to do.
    #[command(after_long_help = DOCTOR_HELP)]
    Doctor(Box<DoctorArguments>),
}

const CONFIG_HELP: &str = "\
The example has every key with its meaning, its default and its danger; what it does not say is the
default. It is a configuration as it is:
  larder config --example > larder.toml

The schema (JSON schema, draft 2020-12) is for editors and for checks before a file is deployed.
What has to agree with other keys, and how a value is spelled in full, `larder check` says.";

const TAGS_HELP: &str = "\
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

const REFRESH_HELP: &str = "\
The running larder does it, and what it serves from then on is what the registry said. When none is
running, this command does it in the cache folder itself.

The JSON has the keys registry, repository, tag and variants: class (index, or manifest for clients
that read no indexes), before and now (digests), change (unchanged, moved or new). `larder --help`
has the exit codes.";

const UPSTREAM_HELP: &str = "\
Offline, a registry is not asked for anything: what is in the cache goes out, and what is not there
cannot be had, which `larder status --upstreams` shows. To start that way, set offline in the
configuration.

The JSON has the keys upstream, before and now. `larder --help` has the exit codes.";

const RELOAD_HELP: &str = "\
A larder that serves reads its configuration again by itself within two seconds after the file
changed, and on SIGHUP; this command waits for it, and says what changed. A configuration with a
fault changes nothing and makes the exit code 2. What is under way goes on as it began.

Sockets and the cache folder stay what they are until larder starts again: server.listen,
server.metrics_listen, and all of [server.tls] and [admin], whose files are read again whenever they
change, and cache.path.

The JSON has the keys file, changed, needs_restart and warnings. `larder --help` has the exit codes.";

const STATUS_HELP: &str = "\
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

const HEALTHCHECK_HELP: &str = "\
For the health checks of containers, which have no other program to ask with. It asks for /readyz at
server.metrics_listen, which has to be configured, and waits 3 seconds at most. A registry that does
not answer, or a full disk, makes larder no less ready.

The exit code is 0 when larder is ready and 1 when it is not.";

const INSPECT_HELP: &str = "\
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
    /// There is no client authentication: who reaches this address can pull every public image, and what `share` gives.
    /// Overrides server.listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<OsString>,
    /// The folder to keep content in, for one larder alone.
    ///
    /// Default: /var/lib/larder for root, else the first folder of $STATE_DIRECTORY, else $XDG_CACHE_HOME/larder or
    /// ~/.cache/larder. Overrides cache.path.
    #[arg(long, value_name = "FOLDER")]
    cache_path: Option<OsString>,
    /// Asks no registry: what is in the cache goes out as if it was fresh, and nothing else can be had.
    ///
    /// Upstreams with `offline = false` in the configuration are asked all the same. Sets server.offline.
    #[arg(long)]
    offline: bool,
}

/// The flags of `larder check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    /// Prints the configuration that is in effect instead, as TOML, with where each value comes from.
    #[arg(long)]
    effective: bool,
    #[command(flatten)]
    config: ConfigArguments,
}

/// In which form `larder check` says what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckForm {
    /// What it means, and who can pull what.
    Report,
    /// The values, and where each comes from.
    Effective,
}

impl CheckArguments {
    /// Returns the form that is asked for.
    pub(super) fn form(&self) -> CheckForm {
        match self.effective {
            true => CheckForm::Effective,
            false => CheckForm::Report,
        }
    }
}

/// The flags of `larder tags`.
#[derive(Args, Debug)]
pub(super) struct TagsArguments {
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

/// The flags of `larder inspect`.
#[derive(Args, Debug)]
pub(super) struct InspectArguments {
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

/// The flags of `larder refresh`.
#[derive(Args, Debug)]
pub(super) struct RefreshArguments {
    /// The image, by its tag, as behind larder's address in `docker pull`: alpine:3.20.
    ///
    /// Without a tag, it is latest.
    pub(super) image: ImageName,
    /// How to show what came of it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) folder: FolderArguments,
}

/// The flags of `larder upstream`.
#[derive(Args, Debug)]
pub(super) struct UpstreamArguments {
    /// The registry, as it is configured: docker.io, '*.dkr.ecr.*.amazonaws.com'.
    pub(super) name: String,
    /// Whether it is asked.
    #[arg(value_enum)]
    pub(super) mode: ModeName,
    /// How to show what came of it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) folder: FolderArguments,
}

/// Whether a registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeName {
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

/// The flags of `larder config`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct ConfigFormArguments {
    /// A configuration file with every key, commented.
    #[arg(long)]
    example: bool,
    /// The JSON schema of the configuration file.
    #[arg(long)]
    schema: bool,
}

/// In which form it is said what can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfigForm {
    Example,
    Schema,
}

impl ConfigFormArguments {
    /// Returns the form that is asked for, of which there is one.
    pub(super) fn form(&self) -> ConfigForm {
        match self.schema {
            true => ConfigForm::Schema,
            false => ConfigForm::Example,
        }
    }
}

/// The flags of `larder reload`.
#[derive(Args, Debug)]
pub(super) struct ReloadArguments {
    /// How to show what came of it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) folder: FolderArguments,
}

/// The flags of `larder status`.
#[derive(Args, Debug)]
pub(super) struct StatusArguments {
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

/// Reads a number of things.
fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "write a number from 1 on")
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

impl From<ServeArguments> for Flags {
    fn from(arguments: ServeArguments) -> Self {
        Self {
            config: arguments.config.config,
            listen: arguments.listen,
            cache_path: arguments.cache_path,
            offline: arguments.offline,
        }
    }
}

impl From<CheckArguments> for Flags {
    fn from(arguments: CheckArguments) -> Self {
        arguments.config.into()
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

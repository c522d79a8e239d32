//! What can be written behind `larder doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::addressing::ImageName;
use crate::cli::args::{FolderArguments, Format};
use crate::upstream::{EndpointUrl, EndpointUrlError};

/// What `larder doctor --help` says behind the flags.
pub(in crate::cli) const DOCTOR_HELP: &str = "\
Example:
  larder doctor --image alpine:3.20

It reads what the clients of this machine are told: daemon.json of docker, config.toml and
hosts.toml of containerd, registries.conf of podman and CRI-O, buildkitd.toml, and registries.yaml
of k3s and RKE2. Each address in them is asked as that client would ask it, with the certificates
that it trusts. A larder that runs here is asked for its standing, too. Nothing is changed, and no
registry is asked, except for the image of --image.

What cannot be read is a note: run it as root to see what only root can read. Flags of the clients'
own programs are not seen, nor proxies that they go through.

A fault keeps pulls from working, or from going through larder. A warning is likely to surprise. The
JSON has the keys ways (client, file, line, registry, url, path, says_registry, on_error), findings
(severity, about, file, line, message, remedy), faults and warnings.

Exit codes:
  0  no fault was found; there may be warnings and notes
  1  at least one fault was found
  2  the command line is wrong";

/// The flags of `larder doctor`.
#[derive(Args, Debug)]
pub(in crate::cli) struct DoctorArguments {
    /// Where larder has to be, besides what the files of the clients say: as http://larder:5000.
    ///
    /// Whatever answers there and is no larder is a fault. Default: where the configuration says, when it is of a larder
    /// on this machine.
    #[arg(long, value_name = "URL", value_parser = larder_url)]
    pub(super) url: Option<EndpointUrl>,
    /// Pulls a manifest and the smallest blob of this image, as each client would: alpine:3.20.
    ///
    /// Where larder has it not yet, that costs one pull of its registry. Without it nothing is pulled.
    #[arg(long)]
    pub(super) image: Option<ImageName>,
    /// Looks for the files of the clients below this folder instead of /.
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    pub(super) root: PathBuf,
    /// The home folder, for the files of clients that run without root. Default: $HOME, below --root.
    #[arg(long, value_name = "FOLDER")]
    pub(super) home: Option<PathBuf>,
    /// How to show it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) folder: FolderArguments,
}

/// Reads the address of a larder, which is at the root of a host.
fn larder_url(text: &str) -> Result<EndpointUrl, UrlError> {
    let url: EndpointUrl = text.parse()?;
    let shown = url.to_string();
    let is_bare = shown.split('/').count() == "https://host".split('/').count();
    is_bare.then_some(url).ok_or(UrlError::Path)
}

/// Why a text is no address of a larder.
#[derive(Debug, thiserror::Error)]
enum UrlError {
    /// There is a path.
    #[error("leave out the path: larder is at the root of its address, as in http://larder:5000")]
    Path,
    /// It is no address.
    #[error(transparent)]
    Url(#[from] EndpointUrlError),
}

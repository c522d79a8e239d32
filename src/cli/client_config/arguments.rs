//! What can be written behind `larder client-config`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::larder_url::LarderUrl;
use crate::cli::args::{ConfigArguments, Format};
use crate::oci::{UpstreamName, UpstreamNameError};

/// What `larder client-config --help` says behind the flags.
pub(in crate::cli) const CLIENT_CONFIG_HELP: &str = "\
Example:
  larder client-config containerd --url http://larder.example:5000 --mode fallback --output-dir out

In the mode fallback, larder is asked first, and after any error of larder the client goes around
it to the registry itself: that pull is not in the cache, and counts as one of the client's own. In
the mode strict nothing goes around larder, and pulls fail while it is down. docker, docker-desktop,
dind and buildkit cannot be strict.

Each file begins with comments that say where it belongs and when the client reads it. JSON has no
comments: then they go to standard error. Several files are separated by lines of `# ---- ` and
their path. With --output json, each has the keys path, mode and content.

The registries are those of the configuration that is read here, which should be that of the
larder at the address. Nothing is asked over the network.";

/// The flags of `larder client-config`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ClientConfigArguments {
    /// Whose configuration to write.
    #[arg(value_enum)]
    pub(super) client: Client,
    /// Where the client reaches larder: http or https, host and port, without a path.
    #[arg(long)]
    pub(super) url: LarderUrl,
    /// What the client does when larder does not answer, or refuses.
    #[arg(long, value_enum)]
    pub(super) mode: Way,
    /// A registry to pull through larder, as in --upstream ghcr.io. Can be repeated.
    ///
    /// Default: all that are configured, and for clients that can say so every other registry as well.
    #[arg(long = "upstream", value_name = "NAME", value_parser = full_name)]
    pub(super) upstreams: Vec<UpstreamName>,
    /// The certificates (PEM) of who vouches for larder, where the client does not trust them already.
    ///
    /// They are written to where the client looks for them. Only with https.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Writes the files below this folder instead of showing them.
    ///
    /// What is there already and differs stays as it is, and then nothing is written.
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    pub(super) output_dir: Option<PathBuf>,
    /// Writes over files that differ.
    #[arg(long, requires = "output_dir")]
    pub(super) force: bool,
    /// How to show the files: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
    #[command(flatten)]
    pub(super) config: ConfigArguments,
}

/// A program that pulls images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// The docker daemon. It has mirrors of Docker Hub alone.
    Docker,
    /// containerd 2, as below Kubernetes.
    Containerd,
    /// containerd 1.5 to 1.7, whose own configuration differs.
    #[value(name = "containerd-1")]
    Containerd1,
    /// podman, CRI-O, skopeo and buildah, which read the same files.
    #[value(aliases = ["crio", "cri-o", "skopeo", "buildah"])]
    Podman,
    /// k3s, with its own containerd.
    K3s,
    /// RKE2, with its own containerd.
    Rke2,
    /// buildkitd, and builders of `docker buildx`.
    Buildkit,
    /// The executor of kaniko.
    Kaniko,
    /// nerdctl, which does not use the configuration of containerd's CRI.
    Nerdctl,
    /// Nodes of kind.
    Kind,
    /// Docker Desktop. It has mirrors of Docker Hub alone.
    DockerDesktop,
    /// Talos Linux.
    Talos,
    /// docker in docker, as a service of a GitLab CI job. It has mirrors of Docker Hub alone.
    Dind,
}

/// What a client does after an error of larder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// It goes around larder to the registry itself.
    Fallback,
    /// It fails.
    Strict,
}

/// Reads the name of one registry.
fn full_name(text: &str) -> Result<UpstreamName, FullNameError> {
    if text.contains('*') {
        return Err(FullNameError::Family);
    }
    Ok(text.parse()?)
}

/// Why a text is not the name of one registry.
#[derive(Debug, thiserror::Error)]
enum FullNameError {
    /// It stands for many.
    #[error(
        "a name with '*' stands for many registries: write those that are used, as in --upstream 1.dkr.ecr.eu-west-1.amazonaws.com"
    )]
    Family,
    /// It is no name.
    #[error(transparent)]
    Name(#[from] UpstreamNameError),
}

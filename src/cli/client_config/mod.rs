//! `larder client-config`: writes the configuration by which a client pulls through larder. One file a client.
//!
//! What is written is what the documentation of the client has, and no more; a plan says what the files are for, and
//! knows no client.

mod arguments;
mod buildkit;
mod certificates;
mod containerd;
mod deliver;
mod dind;
mod docker;
mod docker_desktop;
mod file;
mod k3s;
mod kaniko;
mod kind;
mod larder_url;
mod nerdctl;
mod plan;
mod podman;
mod refused;
mod talos;
#[cfg(test)]
mod tests;
mod yaml;

pub(super) use arguments::{CLIENT_CONFIG_HELP, ClientConfigArguments};
pub(super) use deliver::NotDelivered;
pub(super) use refused::Refused;

use super::args::Format;
use super::failure::Failure;
use super::output::Output;
use crate::config::{self, Surroundings};
use arguments::Client;
use deliver::Existing;
use file::ClientFile;
use plan::Plan;

/// Writes or shows the files of a client.
pub(super) fn client_config(
    arguments: ClientConfigArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let flags = (&arguments.config).into();
    let loaded = config::load(&flags, surroundings).map_err(Failure::Configured)?;
    let folder = &surroundings.working_folder;
    let plan =
        Plan::new(&arguments, &loaded.settings.addressing, folder).map_err(Failure::misused)?;
    let files = files(arguments.client, &plan).map_err(Failure::misused)?;
    let existing = match arguments.force {
        true => Existing::Replaced,
        false => Existing::Kept,
    };
    match (&arguments.output_dir, arguments.output) {
        (Some(target), _) => deliver::to_folder(&files, &folder.join(target), existing, output),
        (None, Format::Json) => {
            deliver::as_json(&files, output);
            Ok(())
        }
        (None, Format::Table) => {
            deliver::as_text(&files, output);
            Ok(())
        }
    }
}

/// Returns the files of a client.
fn files(client: Client, plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    match client {
        Client::Docker => docker::files(plan),
        Client::Containerd => Ok(containerd::files(plan)),
        Client::Containerd1 => Ok(containerd::files_of_version_1(plan)),
        Client::Podman => podman::files(plan),
        Client::K3s => Ok(k3s::files(plan, k3s::Distribution::K3s)),
        Client::Rke2 => Ok(k3s::files(plan, k3s::Distribution::Rke2)),
        Client::Buildkit => buildkit::files(plan),
        Client::Kaniko => kaniko::files(plan),
        Client::Nerdctl => Ok(nerdctl::files(plan)),
        Client::Kind => Ok(kind::files(plan)),
        Client::DockerDesktop => docker_desktop::files(plan),
        Client::Talos => Ok(talos::files(plan)),
        Client::Dind => dind::files(plan),
    }
}

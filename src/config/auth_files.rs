//! The files of docker and podman that are for all registries: those that are named, and the user's own.
//!
//! The user's own are meant for the user: they are used only when nobody but this machine reaches larder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file::SharedLoginKeys;
use super::logins::{LoginReader, look_at};
use super::surroundings::Surroundings;
use super::upstreams::Upstream;
use crate::oci::{RepositoryPattern, UpstreamPattern};
use crate::upstream::{CredentialSettings, CredentialSource, EndpointUrl};

/// The files of docker and podman that are for all registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthFiles {
    /// Those that are used, in this order.
    pub used: Vec<PathBuf>,
    /// The user's own that are there and are not used, since other machines can reach larder.
    pub kept_back: Vec<PathBuf>,
    /// The registries that they are not used for, since these are asked somewhere else than under their own name.
    pub not_for: Vec<UpstreamPattern>,
}

/// Finds the files.
pub(super) fn find(
    keys: SharedLoginKeys,
    mut listen: impl Iterator<Item = SocketAddr>,
    logins: &mut LoginReader<'_>,
) -> AuthFiles {
    let wants_own = keys.user_files.is_none_or(|written| written.value);
    let mut files = AuthFiles {
        used: logins.auth_files(keys.auth_files),
        ..AuthFiles::default()
    };
    if wants_own {
        let own = own_files(logins.surroundings);
        let mut own: Vec<PathBuf> = own.filter(|file| !files.used.contains(file)).collect();
        match listen.all(|address| address.ip().to_canonical().is_loopback()) {
            true => files.used.append(&mut own),
            false => files.kept_back = own,
        }
    }
    files
}

/// Puts the files behind the logins of each upstream. What is in them is for the registries that they name: it is not
/// shown to a mirror that has taken the place of one.
pub(super) fn put_behind(files: &mut AuthFiles, upstreams: &mut [Upstream]) {
    for upstream in upstreams {
        if !is_at_its_name(upstream) {
            files.not_for.push(upstream.pattern.clone());
            continue;
        }
        let login = |file: &PathBuf| CredentialSettings {
            repositories: RepositoryPattern::all(),
            source: CredentialSource::AuthFile(file.clone()),
        };
        upstream.credentials.extend(files.used.iter().map(login));
    }
}

/// Tells whether the endpoint that gets the logins is the registry that gives the upstream its name.
fn is_at_its_name(upstream: &Upstream) -> bool {
    let UpstreamPattern::Exactly(name) = &upstream.pattern else {
        return true;
    };
    let own = EndpointUrl::of(name);
    upstream
        .endpoints
        .last()
        .is_none_or(|last| last.url.host() == own.host() && last.url.port() == own.port())
}

/// Returns the user's own files that can be read: podman's, then docker's.
fn own_files(surroundings: &Surroundings) -> impl Iterator<Item = PathBuf> {
    let is_there = |file: &PathBuf| file.is_file() && look_at(file).is_ok();
    let folder = |name: &str| surroundings.variable(name).map(PathBuf::from);
    let home = folder("HOME");
    let under_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let podman = match folder("REGISTRY_AUTH_FILE") {
        Some(named) => Some(named),
        None => {
            let auth = |folder: PathBuf| folder.join(Path::new("containers/auth.json"));
            let runtime = folder("XDG_RUNTIME_DIR").map(auth).filter(is_there);
            let config = folder("XDG_CONFIG_HOME").or_else(|| under_home(".config"));
            runtime.or_else(|| config.map(auth))
        }
    };
    let docker = folder("DOCKER_CONFIG").or_else(|| under_home(".docker"));
    let docker = docker.map(|folder| folder.join("config.json"));
    podman.into_iter().chain(docker).filter(is_there)
}

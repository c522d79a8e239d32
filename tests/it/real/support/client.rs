//! The clients as the matrix sees them: each pulls an image for all platforms, into a storage that has nothing of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::containerd::{Containerd, Hosts};
use super::content::Content;
use super::dockerd::Dockerd;
use super::image::ARCHITECTURES;
use super::larder::{Larder, Setup, UPSTREAM};
use super::podman::Podman;
use super::registry::Registry;
use super::skopeo::{Platforms, Skopeo};
use crate::support::Authority;

/// A client, and how it is told of larder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// skopeo, with larder in front of the name.
    Skopeo,
    /// podman, likewise.
    Podman,
    /// buildah, likewise.
    Buildah,
    /// containerd, by the `hosts.toml` that larder writes.
    Containerd,
    /// dockerd, with larder in front of the name.
    Dockerd,
    /// dockerd, by the `registry-mirrors` that larder writes: for Docker Hub.
    DockerdWithMirror,
}

/// How a client reaches larder.
#[derive(Debug)]
pub(crate) struct Road<'a> {
    larder: &'a Larder,
    port: u16,
    /// The folder with the certificate of who vouches for larder, where it speaks TLS.
    certificates: Option<PathBuf>,
}

impl<'a> Road<'a> {
    /// Returns the way to a larder: straight to its port, or to one that leads there. With an authority it is over TLS.
    pub(crate) fn new(larder: &'a Larder, port: u16, authority: Option<&Authority>) -> Self {
        let certificates = authority.map(|authority| {
            let folder = authority.path("trusted");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
            folder
        });
        Self {
            larder,
            port,
            certificates,
        }
    }

    /// Returns the certificate of who vouches for larder.
    fn authority(&self) -> Option<PathBuf> {
        Some(self.certificates.as_ref()?.join("ca.crt"))
    }

    /// Has larder write a client's configuration below a folder.
    fn configure(&self, client: &str, mode: &str, folder: &Path) {
        let authority = self.authority();
        let address = (self.port, authority.as_deref());
        self.larder.configure_client(client, mode, address, folder);
    }
}

impl Client {
    /// Returns what a larder is told to which it is a client.
    pub(crate) fn setup(self) -> Setup<'static> {
        let name = match self {
            Self::DockerdWithMirror => "docker.io",
            _ => UPSTREAM,
        };
        Setup {
            name,
            ..Setup::default()
        }
    }

    /// Returns whether it asks for the head of a manifest, and then for what that names.
    pub(crate) fn asks_for_heads(self) -> bool {
        match self {
            Self::Containerd | Self::Dockerd | Self::DockerdWithMirror => true,
            Self::Skopeo | Self::Podman | Self::Buildah => false,
        }
    }

    /// Pulls through larder, and returns what came, or what it complained of.
    pub(crate) fn pull(self, road: &Road<'_>, name: &str) -> Result<Vec<Content>, String> {
        let reference = format!("127.0.0.1:{}/{UPSTREAM}/{name}", road.port);
        match self {
            Self::Containerd => {
                let containerd = Containerd::start();
                road.configure("containerd-1", "strict", containerd.folder());
                let name = format!("{UPSTREAM}/{name}");
                Ok(vec![containerd.pull(Hosts::Configured, &name)?])
            }
            Self::DockerdWithMirror => {
                dockerd_pulls(|folder| road.configure("docker", "fallback", folder), name)
            }
            Self::Dockerd => {
                let trust = |folder: &Path| {
                    if let Some(authority) = road.authority() {
                        let place = format!("etc/docker/certs.d/127.0.0.1:{}", road.port);
                        fs::create_dir_all(folder.join(&place)).unwrap();
                        fs::copy(authority, folder.join(place).join("ca.crt")).unwrap();
                    }
                };
                dockerd_pulls(trust, &reference)
            }
            Self::Skopeo | Self::Podman | Self::Buildah => {
                self.pull_by_name(&reference, road.certificates.as_ref())
            }
        }
    }

    /// Pulls from the registry itself, and returns what came.
    pub(crate) fn pull_straight(self, registry: &Registry, name: &str) -> Vec<Content> {
        let reference = format!("127.0.0.1:{}/{name}", registry.port());
        let pulled = match self {
            Self::Containerd => {
                let pulled = Containerd::start().pull(Hosts::Plain, &reference);
                pulled.map(|content| vec![content])
            }
            Self::Dockerd | Self::DockerdWithMirror => dockerd_pulls(|_| (), &reference),
            Self::Skopeo | Self::Podman | Self::Buildah => self.pull_by_name(&reference, None),
        };
        pulled.unwrap_or_else(|errors| panic!("{self:?}: {errors}"))
    }

    /// Pulls by a name that says where from.
    fn pull_by_name(
        self,
        reference: &str,
        certificates: Option<&PathBuf>,
    ) -> Result<Vec<Content>, String> {
        let reference = format!("docker://{reference}");
        let of_platform = |architecture| {
            let client = match self {
                Self::Buildah => Podman::buildah(),
                _ => Podman::new(),
            };
            client.pull_content(architecture, &reference, certificates.map(PathBuf::as_path))
        };
        match (self, certificates) {
            (Self::Skopeo, None) => {
                let pull = Skopeo::new().start_pull(Platforms::All, &reference);
                Ok(vec![pull.end()?])
            }
            (Self::Skopeo, Some(folder)) => {
                let pull = Skopeo::new().pull_over_tls(&reference, folder);
                Ok(vec![pull.end()?])
            }
            _ => ARCHITECTURES.into_iter().map(of_platform).collect(),
        }
    }
}

/// Has a dockerd pull for each platform, and not the same one: it knows no index twice.
fn dockerd_pulls(configure: impl Fn(&Path), name: &str) -> Result<Vec<Content>, String> {
    let platforms = ARCHITECTURES.into_iter();
    let pulls = platforms.map(|it| Dockerd::start(&configure).pull(it, name));
    pulls.collect()
}

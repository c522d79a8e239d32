//! Each client in each situation, over plain HTTP and over TLS: what comes through larder is what comes straight from the
//! registry, and the registry's own log shows what it was asked.
//!
//! | situation | where |
//! |---|---|
//! | cold and warm, by tag and by digest | [`asked`] |
//! | the registry stopped, larder restarted | [`outages`] |
//! | private: refused, allowed, shared | [`private`] |
//!
//! The image is an index of two platforms, which each client pulls for both, each time into an empty storage.

/// Makes two tests of each client in a situation, which is a function of the client and the wire.
macro_rules! for_each_client {
    ($situation:ident) => {
        for_each_client! { $situation:
            skopeo Skopeo "needs docker-registry and skopeo (.ci/run installs them)";
            podman Podman "needs docker-registry, podman and skopeo (.ci/run installs them)";
            buildah Buildah "needs buildah, docker-registry and skopeo (.ci/run installs them)";
            containerd Containerd "needs root, containerd, docker-registry and skopeo (.ci/run installs them)";
            dockerd Dockerd "needs root, docker.io, docker-registry and skopeo (.ci/run installs them)";
            dockerd_with_mirror DockerdWithMirror "needs root, docker.io, docker-registry and skopeo (.ci/run installs them)";
        }
    };
    ($situation:ident: $($name:ident $client:ident $needs:literal;)*) => {
        $(mod $name {
            use super::super::{Client, Wire};

            #[test]
            #[ignore = $needs]
            fn over_plain_http() {
                super::$situation(Client::$client, Wire::Plain);
            }

            #[test]
            #[ignore = $needs]
            fn over_tls() {
                super::$situation(Client::$client, Wire::Tls);
            }
        })*
    };
}

mod asked;
mod outages;
mod private;

use super::support::image::REPOSITORY;
use super::support::{Client, Image};
use crate::support::Authority;

/// By what an image is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Tag,
    Digest,
}

const WAYS: [By; 2] = [By::Tag, By::Digest];

impl By {
    /// Returns the name of the image.
    fn name(self, image: &Image) -> String {
        match self {
            Self::Tag => format!("{REPOSITORY}:1"),
            Self::Digest => format!("{REPOSITORY}@{}", image.index()),
        }
    }
}

/// How clients speak with larder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Plain,
    Tls,
}

impl Wire {
    /// Makes who vouches for larder, when somebody has to.
    fn authority(self) -> Option<Authority> {
        match self {
            Self::Plain => None,
            Self::Tls => Some(Authority::new()),
        }
    }
}

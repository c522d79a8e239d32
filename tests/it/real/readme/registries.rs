//! The registries of the stage: at the names that they have in the world, over TLS, with the images that blocks name.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::super::support::process::PING_AGENT;
use super::super::support::registry::{Access, Door, Registry, htpasswd};
use super::super::support::{Image, Platforms, REPOSITORY, Skopeo};

/// A registry.
pub(super) struct Place {
    /// What images call it.
    pub(super) name: &'static str,
    /// What else leads to it.
    pub(super) hosts: &'static [&'static str],
    /// The users that may pull, or none when everybody may.
    users: &'static [&'static str],
    /// Its images.
    images: &'static [&'static str],
}

/// The registries. An image that a block pulls has to be here.
pub(super) const PLACES: &[Place] = &[
    Place {
        name: "docker.io",
        hosts: &["registry-1.docker.io", "index.docker.io"],
        users: &[],
        images: &[
            "library/alpine:3.20",
            "library/alpine:latest",
            "library/busybox:1.36",
            "library/busybox:latest",
            "library/nginx:1.27",
        ],
    },
    Place {
        name: "ghcr.io",
        hosts: &[],
        users: &[],
        images: &["containerd/busybox:1.36", "org/app:1", "org/app:1.2.3"],
    },
    Place {
        name: "quay.io",
        hosts: &[],
        users: &[],
        images: &["org/app:1"],
    },
    Place {
        name: "registry.k8s.io",
        hosts: &[],
        users: &[],
        images: &["pause:3.10"],
    },
    Place {
        name: "gcr.io",
        hosts: &[],
        users: &[],
        images: &["distroless/static:latest"],
    },
    Place {
        name: "registry.corp.example",
        hosts: &[],
        users: &["robot", "robot-a"],
        images: &["app:1", "team-a/app:1"],
    },
];

impl Place {
    /// Writes its images and its configuration to where they are on the stage, below a folder that becomes its root. It
    /// will be at port 443 of an address.
    pub(super) fn set_up(&self, image: &Image, root: &Path, address: &str) {
        let name = self.name;
        let storage = format!("srv/{name}");
        self.fill(image, &root.join(&storage));
        // In the debug level each request has a line before it is answered.
        let mut config = format!(
            "version: 0.1\n\
             log: {{level: debug, formatter: json, accesslog: {{disabled: true}}}}\n\
             http:\n  \
               addr: '{address}:443'\n  \
               secret: none\n  \
               tls: {{certificate: /etc/stage/registries.pem, key: /etc/stage/registries.key}}\n\
             storage:\n  \
               filesystem: {{rootdirectory: '/{storage}'}}\n  \
               maintenance: {{uploadpurging: {{enabled: false}}, readonly: {{enabled: true}}}}\n"
        );
        if !self.users.is_empty() {
            let passwords = format!("etc/stage/{name}.htpasswd");
            let lines = self.users.iter().map(|user| htpasswd(user));
            fs::write(root.join(&passwords), lines.collect::<String>()).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: stage, path: '/{passwords}'}}}}\n");
        }
        fs::write(root.join(format!("etc/stage/{name}.yml")), config).unwrap();
    }

    /// Returns what the stage calls it.
    pub(super) fn service(&self) -> String {
        format!("registry@{}", self.name)
    }

    /// Puts its images into a storage folder.
    fn fill(&self, image: &Image, storage: &Path) {
        let source = image.registry();
        let from = source.reference(&format!("{REPOSITORY}:1"));
        let registry = Registry::start(storage, Access::Writable, &Door::Open);
        let skopeo = Skopeo::new();
        for name in self.images {
            let to = registry.reference(name);
            skopeo.copy(Platforms::All, &["--preserve-digests"], &from, &to);
        }
    }
}

/// What matters of a line of a registry's log that is about a request.
#[derive(Deserialize)]
struct RequestLine {
    #[serde(rename = "msg")]
    message: String,
    #[serde(rename = "http.request.useragent", default)]
    agent: String,
    #[serde(rename = "http.request.uri")]
    uri: String,
}

impl RequestLine {
    fn is_around_larder(&self) -> bool {
        self.message == "authorizing request"
            && !self.agent.starts_with("larder/")
            && self.agent != PING_AGENT
    }
}

/// Returns what others than larder have asked a registry for, by its log.
pub(super) fn asked_around_larder(log: &str) -> Vec<String> {
    let lines = log.lines().map(serde_json::from_str::<RequestLine>);
    let requests = lines
        .filter_map(Result::ok)
        .filter(RequestLine::is_around_larder);
    requests
        .map(|request| format!("{} by {}", request.uri, request.agent))
        .collect()
}

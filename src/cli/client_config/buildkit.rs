//! buildkitd: mirrors in `buildkitd.toml`. The registry itself always comes last.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::{ClientFile, Note, Syntax};
use super::larder_url::Scheme;
use super::plan::Plan;
use super::refused::Refused;

const NAME: &str = "buildkit";

const CERTIFICATES: &str = "/etc/buildkit/larder-ca.pem";

/// The part of buildkitd's configuration that is about registries.
#[derive(Serialize)]
struct Buildkitd {
    registry: BTreeMap<String, Registry>,
}

/// What is said of a registry, or of a mirror.
#[derive(Default, Serialize)]
struct Registry {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mirrors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ca: Vec<&'static str>,
}

/// Returns the files of buildkitd.
pub(super) fn files(plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    plan.cannot_be_strict(NAME)?;
    plan.needs_names(NAME)?;
    let mut notes = vec![
        Note::prose(
            "Add these sections to what is in the file already, and restart buildkitd. Without root, it is \
             ~/.config/buildkit/buildkitd.toml. A builder of docker buildx gets the file when it is made:",
        ),
        Note::Code("docker buildx create --use --buildkitd-config buildkitd.toml"),
        plan.way_note(),
        Note::prose(
            "A connection that does not come about costs it 30s. Other registries are reached as before.",
        ),
    ];
    notes.extend(plan.families_note());
    notes.extend(plan.loopback_note("the container of such a builder"));
    let authority = plan.larder.authority();
    let certificates = plan.certificates_file(CERTIFICATES.to_owned());
    let larder = Registry {
        // Always written: without it, buildkitd takes its own machine for unencrypted.
        http: Some(match plan.larder.scheme() {
            Scheme::Http => true,
            Scheme::Https => false,
        }),
        ca: certificates.iter().map(|_| CERTIFICATES).collect(),
        ..Registry::default()
    };
    let mirrored = plan.upstreams.iter().map(|name| {
        let mirror = Registry {
            mirrors: vec![format!("{authority}/{name}")],
            ..Registry::default()
        };
        (name.to_string(), mirror)
    });
    let buildkitd = Buildkitd {
        registry: mirrored.chain([(authority.to_owned(), larder)]).collect(),
    };
    let settings = ClientFile {
        path: "/etc/buildkit/buildkitd.toml".to_owned(),
        syntax: Syntax::Commented,
        notes,
        body: toml::to_string(&buildkitd).expect("strings and tables are TOML"),
    };
    Ok([settings].into_iter().chain(certificates).collect())
}

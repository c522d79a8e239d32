//! podman, CRI-O, skopeo and buildah: `registries.conf`. They do not say which registry they mean, so its name stands in
//! the path behind larder.

use serde::Serialize;

use super::arguments::Way;
use super::file::{ClientFile, Note, Syntax};
use super::larder_url::Scheme;
use super::plan::{InPath, Plan};
use super::refused::Refused;

const NAME: &str = "podman";

/// A file of registries.
#[derive(Serialize)]
struct Registries {
    registry: Vec<Registry>,
}

/// What is done with the images of one registry.
#[derive(Serialize)]
struct Registry {
    prefix: String,
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mirror: Vec<Place>,
}

/// A place from which they are pulled.
#[derive(Serialize)]
struct Place {
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
}

/// Returns the files of these clients.
pub(super) fn files(plan: &Plan) -> Result<Vec<ClientFile>, Refused> {
    let registries = plan.in_paths(NAME)?;
    let mut notes = vec![
        Note::prose("podman, skopeo and buildah read it at each pull. CRI-O reads it again after"),
        Note::Code("systemctl reload crio"),
        Note::prose(
            "Other files may say the same of no registry that is here; /etc/containers/registries.conf in its old format \
             (registries.search) cannot stand beside it.",
        ),
        plan.way_note(),
    ];
    if let Way::Strict = plan.way {
        notes.push(Note::prose(
            "This is for pulls. What is pushed goes to the registry itself.",
        ));
    }
    notes.push(Note::prose("Other registries are reached as before."));
    notes.extend(plan.families_note());
    notes.extend(plan.ports_note());
    let registries = Registries {
        registry: registries.iter().map(|it| registry(plan, *it)).collect(),
    };
    let registries = ClientFile {
        path: "/etc/containers/registries.conf.d/50-larder.conf".to_owned(),
        syntax: Syntax::Commented,
        notes,
        body: toml::to_string(&registries).expect("strings and tables are TOML"),
    };
    let folder = format!("/etc/containers/certs.d/{}", plan.larder.authority());
    let certificates = plan.certificates_file(format!("{folder}/larder.crt"));
    Ok([registries].into_iter().chain(certificates).collect())
}

fn registry(plan: &Plan, InPath { name, segment }: InPath<'_>) -> Registry {
    let larder = Place {
        location: format!("{}/{segment}", plan.larder.authority()),
        insecure: match plan.larder.scheme() {
            Scheme::Http => Some(true),
            Scheme::Https => None,
        },
    };
    match plan.way {
        Way::Strict => Registry {
            prefix: name.to_string(),
            place: larder,
            mirror: Vec::new(),
        },
        Way::Fallback => Registry {
            prefix: name.to_string(),
            place: Place {
                location: name.to_string(),
                insecure: None,
            },
            mirror: vec![larder],
        },
    }
}

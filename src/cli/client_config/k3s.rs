//! k3s and RKE2: `registries.yaml`, from which they write the `hosts.toml` of their own containerd.

use super::arguments::Way;
use super::file::{ClientFile, Note, Syntax};
use super::plan::{Coverage, Plan};
use super::yaml::{Key, Yaml};

/// Which of both it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Distribution {
    /// k3s.
    K3s,
    /// RKE2.
    Rke2,
}

impl Distribution {
    fn folder(self) -> &'static str {
        match self {
            Self::K3s => "/etc/rancher/k3s",
            Self::Rke2 => "/etc/rancher/rke2",
        }
    }

    /// How to restart a server, and an agent.
    fn restart(self) -> &'static str {
        match self {
            Self::K3s => "systemctl restart k3s\nsystemctl restart k3s-agent",
            Self::Rke2 => "systemctl restart rke2-server\nsystemctl restart rke2-agent",
        }
    }
}

/// Returns the files of a node.
pub(super) fn files(plan: &Plan, distribution: Distribution) -> Vec<ClientFile> {
    let folder = distribution.folder();
    let certificates = plan.certificates_file(format!("{folder}/larder-ca.pem"));
    let mut notes = vec![
        Note::prose(
            "It belongs onto each node, and is read at the start. Restart servers by the first of these, agents by the second:",
        ),
        Note::Code(distribution.restart()),
        plan.way_note(),
        Note::prose(others(plan)),
    ];
    if let Way::Fallback = plan.way {
        notes.push(Note::prose(
            "How long a connection to larder may take cannot be set here.",
        ));
    }
    let mut top = vec![(Key::Known("mirrors"), mirrors(plan))];
    if let Some(file) = &certificates {
        let tls = Yaml::keyed("tls", Yaml::keyed("ca_file", Yaml::text(&file.path)));
        let larder = Key::Data(plan.larder.authority().to_owned());
        top.push((Key::Known("configs"), Yaml::Map(vec![(larder, tls)])));
    }
    let registries = ClientFile {
        path: format!("{folder}/registries.yaml"),
        syntax: Syntax::Commented,
        notes,
        body: Yaml::Map(top).file(),
    };
    let strict = match plan.way {
        Way::Fallback => None,
        Way::Strict => Some(strict(folder)),
    };
    let files = [registries].into_iter().chain(strict);
    files.chain(certificates).collect()
}

fn mirrors(plan: &Plan) -> Yaml {
    let others = match &plan.coverage {
        Coverage::All(_) => Some("*".to_owned()),
        Coverage::Chosen => None,
    };
    let names = plan.upstreams.iter().map(ToString::to_string).chain(others);
    let larder = Yaml::List(vec![Yaml::text(plan.larder.text())]);
    let mirror = |name| (Key::Data(name), Yaml::keyed("endpoint", larder.clone()));
    Yaml::Map(names.map(mirror).collect())
}

fn others(plan: &Plan) -> &'static str {
    match (&plan.coverage, plan.way) {
        (Coverage::All(_), Way::Fallback) => {
            "\"*\" is for every other registry. Those that larder does not know it refuses, and the node goes on to the \
             registry itself."
        }
        (Coverage::All(_), Way::Strict) => {
            "\"*\" is for every other registry. Those that larder does not know cannot be pulled from at all."
        }
        (Coverage::Chosen, _) => "Other registries are reached as before.",
    }
}

/// The option without which nodes go to the registry itself at last.
fn strict(folder: &str) -> ClientFile {
    ClientFile {
        path: format!("{folder}/config.yaml.d/larder.yaml"),
        syntax: Syntax::Commented,
        notes: vec![Note::prose(
            "The same as the flag --disable-default-registry-endpoint, which is there since January 2024. It belongs onto \
             each node, and is read at the start.",
        )],
        body: Yaml::keyed("disable-default-registry-endpoint", Yaml::True).file(),
    }
}

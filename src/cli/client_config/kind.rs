//! kind: a cluster whose nodes have the `hosts.toml` of containerd from a folder of this machine.

use super::containerd::{self, Dialling, FOLDER};
use super::file::{ClientFile, Note, Syntax};
use super::plan::Plan;
use super::yaml::{Key, Yaml};

/// The folder beside the configuration of the cluster that nodes have as [`FOLDER`].
const MOUNTED: &str = "certs.d";

/// The section of containerd 1. Nodes with containerd 2 have their own, with the same path.
const PATCH: &str =
    "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"";

/// Returns the files of a cluster.
pub(super) fn files(plan: &Plan) -> Vec<ClientFile> {
    let mut notes = vec![
        Note::prose("Make the cluster in the folder in which this file and certs.d are:"),
        Note::Code("kind create cluster --config kind.yaml"),
        Note::prose(
            "A node that is added to the list needs the same extraMounts. The patch is for images before kind 0.27, and \
             does nothing in later ones.",
        ),
    ];
    notes.extend(plan.loopback_note("the node"));
    let cluster = ClientFile {
        path: "kind.yaml".to_owned(),
        syntax: Syntax::Commented,
        notes,
        body: cluster().file(),
    };
    let notes = vec![Note::prose(format!(
        "It belongs beside kind.yaml. Nodes have the folder {MOUNTED} as {FOLDER}, and read it at each pull: it can be \
         changed while they run."
    ))];
    let hosts = containerd::hosts_files(plan, MOUNTED, Dialling::Bounded, notes);
    [cluster].into_iter().chain(hosts).collect()
}

fn cluster() -> Yaml {
    let mount = Yaml::Map(vec![
        (Key::Known("hostPath"), Yaml::text(format!("./{MOUNTED}"))),
        (Key::Known("containerPath"), Yaml::text(FOLDER)),
        (Key::Known("readOnly"), Yaml::True),
    ]);
    let node = Yaml::Map(vec![
        (Key::Known("role"), Yaml::text("control-plane")),
        (Key::Known("extraMounts"), Yaml::List(vec![mount])),
    ]);
    Yaml::Map(vec![
        (Key::Known("kind"), Yaml::text("Cluster")),
        (
            Key::Known("apiVersion"),
            Yaml::text("kind.x-k8s.io/v1alpha4"),
        ),
        (
            Key::Known("containerdConfigPatches"),
            Yaml::List(vec![Yaml::Block(PATCH)]),
        ),
        (Key::Known("nodes"), Yaml::List(vec![node])),
    ])
}

//! nerdctl: the `hosts.toml` of containerd, which it finds by a setting of its own.

use super::containerd::{self, Dialling, FOLDER};
use super::file::{ClientFile, Note, Syntax};
use super::plan::Plan;
use serde::Serialize;

/// The part of nerdctl's configuration that is about registries.
#[derive(Serialize)]
struct Nerdctl {
    hosts_dir: [&'static str; 1],
}

/// Returns the files of nerdctl.
pub(super) fn files(plan: &Plan) -> Vec<ClientFile> {
    let settings = Nerdctl {
        hosts_dir: [FOLDER],
    };
    let settings = ClientFile {
        path: "/etc/nerdctl/nerdctl.toml".to_owned(),
        syntax: Syntax::Commented,
        notes: vec![
            Note::prose(
                "Add this key to what is in the file already. nerdctl reads it each time, and so the files that it leads to.",
            ),
            Note::prose("Without root, it is ~/.config/nerdctl/nerdctl.toml."),
        ],
        body: toml::to_string(&settings).expect("strings are TOML"),
    };
    let notes = vec![Note::prose(
        "nerdctl reads it at each pull. Nothing has to be restarted.",
    )];
    let hosts = containerd::hosts_files(plan, FOLDER, Dialling::Bounded, notes);
    [settings].into_iter().chain(hosts).collect()
}

//! Which `registries.conf` podman and its kin read, and what of several counts: a user's file takes the place of the
//! system's; files of the folders beside them come after, by their names, and the last one that says something of a
//! registry decides all of it (containers-registries.conf(5), containers-registries.conf.d(5)).

use std::path::PathBuf;

use super::{Document, Told};
use crate::cli::doctor::document::{Node, toml};
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::{self, Found, Machine};

/// What is said of one registry, or of a part of one.
pub(super) struct Entry {
    pub(super) spot: Spot,
    /// The beginning of names that it is for.
    pub(super) prefix: String,
    pub(super) node: Node,
}

/// Reads all files, and returns what counts of them.
pub(super) fn entries(machine: &Machine, told: &mut Told) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut old: Option<Spot> = None;
    let mut has_new = false;
    for path in paths(machine, told) {
        let Some(Document { spot, root }) = told.read(Subject::Podman, &path, toml) else {
            continue;
        };
        if is_old(&root) {
            old.get_or_insert(spot);
            continue;
        }
        let registries = root.get("registry").map_or(&[][..], Node::items);
        has_new |= !registries.is_empty();
        for node in registries {
            let prefix = node.text("prefix").filter(|prefix| !prefix.is_empty());
            let Some(prefix) = prefix.or_else(|| node.text("location")) else {
                continue;
            };
            let entry = Entry {
                spot: Spot::line(&path, node.line),
                prefix: prefix.trim_end_matches('/').to_owned(),
                node: node.clone(),
            };
            entries.retain(|earlier| earlier.prefix != entry.prefix);
            entries.push(entry);
        }
    }
    if let (Some(spot), true) = (&old, has_new) {
        let message = "this file has the old format (registries.search), which cannot stand beside [[registry]] in another \
                       file: podman pulls nothing";
        let remedy = "write unqualified-search-registries = […] in place of [registries.search]";
        told.find(Finding::fault(Subject::Podman, message, remedy).at(spot));
    }
    entries
}

/// Tells whether a file has the format of before 2019.
fn is_old(root: &Node) -> bool {
    let parts = ["search", "insecure", "block"];
    let has = |part: &&str| root.find(&["registries", part]).is_some();
    parts.iter().any(has)
}

/// Returns the files that are read, in their order.
fn paths(machine: &Machine, told: &mut Told) -> Vec<PathBuf> {
    let system = machine.system("/etc/containers/registries.conf");
    let user = machine.home(".config/containers/registries.conf");
    let user = user.filter(|path| !matches!(machine::read(path), Found::Nothing));
    let mut paths = vec![user.unwrap_or(system)];
    let folders = [
        Some(machine.system("/etc/containers/registries.conf.d")),
        machine.home(".config/containers/registries.conf.d"),
    ];
    for folder in folders.into_iter().flatten() {
        let names = told.list(Subject::Podman, &folder);
        let read = names.iter().filter(|name| name.ends_with(".conf"));
        paths.extend(read.map(|name| folder.join(name)));
    }
    paths
}

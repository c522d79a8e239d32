//! containerd: whether `config.toml` leads to a folder of `hosts.toml`, in the forms of version 1, 2 and 3; and mirrors in
//! the form of before 1.5. What stands in the folder is read in `containerd_hosts.rs`.

use std::path::{Path, PathBuf};

use globset::Glob;

use super::{Document, Told, certificates, containerd_hosts};
use crate::cli::doctor::address::{Address, Scheme, Written};
use crate::cli::doctor::document::{Node, toml};
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::machine::Machine;
use crate::cli::doctor::way::{Naming, OnError, Place, Scope, Trust, Verification, Way};

const CLIENT: Subject = Subject::Containerd;

/// Where the part about registries stands: in version 3, in version 2, and in version 1.
const REGISTRY: [&[&str]; 3] = [
    &["plugins", "io.containerd.cri.v1.images", "registry"],
    &["plugins", "io.containerd.grpc.v1.cri", "registry"],
    &["plugins", "cri", "registry"],
];

/// Where files of registries are looked for when nothing says where, by nerdctl and since containerd 2.2.
const USUAL: &str = "/etc/containerd/certs.d";

/// Reads what containerd is told.
pub(super) fn examine(machine: &Machine, told: &mut Told) {
    let path = machine.system("/etc/containerd/config.toml");
    let main = told.read(CLIENT, &path, toml);
    let imported = main
        .as_ref()
        .map_or_else(Vec::new, |main| imports(machine, told, main));
    let documents: Vec<Document> = main.into_iter().chain(imported).collect();
    let settings: Vec<(&Spot, &Node)> = documents
        .iter()
        .flat_map(|document| {
            let parts = REGISTRY.iter().filter_map(|keys| document.root.find(keys));
            parts.map(|part| (&document.spot, part))
        })
        .collect();
    let config_path = settings.iter().rev().find_map(|(spot, part)| {
        let node = part.get("config_path")?;
        let text = node.as_text().filter(|text| !text.is_empty())?;
        Some((Spot::line(&spot.file, node.line), text))
    });
    for (spot, part) in &settings {
        old_form(machine, told, spot, part, config_path.is_some());
    }
    match config_path {
        Some((spot, folders)) => {
            for folder in folders.split(':').filter(|folder| !folder.is_empty()) {
                let found = containerd_hosts::examine(machine, told, &machine.system(folder));
                if found == 0 && folder == USUAL {
                    let note = format!("config_path leads to {folder}, where no hosts.toml is");
                    told.find(Finding::note(CLIENT, note).at(&spot));
                }
            }
        }
        None => unset(machine, told, &documents, &path),
    }
}

/// Reads the files that the main one takes in.
fn imports(machine: &Machine, told: &mut Told, main: &Document) -> Vec<Document> {
    let mut found = Vec::new();
    for pattern in main.root.texts("imports") {
        let pattern = machine.system(pattern);
        let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else {
            continue;
        };
        let Ok(glob) = Glob::new(&name.to_string_lossy()) else {
            continue;
        };
        let matcher = glob.compile_matcher();
        for name in told.list(CLIENT, folder) {
            if matcher.is_match(&name) {
                found.extend(told.read(CLIENT, &folder.join(name), toml));
            }
        }
    }
    found
}

/// Says that the files of registries are not looked at, when there are some.
fn unset(machine: &Machine, told: &mut Told, documents: &[Document], path: &Path) {
    let folder = machine.system(USUAL);
    if containerd_hosts::examine(machine, told, &folder) == 0 {
        return;
    }
    let remedy = "write it into config.toml, and restart containerd; `larder client-config containerd`, or containerd-1, \
                  shows the lines";
    let version = documents.first().map(|main| main.root.get("version"));
    let finding = match version {
        // k3s and others bring a containerd with files elsewhere.
        None => Finding::warning(
            CLIENT,
            format!(
                "there is no config.toml with a config_path, so that containerd before 2.2 takes no notice of {USUAL}; \
                 nerdctl does"
            ),
            remedy,
        ),
        Some(_) => Finding::fault(
            CLIENT,
            format!(
                "config_path is not set, so that containerd before 2.2 takes no notice of {USUAL}, and goes around larder"
            ),
            remedy,
        ),
    };
    told.find(finding.at(&Spot::file(path)));
}

/// Reads mirrors in the form of before containerd 1.5.
fn old_form(machine: &Machine, told: &mut Told, spot: &Spot, part: &Node, has_config_path: bool) {
    let Some(mirrors) = part.get("mirrors") else {
        return;
    };
    if mirrors.entries().next().is_none() {
        return;
    }
    let spot = Spot::line(&spot.file, mirrors.line);
    if has_config_path {
        let message = "there are registry.mirrors beside config_path, and containerd does not load its CRI plugin with both";
        let remedy = "remove registry.mirrors and registry.configs, and restart containerd";
        told.find(Finding::fault(CLIENT, message, remedy).at(&spot));
        return;
    }
    let message =
        "registry.mirrors is an old form, which newer versions of containerd do not have any more";
    let remedy =
        "replace it by config_path and hosts.toml: `larder client-config containerd` writes them";
    told.find(Finding::warning(CLIENT, message, remedy).at(&spot));
    for (registry, mirror) in mirrors.entries() {
        for endpoint in mirror.texts("endpoint") {
            if let Some(written) = Written::read(endpoint) {
                old_way(machine, told, &spot, part, registry, &written);
            }
        }
    }
}

fn old_way(
    machine: &Machine,
    told: &mut Told,
    spot: &Spot,
    part: &Node,
    registry: &str,
    written: &Written,
) {
    let scheme = written.known_scheme().unwrap_or(Scheme::Https);
    let address = Address::new(scheme, &written.authority);
    let tls = part.find(&["configs", &written.authority, "tls"]);
    let file = |key: &str| Some(machine.system(tls?.text(key)?));
    let mut trust = Trust {
        authorities: file("ca_file").into_iter().collect(),
        certificate: file("cert_file").zip(file("key_file")),
        verification: Verification::Done,
    };
    if tls.is_some_and(|tls| tls.says("insecure_skip_verify")) {
        trust.verification = Verification::Skipped;
        told.find(super::unverified(CLIENT, "insecure_skip_verify", spot));
    }
    certificates::missing(told, CLIENT, &trust.authorities, spot);
    let scope = match registry {
        "*" => Scope::Others,
        name => Scope::registry(name),
    };
    let path = match written.path.ends_with("/v2") {
        true => written.path.clone(),
        false => format!("{}/v2", written.path),
    };
    told.lead(Way {
        client: CLIENT,
        spot: spot.clone(),
        scope,
        place: Place { address, trust },
        path,
        naming: Naming::Parameter,
        on_error: OnError::GoesAround,
    });
}

/// Returns the files that a setting of containerd names: a text, a list of texts, or pairs of them. They are seen from
/// the folder of the file in which they are named.
pub(super) fn named_files(
    machine: &Machine,
    folder: &Path,
    node: &Node,
    key: &str,
) -> Vec<PathBuf> {
    let place = |name: &str| match name.starts_with('/') {
        true => machine.system(name),
        false => folder.join(name),
    };
    node.texts(key).into_iter().map(place).collect()
}

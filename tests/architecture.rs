//! Checks who may use whom, and the rules of the house that are cheap to check.
//!
//! The table is the design: a change of it is a decision, not a repair of this test.

#![expect(
    clippy::unwrap_used,
    reason = "a checker that cannot read the source has to fail"
)]

#[path = "architecture/checker.rs"]
mod checker;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{rooms_named, without_inline_tests};

/// Who may use whom: a room, and the rooms that it may name. Every room may name itself, and every room but `oci` the
/// [`LEAVES`].
const TABLE: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("runtime", &[]),
    ("telemetry", &[]),
    ("addressing", &["oci"]),
    ("store", &["oci"]),
    ("upstream", &["oci"]),
    ("answer", &["oci", "store"]),
    (
        "cache",
        &["oci", "addressing", "store", "upstream", "answer"],
    ),
    (
        "hosted",
        &["oci", "addressing", "store", "upstream", "answer"],
    ),
    ("retention", &["oci", "store"]),
    ("transfer", &["oci", "cache", "hosted", "store"]),
    (
        "admin",
        &[
            "oci",
            "addressing",
            "upstream",
            "cache",
            "hosted",
            "retention",
            "transfer",
            "store",
            "answer",
        ],
    ),
    (
        "server",
        &[
            "oci",
            "addressing",
            "store",
            "upstream",
            "answer",
            "cache",
            "hosted",
            "retention",
            "transfer",
            "admin",
        ],
    ),
    (
        "config",
        &[
            "oci",
            "addressing",
            "store",
            "upstream",
            "answer",
            "cache",
            "hosted",
            "retention",
            "transfer",
            "admin",
            "server",
        ],
    ),
    (
        "cli",
        &[
            "oci",
            "addressing",
            "store",
            "upstream",
            "answer",
            "cache",
            "hosted",
            "retention",
            "transfer",
            "admin",
            "server",
            "config",
        ],
    ),
    ("main", &["cli"]),
];

/// The rooms that all but `oci` may use, and that use no room themselves.
const LEAVES: &[&str] = &["runtime", "telemetry"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "types", "misc", "manager",
];

/// The most lines that a file may have without its tests.
const LINES_AT_MOST: usize = 500;

#[test]
fn rooms_use_only_the_rooms_below_them() {
    assert_none(
        source_files()
            .iter()
            .flat_map(|(path, text)| uses(path, text)),
    );
}

#[test]
fn files_are_short_named_and_introduced() {
    assert_none(
        source_files()
            .iter()
            .flat_map(|(path, text)| manners(path, text)),
    );
}

/// Fails with all faults at once.
fn assert_none(faults: impl Iterator<Item = String>) {
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Returns every Rust file under `src`, with its path from there.
fn source_files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no source under {}", root.display());
    files
}

/// Returns the modules that lead to a file: `store`, `disk` for `store/disk/mod.rs`; none for `lib.rs`.
fn modules(path: &Path) -> Vec<String> {
    let names = path.with_extension("");
    let mut names: Vec<String> = names
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if names
        .last()
        .is_some_and(|name| name == "mod" || name == "lib")
    {
        names.pop();
    }
    names
}

/// Returns what a file names that it may not name.
fn uses(path: &Path, text: &str) -> Vec<String> {
    let modules = modules(path);
    let Some(room) = modules.first() else {
        return Vec::new(); // lib.rs declares the rooms and uses none.
    };
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == room) else {
        let path = path.display();
        return vec![format!(
            "src/{path}: add the room `{room}` to the table in tests/architecture.rs"
        )];
    };
    let leaves = if room == "oci" || LEAVES.contains(&room.as_str()) {
        &[]
    } else {
        LEAVES
    };
    // main.rs is the root of a crate of its own.
    let depth = if room == "main" { 0 } else { modules.len() };
    rooms_named(text, depth)
        .into_iter()
        .filter_map(|(named, line)| {
            let name = named.as_str();
            if name == room || allowed.contains(&name) || leaves.contains(&name) {
                None
            } else if TABLE.iter().any(|(known, _)| *known == name) {
                Some(format!("src/{}:{line}: `{room}` may not use `{name}`", path.display()))
            } else {
                Some(format!(
                    "src/{}:{line}: `{name}` is no room: name the room of a thing, or add the room to the table in \
                     tests/architecture.rs",
                    path.display()
                ))
            }
        })
        .collect()
}

/// Returns which rules of the house a file breaks.
fn manners(path: &Path, text: &str) -> Vec<String> {
    let place = format!("src/{}", path.display());
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!(
            "{place}:1: begins without `//!`: say what the module is for"
        ));
    }
    let modules = modules(path);
    for name in modules
        .iter()
        .filter(|name| EMPTY_NAMES.contains(&name.as_str()))
    {
        faults.push(format!("{place}: `{name}` says nothing: name the idea"));
    }
    let is_test = path
        .iter()
        .any(|name| name == "tests" || name == "tests.rs" || name == "test.rs");
    let lines = without_inline_tests(text).lines().count();
    if !is_test && lines > LINES_AT_MOST {
        faults.push(format!(
            "{place}: {lines} lines without tests, at most {LINES_AT_MOST}"
        ));
    }
    faults
}

//! Checks the checker itself, on small sources.

use std::iter;
use std::path::Path;

use super::source::rooms_named;
use super::{TABLE, manners, uses};

/// Returns the rooms that a text in `src/store/disk/layout.rs` names.
fn named(text: &str) -> Vec<String> {
    let names = rooms_named(text, 3).into_iter().map(|(name, _)| name);
    names.collect()
}

#[test]
fn paths_to_rooms_are_found() {
    for (text, rooms) in [
        ("use crate::oci::Digest;", vec!["oci"]),
        (
            "use crate::{oci::{Digest, Tag as T}, cache, server::*};",
            vec!["oci", "cache", "server"],
        ),
        (
            "pub(crate) use crate::\n    oci::{\n        Digest,\n    };",
            vec!["oci"],
        ),
        (
            "fn f(x: &crate::oci::Digest) -> crate::cache::X { crate::server::y() }",
            vec!["oci", "cache", "server"],
        ),
        ("use crate::*;", vec!["*"]),
        ("use super::super::super::cache::Fill;", vec!["cache"]),
        (
            "use super::super::super::{cache::Fill, oci};",
            vec!["cache", "oci"],
        ),
        (
            "use super::super::{super::cache::Fill, error};",
            vec!["cache"],
        ),
        ("use self::super::super::super::cache;", vec!["cache"]),
        ("use super::super::error;", vec![]),
        (
            "use super::cache; use self::server; pub(super) fn f() {} pub(crate) fn g() {}",
            vec![],
        ),
        (
            "mod tests { use super::super::super::super::cache; }",
            vec!["cache"],
        ),
        ("mod tests { use super::super::super::cache; }", vec![]),
        ("mod a { } use super::super::super::cache;", vec!["cache"]),
        (
            "macro_rules! m { () => { $crate::cache::n!() } }",
            vec!["cache"],
        ),
        ("larder::cli::run()", vec!["cli"]),
        ("use other::crate_::oci; use mycrate::cache;", vec![]),
    ] {
        assert_eq!(named(text), rooms, "{text}");
    }
    assert_eq!(
        rooms_named("\n\nuse crate::oci;", 1),
        [("oci".to_owned(), 3)]
    );
}

#[test]
fn comments_and_strings_are_not_code() {
    for text in [
        "// crate::cache::Fill",
        "/// See [`crate::cache::Fill`].",
        "/* a /* nested */ crate::cache */",
        "let s = \"crate::cache\";",
        "let s = \"a \\\" crate::cache\";",
        "let s = r#\"a \" crate::cache\"#;",
        "let s = b\"crate::cache\";",
    ] {
        assert_eq!(named(text), Vec::<String>::new(), "{text}");
    }
    for text in [
        "'\"'; crate::cache::X; '\"';",
        "'\\''; crate::cache::X",
        "fn f<'a>(x: &'a str) { crate::cache::X }",
        "r#\"\"#; crate::cache::X; \"\"",
        "1 / 2; crate::cache::X // \"",
        "let über = \"ü\"; crate::cache::X",
    ] {
        assert_eq!(named(text), ["cache"], "{text}");
    }
}

#[test]
fn a_use_against_the_table_is_told_with_its_place() {
    let faults = |path: &str, text: &str| uses(Path::new(path), text).join("\n");
    for (path, text) in [
        ("store/disk/layout.rs", "use crate::oci::Digest;"),
        (
            "store/mod.rs",
            "use super::oci::Digest; use super::runtime::Tasks;",
        ),
        (
            "store/error.rs",
            "#[cfg(test)]\nmod tests { use super::super::super::oci::Digest; }",
        ),
        ("cache/fill.rs", "use crate::{answer, store, upstream};"),
        ("main.rs", "larder::cli::run()"),
        ("lib.rs", "pub mod oci;"),
    ] {
        assert_eq!(faults(path, text), "", "{path}: {text}");
    }
    for (path, text, fault) in [
        (
            "store/error.rs",
            "\nuse crate::cache;",
            "src/store/error.rs:2: `store` may not use `cache`",
        ),
        (
            "store/mod.rs",
            "use super::{cache};",
            "src/store/mod.rs:1: `store` may not use `cache`",
        ),
        (
            "oci/name.rs",
            "crate::runtime::Clock",
            "src/oci/name.rs:1: `oci` may not use `runtime`",
        ),
        (
            "main.rs",
            "use larder::store;",
            "src/main.rs:1: `main` may not use `store`",
        ),
        (
            "server/mod.rs",
            "use crate::config::X;",
            "src/server/mod.rs:1: `server` may not use `config`",
        ),
    ] {
        assert_eq!(faults(path, text), fault, "{path}: {text}");
    }
    assert!(faults("cellar/mod.rs", "").contains("add the room `cellar` to the table"));
    assert!(faults("store/mod.rs", "crate::Cellar").contains("`Cellar` is no room"));
    assert!(faults("store/mod.rs", "use crate::*;").contains("`*` is no room"));
}

#[test]
fn bad_manners_are_told() {
    let faults = |path: &str, text: &str| manners(Path::new(path), text).join("\n");
    let long = |lines: usize| {
        iter::once("//!\n")
            .chain(iter::repeat_n("\n", lines - 1))
            .collect::<String>()
    };
    let tests = "#[cfg(test)]\n#[expect(unused)]\nmod tests {\n";
    assert_eq!(faults("store/mod.rs", &long(500)), "");
    assert_eq!(
        faults("store/mod.rs", &format!("{}{tests}{}", long(500), long(9))),
        ""
    );
    assert_eq!(faults("store/tests.rs", &long(501)), "");
    assert!(faults("store/mod.rs", &long(501)).contains("501 lines"));
    let with_module = format!("#[cfg(test)]\nmod tests;\n{}", long(499));
    assert!(faults("store/mod.rs", &format!("//!\n{with_module}")).contains("502 lines"));
    assert!(faults("store/mod.rs", "use std::fs;\n").contains("without `//!`"));
    assert!(faults("store/utils.rs", "//! x\n").contains("`utils` says nothing"));
    assert!(faults("common/mod.rs", "//! x\n").contains("`common` says nothing"));
}

#[test]
fn the_table_has_no_ring() {
    for (at, (room, below)) in TABLE.iter().enumerate() {
        for name in *below {
            let place = TABLE.iter().position(|(other, _)| other == name);
            assert!(place.is_some_and(|place| place < at), "{room} uses {name}");
        }
    }
}

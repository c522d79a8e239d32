//! The parts of the README that are made from the code: they stand between two comments, and tests compare them with what
//! they are made from.

mod commands;
mod http;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The variable that, with this value, has the tests write what they would compare.
const VARIABLE: &str = "LARDER_README";
const WRITE: &str = "write";

/// How the parts are brought up to date.
const HOW: &str = "LARDER_README=write cargo test --locked --lib readme";

/// Held by who reads and writes the file: tests run at the same time.
static FILE: Mutex<()> = Mutex::new(());

/// Fails when a part of the README is not this one; or writes it, when that is wanted.
#[track_caller]
fn assert_written(part: &str, text: &str) {
    let _held = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let renewed = with_part(&readme, part, text)
        .unwrap_or_else(|| panic!("README.md has no part '{part}' between its two comments"));
    if readme == renewed {
        return;
    }
    let is_wanted = std::env::var_os(VARIABLE).is_some_and(|value| value == WRITE);
    assert!(
        is_wanted,
        "the part '{part}' of README.md is not what the code says: bring it up to date with `{HOW}`. It has to \
         be:\n{text}"
    );
    fs::write(&path, renewed).unwrap();
}

/// Returns the README with this text in one of its parts, if it has that part.
fn with_part(readme: &str, part: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- {part}: made from the code by `{HOW}` -->\n");
    let end = format!("<!-- end of {part} -->\n");
    let (before, rest) = readme.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    let text = text.trim_matches('\n');
    Some(format!("{before}{begin}\n{text}\n\n{end}{after}"))
}

/// A table of Markdown.
struct Table(String);

impl Table {
    /// Begins a table with these columns.
    fn new(columns: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.row(columns);
        writeln!(table.0, "|{}", "---|".repeat(columns.len())).unwrap();
        table
    }

    fn row(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            let cell = cell.as_ref();
            let space = if cell.is_empty() { "" } else { " " };
            write!(self.0, "| {}{space}", cell.replace('|', "\\|")).unwrap();
        }
        self.0.push_str("|\n");
    }
}

/// Writes a text as code.
fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Writes plain text so that Markdown takes nothing in it for its own, but for what is marked as code already. An underscore
/// within a word means nothing to it.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut written = String::new();
    for letter in text.chars() {
        let is_in_word = written.ends_with(|before: char| before.is_ascii_alphanumeric());
        match letter {
            '`' => is_code = !is_code,
            '_' if is_in_word => {}
            '*' | '<' | '_' | '$' | '~' if !is_code => written.push('\\'),
            _ => {}
        }
        written.push(letter);
    }
    written
}

#[test]
fn a_part_of_the_readme_is_replaced_and_nothing_else() {
    let part = |name: &str, text: &str| {
        format!(
            "<!-- {name}: made from the code by `{HOW}` -->\n\n{text}\n\n<!-- end of {name} -->\n"
        )
    };
    let readme = format!("a\n{}b\n{}c\n", part("x", "old"), part("y", "old"));
    let renewed = format!("a\n{}b\n{}c\n", part("x", "old"), part("y", "new\nlines"));
    assert_eq!(with_part(&readme, "y", "\nnew\nlines\n"), Some(renewed));
    assert_eq!(with_part(&readme, "z", "new"), None);
}

#[test]
fn text_in_the_readme_is_shown_as_it_is() {
    for (text, shown) in [
        ("all of *.a, as `*.a`", "all of \\*.a, as `*.a`"),
        ("_a_b of <c>", "\\_a_b of \\<c>"),
        ("$HOME_A and ~", "\\$HOME_A and \\~"),
    ] {
        assert_eq!(prose(text), shown);
    }
    let mut table = Table::new(&["a", "b"]);
    table.row(&["x|y", ""]);
    assert_eq!(table.0, "| a | b |\n|---|---|\n| x\\|y | |\n");
}

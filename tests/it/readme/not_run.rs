//! The table of the README of what in it and in the other one is not run. Everything else is.

use super::{Block, Document, Language, blocks};

/// The section of `README.md` with the table.
const SECTION: &str = "\n## What in here is not run\n";

/// The head of the table.
const HEAD: &str = "| where | the block begins with | why it is not run |\n|---|---|---|\n";

/// A row of the table: a block that is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    document: Document,
    /// How its first line begins.
    beginning: String,
}

impl Row {
    fn is_about(&self, block: &Block) -> bool {
        block.language == Language::Shell
            && block.document == self.document
            && block.first_line().starts_with(&self.beginning)
    }
}

/// Returns the blocks that are run, in their order.
pub(crate) fn to_run() -> Vec<Block> {
    let rows = rows(&Document::Larder.text()).unwrap();
    let is_run = |block: &Block| {
        block.language == Language::Shell && !rows.iter().any(|row| row.is_about(block))
    };
    blocks().into_iter().filter(is_run).collect()
}

/// Reads the table of a text.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let (_, section) = text.split_once(SECTION).ok_or("there is no section")?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let (_, table) = section.split_once(HEAD).ok_or("there is no table")?;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.map(|line| read(line).ok_or_else(|| line.to_owned()))
        .collect()
}

/// Reads a row, of which nothing may be missing.
fn read(line: &str) -> Option<Row> {
    let line = line.strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [document, beginning, reason] = cells[..] else {
        return None;
    };
    let mut documents = Document::ALL.into_iter();
    let document = documents.find(|it| it.path().strip_suffix(".md") == Some(document))?;
    let beginning = beginning.strip_prefix('`')?.strip_suffix('`')?;
    let is_whole = !beginning.is_empty() && !reason.is_empty();
    is_whole.then(|| Row {
        document,
        beginning: beginning.to_owned(),
    })
}

/// Says what is wrong with rows about blocks: each has to be about one block, in the order of the blocks.
fn faults(rows: &[Row], blocks: &[Block]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut last = None;
    for row in rows {
        let about = blocks.iter().enumerate().filter(|(_, it)| row.is_about(it));
        let about: Vec<usize> = about.map(|(place, _)| place).collect();
        match about[..] {
            [place] if last < Some(place) => last = Some(place),
            [place] if last == Some(place) => faults.push(format!("twice: {row:?}")),
            [_] => faults.push(format!("not in the order of the blocks: {row:?}")),
            [] => faults.push(format!("about no block: {row:?}")),
            _ => faults.push(format!("about {} blocks: {row:?}", about.len())),
        }
    }
    faults
}

#[test]
fn each_row_is_about_one_block() {
    let rows = rows(&Document::Larder.text()).unwrap();
    assert!(!rows.is_empty());
    assert_eq!(faults(&rows, &blocks()), [""; 0]);
}

#[test]
fn rows_that_are_wrong_are_noticed() {
    let table = |row: &str| format!("{SECTION}\nWords.\n\n{HEAD}{row}\n\n## Next\n{HEAD}| a |\n");
    let right = rows(&table("| README | `cargo build` | it compiles |"));
    let row = Row {
        document: Document::Larder,
        beginning: "cargo build".to_owned(),
    };
    assert_eq!(right, Ok(vec![row.clone()]));
    for wrong in [
        "| README | `cargo build` | |",
        "| README | cargo build | it compiles |",
        "| README | `` | it compiles |",
        "| README.md | `cargo build` | it compiles |",
        "| README | `cargo build` |",
    ] {
        assert_eq!(rows(&table(wrong)), Err(wrong.to_owned()));
    }
    rows("\n## Another section\n").unwrap_err();

    let block = |language, text: &str| Block {
        document: Document::Larder,
        line: 1,
        language,
        text: text.to_owned(),
    };
    let build = block(Language::Shell, "cargo build --release\n");
    let check = block(Language::Shell, "cargo check\ncargo build\n");
    let other = block(Language::Text, "cargo build\n");
    let second = Row {
        beginning: "cargo check".to_owned(),
        ..row.clone()
    };
    let found = |rows: &[&Row], blocks: &[&Block]| {
        let rows: Vec<Row> = rows.iter().copied().cloned().collect();
        let blocks: Vec<Block> = blocks.iter().copied().cloned().collect();
        faults(&rows, &blocks).len()
    };
    assert_eq!(found(&[&row, &second], &[&build, &other, &check]), 0);
    assert_eq!(found(&[&row, &second], &[&check, &other, &build]), 1);
    assert_eq!(found(&[&row], &[&check, &other]), 1);
    assert_eq!(found(&[&row], &[&build, &build]), 1);
    assert_eq!(found(&[&row, &row], &[&build]), 1);
}

//! Finds the code blocks of a document (CommonMark 0.31, 4.5, as far as it is used: three backticks, which may be indented).

use std::fmt;
use std::str::FromStr;

use super::{Document, blocks as all_blocks};

/// What opens and closes a block.
const FENCE: &str = "```";

/// A language that blocks can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Commands for bash.
    Shell,
    /// A configuration of larder, or a file that says in its first line which one it is.
    Toml,
    Yaml,
    Json,
    /// An expression of Prometheus.
    PromQl,
    /// Units of systemd and the like.
    Ini,
    /// What nobody checks.
    Text,
}

impl FromStr for Language {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "sh" => Self::Shell,
            "toml" => Self::Toml,
            "yaml" => Self::Yaml,
            "json" => Self::Json,
            "promql" => Self::PromQl,
            "ini" => Self::Ini,
            "text" => Self::Text,
            "" => return Err("no language".to_owned()),
            word => return Err(format!("`{word}` is no language that is known here")),
        })
    }
}

/// A code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) document: Document,
    /// The number of its first line in the document.
    pub(crate) line: usize,
    pub(crate) language: Language,
    /// What is in it, without the indentation that all of it has.
    pub(crate) text: String,
}

impl Block {
    /// Returns its first line.
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

impl fmt::Display for Block {
    /// Says where it is, and how it begins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, line) = (self.document.path(), self.line);
        write!(f, "{path}:{line}: `{}`", self.first_line())
    }
}

/// Returns the blocks of a document.
pub(super) fn blocks(document: Document) -> Vec<Block> {
    parse(document, &document.text()).unwrap_or_else(|fault| panic!("{}:{fault}", document.path()))
}

/// Finds the blocks of a text, or its first fence that is wrong.
fn parse(document: Document, text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some((indentation, word)) = line.split_once(FENCE) else {
            continue;
        };
        if !indentation.trim_start().is_empty() {
            continue; // Backticks in the middle of a line are no fence.
        }
        let language = word.parse().map_err(|fault| format!("{number}: {fault}"))?;
        let mut block = Block {
            document,
            line: number + 1,
            language,
            text: String::new(),
        };
        loop {
            let Some((line, _)) = lines.next() else {
                return Err(format!("{number}: the block has no end"));
            };
            let line = line.strip_prefix(indentation).unwrap_or(line.trim_start());
            if line == FENCE {
                break;
            }
            block.text.push_str(line);
            block.text.push('\n');
        }
        blocks.push(block);
    }
    Ok(blocks)
}

#[test]
fn every_block_is_in_a_known_language() {
    let blocks = all_blocks();
    let in_shell = blocks.iter().filter(|it| it.language == Language::Shell);
    assert!(in_shell.count() > 10, "{blocks:?}");
}

#[test]
fn blocks_are_found_wherever_they_are() {
    let document = Document::Larder;
    let text =
        "a\n```sh\none\n\n  two\n```\n- a `b` ```c```\n\n  ```toml\n  [a]\n    b = 1\n\n  ```\n";
    let block = |line, language, text: &str| Block {
        document,
        line,
        language,
        text: text.to_owned(),
    };
    let expected = vec![
        block(3, Language::Shell, "one\n\n  two\n"),
        block(10, Language::Toml, "[a]\n  b = 1\n\n"),
    ];
    assert_eq!(parse(document, text), Ok(expected));
    for (text, fault) in [
        ("\n```\na\n```\n", "2: no language"),
        (
            "```bash\na\n```\n",
            "1: `bash` is no language that is known here",
        ),
        ("```sh\na\n", "1: the block has no end"),
        // The one that should close it is not where it opened.
        ("  ```sh\na\n", "1: the block has no end"),
    ] {
        assert_eq!(parse(document, text), Err(fault.to_owned()), "{text}");
    }
}

//! The text of a configuration file: where in it something is, and what is wrong with it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Faults, Place, Spot};

/// The text of a configuration file, and what was found wrong with it so far.
#[derive(Debug)]
pub(super) struct Document<'a> {
    file: Arc<PathBuf>,
    folder: PathBuf,
    text: &'a str,
    is_torn: bool,
    faults: RefCell<Faults>,
}

impl<'a> Document<'a> {
    /// Makes a document of a file's text and of what the parser says against it. Relative paths in it start at the
    /// file's own folder.
    pub(super) fn new(file: &Path, text: &'a str, errors: &[toml::de::Error]) -> Self {
        let document = Self {
            file: Arc::new(file.to_owned()),
            folder: file.parent().map_or_else(PathBuf::new, Path::to_owned),
            text,
            is_torn: !errors.is_empty(),
            faults: RefCell::default(),
        };
        for error in errors {
            let place = document.place(error.span().unwrap_or_default(), "");
            document.fault(place, syntax_message(error.message()));
        }
        document
    }

    /// Returns the place of a range of bytes.
    pub(super) fn place(&self, range: std::ops::Range<usize>, key: &str) -> Place {
        let file = Arc::clone(&self.file);
        Place::Text(Spot::find(file, self.text, range, key.to_owned()))
    }

    /// Adds a fault.
    pub(super) fn fault(&self, place: Place, message: impl Into<String>) {
        self.faults.borrow_mut().push(place, message);
    }

    /// Returns whether keys may be missing, or be in another table than they seem, because the file could not be parsed.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Returns the folder of the file.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns all faults that were found. In a line that could not be parsed only the first counts: the others
    /// follow from it.
    pub(super) fn into_faults(self) -> Faults {
        let mut faults = self.faults.into_inner();
        if self.is_torn {
            faults.keep_first_of_each_line();
        }
        faults
    }
}

/// Makes the parser's message fit for people, who know what they meant and not what TOML calls it.
fn syntax_message(message: &str) -> String {
    let message = message
        .strip_suffix(", expected nothing")
        .unwrap_or(message);
    let starts_with = |starts: &[&str]| starts.iter().any(|start| message.starts_with(start));
    let way_out = if starts_with(&["invalid float", "invalid integer", "invalid datetime"]) {
        "if this is a text, put it in quotes"
    } else if starts_with(&["invalid basic string", "invalid literal string"]) {
        "put the same quote behind the text that is before it"
    } else if starts_with(&["unclosed table"]) {
        "put ']' behind the name of the table; a name has no spaces"
    } else if starts_with(&["unclosed array"]) {
        "put ']' behind the last value of the list, and ',' between its values"
    } else if starts_with(&["key with no value"]) {
        "write '=' between a key and its value"
    } else if starts_with(&["duplicate key"]) {
        "a key, and a table in [brackets], can be written once: put the two together"
    } else {
        return message.to_owned();
    };
    format!("{message}: {way_out}")
}

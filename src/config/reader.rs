//! Reads values out of a parsed file and out of named texts, and collects what is wrong with them instead of stopping
//! at the first fault, as deserializers do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Document;
use super::fault::Place;
use super::names::{misplaced, nearest, unknown};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A part of the configuration in which keys have values: a table of the file, or variables and flags.
///
/// Each method takes one key. A value that is wrong becomes a fault, and `None` like one that was not written.
pub(super) trait Section {
    /// Takes a text and what `parse` makes of it, whose error completes a sentence that starts with the text.
    fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>>;

    /// Takes a text as [`Section::text`] does, or the number 0 as the text that stands for it: it needs no unit.
    fn text_or_zero<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>>;

    /// Takes a list of texts, of which those that are wrong are left out.
    fn texts<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<Located<T>>>;

    /// Takes a truth value.
    fn truth(&mut self, key: &'static str) -> Option<Located<bool>>;

    /// Takes the path of a file or folder.
    fn path(&mut self, key: &'static str) -> Option<Located<PathBuf>>;
}

/// One table of a document.
#[derive(Debug)]
pub(super) struct Table<'a> {
    document: &'a Document<'a>,
    entries: &'a DeTable<'a>,
    path: String,
    place: Place,
    taken: BTreeSet<&'static str>,
    /// Keys that are known as a mistake.
    refused: BTreeSet<&'static str>,
}

impl<'a> Table<'a> {
    /// Reads the table of the whole document to its end.
    pub(super) fn read_whole<T>(
        document: &'a Document<'a>,
        entries: &'a Spanned<DeTable<'a>>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self {
            document,
            entries: entries.get_ref(),
            path: String::new(),
            place: document.place(entries.span(), ""),
            taken: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        let read = read(&mut table);
        table.finish();
        read
    }

    /// Takes a text that has to be there.
    pub(super) fn required_text<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let value = self.take(key);
        if value.is_none() && !self.document.is_torn() {
            let message = format!("the key '{key}' is missing");
            self.document.fault(self.place.clone(), message);
        }
        value?.into_text(parse)
    }

    /// Takes a table and reads it to its end.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'a>) -> T,
    ) -> Option<T> {
        self.take(key)?.into_table(read)
    }

    /// Takes a list of values, each read by `read`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Value<'a>) -> T,
    ) -> Option<Located<Vec<T>>> {
        let value = self.take(key)?;
        let place = value.place();
        let entries = value.into_entries()?;
        let value = entries.into_iter().map(read).collect();
        Some(Located { value, place })
    }

    /// Returns where the table is.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Returns where a key is written, if it is; that does not take it.
    pub(super) fn place_of(&self, key: &str) -> Option<Place> {
        Some(self.find(key)?.place())
    }

    /// Marks a key as one that the caller refuses, and returns where it is written, if it is.
    pub(super) fn refused(&mut self, key: &'static str) -> Option<Place> {
        self.refused.insert(key);
        self.place_of(key)
    }

    /// Says which keys were not taken, and are thereby unknown.
    fn finish(self) {
        if self.document.is_torn() {
            return;
        }
        let known: Vec<&str> = self.taken.iter().copied().collect();
        for (key, _) in self.entries {
            let name = key.get_ref().as_ref();
            if !self.taken.contains(name) && !self.refused.contains(name) {
                let place = self.document.place(key.span(), &self.path);
                let message = match nearest(name, &known) {
                    None => misplaced(name).unwrap_or_else(|| unknown("key", name, &known)),
                    Some(_) => unknown("key", name, &known),
                };
                self.document.fault(place, message);
            }
        }
    }

    /// Marks a key as known and returns its value.
    fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.taken.insert(key);
        self.find(key)
    }

    fn find(&self, key: &str) -> Option<Value<'a>> {
        let (_, value) = self
            .entries
            .iter()
            .find(|(found, _)| found.get_ref() == key)?;
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        Some(Value {
            document: self.document,
            value,
            path,
        })
    }
}

impl Section for Table<'_> {
    fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        self.take(key)?.into_text(parse)
    }

    fn text_or_zero<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let value = self.take(key)?;
        match value.value.get_ref() {
            DeValue::Integer(number) if number.as_str() == "0" => {
                value.checked(parse_quoted("0", parse))
            }
            DeValue::Integer(_) | DeValue::Float(_) => {
                value.is_not("a text in quotes, with its unit: \"30s\", \"10m\", \"24h\"")
            }
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => value.into_text(parse),
        }
    }

    fn texts<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<Located<T>>> {
        let list = self.list(key, |value| value.into_text(&parse))?;
        Some(list.value.into_iter().flatten().collect())
    }

    fn truth(&mut self, key: &'static str) -> Option<Located<bool>> {
        let value = self.take(key)?;
        let DeValue::Boolean(truth) = value.value.get_ref() else {
            return value.is_not("true or false");
        };
        Some(value.located(*truth))
    }

    fn path(&mut self, key: &'static str) -> Option<Located<PathBuf>> {
        self.take(key)?.into_path()
    }
}

/// One value of a document.
#[derive(Debug)]
pub(super) struct Value<'a> {
    document: &'a Document<'a>,
    value: &'a Spanned<DeValue<'a>>,
    path: String,
}

impl<'a> Value<'a> {
    /// Returns whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    /// Reads a text. The error of `parse` completes a sentence that starts with the text.
    pub(super) fn into_text<T>(
        self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let DeValue::String(text) = self.value.get_ref() else {
            return self.is_not("a text in quotes");
        };
        self.checked(parse_quoted(text, parse))
    }

    /// Reads a table to its end.
    pub(super) fn into_table<T>(self, read: impl FnOnce(&mut Table<'a>) -> T) -> Option<T> {
        let DeValue::Table(entries) = self.value.get_ref() else {
            return self.is_not(&format!("a table: write [{}]", self.path));
        };
        let mut table = Table {
            document: self.document,
            entries,
            place: self.place(),
            path: self.path,
            taken: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        let read = read(&mut table);
        table.finish();
        Some(read)
    }

    /// Returns the values of a list.
    fn into_entries(self) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(entries) = self.value.get_ref() else {
            let expected = if self.is_table() {
                // TOML counts the tables of a list by itself.
                let parts = self.path.split('.');
                let names: Vec<&str> = parts
                    .map(|part| part.split('[').next().unwrap_or_default())
                    .collect();
                format!("a list: write [[{}]]", names.join("."))
            } else {
                "a list in brackets".to_owned()
            };
            return self.is_not(&expected);
        };
        let entry = |(index, value)| Value {
            document: self.document,
            value,
            path: format!("{}[{index}]", self.path),
        };
        Some(entries.iter().enumerate().map(entry).collect())
    }

    /// Reads a path, which starts at the folder of the file when it is relative.
    pub(super) fn into_path(self) -> Option<Located<PathBuf>> {
        let folder = self.document.folder().to_owned();
        self.into_text(|text| match text {
            "" => Err("is no path".to_owned()),
            text => Ok(folder.join(text)),
        })
    }

    fn place(&self) -> Place {
        self.document.place(self.value.span(), &self.path)
    }

    fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            place: self.place(),
        }
    }

    /// Returns what was read, or says why it could not be.
    fn checked<T>(&self, read: Result<T, String>) -> Option<Located<T>> {
        match read {
            Ok(value) => Some(self.located(value)),
            Err(message) => {
                self.document.fault(self.place(), message);
                None
            }
        }
    }

    /// Says that the value is of another kind than the one that is asked for.
    fn is_not<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("this is {found}; it has to be {expected}");
        self.document.fault(self.place(), message);
        None
    }
}

/// Parses a text; the message says which text it was, unless that could give away a password.
pub(super) fn parse_quoted<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    parse(text).map_err(|problem| {
        if text.contains('@') {
            "a user or an '@' has no place here (the value is not shown, it could hold a password)"
                .to_owned()
        } else {
            format!("'{}' {problem}", text.escape_debug())
        }
    })
}

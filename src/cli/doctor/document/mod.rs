//! What stands in a file of a client, whatever its language: a tree of values that know their lines. Strangers write
//! such files, so that everything of another kind than was expected reads as absent.

mod json;
mod toml;
mod yaml;

pub(super) use json::json;
pub(super) use toml::toml;
pub(super) use yaml::yaml;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The line, from 1, where the language tells it.
    pub(super) line: Option<usize>,
    /// The value.
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A yes or no.
    Flag(bool),
    /// Something that no client wants here: a number, a date, nothing.
    Other,
    /// Values in order.
    List(Vec<Node>),
    /// Keys with values, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The line, from 1, where it is known.
    pub(super) line: Option<usize>,
    /// What is wrong there, without anything that is written in the file.
    pub(super) message: String,
}

impl Node {
    /// Returns what a key leads to.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let mut entries = self.entries();
        entries.find_map(|(name, node)| (name == key).then_some(node))
    }

    /// Returns what keys lead to, one after the other.
    pub(super) fn find(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Returns the entries of a map; none when it is something else.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match &self.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Text(_) | Value::Flag(_) | Value::Other | Value::List(_) => &[],
        };
        entries.iter().map(|(key, node)| (key.as_str(), node))
    }

    /// Returns the items of a list; none when it is something else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Text(_) | Value::Flag(_) | Value::Other | Value::Map(_) => &[],
        }
    }

    /// Returns a text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Flag(_) | Value::Other | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the text behind a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// Returns whether the value behind a key is a yes.
    pub(super) fn says(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|node| node.value == Value::Flag(true))
    }

    /// Returns the text behind a key, or the texts of the list there.
    pub(super) fn texts(&self, key: &str) -> Vec<&str> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        let alone = node.as_text().into_iter();
        alone
            .chain(node.items().iter().filter_map(Self::as_text))
            .collect()
    }
}

/// Returns the line of a place in a text, from 1.
fn line_of(text: &str, index: usize) -> usize {
    let end = text.floor_char_boundary(index);
    text[..end].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_languages_say_the_same() {
        let documents = [
            json(r#"{"b": {"on": true, "list": ["x", "y"]}, "a": "text"}"#).unwrap(),
            toml("b.on = true\nb.list = ['x', 'y']\na = 'text'").unwrap(),
            yaml("b:\n  on: true\n  list: [x, \"y\"]\na: text\n").unwrap(),
        ];
        for document in documents {
            assert_eq!(document.text("a"), Some("text"));
            assert_eq!(document.texts("a"), ["text"]);
            assert!(document.get("b").unwrap().says("on"));
            assert_eq!(document.get("b").unwrap().texts("list"), ["x", "y"]);
            assert_eq!(document.find(&["b", "list"]).unwrap().items().len(), 2);
            for absent in ["c", "list"] {
                assert_eq!(document.get(absent), None);
                assert!(document.texts(absent).is_empty() && !document.says(absent));
            }
            assert_eq!(document.find(&["a", "b"]), None);
        }
    }
}

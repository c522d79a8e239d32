//! YAML, as k3s and RKE2 have it: a tree of the parser's events. What is written once and meant often (`&a`, `*a`) is
//! copied, within bounds.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{Broken, Node, Value};

/// The most values of a file, copies counted: far more than a client has registries.
const MAX_NODES: usize = 100_000;
/// How deep values can lie within each other.
const MAX_DEPTH: usize = 64;

/// Reads the first document of a YAML file. A file with nothing in it says nothing.
pub(in crate::cli::doctor) fn yaml(text: &str) -> Result<Node, Broken> {
    let mut tree = Tree::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| broken(&error))?;
        if let Event::DocumentEnd = event {
            break;
        }
        tree.take(event, span)?;
    }
    Ok(tree.root.unwrap_or(Node {
        line: None,
        value: Value::Map(Vec::new()),
    }))
}

fn broken(error: &ScanError) -> Broken {
    Broken {
        line: Some(error.marker().line()),
        message: error.info().to_owned(),
    }
}

/// A tree that grows.
#[derive(Default)]
struct Tree {
    root: Option<Node>,
    /// What is not at its end yet, from the outside in.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    count: usize,
}

/// A list or map that is not at its end yet.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(String, Node)>,
        /// The key whose value comes next.
        key: Option<String>,
    },
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, _) => {
                // A key is a text, whatever it looks like.
                let value = match self.wants_key() {
                    true => Value::Text(text.into_owned()),
                    false => scalar(&text, style),
                };
                self.put(anchor, line, value, 1)
            }
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (entries, key) = (Vec::new(), None);
                self.begin(line, anchor, Content::Map { entries, key })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let value = match open.content {
                        Content::List(items) => Value::List(items),
                        Content::Map { entries, .. } => Value::Map(entries),
                    };
                    self.put(open.anchor, open.line, value, 1)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                // An anchor around its own alias is not at its end yet, and means nothing.
                let node = self.anchors.get(&anchor).cloned();
                let value = node.map_or(Value::Other, |node| node.value);
                let count = size(&value);
                self.put(0, line, value, count)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        let open = self.open.last().map(|open| &open.content);
        matches!(open, Some(Content::Map { key: None, .. }))
    }

    fn begin(&mut self, line: usize, anchor: usize, content: Content) -> Result<(), Broken> {
        if self.open.len() == MAX_DEPTH {
            return Err(Broken {
                line: Some(line),
                message: format!("more than {MAX_DEPTH} values within each other are not read"),
            });
        }
        self.open.push(Open {
            line,
            anchor,
            content,
        });
        Ok(())
    }

    /// Puts a whole value where it belongs.
    fn put(
        &mut self,
        anchor: usize,
        line: usize,
        value: Value,
        count: usize,
    ) -> Result<(), Broken> {
        self.count = self.count.saturating_add(count);
        if self.count > MAX_NODES {
            return Err(Broken {
                line: Some(line),
                message: format!("more than {MAX_NODES} values are not read"),
            });
        }
        let line = Some(line);
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match key.take() {
                // A key that is no text means nothing to any client.
                None => *key = Some(node.as_text().unwrap_or_default().to_owned()),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

/// Reads a value without parts. Numbers stay texts, as nobody wants numbers here.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Value::Other,
        "true" | "True" | "TRUE" | "yes" | "on" => Value::Flag(true),
        "false" | "False" | "FALSE" | "no" | "off" => Value::Flag(false),
        text => Value::Text(text.to_owned()),
    }
}

/// Counts a value and what is in it.
fn size(value: &Value) -> usize {
    let within: usize = match value {
        Value::List(items) => items.iter().map(|node| size(&node.value)).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(&node.value)).sum(),
        Value::Text(_) | Value::Flag(_) | Value::Other => 0,
    };
    within + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines() {
        let text = "# comment\nmirrors:\n  docker.io:\n    endpoint:\n      - \"http://larder:5000\"\n  \"*\":\n    endpoint: [a, b]\n";
        let document = yaml(text).unwrap();
        let endpoints = document
            .find(&["mirrors", "docker.io", "endpoint"])
            .unwrap();
        assert_eq!(endpoints.items()[0].line, Some(5));
        assert_eq!(endpoints.items()[0].as_text(), Some("http://larder:5000"));
        let others = document.find(&["mirrors", "*"]).unwrap();
        assert_eq!(others.texts("endpoint"), ["a", "b"]);
        for empty in ["", "# nothing\n", "---\n"] {
            assert_eq!(yaml(empty).unwrap().entries().count(), 0, "{empty}");
        }
    }

    #[test]
    fn words_are_texts_when_they_are_quoted() {
        let document = yaml("a: true\nb: \"true\"\nc: null\nd: 5000\n").unwrap();
        assert!(document.says("a") && !document.says("b"));
        let texts = ["a", "b", "c", "d"].map(|key| document.text(key));
        assert_eq!(texts, [None, Some("true"), None, Some("5000")]);
    }

    #[test]
    fn what_is_meant_often_is_copied_within_bounds() {
        let document = yaml("a: &x {on: true}\nb: *x\nc: &y [*y]\n").unwrap();
        assert!(document.get("b").unwrap().says("on"));
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for step in 1..12 {
            let before = format!("*a{}", step - 1);
            let ten = vec![before; 10].join(",");
            bomb += &format!("a{step}: &a{step} [{ten}]\n");
        }
        let broken = yaml(&bomb).unwrap_err();
        assert!(broken.message.contains("more than 100000"), "{broken:?}");
        let broken = yaml(&"[".repeat(100)).unwrap_err();
        assert!(broken.message.contains("within each other"), "{broken:?}");
    }

    #[test]
    fn faults_have_a_line() {
        for text in [
            "a: b\n\tc: d\n",
            "a: b\nc: \"d\n",
            "a: b\nc: [d\n",
            "a: b\n c: d\n",
        ] {
            let broken = yaml(text).unwrap_err();
            assert!(broken.line.is_some(), "{text:?}: {broken:?}");
        }
    }
}

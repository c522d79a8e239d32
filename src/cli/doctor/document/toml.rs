//! TOML, as containerd, podman and buildkit have it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Broken, Node, Value, line_of};

/// Reads TOML.
pub(in crate::cli::doctor) fn toml(text: &str) -> Result<Node, Broken> {
    match DeTable::parse(text) {
        Ok(table) => Ok(Node {
            line: Some(1),
            value: map(text, table.get_ref()),
        }),
        Err(error) => Err(Broken {
            line: error.span().map(|span| line_of(text, span.start)),
            message: error.message().to_owned(),
        }),
    }
}

/// Turns a value into ours. It is no deeper than the parser allows.
fn node(text: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let line = Some(line_of(text, value.span().start));
    let value = match value.get_ref() {
        DeValue::String(content) => Value::Text(content.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(table) => map(text, table),
    };
    Node { line, value }
}

/// Puts the entries of a table into the order of the file, which for containerd is the order in which hosts are asked.
fn map(text: &str, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter();
    Value::Map(
        entries
            .map(|(key, value)| {
                let line = Some(line_of(text, key.span().start));
                let node = Node {
                    line,
                    ..node(text, value)
                };
                (key.get_ref().to_string(), node)
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_the_order_of_the_file_with_their_lines() {
        let text = "server = 'x'\n[host.'http://b']\n  ca = 'y'\n[host.'http://a']\n";
        let document = toml(text).unwrap();
        let hosts = document.get("host").unwrap();
        let hosts: Vec<_> = hosts
            .entries()
            .map(|(key, node)| (key, node.line))
            .collect();
        assert_eq!(hosts, [("http://b", Some(2)), ("http://a", Some(4))]);
    }

    #[test]
    fn faults_have_a_line_and_no_content() {
        for text in [
            "a = 1\nb = 'secret\n",
            "a = 1\n[secret",
            "a = 1\na = 'secret'",
        ] {
            let broken = toml(text).unwrap_err();
            assert_eq!(broken.line, Some(2), "{text}: {broken:?}");
            assert!(!broken.message.contains("secret"), "{broken:?}");
        }
        assert!(toml(&format!("a = {}", "[".repeat(10_000))).is_err());
    }
}

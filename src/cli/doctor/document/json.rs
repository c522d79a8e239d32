//! JSON, as docker has it. Its values do not tell their lines, only its faults do.

use serde_json::Value as Json;

use super::{Broken, Node, Value};

/// Reads JSON. A file with nothing in it says nothing.
pub(in crate::cli::doctor) fn json(text: &str) -> Result<Node, Broken> {
    if text.trim().is_empty() {
        return Ok(node(Json::Object(serde_json::Map::new())));
    }
    let read: Result<Json, _> = serde_json::from_str(text);
    read.map(node).map_err(|error| {
        let told = error.to_string();
        // Its place is told beside the message.
        let message = told.split(" at line ").next().unwrap_or_default();
        Broken {
            line: Some(error.line()),
            message: message.to_owned(),
        }
    })
}

/// Turns a value into ours. It is no deeper than the parser allows.
fn node(value: Json) -> Node {
    let value = match value {
        Json::String(text) => Value::Text(text),
        Json::Bool(flag) => Value::Flag(flag),
        Json::Null | Json::Number(_) => Value::Other,
        Json::Array(items) => Value::List(items.into_iter().map(node).collect()),
        Json::Object(entries) => {
            let entries = entries.into_iter();
            Value::Map(entries.map(|(key, value)| (key, node(value))).collect())
        }
    };
    Node { line: None, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_line() {
        let comma = "{\n  \"registry-mirrors\": [\"http://larder:5000\",]\n}";
        let broken = json(comma).unwrap_err();
        assert_eq!(broken.line, Some(2));
        assert_eq!(broken.message, "trailing comma");
        for text in ["{", "[1", "secret", &"[".repeat(1_000)] {
            let broken = json(text).unwrap_err();
            assert!(!broken.message.contains("secret"), "{}", broken.message);
        }
        assert_eq!(json(" \n").unwrap().entries().count(), 0);
    }
}

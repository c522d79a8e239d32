//! The JSON schema of the configuration file, for editors and for what checks files before they are deployed.
//!
//! It says what can be said of a key alone. What has to agree with other keys, and how a text is spelled in full,
//! `larder check` says.

use serde_json::{Map, Value, json};

use super::{FILE, Key, Kind, Presence};

/// Which version of JSON schema it is written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the JSON schema of the configuration file.
pub fn schema() -> Value {
    let mut schema = table(FILE);
    schema.insert("$schema".to_owned(), json!(DIALECT));
    schema.insert("title".to_owned(), json!("larder.toml"));
    Value::Object(schema)
}

fn table(keys: &[Key]) -> Map<String, Value> {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), Value::Object(property(key))))
        .collect();
    let is_required = |key: &&Key| key.presence == Presence::Required;
    let required: Vec<&str> = keys
        .iter()
        .filter(is_required)
        .map(|key| key.name)
        .collect();
    let mut table = object([
        ("type", json!("object")),
        ("properties", Value::Object(properties)),
        ("additionalProperties", json!(false)),
    ]);
    if !required.is_empty() {
        table.insert("required".to_owned(), json!(required));
    }
    table
}

fn property(key: &Key) -> Map<String, Value> {
    let mut property = kind(key.kind);
    let description = match key.presence {
        Presence::Default(value) => {
            // What is written as a value of TOML is one of JSON too: texts, truth values and lists are spelled alike.
            if let Ok(value) = serde_json::from_str::<Value>(value) {
                property.insert("default".to_owned(), value);
            }
            format!("{} Default: {value}.", key.meaning)
        }
        Presence::Otherwise(words) => format!("{} Default: {words}.", key.meaning),
        Presence::Required => format!("{} Has to be written.", key.meaning),
    };
    property.insert("description".to_owned(), json!(description));
    property
}

fn kind(kind: Kind) -> Map<String, Value> {
    match kind {
        Kind::Text(example) | Kind::Path(example) => text(example),
        Kind::OneOf(texts) => object([("enum", json!(texts))]),
        Kind::Time(example) => object([
            ("anyOf", json!([{ "type": "string" }, { "const": 0 }])),
            ("examples", json!([example])),
        ]),
        Kind::Truth => object([("type", json!("boolean"))]),
        Kind::Texts(example) | Kind::Paths(example) => list(text(example)),
        Kind::Table(keys) => table(keys),
        Kind::Tables(keys) => list(table(keys)),
        Kind::TextsOrTables(keys) => {
            let either = json!([{ "type": "string" }, table(keys)]);
            list(object([("anyOf", either)]))
        }
    }
}

fn text(example: &str) -> Map<String, Value> {
    object([("type", json!("string")), ("examples", json!([example]))])
}

fn list(items: Map<String, Value>) -> Map<String, Value> {
    object([("type", json!("array")), ("items", Value::Object(items))])
}

fn object<const COUNT: usize>(entries: [(&str, Value); COUNT]) -> Map<String, Value> {
    let entries = entries.into_iter();
    entries
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

//! Whether the description, the reader, the example and the README say the same.

use std::collections::BTreeSet;
use std::path::Path as FilePath;

use serde_json::{Value, json};

use super::*;
use crate::config::fault::Faults;
use crate::config::{read_file, tests::read};

const EXAMPLE: &str = include_str!("../../../deploy/larder.toml");
const README: &str = include_str!("../../../README.md");

/// A key that there is not, far from all that there are.
const NO_KEY: &str = "zzzzzzzzzzzzzzzz";

/// A table of the file: the keys that lead there, and those that it has.
#[derive(Clone)]
struct Section {
    way: Vec<&'static Key>,
    keys: &'static [Key],
}

impl Section {
    /// Returns all tables of the file.
    fn all() -> Vec<Self> {
        fn walk(section: Section, all: &mut Vec<Section>) {
            for key in section.keys {
                let (Table(keys) | Tables(keys) | Kind::TextsOrTables(keys)) = key.kind else {
                    continue;
                };
                let way = section.way.iter().copied().chain([key]).collect();
                walk(Section { way, keys }, all);
            }
            all.push(section);
        }
        let mut all = Vec::new();
        let root = Section {
            way: Vec::new(),
            keys: FILE,
        };
        walk(root, &mut all);
        all
    }

    fn name(&self) -> String {
        let names: Vec<&str> = self.way.iter().map(|key| key.name).collect();
        names.join(".")
    }

    /// Writes a file that has these lines in this table, and of other tables what has to be written.
    fn file(&self, lines: &[String]) -> String {
        let mut lines = lines.to_vec();
        for (index, key) in self.way.iter().enumerate().rev() {
            let inner = format!("{{ {} }}", lines.join(", "));
            let value = match key.kind {
                Tables(_) | Kind::TextsOrTables(_) => format!("[{inner}]"),
                _ => inner,
            };
            let outer = index
                .checked_sub(1)
                .map_or(FILE, |outer| self.way[outer].keys());
            lines = [required(outer), vec![format!("{} = {value}", key.name)]].concat();
        }
        lines.join("\n")
    }
}

impl Key {
    /// Returns the keys that it holds.
    fn keys(&self) -> &'static [Key] {
        match self.kind {
            Table(keys) | Tables(keys) | Kind::TextsOrTables(keys) => keys,
            _ => &[],
        }
    }

    /// Returns right values, as they are written.
    fn examples(&self) -> Vec<String> {
        match self.kind {
            Text(example) | Path(example) => vec![format!("{example:?}")],
            OneOf(texts) => texts.iter().map(|text| format!("{text:?}")).collect(),
            Time(example) if self.name == "freshness" => vec![format!("{example:?}")],
            Time(example) => vec![format!("{example:?}"), "0".to_owned()],
            Truth => vec!["true".to_owned(), "false".to_owned()],
            Texts(example) | Paths(example) => vec![format!("[{example:?}]"), "[]".to_owned()],
            Table(keys) => vec![format!("{{ {} }}", required(keys).join(", "))],
            Tables(keys) => vec![format!("[{{ {} }}]", required(keys).join(", "))],
            Kind::TextsOrTables(keys) => vec![
                format!("[{{ {} }}]", required(keys).join(", ")),
                format!("[{}]", keys[0].examples()[0]),
            ],
        }
    }

    /// Returns what the reader says that has to be written.
    fn expected(&self) -> &'static str {
        match self.kind {
            Text(_) | Path(_) | OneOf(_) | Time(_) => "a text in quotes",
            Truth => "true or false",
            Texts(_) | Paths(_) | Tables(_) | Kind::TextsOrTables(_) => "a list in brackets",
            Table(_) => "a table",
        }
    }
}

/// Writes what has to be written in a table.
fn required(keys: &[Key]) -> Vec<String> {
    let is_required = |key: &&Key| key.presence == Presence::Required;
    let write = |key: &Key| format!("{} = {}", key.name, key.examples()[0]);
    keys.iter().filter(is_required).map(write).collect()
}

/// Returns what the reader says of a file, before anything is compared with anything else.
fn faults(text: &str) -> Faults {
    let mut faults = Faults::default();
    read_file(FilePath::new("larder.toml"), text, &mut faults);
    faults
}

#[test]
fn the_reader_knows_the_described_keys_and_no_others() {
    for section in Section::all() {
        let described: BTreeSet<&str> = section.keys.iter().map(|key| key.name).collect();
        assert_eq!(described.len(), section.keys.len(), "{}", section.name());
        let faults = faults(&section.file(&[format!("{NO_KEY} = 1")]));
        let start = format!("unknown key '{NO_KEY}': known here are ");
        let mut told = faults.as_slice().iter().map(|fault| &fault.message);
        let known = told.find_map(|message| message.strip_prefix(&start));
        let known: BTreeSet<&str> = known.expect("it is told").split(", ").collect();
        assert_eq!(known, described, "{}", section.name());

        let missing = faults.as_slice().iter().filter_map(|fault| {
            let key = fault.message.strip_prefix("the key '")?;
            key.strip_suffix("' is missing")
        });
        let is_required = |key: &&Key| key.presence == Presence::Required;
        let required = section.keys.iter().filter(is_required).map(|key| key.name);
        let [missing, required]: [BTreeSet<&str>; 2] = [missing.collect(), required.collect()];
        assert_eq!(missing, required, "{}", section.name());
    }
}

#[test]
fn the_reader_takes_what_is_described_and_nothing_else() {
    for section in Section::all() {
        for key in section.keys {
            let with = |value: &str| {
                let mut lines = required(section.keys);
                lines.retain(|line| !line.starts_with(&format!("{} =", key.name)));
                lines.push(format!("{} = {value}", key.name));
                section.file(&lines)
            };
            for value in key.examples() {
                let text = with(&value);
                assert_eq!(faults(&text).to_string(), "", "{text}");
            }
            let text = with("2026-01-01");
            let told = faults(&text).to_string();
            let expected = format!("this is a date; it has to be {}", key.expected());
            assert!(told.contains(&expected), "{text}\n{told}");
        }
    }
}

#[test]
fn a_default_that_is_written_changes_nothing() {
    let mut compared = 0;
    for section in Section::all() {
        for key in section.keys {
            let Default(value) = key.presence else {
                continue;
            };
            let without = required(section.keys);
            let written = [without.clone(), vec![format!("{} = {value}", key.name)]].concat();
            let (without, written) = (section.file(&without), section.file(&written));
            // Some tables need more than their required keys: a login needs one of its sources.
            if let Ok(settings) = read(&without) {
                assert_eq!(read(&written).as_ref(), Ok(&settings), "{written}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 15, "{compared}");
}

/// Returns the example with the comment signs before keys and tables taken away.
fn uncommented_example() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        // The lines of a list are indented.
        Some(code) if !code.starts_with(' ') || code.starts_with("  {") => format!("{code}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_has_no_fault_and_shows_every_key() {
    read(EXAMPLE).unwrap();
    let uncommented = uncommented_example();
    let faults = read(&uncommented).err().unwrap_or_default();
    // The certificates that it names are on no machine.
    let others = faults
        .as_slice()
        .iter()
        .filter(|fault| !fault.message.starts_with("'/etc/larder/"));
    assert_eq!(others.count(), 0, "{faults}");
    let document: toml::Table = uncommented.parse().unwrap();
    for section in Section::all() {
        let is_for_all = section.way.len() == 1 && section.name() != "upstream";
        let written = document.get(section.name().as_str());
        for key in section.keys {
            let is_shown = match written.filter(|_| is_for_all) {
                Some(written) => written.get(key.name).is_some(),
                // Logins have more keys than one would show in each place: it is enough that they are explained.
                None => EXAMPLE.contains(key.name),
            };
            assert!(is_shown, "{} in {}", key.name, section.name());
        }
    }
}

#[test]
fn the_readme_knows_every_key() {
    for section in Section::all() {
        let name = section.name();
        for key in section.keys.iter().filter(|key| key.keys().is_empty()) {
            let full = match name.as_str() {
                "upstream" if TAG_KEYS.iter().any(|known| known.name == key.name) => {
                    "`upstream[].freshness` and the like".to_owned()
                }
                "upstream" => format!("`upstream[].{}", key.name),
                "server" | "server.tls" | "admin" | "cache" | "tags" | "credentials" => {
                    format!("`{name}.{}`", key.name)
                }
                _ => format!("`{}", key.name),
            };
            assert!(README.contains(&full), "{full} of {name}");
        }
    }
}

/// Says where a value is not what its schema says.
fn violations(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    if let Some(options) = schema["anyOf"].as_array() {
        let mut options = options.iter().map(|option| violations(value, option, at));
        let best = options.by_ref().min_by_key(Vec::len);
        return best.unwrap_or_default();
    }
    if let Some(allowed) = schema["enum"].as_array() {
        let is_allowed = allowed.contains(value);
        return if is_allowed {
            vec![]
        } else {
            vec![at.to_owned()]
        };
    }
    if schema.get("const").is_some() {
        let is_it = &schema["const"] == value;
        return if is_it { vec![] } else { vec![at.to_owned()] };
    }
    match (schema["type"].as_str().unwrap(), value) {
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => Vec::new(),
        ("array", Value::Array(values)) => {
            let each = |value| violations(value, &schema["items"], at);
            values.iter().flat_map(each).collect()
        }
        ("object", Value::Object(values)) => {
            assert_eq!(schema["additionalProperties"], false);
            let properties = schema["properties"].as_object().unwrap();
            let required = schema["required"].as_array().into_iter().flatten();
            let is_missing = |key: &&Value| !values.contains_key(key.as_str().unwrap());
            let missing = required.filter(is_missing).map(|key| format!("{at}.{key}"));
            let each = values.iter().flat_map(|(key, value)| {
                let at = format!("{at}.{key}");
                match properties.get(key) {
                    Some(schema) => violations(value, schema, &at),
                    None => vec![at],
                }
            });
            missing.chain(each).collect()
        }
        _ => vec![at.to_owned()],
    }
}

#[test]
fn the_schema_takes_the_example_and_refuses_mistakes() {
    let told = |text: &str| {
        let document: toml::Table = text.parse().unwrap();
        violations(&json!(document), &schema(), "")
    };
    assert_eq!(
        schema()["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(told(EXAMPLE), Vec::<String>::new());
    assert_eq!(told(&uncommented_example()), Vec::<String>::new());
    for (text, at) in [
        ("[server]\nlisen = 'x'", ".server.lisen"),
        ("[server]\noffline = 'yes'", ".server.offline"),
        ("[server]\ndrain_timeout = 600", ".server.drain_timeout"),
        ("[server]\ncatalog = 'nobody'", ".server.catalog"),
        ("[[upstream]]\naliases = []", ".upstream.\"name\""),
        ("[upstream]\nname = 'a.example'", ".upstream"),
    ] {
        assert_eq!(told(text), [at], "{text}");
    }
}

#[test]
fn every_key_of_the_schema_says_what_it_means() {
    fn walk(schema: &Value, count: &mut usize) {
        for (name, property) in schema["properties"].as_object().unwrap() {
            let description = property["description"].as_str().unwrap();
            assert!(
                description.contains(['.']) && description.len() > 20,
                "{name}"
            );
            *count += 1;
            let inner = [property, &property["items"]];
            let options = property["items"]["anyOf"].as_array().into_iter().flatten();
            for inner in inner.into_iter().chain(options) {
                if inner["properties"].is_object() {
                    walk(inner, count);
                }
            }
        }
    }
    let mut count = 0;
    walk(&schema(), &mut count);
    let described: usize = Section::all()
        .iter()
        .map(|section| section.keys.len())
        .sum();
    assert_eq!(count, described);
}

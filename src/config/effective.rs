//! The configuration that is in effect: as a configuration file that says where each of its values comes from, and as its
//! values alone, by which two configurations are compared.
//!
//! Nothing secret is in it, since nothing secret can be written: secrets are files, variables and programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::fault::Place;
use super::keys::{FILE, Key, Kind, Presence};
use super::overrides::Override;
use super::settings::Settings;
use super::surroundings::{FoundFile, Surroundings};
use crate::oci::UpstreamPattern;
use crate::upstream;

/// What the configuration was made of.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    pub(super) file: Option<&'a FoundFile>,
    /// Variables, flags and sockets; of those with the same key, the first counts.
    pub(super) overrides: &'a [Override],
    pub(super) surroundings: &'a Surroundings,
}

/// The configuration that is in effect.
#[derive(Debug)]
pub(super) struct Effective {
    /// As a file. Read again, it gives the same settings.
    pub(super) text: String,
    /// Its values as they would be written: of each key of a section, as in `server.listen`, and of each upstream as a
    /// whole, as in `upstream docker.io`.
    pub(super) values: BTreeMap<String, String>,
}

/// Writes the configuration that is in effect.
pub(super) fn effective(sources: &Sources<'_>, settings: &Settings) -> Effective {
    let text = sources.file.map_or("", |found| found.text.as_str());
    // It was parsed before, without an error.
    let (entries, _) = DeTable::parse_recoverable(text);
    let mut writer = Writer {
        sources,
        settings,
        text,
        lines: Vec::new(),
        within: Within::Section(String::new()),
        values: BTreeMap::new(),
    };
    for section in FILE {
        let written = entries
            .get_ref()
            .get(section.name)
            .map(|found| found.get_ref());
        match section.kind {
            Kind::Table(keys) => {
                writer.section(section.name, keys, written.and_then(DeValue::as_table))
            }
            Kind::Tables(keys) => {
                let written = written.and_then(DeValue::as_array).into_iter().flatten();
                let tables: Vec<&DeTable<'_>> =
                    written.filter_map(|t| t.get_ref().as_table()).collect();
                writer.upstreams(section.name, keys, &tables);
            }
            Kind::Text(_)
            | Kind::OneOf(_)
            | Kind::Time(_)
            | Kind::Path(_)
            | Kind::Truth
            | Kind::Texts(_)
            | Kind::Paths(_)
            | Kind::TextsOrTables(_) => {}
        }
    }
    Effective {
        text: writer.lines.join("\n"),
        values: writer.values,
    }
}

struct Writer<'a> {
    sources: &'a Sources<'a>,
    settings: &'a Settings,
    text: &'a str,
    lines: Vec<String>,
    within: Within,
    values: BTreeMap<String, String>,
}

/// What is being written.
enum Within {
    /// A section with keys.
    Section(String),
    /// What there is of an upstream, by its name.
    Upstream(String),
}

impl Writer<'_> {
    /// Writes a table that is there once, with the values that it has when nothing is written.
    fn section(&mut self, path: &str, keys: &[Key], written: Option<&DeTable<'_>>) {
        self.within = Within::Section(path.to_owned());
        self.header(&format!("[{path}]"));
        let is_table = |key: &&Key| matches!(key.kind, Kind::Table(_));
        for key in keys.iter().filter(|key| !is_table(key)) {
            let full = format!("{path}.{}", key.name);
            let overriding = self.sources.overrides.iter().find(|one| one.key == full);
            if let Some(one) = overriding {
                let value = self.overriding(one, key.kind);
                self.entry(key.name, &value, &place(&one.place));
            } else if !written.is_some_and(|table| self.written(key, table)) {
                self.unwritten(&full, key);
            }
        }
        for key in keys {
            let Kind::Table(inner) = key.kind else {
                continue;
            };
            let full = format!("{path}.{}", key.name);
            let within = format!("{full}.");
            let mut overrides = self.sources.overrides.iter();
            let table = written.and_then(|table| table.get(key.name)?.get_ref().as_table());
            if table.is_some() || overrides.any(|one| one.key.starts_with(&within)) {
                self.section(&full, inner, table);
            } else {
                self.unwritten(&full, key);
            }
        }
    }

    /// Writes the upstreams of the file, and then the built-in ones that it does not name.
    fn upstreams(&mut self, path: &str, keys: &[Key], written: &[&DeTable<'_>]) {
        let mut named: Vec<UpstreamPattern> = Vec::new();
        for table in written {
            let name = table.get("name").and_then(|name| name.get_ref().as_str());
            let name: Option<UpstreamPattern> = name.and_then(|name| name.parse().ok());
            let shown = name.as_ref().map(ToString::to_string);
            self.within = Within::Upstream(shown.unwrap_or_default());
            self.header(&format!("[[{path}]]"));
            for key in keys {
                self.written(key, table);
            }
            let mut all = self.settings.upstreams.iter();
            let own = all.find(|upstream| Some(&upstream.pattern) == name.as_ref());
            if let Some(own) = own.filter(|_| !table.contains_key("endpoints")) {
                self.usual_endpoints(own, "default");
            }
            named.extend(name);
            for key in keys {
                let Kind::Tables(inner) = key.kind else {
                    continue;
                };
                let tables = table
                    .get(key.name)
                    .and_then(|list| list.get_ref().as_array());
                for table in tables
                    .into_iter()
                    .flatten()
                    .filter_map(|t| t.get_ref().as_table())
                {
                    self.header(&format!("[[{path}.{}]]", key.name));
                    for key in inner {
                        self.written(key, table);
                    }
                }
            }
        }
        for upstream in &self.settings.upstreams {
            if !named.contains(&upstream.pattern) {
                self.within = Within::Upstream(upstream.pattern.to_string());
                self.header(&format!("[[{path}]]"));
                self.entry("name", &quoted(&upstream.pattern.to_string()), "built in");
                self.usual_endpoints(upstream, "built in");
            }
        }
    }

    /// Writes where an upstream is asked of which that is not written. A family of names has no endpoints to write.
    fn usual_endpoints(&mut self, upstream: &upstream::Settings, origin: &str) {
        let urls = upstream
            .endpoints
            .iter()
            .map(|one| quoted(&one.url.to_string()));
        let urls: Vec<String> = urls.collect();
        if !urls.is_empty() {
            self.entry("endpoints", &format!("[{}]", urls.join(", ")), origin);
        }
    }

    /// Writes what the file says of a key, and returns whether it says something. Lists of tables have headers of their
    /// own.
    fn written(&mut self, key: &Key, table: &DeTable<'_>) -> bool {
        let is_inline = !matches!(key.kind, Kind::Tables(_));
        let Some((name, value)) = table.get_key_value(key.name).filter(|_| is_inline) else {
            return false;
        };
        let value = self.value(value.get_ref(), key.kind);
        let before = self.text.get(..name.span().start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let file = self
            .sources
            .file
            .map(|found| found.path.display().to_string());
        let file = file.unwrap_or_default();
        self.entry(key.name, &value, &format!("{}:{line}", file.escape_debug()));
        true
    }

    /// Writes what holds for a key that is written nowhere: its value where there is one that can be written.
    fn unwritten(&mut self, full: &str, key: &Key) {
        let computed = match full {
            "cache.path" => Some(self.settings.store.path.display().to_string()),
            "server.default_upstream" => {
                let default = self.settings.addressing.default.as_ref();
                Some(default.map_or("none".to_owned(), ToString::to_string))
            }
            _ => None,
        };
        match (key.presence, computed) {
            (_, Some(value)) => self.entry(key.name, &quoted(&value), "default"),
            (Presence::Default(value), None) => self.entry(key.name, value, "default"),
            (Presence::Otherwise(words), None) => {
                self.lines
                    .push(format!("# {}: {words}  # default", key.name));
            }
            (Presence::Required, None) => {}
        }
    }

    fn header(&mut self, header: &str) {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.push(header.to_owned());
        if let Within::Upstream(name) = &self.within {
            *of_upstream(&mut self.values, name) += header;
        }
    }

    fn entry(&mut self, name: &str, value: &str, origin: &str) {
        self.lines.push(format!("{name} = {value}  # {origin}"));
        match &self.within {
            Within::Section(path) => {
                self.values
                    .insert(format!("{path}.{name}"), value.to_owned());
            }
            Within::Upstream(upstream) => {
                *of_upstream(&mut self.values, upstream) += &format!("\n{name} = {value}");
            }
        }
    }

    /// Returns a value of the file as TOML.
    fn value(&self, value: &DeValue<'_>, kind: Kind) -> String {
        match value {
            DeValue::String(text) => match kind {
                Kind::Path(_) => self.path_in_file(text),
                Kind::Text(_)
                | Kind::OneOf(_)
                | Kind::Time(_)
                | Kind::Truth
                | Kind::Texts(_)
                | Kind::Paths(_)
                | Kind::Table(_)
                | Kind::Tables(_)
                | Kind::TextsOrTables(_) => quoted(text),
            },
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(values) => {
                let each = each(kind);
                let values = values.iter().map(|value| self.value(value.get_ref(), each));
                format!("[{}]", values.collect::<Vec<_>>().join(", "))
            }
            DeValue::Table(table) => {
                let keys = keys(kind).iter();
                let entry = |key: &Key| {
                    let value = table.get(key.name)?.get_ref();
                    Some(format!("{} = {}", key.name, self.value(value, key.kind)))
                };
                format!(
                    "{{ {} }}",
                    keys.filter_map(entry).collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// Returns what a variable, a flag or a socket says, as TOML.
    fn overriding(&self, one: &Override, kind: Kind) -> String {
        let text = one.text.to_string_lossy();
        match kind {
            Kind::Truth => text.into_owned(),
            Kind::Texts(_) | Kind::Paths(_) => {
                let texts = text.split(',').map(str::trim).filter(|one| !one.is_empty());
                format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
            }
            Kind::Path(_) => {
                let path = self.sources.surroundings.working_folder.join(&one.text);
                quoted(&absolute(path).to_string_lossy())
            }
            Kind::Text(_)
            | Kind::OneOf(_)
            | Kind::Time(_)
            | Kind::Table(_)
            | Kind::Tables(_)
            | Kind::TextsOrTables(_) => quoted(&text),
        }
    }

    /// Returns a path of the file, which starts at the file's folder when it is relative.
    fn path_in_file(&self, text: &str) -> String {
        let found = self.sources.file.and_then(|found| found.path.parent());
        let path = found.unwrap_or(Path::new("")).join(text);
        quoted(&absolute(path).to_string_lossy())
    }
}

/// Returns what is written of an upstream so far.
fn of_upstream<'a>(values: &'a mut BTreeMap<String, String>, name: &str) -> &'a mut String {
    values.entry(format!("upstream {name}")).or_default()
}

/// Returns the kind of the values of a list.
fn each(list: Kind) -> Kind {
    match list {
        Kind::Paths(example) => Kind::Path(example),
        Kind::Texts(example) => Kind::Text(example),
        Kind::Tables(keys) | Kind::TextsOrTables(keys) => Kind::Table(keys),
        Kind::Text(_)
        | Kind::OneOf(_)
        | Kind::Time(_)
        | Kind::Path(_)
        | Kind::Truth
        | Kind::Table(_) => list,
    }
}

/// Returns the keys of a table.
fn keys(table: Kind) -> &'static [Key] {
    match table {
        Kind::Table(keys) | Kind::Tables(keys) | Kind::TextsOrTables(keys) => keys,
        Kind::Text(_)
        | Kind::OneOf(_)
        | Kind::Time(_)
        | Kind::Path(_)
        | Kind::Truth
        | Kind::Texts(_)
        | Kind::Paths(_) => &[],
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Makes a path absolute, as far as the working folder is known.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn place(place: &Place) -> String {
    place.to_string().escape_debug().to_string()
}

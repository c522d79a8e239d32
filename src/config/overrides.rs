//! Settings from the environment (`LARDER_SERVER__LISTEN`) and from flags, which override those of the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::fault::{Faults, Place};
use super::names::unknown;
use super::reader::{Located, Section, parse_quoted};
use super::surroundings::GivenSockets;

/// Settings given on the command line. They override all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`: the file to read, in place of the usual ones.
    pub config: Option<PathBuf>,
    /// `--listen`: overrides `server.listen`.
    pub listen: Option<OsString>,
    /// `--cache-path`: overrides `cache.path`.
    pub cache_path: Option<OsString>,
    /// `--offline`: sets `server.offline`.
    pub offline: bool,
}

/// A text that stands for a key.
#[derive(Clone, Debug)]
pub(super) struct Override {
    /// The key, as in `server.tls.listen`.
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) text: OsString,
}

/// Texts that stand for keys of the file, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    entries: BTreeMap<String, (Place, OsString)>,
    /// The keys that were asked for, and thereby exist.
    taken: Vec<String>,
    faults: Faults,
}

impl Overrides {
    /// Every variable of this form is a setting. Others that begin with `LARDER_` are not looked at: Kubernetes sets
    /// `LARDER_PORT` and its like for a service of that name.
    const PREFIX: &str = "LARDER_";
    /// Stands between table and key.
    const SEPARATOR: &str = "__";

    /// Collects the variables that stand for settings.
    pub(super) fn from_variables(variables: &BTreeMap<String, OsString>) -> Self {
        let entry = |(name, text): (&String, &OsString)| {
            let key = name.strip_prefix(Self::PREFIX)?;
            key.split_once(Self::SEPARATOR)?;
            let key = key.replace(Self::SEPARATOR, ".").to_ascii_lowercase();
            Some((key, (Place::Variable(name.clone()), text.clone())))
        };
        Self {
            entries: variables.iter().filter_map(entry).collect(),
            ..Self::default()
        }
    }

    /// Collects the flags that stand for settings.
    pub(super) fn from_flags(flags: &Flags) -> Self {
        let listen = ("server.listen", "--listen", &flags.listen);
        let cache_path = ("cache.path", "--cache-path", &flags.cache_path);
        let is_offline = flags.offline.then(|| OsString::from("true"));
        let offline = ("server.offline", "--offline", &is_offline);
        let entry = |(key, flag, text): (&str, &'static str, &Option<OsString>)| {
            let text = text.clone()?;
            Some((key.to_owned(), (Place::Flag(flag), text)))
        };
        let entries = [listen, cache_path, offline].into_iter();
        Self {
            entries: entries.filter_map(entry).collect(),
            ..Self::default()
        }
    }

    /// Collects the addresses of sockets that are open already: they are what is listened at, whatever is written.
    pub(super) fn from_sockets(sockets: &GivenSockets) -> Self {
        let registry = ("server.listen", "registry", sockets.registry);
        let registry_tls = ("server.tls.listen", "registry-tls", sockets.registry_tls);
        let metrics = ("server.metrics_listen", "metrics", sockets.metrics);
        let entry = |(key, name, address): (&str, &'static str, Option<SocketAddr>)| {
            let address = OsString::from(address?.to_string());
            Some((key.to_owned(), (Place::Socket(name), address)))
        };
        let entries = [registry, registry_tls, metrics].into_iter();
        Self {
            entries: entries.filter_map(entry).collect(),
            ..Self::default()
        }
    }

    /// Returns the keys of one section.
    pub(super) fn section(&mut self, name: &'static str) -> OverrideSection<'_> {
        OverrideSection {
            overrides: self,
            name,
        }
    }

    /// Returns what is set.
    pub(super) fn written(&self) -> impl Iterator<Item = Override> {
        self.entries.iter().map(|(key, (place, text))| Override {
            key: key.clone(),
            place: place.clone(),
            text: text.clone(),
        })
    }

    /// Returns the names of what is set, for people.
    pub(super) fn names(&self) -> Vec<String> {
        self.entries
            .values()
            .map(|(place, _)| place.to_string())
            .collect()
    }

    /// Says which variables were not asked for, and are thereby unknown, and returns all faults.
    pub(super) fn finish(mut self) -> Faults {
        let variable = |key: &String| {
            let key = key.replace('.', Self::SEPARATOR);
            format!("{}{}", Self::PREFIX, key.to_ascii_uppercase())
        };
        let known: Vec<String> = self.taken.iter().map(variable).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for (key, (place, _)) in self.entries {
            if !self.taken.contains(&key) {
                let message = unknown("variable", &place.to_string(), &known);
                self.faults.push(place, message);
            }
        }
        self.faults
    }
}

/// One section of the overrides.
#[derive(Debug)]
pub(super) struct OverrideSection<'a> {
    overrides: &'a mut Overrides,
    name: &'static str,
}

impl OverrideSection<'_> {
    fn take(&mut self, key: &'static str) -> Option<(Place, OsString)> {
        let key = format!("{}.{key}", self.name);
        let found = self.overrides.entries.get(&key).cloned();
        self.overrides.taken.push(key);
        found
    }

    /// Returns what was read, or says why it could not be.
    fn checked<T>(&mut self, read: Result<T, String>, place: &Place) -> Option<Located<T>> {
        match read {
            Ok(value) => Some(Located {
                value,
                place: place.clone(),
            }),
            Err(message) => {
                self.overrides.faults.push(place.clone(), message);
                None
            }
        }
    }
}

/// What is said of a variable that is no text.
const NOT_UTF_8: &str = "this is not UTF-8";

impl Section for OverrideSection<'_> {
    fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let (place, text) = self.take(key)?;
        let parsed = match text.to_str() {
            Some(text) => parse_quoted(text, parse),
            None => Err(NOT_UTF_8.to_owned()),
        };
        self.checked(parsed, &place)
    }

    fn text_or_zero<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        self.text(key, parse)
    }

    /// Here, the texts have commas between them.
    fn texts<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<Located<T>>> {
        let (place, text) = self.take(key)?;
        let Some(text) = text.to_str() else {
            self.overrides.faults.push(place, NOT_UTF_8);
            return None;
        };
        let texts = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let values = texts.filter_map(|one| self.checked(parse_quoted(one, &parse), &place));
        Some(values.collect())
    }

    fn truth(&mut self, key: &'static str) -> Option<Located<bool>> {
        self.text(key, |text| {
            text.parse()
                .map_err(|_| "is neither true nor false".to_owned())
        })
    }

    fn path(&mut self, key: &'static str) -> Option<Located<PathBuf>> {
        let (place, text) = self.take(key)?;
        if text.is_empty() {
            self.overrides.faults.push(place, "'' is no path");
            return None;
        }
        let value = text.into();
        Some(Located { value, place })
    }
}

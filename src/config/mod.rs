//! The configuration: reads it from a file, the environment and flags, and says everything that is wrong with it.
//!
//! `file.rs` is what may be written, [`Settings`] is what is true afterwards. Serde would stop at the first fault, so
//! the parsed file is read by a small reader of our own (`reader.rs`) that collects them. Nothing here looks at the
//! process: what surrounds it comes in as [`Surroundings`]. `keys` says of each key what it is. Files named in the configuration are looked at.

mod auth_files;
mod document;
mod doors;
mod effective;
mod egress;
mod endpoints;
mod fault;
mod file;
mod keys;
mod logins;
mod names;
mod overrides;
mod reader;
mod reload;
mod resolve;
mod settings;
mod surroundings;
mod tags;
#[cfg(test)]
mod tests;
mod unreached;
mod upstreams;
mod values;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use auth_files::AuthFiles;
pub use fault::{Fault, Faults, Place, Spot};
pub use keys::schema;
pub use overrides::Flags;
pub use reload::Reloaded;
pub use settings::Settings;
pub use surroundings::{GivenSockets, Surroundings};

use document::Document;
use effective::{Effective, Sources};
use file::Written;
use overrides::{Override, Overrides};

/// A configuration without a fault, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What is set.
    pub settings: Settings,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// The names of the variables and flags that override it.
    pub overrides: Vec<String>,
    /// The files of docker and podman that are for all registries.
    pub auth_files: AuthFiles,
    /// The configuration that is in effect, as a file that says where each value comes from.
    pub effective: String,
    /// The values in it, to be compared with those of another configuration.
    values: BTreeMap<String, String>,
    /// What is no fault and should be known, a sentence each.
    pub warnings: Vec<String>,
}

/// Finds the configuration file, reads it, and puts the environment and flags over it.
///
/// # Errors
/// Everything that is wrong, in the file, the environment and the flags.
pub fn load(flags: &Flags, surroundings: &Surroundings) -> Result<Loaded, Faults> {
    let mut faults = Faults::default();
    let found = surroundings.find_file(flags.config.as_deref(), &mut faults);
    let from_file = match &found {
        Some(found) => read_file(&found.path, &found.text, &mut faults),
        None => Some(Written::default()),
    };
    let mut variables = Overrides::from_variables(&surroundings.variables);
    let from_variables = Written::from_overrides(&mut variables);
    let mut flags = Overrides::from_flags(flags);
    let from_flags = Written::from_overrides(&mut flags);
    let mut sockets = Overrides::from_sockets(&surroundings.sockets);
    let from_sockets = Written::from_overrides(&mut sockets);
    let overrides = [variables.names(), flags.names(), sockets.names()].concat();
    let overriding: Vec<Override> = sockets
        .written()
        .chain(flags.written())
        .chain(variables.written())
        .collect();
    faults.extend(variables.finish());
    faults.extend(flags.finish());
    faults.extend(sockets.finish());
    let Some(from_file) = from_file else {
        return Err(faults.in_order());
    };
    let written = from_sockets
        .over(from_flags)
        .over(from_variables)
        .over(from_file);
    let unreached: Vec<String> = written
        .upstreams
        .iter()
        .flat_map(unreached::unreached)
        .collect();
    let (settings, auth_files) = resolve::resolve(written, surroundings, &mut faults);
    let misnamed = tags::misnamed(&settings.cache.tags);
    let warnings = warnings::warnings(&settings, &auth_files, surroundings);
    let sources = Sources {
        file: found.as_ref(),
        overrides: &overriding,
        surroundings,
    };
    let Effective { text, values } = effective::effective(&sources, &settings);
    faults.unless_any(Loaded {
        effective: text,
        values,
        settings,
        auth_files,
        warnings: [unreached, misnamed, warnings].concat(),
        file: found.map(|found| found.path),
        overrides,
    })
}

/// Reads the text of a configuration file. `None` when it could not be parsed: then nothing in it can be checked
/// against anything else, since what is missing may be there.
fn read_file(path: &Path, text: &str, faults: &mut Faults) -> Option<Written> {
    let (entries, errors) = DeTable::parse_recoverable(text);
    let document = Document::new(path, text, &errors);
    let written = Written::from_file(&document, &entries);
    faults.extend(document.into_faults());
    errors.is_empty().then_some(written)
}

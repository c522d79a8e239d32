//! The files that docker and podman keep logins in: `config.json` and `auth.json`. Pure; which of it is for one registry.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::LoginSecret;
use super::secret::Secret;
use super::server_name::{ServerKey, ServerName};
use super::settings::HelperName;
use crate::oci::RepositoryName;

/// The most that is read of a file. Real ones have some kilobytes.
pub(super) const MAX_AUTH_FILE: usize = 1 << 20;

/// What a file says about one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AuthFile {
    /// The helper for this registry.
    helper: Option<HelperName>,
    /// The logins that are in the file, the longest namespaces first.
    entries: Vec<Entry>,
    /// The helper for everything that the file says nothing about.
    store: Option<HelperName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    namespace: Option<Arc<str>>,
    secret: LoginSecret,
}

/// What a file has for a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Nothing.
    Nothing,
    /// This.
    Secret(&'a LoginSecret),
    /// A program that is to be asked.
    Helper(&'a HelperName),
}

/// Why a file is of no use. Nothing of its content is in here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum AuthFileError {
    /// It is no JSON, or another document.
    #[error("is no docker or podman configuration: line {line}, column {column}")]
    Document {
        /// Where.
        line: usize,
        /// Where in it.
        column: usize,
    },
    /// An entry for the registry is of no use.
    #[error("has an entry for '{server}' {fault}")]
    Entry {
        /// The registry.
        server: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A helper has an impossible name.
    #[error("has a name of a credential helper that no program has")]
    HelperName,
}

/// The file, as far as it is of interest here.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    auths: Option<BTreeMap<String, Box<RawValue>>>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, Box<RawValue>>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

/// An entry, as it is written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Both alphabets are tried; padding and the last bits are nobody's concern.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl AuthFile {
    /// Reads what a file says about a registry. Entries for others may be anything.
    pub(super) fn parse(bytes: &[u8], server: &ServerName) -> Result<Self, AuthFileError> {
        // What serde says about an error shows what it found.
        let at = |line, column| AuthFileError::Document { line, column };
        if !is_object(bytes) {
            return Err(at(1, 1));
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| at(error.line(), error.column()))?;
        let helper = best(document.helpers.iter().flatten(), server)
            .map(|name| serde_json::from_str::<String>(name.get()))
            .transpose()
            .map_err(|_| AuthFileError::HelperName)?;
        let mut namespaces: BTreeMap<Option<Arc<str>>, Vec<(&String, LoginSecret)>> =
            BTreeMap::new();
        for (key, written) in document.auths.iter().flatten() {
            let Some(parsed) = ServerKey::parse(key).filter(|parsed| parsed.server == *server)
            else {
                continue;
            };
            let secret = read_entry(written).map_err(|fault| AuthFileError::Entry {
                server: server.to_string(),
                fault,
            })?;
            if let Some(secret) = secret {
                let same = namespaces.entry(parsed.namespace).or_default();
                same.push((key, secret));
            }
        }
        let entries = namespaces.into_iter().filter_map(|(namespace, mut same)| {
            same.sort_by_key(|(key, _)| rank(key, server));
            let (_, secret) = same.into_iter().next()?;
            Some(Entry { namespace, secret })
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_key(|entry| Reverse(entry.namespace.as_deref().map_or(0, str::len)));
        Ok(Self {
            helper: named(helper)?,
            entries,
            store: named(document.store)?,
        })
    }

    /// Returns what there is for a repository of the registry.
    pub(super) fn find(&self, repository: &RepositoryName) -> Found<'_> {
        if let Some(helper) = &self.helper {
            return Found::Helper(helper);
        }
        let mut entries = self.entries.iter();
        match entries.find(|entry| entry.is_for(repository)) {
            Some(entry) => Found::Secret(&entry.secret),
            None => self.store.as_ref().map_or(Found::Nothing, Found::Helper),
        }
    }

    /// Returns all logins that are in the file itself.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &LoginSecret> {
        self.entries.iter().map(|entry| &entry.secret)
    }

    /// Returns the helper that is asked, if there is one.
    pub(super) fn helper(&self) -> Option<&HelperName> {
        self.helper.as_ref().or(self.store.as_ref())
    }
}

impl Entry {
    fn is_for(&self, repository: &RepositoryName) -> bool {
        let Some(namespace) = self.namespace.as_deref() else {
            return true;
        };
        let rest = repository.as_str().strip_prefix(namespace);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Tells whether a JSON text is an object: serde takes an array for one, its values in the order of the fields.
fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

/// Returns the value of the key that names the registry best, and no namespace of it.
fn best<'a, T>(
    values: impl Iterator<Item = (&'a String, &'a T)>,
    server: &ServerName,
) -> Option<&'a T> {
    let own = values.filter(|(key, _)| {
        let parsed = ServerKey::parse(key);
        parsed.is_some_and(|key| key.server == *server && key.namespace.is_none())
    });
    own.min_by_key(|(key, _)| rank(key, server))
        .map(|(_, value)| value)
}

/// Orders keys that mean the same: as we write it, as docker writes it, then any.
fn rank(key: &str, server: &ServerName) -> u8 {
    if key == server.as_str() {
        0
    } else if key == server.helper_key() {
        1
    } else if key.starts_with("http://") {
        3
    } else {
        2
    }
}

fn named(helper: Option<String>) -> Result<Option<HelperName>, AuthFileError> {
    helper
        .filter(|name| !name.is_empty())
        .map(|name| name.parse().map_err(|_| AuthFileError::HelperName))
        .transpose()
}

/// Reads an entry. One that says nothing only marks that a helper knows the registry.
fn read_entry(written: &RawValue) -> Result<Option<LoginSecret>, &'static str> {
    let written = match written.get() {
        "null" => WrittenEntry::default(),
        text if is_object(text.as_bytes()) => {
            serde_json::from_str(text).map_err(|_| "that is none")?
        }
        _ => return Err("that is none"),
    };
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(token) = filled(written.registrytoken) {
        return Ok(Some(LoginSecret::RegistryToken(Secret::new(&token))));
    }
    let (username, password) = match filled(written.auth) {
        Some(auth) => read_pair(&auth)?,
        None => (
            written.username.unwrap_or_default(),
            written.password.unwrap_or_default(),
        ),
    };
    if username.contains(':') {
        return Err("whose user has a ':'");
    }
    if let Some(token) = filled(written.identitytoken) {
        let is_name = !username.is_empty() && username != LoginSecret::TOKEN_USER;
        return Ok(Some(LoginSecret::IdentityToken {
            username: is_name.then(|| username.into()),
            token: Secret::new(&token),
        }));
    }
    Ok(LoginSecret::of_pair(&username, &password))
}

/// Reads the base64 of `user:password`.
fn read_pair(auth: &str) -> Result<(String, String), &'static str> {
    let compact: String = auth.split_ascii_whitespace().collect();
    let decoded = BASE64
        .decode(&compact)
        .or_else(|_| BASE64_URL.decode(&compact))
        .map_err(|_| "whose 'auth' is no base64")?;
    let decoded = String::from_utf8(decoded).map_err(|_| "whose 'auth' is no text in UTF-8")?;
    let (username, password) = decoded
        .split_once(':')
        .ok_or("whose 'auth' is no user with a password")?;
    let password = password.trim_end_matches('\0');
    Ok((username.to_owned(), password.to_owned()))
}

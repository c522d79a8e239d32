//! Makes logins of what is written of them, and looks whether what they name can be used.
//!
//! A file that is not there is no fault: secrets are often mounted later. It is a warning (`warnings.rs`). Nothing said
//! here repeats a text that could be a password in the wrong place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::fault::{Faults, Place};
use super::file::{CredentialKeys, LoginKeys, SecretKeys, SourceKind};
use super::reader::Located;
use super::surroundings::Surroundings;
use crate::oci::{RepositoryPattern, UpstreamPattern};
use crate::upstream::{CredentialSettings, CredentialSource, Secret, SecretSource};

/// What may be written in a login, for those who wrote none.
const SOURCES: &str = "username with password_file or password_env, identity_token_file or identity_token_env, \
    registry_token_file or registry_token_env, auth_file, or helper";

/// Reads logins.
#[derive(Debug)]
pub(super) struct LoginReader<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) faults: &'a mut Faults,
}

impl LoginReader<'_> {
    /// Returns the logins of an upstream in the order in which they count: those for some repositories, then the one
    /// for all.
    pub(super) fn of_upstream(
        &mut self,
        pattern: &UpstreamPattern,
        some: Vec<CredentialKeys>,
        all: Option<LoginKeys>,
    ) -> Vec<CredentialSettings> {
        let some = some.into_iter().filter_map(|keys| {
            let (source, place) = self.for_some(keys.login, keys.anonymous)?;
            Some((keys.repositories?.value, source, place))
        });
        let mut found: Vec<_> = some.collect();
        found.extend(all.and_then(|keys| {
            let place = keys.place.clone();
            Some((RepositoryPattern::all(), self.source(keys)?, place))
        }));
        let mut logins = Vec::new();
        for (repositories, source, place) in found {
            if matches!(pattern, UpstreamPattern::Labels(_)) {
                self.check_family(&source, place);
            }
            logins.push(CredentialSettings {
                repositories,
                source,
            });
        }
        logins
    }

    /// Returns the login of an endpoint.
    pub(super) fn of_endpoint(&mut self, keys: Option<LoginKeys>) -> Vec<CredentialSettings> {
        let source = keys.and_then(|keys| self.source(keys));
        let login = source.map(|source| CredentialSettings {
            repositories: RepositoryPattern::all(),
            source,
        });
        login.into_iter().collect()
    }

    /// Returns files that docker or podman wrote.
    pub(super) fn auth_files(&mut self, files: Vec<Located<PathBuf>>) -> Vec<PathBuf> {
        files.into_iter().map(|file| self.existing(file)).collect()
    }

    /// Reads a login, or that there is to be none.
    fn for_some(
        &mut self,
        keys: LoginKeys,
        anonymous: Option<Located<bool>>,
    ) -> Option<(CredentialSource, Place)> {
        let place = keys.place.clone();
        let Some(anonymous) = anonymous.filter(|written| written.value) else {
            return Some((self.source(keys)?, place));
        };
        if let Some(source) = keys.sources.first() {
            let message = format!(
                "'{}' is written as well: either a login or none",
                source.key
            );
            self.faults.push(anonymous.place, message);
            return None;
        }
        Some((CredentialSource::Anonymous, place))
    }

    /// Says that a secret would go to whatever registry a client names.
    fn check_family(&mut self, source: &CredentialSource, place: Place) {
        let what = match source {
            CredentialSource::Password { .. } => "the password",
            CredentialSource::IdentityToken(_) | CredentialSource::RegistryToken(_) => "the token",
            // These are asked for one host and have nothing for others.
            CredentialSource::Anonymous
            | CredentialSource::AuthFile(_)
            | CredentialSource::Helper(_) => return,
        };
        let message = format!(
            "a name with '*' stands for many registries, and clients say which: {what} would go to any of them; \
             use helper or auth_file, which have logins by host, or give the registry its own [[upstream]]"
        );
        self.faults.push(place, message);
    }

    /// Reads where a login comes from.
    fn source(&mut self, keys: LoginKeys) -> Option<CredentialSource> {
        let source = match keys.sources.as_slice() {
            [] => {
                let message = format!("the login is missing: write {SOURCES}");
                self.faults.push(keys.place, message);
                return None;
            }
            [source] => source,
            [first, second, ..] => {
                let message = format!(
                    "a login has one source: '{}' is written, so '{}' cannot be",
                    first.key, second.key
                );
                self.faults.push(second.place.clone(), message);
                return None;
            }
        };
        match source.kind {
            SourceKind::Password => self.password(keys),
            SourceKind::IdentityToken => {
                let token = self.secret("identity_token", keys.identity_token)?;
                Some(CredentialSource::IdentityToken(token))
            }
            SourceKind::RegistryToken => {
                let token = self.secret("registry_token", keys.registry_token)?;
                Some(CredentialSource::RegistryToken(token))
            }
            SourceKind::AuthFile => {
                let file = self.existing(keys.auth_file?);
                Some(CredentialSource::AuthFile(file))
            }
            SourceKind::Helper => Some(CredentialSource::Helper(keys.helper?.value)),
        }
    }

    /// Reads a user and a password.
    fn password(&mut self, keys: LoginKeys) -> Option<CredentialSource> {
        let written = keys.sources.first()?;
        if written.key != "username" {
            let message = format!(
                "'{}' is the password of nobody: write username as well",
                written.key
            );
            self.faults.push(written.place.clone(), message);
        } else if keys.password.written.is_none() {
            let message = "the password is missing: write password_file or password_env as well";
            self.faults.push(written.place.clone(), message);
        }
        if let Some(next) = keys
            .next_password_file
            .as_ref()
            .filter(|_| keys.password.variable.is_some())
        {
            let message =
                "a variable does not change: the next password goes with password_file only";
            self.faults.push(next.place.clone(), message);
        }
        let next = keys.next_password_file.map(|file| self.existing(file));
        let password = self.secret("password", keys.password);
        Some(CredentialSource::Password {
            username: self.username(keys.username?)?.into(),
            password: password?,
            next,
        })
    }

    /// Judges the name of a user. With ':', nobody could tell where the password begins (RFC 7617).
    fn username(&mut self, username: Located<String>) -> Option<String> {
        let text = username.value;
        if text.is_empty() || text.contains(':') || text.contains(char::is_control) {
            let message = "this is no user: it can have neither ':' nor line breaks";
            self.faults.push(username.place, message);
            return None;
        }
        Some(text)
    }

    /// Reads where a secret is.
    fn secret(&mut self, name: &str, keys: SecretKeys) -> Option<SecretSource> {
        if let Some(place) = keys.here {
            let message = format!(
                "a secret does not belong into this file: put it into a file of its own and name that with {name}_file, \
                 or into a variable and name that with {name}_env"
            );
            self.faults.push(place, message);
            return None;
        }
        match (keys.file, keys.variable) {
            (Some(_), Some(variable)) => {
                let message =
                    format!("'{name}_file' is written already: either a file or a variable");
                self.faults.push(variable.place, message);
                None
            }
            (Some(file), None) => Some(SecretSource::File(self.existing(file))),
            (None, Some(variable)) => self.value(variable).map(SecretSource::Value),
            (None, None) => None,
        }
    }

    /// Takes a secret from a variable.
    fn value(&mut self, variable: Located<String>) -> Option<Secret> {
        let value = self.surroundings.variable(&variable.value);
        let problem = match value.map(|value| value.to_str()) {
            None => "no variable of this name is set, or it is empty",
            Some(None) => "the variable is not UTF-8",
            Some(Some(text)) => {
                // What writes secrets into variables often leaves the end of the line there.
                let line = text.trim_end_matches(['\r', '\n']);
                if !line.is_empty() && !line.contains(char::is_control) {
                    return Some(Secret::new(line));
                }
                "the variable has to hold one line of text"
            }
        };
        self.faults.push(variable.place, problem);
        None
    }

    /// Says what is wrong with a file, if it is there, and returns it.
    fn existing(&mut self, file: Located<PathBuf>) -> PathBuf {
        if let Err(problem) = look_at(&file.value) {
            let message = format!("'{}' {problem}", file.value.display());
            let files = vec![file.value.clone()];
            self.faults.push_about(file.place, files, message);
        }
        file.value
    }
}

/// Tells why a file cannot be read. One that is not there may come yet.
pub(super) fn look_at(path: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    match fs::metadata(path) {
        // Opening a pipe would wait for whoever writes to it.
        Ok(found) if !found.is_file() => Err("is no file".to_owned()),
        Ok(_) => File::open(path).map(drop).map_err(unreadable),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(error)),
    }
}

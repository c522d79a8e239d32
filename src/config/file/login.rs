//! What may be written of logins: `credentials`, `[[upstream.credential]]` and `[credentials]`.
//!
//! A secret is never written here, only where it is: this file is shown, mailed, and kept in version control.

use std::path::PathBuf;

use crate::cache::Audience;
use crate::config::fault::Place;
use crate::config::reader::{Located, Section, Table, Value};
use crate::config::values;
use crate::oci::RepositoryPattern;
use crate::upstream::HelperName;

/// `credentials = { … }`: a login. Exactly one source has to be written: a user with a password, an identity token, a
/// registry token, a file of docker or podman, or a helper. Relative paths start at the folder of this file.
#[derive(Debug)]
pub(in crate::config) struct LoginKeys {
    /// Where the table is.
    pub(in crate::config) place: Place,
    /// The sources that are written, of which there has to be one.
    pub(in crate::config) sources: Vec<WrittenSource>,
    /// The user. Needs `password_file` or `password_env`.
    pub(in crate::config) username: Option<Located<String>>,
    /// `password_file`, whose first line is the password, or `password_env`, a variable. A file is read again when it
    /// changes.
    pub(in crate::config) password: SecretKeys,
    /// A file with the password that is tried when the one of `password_file` is refused. Default: none.
    pub(in crate::config) next_password_file: Option<Located<PathBuf>>,
    /// `identity_token_file` or `identity_token_env`: a token that the registry's token service changes for others.
    pub(in crate::config) identity_token: SecretKeys,
    /// `registry_token_file` or `registry_token_env`: a token that is shown to the registry as it is.
    pub(in crate::config) registry_token: SecretKeys,
    /// A file that docker or podman wrote (`config.json`, `auth.json`): what it says of this registry.
    pub(in crate::config) auth_file: Option<Located<PathBuf>>,
    /// The program `docker-credential-<helper>`, found by `PATH`, which is asked for this registry.
    pub(in crate::config) helper: Option<Located<HelperName>>,
}

/// A source of logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum SourceKind {
    /// A user with a password.
    Password,
    IdentityToken,
    RegistryToken,
    AuthFile,
    Helper,
}

/// Where a secret is. Several may be written, which is a fault.
#[derive(Debug)]
pub(in crate::config) struct SecretKeys {
    /// Where the first of these keys is written, right or wrong.
    pub(in crate::config) written: Option<Place>,
    /// Where the secret itself is written, which does not belong here.
    pub(in crate::config) here: Option<Place>,
    /// The file whose first line it is.
    pub(in crate::config) file: Option<Located<PathBuf>>,
    /// The variable that holds it.
    pub(in crate::config) variable: Option<Located<String>>,
}

impl SecretKeys {
    fn read(table: &mut Table<'_>, [here, file, variable]: [&'static str; 3]) -> Self {
        Self {
            written: [here, file, variable]
                .iter()
                .find_map(|key| table.place_of(key)),
            here: table.refused(here),
            file: table.path(file),
            variable: table.text(variable, values::any),
        }
    }
}

const PASSWORD: [&str; 3] = ["password", "password_file", "password_env"];
const IDENTITY_TOKEN: [&str; 3] = [
    "identity_token",
    "identity_token_file",
    "identity_token_env",
];
const REGISTRY_TOKEN: [&str; 3] = [
    "registry_token",
    "registry_token_file",
    "registry_token_env",
];

impl LoginKeys {
    /// The keys of each source.
    const SOURCES: [(SourceKind, &[&str]); 7] = [
        (SourceKind::Password, &["username"]),
        (SourceKind::Password, &PASSWORD),
        (SourceKind::Password, &["next_password_file"]),
        (SourceKind::IdentityToken, &IDENTITY_TOKEN),
        (SourceKind::RegistryToken, &REGISTRY_TOKEN),
        (SourceKind::AuthFile, &["auth_file"]),
        (SourceKind::Helper, &["helper"]),
    ];

    /// Reads the keys of a login; others may stand beside them.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let mut sources: Vec<WrittenSource> = Vec::new();
        for (kind, keys) in Self::SOURCES {
            let written = keys
                .iter()
                .find_map(|key| Some((*key, table.place_of(key)?)));
            let is_new = sources.iter().all(|known| known.kind != kind);
            if let Some((key, place)) = written.filter(|_| is_new) {
                sources.push(WrittenSource { kind, key, place });
            }
        }
        Self {
            place: table.place(),
            sources,
            username: table.text("username", values::any),
            password: SecretKeys::read(table, PASSWORD),
            next_password_file: table.path("next_password_file"),
            identity_token: SecretKeys::read(table, IDENTITY_TOKEN),
            registry_token: SecretKeys::read(table, REGISTRY_TOKEN),
            auth_file: table.path("auth_file"),
            helper: table.text("helper", values::helper),
        }
    }
}

/// A source that is written, right or wrong.
#[derive(Debug)]
pub(in crate::config) struct WrittenSource {
    pub(in crate::config) kind: SourceKind,
    /// The first of its keys.
    pub(in crate::config) key: &'static str,
    pub(in crate::config) place: Place,
}

/// `[[upstream.credential]]`: a login for some repositories. These come before `credentials`, in their order.
#[derive(Debug)]
pub(in crate::config) struct CredentialKeys {
    /// Which repositories, as the registry calls them: `*` stops at `/`, `**` does not. Has to be written.
    pub(in crate::config) repositories: Option<Located<RepositoryPattern>>,
    /// Where the login comes from.
    pub(in crate::config) login: LoginKeys,
    /// In place of a login: these repositories are asked for as nobody. Default: false.
    pub(in crate::config) anonymous: Option<Located<bool>>,
    /// As in `[[upstream]]`, for these repositories. Default: the one of the upstream.
    pub(in crate::config) share: Option<Located<Audience>>,
}

impl CredentialKeys {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            repositories: table.required_text("match", values::repository_pattern),
            login: LoginKeys::read(table),
            anonymous: table.truth("anonymous"),
            share: table.text("share", values::audience),
        }
    }
}

/// `[credentials]`: logins for all registries, which name theirs themselves.
#[derive(Debug, Default)]
pub(in crate::config) struct SharedLoginKeys {
    /// Files that docker or podman wrote, in this order. Default: none.
    ///
    /// Danger: the logins in them are used for whoever may use larder. What is private goes where `share` says.
    pub(in crate::config) auth_files: Vec<Located<PathBuf>>,
    /// Whether the user's own files of docker and podman are used. They are only when nobody but this machine reaches
    /// `server.listen`. Default: true.
    pub(in crate::config) user_files: Option<Located<bool>>,
}

impl SharedLoginKeys {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            auth_files: table
                .list("auth_files", Value::into_path)
                .map_or_else(Vec::new, |list| list.value.into_iter().flatten().collect()),
            user_files: table.truth("user_files"),
        }
    }
}

//! What each key of the configuration is, for people and for programs that check the file: its kind, its default and its
//! meaning, in the words of `file/`.
//!
//! The reader (`file/`) decides; this describes it. Tests compare the two, key by key, and the example and the README
//! with this.

mod registries;
mod schema;

#[cfg(test)]
mod tests;

use registries::{TAG_KEYS, UPSTREAM};

pub use schema::schema;

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    /// What it means, its unit, and its danger if it has one.
    pub(super) meaning: &'static str,
}

/// What has to be written for a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A text, of which one is given as an example.
    Text(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A time with its unit, or the number 0.
    Time(&'static str),
    /// The path of a file or folder.
    Path(&'static str),
    Truth,
    /// A list of texts, of which one is given as an example.
    Texts(&'static str),
    /// A list of paths.
    Paths(&'static str),
    /// A table.
    Table(&'static [Key]),
    /// A list of tables.
    Tables(&'static [Key]),
    /// A list of texts or tables; a text is the first key of the table.
    TextsOrTables(&'static [Key]),
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// This value, as it would be written.
    Default(&'static str),
    /// What the words say: it depends, or there is no value for it.
    Otherwise(&'static str),
    /// It has to be written.
    Required,
}

use Kind::{OneOf, Path, Paths, Table, Tables, Text, Texts, Time, Truth};
use Presence::{Default, Otherwise};

impl Key {
    const fn new(
        name: &'static str,
        kind: Kind,
        presence: Presence,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            presence,
            meaning,
        }
    }

    /// Makes a key that holds other keys.
    const fn section(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self::new(name, kind, Otherwise("all defaults"), meaning)
    }
}

/// The whole file.
pub(super) const FILE: &[Key] = &[
    Key::section(
        "server",
        Table(SERVER),
        "The doors: where larder listens, and for whom.",
    ),
    Key::section(
        "admin",
        Table(ADMIN),
        "The operator's commands over TCP, beside the socket in the cache folder.",
    ),
    Key::section("cache", Table(CACHE), "Where content is kept."),
    Key::section(
        "tags",
        Table(TAG_KEYS),
        "How fresh the tags of all upstreams are.",
    ),
    Key::section(
        "credentials",
        Table(SHARED_LOGINS),
        "Logins for all registries.",
    ),
    Key::section(
        "upstream",
        Tables(UPSTREAM),
        "Registries that can be reached, beside the built-in ones. With the name of a built-in one, each key that is written \
         takes the place of the built-in value.",
    ),
];

const SERVER: &[Key] = &[
    Key::new(
        "listen",
        Text("0.0.0.0:5000"),
        Default("\"127.0.0.1:5000\""),
        "ip:port where the registry API is served. Danger: who reaches another address than a loopback one can pull every \
         public image, and what share gives. What passes requests on from this machine and adds no X-Forwarded-For, \
         Forwarded or Via makes everybody a client on this machine, who gets private images too.",
    ),
    Key::new(
        "metrics_listen",
        Text("127.0.0.1:5001"),
        Otherwise("nowhere"),
        "ip:port where health and metrics are served, read only.",
    ),
    Key::new(
        "default_upstream",
        Text("docker.io"),
        Otherwise("docker.io when it is configured, else none"),
        "The upstream of names that name none, as alpine in larder:5000/alpine, or \"none\".",
    ),
    Key::new(
        "public_registries",
        Truth,
        Default("true"),
        "Whether the built-in upstreams can be reached.",
    ),
    Key::new(
        "offline",
        Truth,
        Default("false"),
        "Whether no upstream is ever asked: what is here goes out as if it was fresh, and what is not cannot be had. \
         offline = false in an [[upstream]] takes that one out.",
    ),
    Key::new(
        "refresh_from",
        Texts("10.0.0.0/8"),
        Default("[]"),
        "Networks and addresses whose clients may have a registry asked at once, by Cache-Control: no-cache, beside those on \
         this machine. Danger: each such request costs one upstream, of which a registry may allow few.",
    ),
    Key::new(
        "catalog",
        OneOf(AUDIENCES),
        Default("\"this-machine\""),
        "Who can list which repositories are here (_catalog). Danger: with \"everyone\", who reaches larder learns what its \
         users pull.",
    ),
    Key::new(
        "trusted_proxies",
        Texts("10.0.0.0/8"),
        Default("[]"),
        "Networks and addresses of proxies that say for whom they ask: by the PROXY protocol, else by X-Forwarded-For or \
         Forwarded. Danger: what they say goes to the log, and decides about refresh_from. Each has to add the address that \
         it sees to what a client says of itself, or to take that away. Who connects from there is never taken for this \
         machine.",
    ),
    Key::new(
        "proxy_protocol",
        Truth,
        Default("false"),
        "Whether each connection begins with the PROXY protocol, version 1 or 2, before TLS. Only trusted_proxies can \
         connect then.",
    ),
    Key::new(
        "drain_timeout",
        Time("30s"),
        Default("\"10m\""),
        "How long answers under way may take to be given after the first signal to stop, up to 24h; 0 cuts them at once. \
         Danger: what stops larder has to wait longer than that, or it kills what is under way.",
    ),
    Key::new(
        "tls",
        Table(TLS),
        Otherwise("none"),
        "Encryption towards clients.",
    ),
];

const TLS: &[Key] = &[
    Key::new(
        "listen",
        Text("0.0.0.0:5443"),
        Otherwise("none, and TLS is what server.listen speaks"),
        "ip:port where TLS is spoken, beside plain HTTP at server.listen. Danger: what is said of server.listen holds here \
         as well, but for client_ca_file.",
    ),
    // Not required: it can be a variable.
    Key::new(
        "cert_file",
        Path("/etc/larder/tls.crt"),
        Otherwise("none; TLS needs it"),
        "The certificate, and after it those that vouch for it, in PEM form. Read again when it changes.",
    ),
    Key::new(
        "key_file",
        Path("/etc/larder/tls.key"),
        Otherwise("none; TLS needs it"),
        "Its private key, in PEM form. Read again when it changes. Danger: who can read it can pass for this larder.",
    ),
    Key::new(
        "client_ca_file",
        Path("/etc/larder/clients.pem"),
        Otherwise("clients show no certificate"),
        "Certificates in PEM form. Each client has to show one of its own for which one of these vouches. Read again when it \
         changes. Danger: it is for connections over TLS alone. Who reaches a plain server.listen beside it shows nothing.",
    ),
];

/// `[admin]`.
const ADMIN: &[Key] = &[
    Key::new(
        "listen",
        Text("127.0.0.1:5002"),
        Otherwise("nowhere, but at the socket"),
        "ip:port where commands are taken from those who show the token. Needs token_file. Danger: there is no TLS: put a \
         proxy that speaks TLS before it where the address is no loopback one.",
    ),
    Key::new(
        "token_file",
        Path("/run/secrets/larder-admin"),
        Otherwise("none"),
        "The file of the token: one line of at least 16 characters. Read again when it changes. Needs listen. Danger: who \
         can read it can change how larder runs.",
    ),
];

const CACHE: &[Key] = &[
    Key::new(
        "path",
        Path("/var/lib/larder"),
        Otherwise(
            "/var/lib/larder for root, else the first folder of STATE_DIRECTORY, else larder in the user's cache folder",
        ),
        "The folder, for one larder alone. A relative path starts at the folder of this file. Danger: what is in the folder \
         is served. Nobody else should be able to write there.",
    ),
    Key::new(
        "min_free",
        Text("10GiB"),
        Otherwise("the larger of 5 % and 10 GiB, at most a quarter of the file system"),
        "How much of the file system stays free, as a number with its unit.",
    ),
    Key::new(
        "max_size",
        Text("200GiB"),
        Otherwise("80 % of the file system"),
        "How many bytes all blobs may have together, as a number with its unit. When there are more, or less than min_free is \
         free, blobs go that were used least lately.",
    ),
];

const SHARED_LOGINS: &[Key] = &[
    Key::new(
        "auth_files",
        Paths("/etc/larder/auth.json"),
        Default("[]"),
        "Files that docker or podman wrote, in this order. Danger: the logins in them are used for whoever may use larder. \
         What is private goes where share says.",
    ),
    Key::new(
        "user_files",
        Truth,
        Default("true"),
        "Whether the user's own files of docker and podman are used. They are only when nobody but this machine reaches \
         server.listen.",
    ),
];

/// Returns the tables that have a key of this name, as their headers are written, those of the file's own level aside.
pub(super) fn homes(name: &str) -> Vec<String> {
    fn walk(name: &str, path: &str, keys: &[Key], homes: &mut Vec<String>) {
        for key in keys {
            let full = match path {
                "" => key.name.to_owned(),
                path => format!("{path}.{}", key.name),
            };
            let (header, inner) = match key.kind {
                // A login is written in one line.
                Table(inner) if key.name == "credentials" && !path.is_empty() => {
                    (format!("{full} = {{ … }}"), inner)
                }
                Table(inner) => (format!("[{full}]"), inner),
                Tables(inner) => (format!("[[{full}]]"), inner),
                Kind::TextsOrTables(inner) => (format!("{full} = [{{ … }}]"), inner),
                Text(_) | OneOf(_) | Time(_) | Path(_) | Truth | Texts(_) | Paths(_) => continue,
            };
            if inner.iter().any(|key| key.name == name) {
                homes.push(header);
            }
            walk(name, &full, inner, homes);
        }
    }
    let mut homes = Vec::new();
    walk(name, "", FILE, &mut homes);
    homes
}

/// To whom something goes.
const AUDIENCES: &[&str] = &["this-machine", "everyone"];

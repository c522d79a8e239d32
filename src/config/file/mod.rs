//! What may be written: every key, what it means, its unit, its default, and its danger where it has one.
//!
//! The keys of `[server]`, `[cache]` and `[tags]` can also be given as variables (`LARDER_SERVER__LISTEN`), and some
//! as flags. `deploy/larder.toml` shows all of them.

mod login;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

pub(in crate::config) use login::{
    CredentialKeys, LoginKeys, SecretKeys, SharedLoginKeys, SourceKind,
};
pub(in crate::config) use upstream::{EndpointKeys, UpstreamKeys};

use super::overrides::Overrides;
use super::reader::{Document, Located, Section, Table};
use super::values::{self, DefaultUpstream};
use crate::cache::freshness::Freshness;

/// A configuration as it was written, in a file or in what overrides it.
#[derive(Debug, Default)]
pub(in crate::config) struct Written {
    pub(in crate::config) server: ServerKeys,
    pub(in crate::config) cache: CacheKeys,
    pub(in crate::config) tags: TagKeys,
    /// `[credentials]`: cannot be given as variables.
    pub(in crate::config) logins: SharedLoginKeys,
    /// `[[upstream]]`: registries that can be reached, beside the built-in ones. Cannot be given as variables.
    pub(in crate::config) upstreams: Vec<UpstreamKeys>,
}

impl Written {
    /// Reads a parsed file; what is wrong goes to the document.
    pub(in crate::config) fn from_file<'a>(
        document: &'a Document<'a>,
        entries: &'a Spanned<DeTable<'a>>,
    ) -> Self {
        Table::read_whole(document, entries, |root| Self {
            server: root.table("server", ServerKeys::read).unwrap_or_default(),
            cache: root.table("cache", CacheKeys::read).unwrap_or_default(),
            tags: root.table("tags", TagKeys::read).unwrap_or_default(),
            logins: root
                .table("credentials", SharedLoginKeys::read)
                .unwrap_or_default(),
            upstreams: root
                .list("upstream", |value| value.into_table(UpstreamKeys::read))
                .map_or_else(Vec::new, |list| list.value.into_iter().flatten().collect()),
        })
    }

    /// Reads variables or flags; what is wrong stays with them.
    pub(in crate::config) fn from_overrides(overrides: &mut Overrides) -> Self {
        Self {
            server: ServerKeys::read(&mut overrides.section("server")),
            cache: CacheKeys::read(&mut overrides.section("cache")),
            tags: TagKeys::read(&mut overrides.section("tags")),
            logins: SharedLoginKeys::default(),
            upstreams: Vec::new(),
        }
    }

    /// Returns these settings, and those of a weaker source where nothing is set here.
    pub(in crate::config) fn over(self, weaker: Self) -> Self {
        Self {
            server: self.server.over(weaker.server),
            cache: self.cache.over(weaker.cache),
            tags: self.tags.over(weaker.tags),
            // Of overrides, neither has any.
            logins: weaker.logins,
            upstreams: self.upstreams.into_iter().chain(weaker.upstreams).collect(),
        }
    }
}

/// `[server]`: the doors.
#[derive(Debug, Default)]
pub(in crate::config) struct ServerKeys {
    /// `ip:port` where the registry API is served. Default: `127.0.0.1:5000`.
    ///
    /// Danger: who reaches another address than a loopback one can pull every public image, and what `share` gives. What
    /// passes requests on from this machine and adds no `X-Forwarded-For`, `Forwarded` or `Via` makes everybody a client on
    /// this machine, who gets private images too.
    pub(in crate::config) listen: Option<Located<SocketAddr>>,
    /// `ip:port` where health and metrics are served, read only. Default: nowhere.
    pub(in crate::config) metrics_listen: Option<Located<SocketAddr>>,
    /// The upstream of names that name none, as `alpine` in `larder:5000/alpine`, or `"none"`. Default: `docker.io`
    /// when it is configured, else none.
    pub(in crate::config) default_upstream: Option<Located<DefaultUpstream>>,
    /// Whether the built-in upstreams can be reached. Default: true.
    pub(in crate::config) public_registries: Option<Located<bool>>,
}

impl ServerKeys {
    fn read(section: &mut impl Section) -> Self {
        Self {
            listen: section.text("listen", values::socket_address),
            metrics_listen: section.text("metrics_listen", values::socket_address),
            default_upstream: section.text("default_upstream", values::default_upstream),
            public_registries: section.truth("public_registries"),
        }
    }

    fn over(self, weaker: Self) -> Self {
        Self {
            listen: self.listen.or(weaker.listen),
            metrics_listen: self.metrics_listen.or(weaker.metrics_listen),
            default_upstream: self.default_upstream.or(weaker.default_upstream),
            public_registries: self.public_registries.or(weaker.public_registries),
        }
    }
}

/// `[cache]`: where content is kept.
#[derive(Debug, Default)]
pub(in crate::config) struct CacheKeys {
    /// The folder, for one larder alone. In the file, a relative path starts at the file's folder; elsewhere at the
    /// working folder. Default: `/var/lib/larder` for root, else the first folder of `STATE_DIRECTORY`, else `larder`
    /// in the user's cache folder.
    ///
    /// Danger: what is in the folder is served. Nobody else should be able to write there.
    pub(in crate::config) path: Option<Located<PathBuf>>,
    /// How much of the file system stays free, as a number with its unit (`"10GiB"`, `"500MB"`). Default: the larger
    /// of 5 % and 10 GiB, at most a quarter of the file system.
    pub(in crate::config) min_free: Option<Located<u64>>,
}

impl CacheKeys {
    fn read(section: &mut impl Section) -> Self {
        Self {
            path: section.path("path"),
            min_free: section.text("min_free", values::size),
        }
    }

    fn over(self, weaker: Self) -> Self {
        Self {
            path: self.path.or(weaker.path),
            min_free: self.min_free.or(weaker.min_free),
        }
    }
}

/// `[tags]`: how long a tag counts as current.
#[derive(Debug, Default)]
pub(in crate::config) struct TagKeys {
    /// A duration with its unit (`"10m"`), `"always"` (ask each time) or `"immutable"` (never ask again). Default:
    /// `"10m"`.
    ///
    /// Danger: with `"immutable"`, a tag that moves upstream keeps its old content here.
    pub(in crate::config) freshness: Option<Located<Freshness>>,
}

impl TagKeys {
    fn read(section: &mut impl Section) -> Self {
        Self {
            freshness: section.text("freshness", values::freshness),
        }
    }

    fn over(self, weaker: Self) -> Self {
        Self {
            freshness: self.freshness.or(weaker.freshness),
        }
    }
}

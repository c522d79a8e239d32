//! What may be written: every key, what it means, its unit, its default, and its danger where it has one.
//!
//! The keys of `[server]`, `[server.tls]`, `[admin]`, `[cache]` and `[tags]` can also be given as variables
//! (`LARDER_SERVER__LISTEN`), and some as flags. `deploy/larder.toml` shows all of them.

mod admin;
mod login;
mod tags;
mod tls;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeTable;

pub(in crate::config) use admin::AdminKeys;
pub(in crate::config) use login::{
    CredentialKeys, LoginKeys, SecretKeys, SharedLoginKeys, SourceKind,
};
pub(in crate::config) use tags::{TagKeys, TagRuleKeys};
pub(in crate::config) use tls::TlsKeys;
pub(in crate::config) use upstream::{EndpointKeys, UpstreamKeys};

use super::document::Document;
use super::overrides::Overrides;
use super::reader::{Located, Section, Table};
use super::values::{self, DefaultUpstream};
use crate::server::CatalogAudience;

/// A configuration as it was written, in a file or in what overrides it.
#[derive(Debug, Default)]
pub(in crate::config) struct Written {
    pub(in crate::config) server: ServerKeys,
    /// `[admin]`: the operator's door over TCP.
    pub(in crate::config) admin: AdminKeys,
    pub(in crate::config) cache: CacheKeys,
    /// `[tags]`: how fresh the tags of all upstreams are.
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
            server: root
                .table("server", ServerKeys::read_table)
                .unwrap_or_default(),
            admin: root.table("admin", AdminKeys::read).unwrap_or_default(),
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
            server: ServerKeys {
                tls: TlsKeys::read(&mut overrides.section("server.tls")),
                ..ServerKeys::read(&mut overrides.section("server"))
            },
            admin: AdminKeys::read(&mut overrides.section("admin")),
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
            admin: self.admin.over(weaker.admin),
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
    /// Whether no upstream is ever asked: what is here goes out as if it was fresh, and what is not cannot be had.
    /// `offline = false` in an `[[upstream]]` takes that one out. Default: false.
    pub(in crate::config) offline: Option<Located<bool>>,
    /// Networks and addresses whose clients may have a registry asked at once, by `Cache-Control: no-cache`, beside
    /// those on this machine; as a variable with commas between them. Default: none.
    ///
    /// Danger: each such request costs one upstream, of which a registry may allow few.
    pub(in crate::config) refresh_from: Option<Vec<Located<IpNet>>>,
    /// Who can list which repositories are here (`_catalog`): clients on `"this-machine"`, or `"everyone"` who reaches
    /// `listen`. Default: `"this-machine"`.
    ///
    /// Danger: with `"everyone"`, who reaches larder learns what its users pull.
    pub(in crate::config) catalog: Option<Located<CatalogAudience>>,
    /// Networks and addresses of proxies that say for whom they ask: by the PROXY protocol, else by `X-Forwarded-For` or
    /// `Forwarded`; as a variable with commas between them. Default: none.
    ///
    /// Danger: what they say goes to the log, and decides about `refresh_from`. Each has to add the address that it sees
    /// to what a client says of itself, or to take that away. Who connects from there is never taken for this machine.
    pub(in crate::config) trusted_proxies: Option<Vec<Located<IpNet>>>,
    /// Whether each connection begins with the PROXY protocol, version 1 or 2, before TLS. Only `trusted_proxies` can
    /// connect then. Default: false.
    pub(in crate::config) proxy_protocol: Option<Located<bool>>,
    /// How long answers under way may take to be given after the first signal to stop, as a duration with its unit, up to
    /// `"24h"`; `0` cuts them at once. Default: `"10m"`.
    ///
    /// Danger: what stops larder has to wait longer than that, or it kills what is under way.
    pub(in crate::config) drain_timeout: Option<Located<Duration>>,
    /// `[server.tls]`: how TLS is spoken, if it is.
    pub(in crate::config) tls: TlsKeys,
}

impl ServerKeys {
    fn read_table(table: &mut Table<'_>) -> Self {
        Self {
            tls: table.table("tls", TlsKeys::read_table).unwrap_or_default(),
            ..Self::read(table)
        }
    }

    fn read(section: &mut impl Section) -> Self {
        Self {
            listen: section.text("listen", values::socket_address),
            metrics_listen: section.text("metrics_listen", values::socket_address),
            default_upstream: section.text("default_upstream", values::default_upstream),
            public_registries: section.truth("public_registries"),
            offline: section.truth("offline"),
            refresh_from: section.texts("refresh_from", values::network),
            catalog: section.text("catalog", values::catalog_audience),
            trusted_proxies: section.texts("trusted_proxies", values::network),
            proxy_protocol: section.truth("proxy_protocol"),
            drain_timeout: section.text_or_zero("drain_timeout", values::drain_timeout),
            tls: TlsKeys::default(),
        }
    }

    fn over(self, weaker: Self) -> Self {
        Self {
            listen: self.listen.or(weaker.listen),
            metrics_listen: self.metrics_listen.or(weaker.metrics_listen),
            default_upstream: self.default_upstream.or(weaker.default_upstream),
            public_registries: self.public_registries.or(weaker.public_registries),
            offline: self.offline.or(weaker.offline),
            refresh_from: self.refresh_from.or(weaker.refresh_from),
            catalog: self.catalog.or(weaker.catalog),
            trusted_proxies: self.trusted_proxies.or(weaker.trusted_proxies),
            proxy_protocol: self.proxy_protocol.or(weaker.proxy_protocol),
            drain_timeout: self.drain_timeout.or(weaker.drain_timeout),
            tls: self.tls.over(weaker.tls),
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
    /// How many bytes all blobs may have together, as a number with its unit; what was used least lately goes when there
    /// are more. Default: 80 % of the file system.
    pub(in crate::config) max_size: Option<Located<u64>>,
}

impl CacheKeys {
    fn read(section: &mut impl Section) -> Self {
        Self {
            path: section.path("path"),
            min_free: section.text("min_free", values::size),
            max_size: section.text("max_size", values::some_size),
        }
    }

    fn over(self, weaker: Self) -> Self {
        Self {
            path: self.path.or(weaker.path),
            min_free: self.min_free.or(weaker.min_free),
            max_size: self.max_size.or(weaker.max_size),
        }
    }
}

//! What may be written of registries: `[[upstream]]`, and the entries of its `endpoints`.

use std::path::PathBuf;

use crate::addressing::{Alias, VirtualHost};
use crate::cache::freshness::Freshness;
use crate::config::reader::{Located, Section, Table, Value};
use crate::config::values;
use crate::oci::UpstreamPattern;
use crate::upstream::EndpointUrl;

/// `[[upstream]]`: one registry, or a family of registries. With the name of a built-in one, each key that is written
/// takes the place of the built-in value.
#[derive(Debug)]
pub(in crate::config) struct UpstreamKeys {
    /// `host` or `host:port`; `*` stands for one whole label, as in `*.dkr.ecr.*.amazonaws.com`. Has to be written.
    pub(in crate::config) name: Option<Located<UpstreamPattern>>,
    /// Where the registry is asked, in this order: a text, or a table with `url` and `ca_file`. Default: `https://`
    /// and the name.
    ///
    /// Danger: with `http://`, whoever is on the way can say where a tag leads.
    pub(in crate::config) endpoints: Option<Located<Vec<EndpointKeys>>>,
    /// First path segments that mean this upstream, as `hub` in `larder:5000/hub/library/alpine`. Default: none.
    pub(in crate::config) aliases: Vec<Located<Alias>>,
    /// Host names of larder under which it is this upstream only. Default: none.
    pub(in crate::config) hosts: Vec<Located<VirtualHost>>,
    /// As in `[tags]`, for this upstream. Default: the one of `[tags]`.
    pub(in crate::config) freshness: Option<Located<Freshness>>,
}

impl UpstreamKeys {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            name: table.required_text("name", values::upstream_pattern),
            endpoints: table.list("endpoints", EndpointKeys::read),
            aliases: texts(table, "aliases", values::alias),
            hosts: texts(table, "hosts", values::host),
            freshness: table.text("freshness", values::freshness),
        }
    }
}

/// One entry of `endpoints`: a text is its `url`.
#[derive(Debug)]
pub(in crate::config) struct EndpointKeys {
    /// `http` or `https`, host, port, and the path before `/v2/` if there is one. Has to be written.
    pub(in crate::config) url: Option<Located<EndpointUrl>>,
    /// A file with certificates in PEM form that are trusted there beside those of the system. A relative path starts
    /// at the folder of the configuration file. Default: none.
    pub(in crate::config) ca_file: Option<Located<PathBuf>>,
}

impl EndpointKeys {
    fn read(value: Value<'_>) -> Self {
        let (url, ca_file) = if value.is_table() {
            let keys = value.into_table(|table| {
                let url = table.required_text("url", values::endpoint_url);
                (url, table.path("ca_file"))
            });
            keys.unwrap_or_default()
        } else {
            (value.into_text(values::endpoint_url), None)
        };
        Self { url, ca_file }
    }
}

/// Reads a list of texts; none is an empty list.
fn texts<T>(
    table: &mut Table<'_>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<Located<T>> {
    table
        .list(key, |value| value.into_text(&parse))
        .map_or_else(Vec::new, |list| list.value.into_iter().flatten().collect())
}

//! What may be written of registries: `[[upstream]]`, and the entries of its `endpoints`.

use std::path::PathBuf;

use super::login::{CredentialKeys, LoginKeys};
use super::tags::{TagKeys, TagRuleKeys};
use crate::addressing::{Alias, VirtualHost};
use crate::cache::Audience;
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
    /// Where the registry is asked, in this order: a text, or a table with `url` and more. The last one decides. Default:
    /// `https://` and the name.
    ///
    /// Danger: with `http://`, whoever is on the way can say where a tag leads.
    pub(in crate::config) endpoints: Option<Located<Vec<EndpointKeys>>>,
    /// First path segments that mean this upstream, as `hub` in `larder:5000/hub/library/alpine`. Default: none.
    pub(in crate::config) aliases: Vec<Located<Alias>>,
    /// Host names of larder under which it is this upstream only. Default: none.
    pub(in crate::config) hosts: Vec<Located<VirtualHost>>,
    /// The keys of `[tags]`, for this upstream. Default: what `[tags]` says.
    pub(in crate::config) tags: TagKeys,
    /// `[[upstream.tag_rule]]`: other keys for some of its tags. The first that matches counts.
    pub(in crate::config) tag_rules: Vec<TagRuleKeys>,
    /// Whether it is never asked. Default: what `server.offline` says.
    pub(in crate::config) offline: Option<Located<bool>>,
    /// The login for all repositories. It goes to the last endpoint alone; others have their own. Default: none.
    pub(in crate::config) credentials: Option<LoginKeys>,
    /// `[[upstream.credential]]`: other logins for some repositories. The first that matches counts.
    pub(in crate::config) credential: Vec<CredentialKeys>,
    /// Who gets what only a login can pull: `"this-machine"`, or `"everyone"` who reaches `server.listen`. Default:
    /// `"this-machine"`.
    ///
    /// Danger: with `"everyone"`, who reaches larder can pull private images without a login.
    pub(in crate::config) share: Option<Located<Audience>>,
    /// Hosts, `host` or `host:port`, whose token services are given the logins, beside those of the registry's own
    /// domain. Default: none.
    ///
    /// Danger: they get the passwords.
    pub(in crate::config) token_hosts: Vec<Located<VirtualHost>>,
}

impl UpstreamKeys {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            name: table.required_text("name", values::upstream_pattern),
            endpoints: table.list("endpoints", EndpointKeys::read),
            aliases: table.texts("aliases", values::alias).unwrap_or_default(),
            hosts: table.texts("hosts", values::host).unwrap_or_default(),
            tags: TagKeys::read(table),
            tag_rules: table
                .list("tag_rule", |value| value.into_table(TagRuleKeys::read))
                .map_or_else(Vec::new, |list| list.value.into_iter().flatten().collect()),
            offline: table.truth("offline"),
            credentials: table.table("credentials", LoginKeys::read),
            credential: table
                .list("credential", |value| value.into_table(CredentialKeys::read))
                .map_or_else(Vec::new, |list| list.value.into_iter().flatten().collect()),
            share: table.text("share", values::audience),
            token_hosts: table.texts("token_hosts", values::host).unwrap_or_default(),
        }
    }
}

/// One entry of `endpoints`: a text is its `url`. Relative paths start at the folder of the configuration file.
#[derive(Debug, Default)]
pub(in crate::config) struct EndpointKeys {
    /// `http` or `https`, host, port, and the path before `/v2/` if there is one. Has to be written.
    pub(in crate::config) url: Option<Located<EndpointUrl>>,
    /// A file with certificates in PEM form that are trusted there beside those of the system. Default: none.
    pub(in crate::config) ca_file: Option<Located<PathBuf>>,
    /// A file with the certificate in PEM form that larder shows there. Needs `client_key_file`. Default: none.
    pub(in crate::config) client_cert_file: Option<Located<PathBuf>>,
    /// A file with the key of that certificate in PEM form.
    pub(in crate::config) client_key_file: Option<Located<PathBuf>>,
    /// Whether any certificate is taken. Default: false.
    ///
    /// Danger: whoever is on the way can say where a tag leads, and sees the logins.
    pub(in crate::config) skip_tls_verify: Option<Located<bool>>,
    /// Whether it is asked without encryption when it does not speak TLS or refuses the connection. Default: false.
    ///
    /// Danger: that of `http://`.
    pub(in crate::config) http_fallback: Option<Located<bool>>,
    /// Whether the path of `url` is that of the API already, so that no `/v2/` is added. Default: false.
    pub(in crate::config) override_path: Option<Located<bool>>,
    /// Whether it is only asked for what a digest names, and not believed what tags point at. Not for the last endpoint.
    /// Default: false.
    pub(in crate::config) digests_only: Option<Located<bool>>,
    /// Its own login. For the last endpoint, that of the upstream comes first. Default: none.
    pub(in crate::config) credentials: Option<LoginKeys>,
}

impl EndpointKeys {
    fn read(value: Value<'_>) -> Self {
        if !value.is_table() {
            return Self {
                url: value.into_text(values::endpoint_url),
                ..Self::default()
            };
        }
        let keys = value.into_table(|table| Self {
            url: table.required_text("url", values::endpoint_url),
            ca_file: table.path("ca_file"),
            client_cert_file: table.path("client_cert_file"),
            client_key_file: table.path("client_key_file"),
            skip_tls_verify: table.truth("skip_tls_verify"),
            http_fallback: table.truth("http_fallback"),
            override_path: table.truth("override_path"),
            digests_only: table.truth("digests_only"),
            credentials: table.table("credentials", LoginKeys::read),
        });
        keys.unwrap_or_default()
    }
}

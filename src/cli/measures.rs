//! All that is counted, in one place: what each room registers, under larder's name.

use prometheus_client::registry::Registry;

use super::reloading::ReloadMetrics;
use crate::{cache, retention, server, upstream};

/// What the rooms count, and where it is read.
#[derive(Debug)]
pub(super) struct Measures {
    /// Everything.
    pub(super) registry: Registry,
    pub(super) upstream: upstream::Metrics,
    pub(super) cache: cache::Metrics,
    pub(super) server: server::metrics::Metrics,
    pub(super) retention: retention::Metrics,
    pub(super) reload: ReloadMetrics,
}

impl Measures {
    /// Registers what is counted as it happens.
    pub(super) fn register() -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("larder");
        Self {
            server: server::metrics::Metrics::register(own),
            cache: cache::Metrics::register(own),
            upstream: upstream::Metrics::register(own),
            retention: retention::Metrics::register(own),
            reload: ReloadMetrics::register(own),
            registry,
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use super::*;
    use crate::admin::Gauges;
    use crate::cli::foundation::Foundation;
    use crate::cli::tests::{assert_shown, surroundings};
    use crate::config::{self, Flags};
    use crate::runtime::{Live, Tasks};

    fn encoded(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    /// Returns what a larder shows that has counted something of everything.
    async fn shown() -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let surroundings = surroundings(&[("LARDER_CACHE__PATH", path)]);
        let loaded = config::load(&Flags::default(), &surroundings).unwrap();
        let tasks = Tasks::new();
        let foundation = Foundation::lay(&loaded.settings, &tasks).await.unwrap();
        let Measures {
            mut registry,
            upstream,
            cache,
            server,
            retention: _,
            reload: _,
        } = foundation.measures;
        upstream.sample();
        cache.sample();
        server.sample();
        let registered = format!("{registry:?}").matches("Descriptor {").count();
        let counted = encoded(&registry).matches("# TYPE ").count();
        assert_eq!(registered, counted, "a sample leaves something out");
        foundation.usage.count().await.unwrap();
        let gauges = Gauges {
            cache: foundation.cache,
            store: foundation.store,
            usage: foundation.usage,
            retention: Live::new(loaded.settings.retention),
            tasks: tasks.clone(),
            began: foundation.clock.now(),
        };
        gauges.register(&mut registry);
        encoded(&registry)
    }

    /// Returns the names of the labels of a line.
    fn labels(line: &str) -> Option<String> {
        let (_, pairs) = line.split_once('{')?;
        let (pairs, _) = pairs.rsplit_once('}')?;
        let names = pairs.split("\",").filter_map(|pair| pair.split_once('='));
        let names: Vec<String> = names.map(|(name, _)| format!("`{name}`")).collect();
        Some(names.join(", "))
    }

    /// Writes the table of what is shown, a line for each metric.
    fn table(shown: &str) -> String {
        let mut rows = BTreeMap::new();
        let (mut help, mut kind) = ("", "");
        for line in shown.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ').unwrap().1.trim_end_matches('.');
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                kind = rest.split_once(' ').unwrap().1;
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let labels = labels(line).unwrap_or_default();
                rows.insert(name, format!("{kind} | {labels} | {help}"));
            }
        }
        let mut table = "| metric | type | labels | what it says |\n|---|---|---|---|\n".to_owned();
        for (name, row) in rows {
            writeln!(table, "| `{name}` | {row} |").unwrap();
        }
        table
    }

    #[tokio::test]
    async fn the_readme_has_each_metric_as_it_is() {
        let table = table(&shown().await);
        let readme = include_str!("../../README.md");
        assert!(
            readme.contains(&format!("\n\n{table}\n")),
            "the table of README.md has to be this one:\n{table}"
        );
        let names = table
            .lines()
            .skip(2)
            .filter_map(|row| row.split('`').nth(1));
        let names: Vec<&str> = names.collect();
        assert_shown("metrics", &names.join("\n"));
    }
}

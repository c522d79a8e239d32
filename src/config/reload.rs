//! What another configuration means for a larder that runs: what changes at once, and what needs a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::Loaded;

/// What only a restart changes, as keys or as the beginnings of keys that end with a dot: sockets are open already, and a
/// folder is in use.
const NEEDS_RESTART: [&str; 5] = [
    "server.listen",
    "server.metrics_listen",
    "server.tls.",
    "admin.",
    "cache.path",
];

/// What is said when settings differ, though no value that is written does.
const FILES_OF_LOGINS: &str = "the files of logins";

/// A configuration that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// What holds now: the new configuration, but for what needs a restart.
    pub loaded: Loaded,
    /// The keys of sections that changed, as in `tags.freshness`, and the upstreams, as in `upstream docker.io`.
    pub changed: Vec<String>,
    /// The keys whose values are other ones than those that larder started with, and stay what they were.
    pub needs_restart: Vec<String>,
}

impl Reloaded {
    /// Compares a new configuration with the one that holds.
    pub fn compare(running: &Loaded, mut new: Loaded) -> Self {
        let different = differences(&running.values, &new.values);
        let needs_restart = |key: &String| needs_restart(key);
        let (needs_restart, mut changed): (Vec<_>, Vec<_>) =
            different.into_iter().partition(needs_restart);
        let (old, settings) = (&running.settings, &mut new.settings);
        settings.server.listen = old.server.listen;
        settings.server.tls.clone_from(&old.server.tls);
        settings.metrics_listen = old.metrics_listen;
        settings.admin.clone_from(&old.admin);
        settings.store.path.clone_from(&old.store.path);
        settings.egress.clone_from(&old.egress);
        if changed.is_empty() && settings != old {
            changed.push(FILES_OF_LOGINS.to_owned());
        }
        for key in &needs_restart {
            match running.values.get(key) {
                Some(value) => new.values.insert(key.clone(), value.clone()),
                None => new.values.remove(key),
            };
        }
        Self {
            loaded: new,
            changed,
            needs_restart,
        }
    }
}

fn needs_restart(key: &str) -> bool {
    NEEDS_RESTART
        .iter()
        .any(|known| key == *known || known.ends_with('.') && key.starts_with(known))
}

/// Returns what is another value in one than in the other, or only in one of them.
fn differences(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differs = |key: &&&String| one.get(**key) != other.get(**key);
    keys.iter()
        .filter(differs)
        .map(|key| (*key).clone())
        .collect()
}

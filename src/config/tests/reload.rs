//! What another configuration changes at once, and what it does not.

use super::*;

/// Returns what a change of the file from one text to another comes to.
fn change(before: &str, after: &str) -> (Loaded, Reloaded) {
    let folder = TempDir::new().unwrap();
    let mut surroundings = surroundings(&[]);
    surroundings.working_folder = folder.path().to_owned();
    let load = |text: &str| {
        fs::write(folder.path().join("larder.toml"), text).unwrap();
        load(&Flags::default(), &surroundings).unwrap_or_else(|faults| panic!("{faults}"))
    };
    let running = load(before);
    let reloaded = Reloaded::compare(&running, load(after));
    (running, reloaded)
}

#[test]
fn each_change_is_named() {
    let upstream = "[[upstream]]\nname = 'a.io'\n";
    let rule = "[[upstream.tag_rule]]\nmatch = 'app'\nfreshness = '1h'\n";
    for (before, after, changed) in [
        ("", "", &[][..]),
        ("", "# a comment", &[]),
        // It is what holds without it.
        ("", "[server]\npublic_registries = true", &[]),
        ("", "[tags]\nfreshness = '1h'", &["tags.freshness"]),
        ("[tags]\nfreshness = '1h'", "", &["tags.freshness"]),
        ("", upstream, &["upstream a.io"]),
        (upstream, "", &["upstream a.io"]),
        (upstream, &format!("{upstream}{rule}"), &["upstream a.io"]),
        (
            "",
            "[[upstream]]\nname = 'ghcr.io'\nshare = 'everyone'",
            &["upstream ghcr.io"],
        ),
        (
            "",
            "[server]\ntrusted_proxies = ['10.0.0.0/8']\ndrain_timeout = '1m'\n[cache]\nmin_free = '1GiB'",
            &[
                "cache.min_free",
                "server.drain_timeout",
                "server.trusted_proxies",
            ],
        ),
    ] {
        let (running, reloaded) = change(before, after);
        assert_eq!(reloaded.changed, changed, "{before} -> {after}");
        assert_eq!(reloaded.needs_restart, [""; 0], "{before} -> {after}");
        let is_same = reloaded.loaded.settings == running.settings;
        assert_eq!(is_same, changed.is_empty(), "{before} -> {after}");
    }
}

#[test]
fn doors_and_folder_stay_what_they_are_until_a_restart() {
    let after = "[server]\nlisten = '0.0.0.0:1'\nmetrics_listen = '127.0.0.1:2'\ncatalog = 'everyone'\n\
                 [cache]\npath = '/elsewhere'";
    let (running, first) = change("", after);
    let needs_restart = ["cache.path", "server.listen", "server.metrics_listen"];
    assert_eq!(first.needs_restart, needs_restart);
    assert_eq!(first.changed, ["server.catalog"]);
    let (old, new) = (&running.settings, &first.loaded.settings);
    assert_eq!(new.server.listen, old.server.listen);
    assert_eq!(
        (new.metrics_listen, &new.store.path),
        (None, &old.store.path)
    );
    assert_ne!(new.server.catalog, old.server.catalog);
    // It is told until larder starts again, and no longer than it is so.
    let (_, again) = change(after, after);
    let again = Reloaded::compare(&first.loaded, again.loaded);
    assert_eq!(again.needs_restart, needs_restart);
    assert_eq!(again.changed, [""; 0]);
    let (_, back) = change("", "[server]\ncatalog = 'everyone'");
    let back = Reloaded::compare(&again.loaded, back.loaded);
    assert_eq!(back.needs_restart, [""; 0]);
    assert_eq!(back.changed, [""; 0]);
}

#[test]
fn a_door_that_is_open_keeps_the_files_of_the_user_back_whatever_is_written_now() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    fs::write(home.path().join(".docker/config.json"), "{}").unwrap();
    let mut surroundings = surroundings(&[]);
    let own = home.path().as_os_str().to_owned();
    surroundings.variables.insert("HOME".to_owned(), own);
    surroundings.working_folder = home.path().to_owned();
    let used = |surroundings: &Surroundings| {
        let loaded = load(&Flags::default(), surroundings).unwrap();
        loaded.auth_files.used.len()
    };
    assert_eq!(used(&surroundings), 1);
    surroundings.open_at = vec!["127.0.0.1:5000".parse().unwrap()];
    assert_eq!(used(&surroundings), 1);
    surroundings.open_at.push("0.0.0.0:5000".parse().unwrap());
    assert_eq!(used(&surroundings), 0);
}

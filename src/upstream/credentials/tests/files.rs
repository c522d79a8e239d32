//! Files: what is in them, and what happens when they change.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_first_source_that_matches_and_knows_something_counts() {
    let folder = Folder::new();
    let value = |text: &str| SecretSource::Value(Secret::new(text));
    let password = |username: &str| CredentialSource::Password {
        username: username.into(),
        password: value("p"),
        next: None,
    };
    let file = folder.write("auth.json", r#"{"auths":{"r.io/team":{"auth":"YTpi"}}}"#);
    let keyring = folder.keyring(
        "r.io",
        vec![
            ("open/**", CredentialSource::Anonymous),
            ("one/**", password("one")),
            ("token/*", CredentialSource::IdentityToken(value("i"))),
            ("token/**", CredentialSource::RegistryToken(value("r"))),
            ("**", CredentialSource::AuthFile(folder.path("none.json"))),
            ("**", CredentialSource::AuthFile(file.clone())),
            ("last/**", password("last")),
        ],
    );
    let of_file = format!("file {}, user a", file.display());
    for (repository, expected, secret) in [
        ("open/a", "nobody", ""),
        ("one/a", "user one", ": one, p"),
        ("token/a", "identity token", ": identity i"),
        ("token/a/b", "registry token", ": registry r"),
        ("team/a", &*of_file, ": a, b"),
        ("last/a", "user last", ": last, p"),
        ("other", "nobody", ""),
    ] {
        assert_eq!(
            identity(&keyring, repository).await,
            expected,
            "{repository}"
        );
        let found = standing(&keyring, repository).await;
        assert_eq!(found, format!("{expected}{secret}"), "{repository}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_looked_at_once_a_second() {
    let folder = Folder::new();
    folder.write("password", "one\n");
    let keyring = folder.password("password", None);
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, one");
    folder.write("password", "two\n");
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, one");
    tokio::time::advance(SECOND).await;
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, two");
}

#[tokio::test(start_paused = true)]
async fn writing_within_one_tick_of_the_file_system_is_seen() {
    let folder = Folder::new();
    let path = folder.write("password", "one");
    let keyring = folder.password("password", None);
    let file = fs::File::open(&path).unwrap();
    let times = fs::FileTimes::new().set_modified(file.metadata().unwrap().modified().unwrap());
    drop(file);
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, one");
    // In place, of the same length, and with the time set back.
    fs::write(&path, "two").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_times(times).unwrap();
    tokio::time::advance(SECOND).await;
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, two");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_swapped_is_seen() {
    let folder = Folder::new();
    for (version, text) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/password"), text);
    }
    symlink("v1", folder.path("data")).unwrap();
    symlink("data/password", folder.path("password")).unwrap();
    let keyring = folder.password("password", None);
    for _ in 0..3 {
        assert_eq!(standing(&keyring, "a").await, "user acme: acme, one");
        tokio::time::advance(SECOND).await;
    }
    symlink("v2", folder.path("swap")).unwrap();
    fs::rename(folder.path("swap"), folder.path("data")).unwrap();
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, two");
}

#[tokio::test(start_paused = true)]
async fn a_file_may_come_and_go() {
    let folder = Folder::new();
    let path = folder.path("auth.json");
    let keyring = folder.keyring(
        "r.io",
        vec![("**", CredentialSource::AuthFile(path.clone()))],
    );
    let of_file = format!("file {}", path.display());
    assert_eq!(identity(&keyring, "a").await, "nobody");
    assert_eq!(standing(&keyring, "a").await, "nobody");
    assert_eq!(states(&keyring), [CredentialState::Unknown]);
    for (text, expected, state) in [
        (
            r#"{"auths":{"r.io":{"auth":"YTpi"}}}"#,
            format!("{of_file}, user a: a, b"),
            CredentialState::Usable,
        ),
        ("{}", "nobody".into(), CredentialState::Unknown),
        (
            r#"{"hunter2":"#,
            format!(
                "{of_file} unreadable: '{}' is no docker or podman configuration: line 1, column 11",
                path.display()
            ),
            CredentialState::Unreadable,
        ),
    ] {
        folder.write("auth.json", text);
        tokio::time::advance(SECOND).await;
        assert_eq!(standing(&keyring, "a").await, expected);
        assert_eq!(states(&keyring), [state]);
    }
    // It is there, whatever it says.
    assert_eq!(identity(&keyring, "a").await, of_file);
    fs::remove_file(&path).unwrap();
    tokio::time::advance(SECOND).await;
    assert_eq!(standing(&keyring, "a").await, "nobody");
}

#[tokio::test(start_paused = true)]
async fn another_user_in_the_same_file_is_another_login() {
    let folder = Folder::new();
    let path = folder.path("auth.json");
    let keyring = folder.keyring(
        "r.io",
        vec![("**", CredentialSource::AuthFile(path.clone()))],
    );
    let of_file = format!("file {}", path.display());
    for (entry, expected) in [
        (r#"{"username":"ann","password":"1"}"#, ", user ann"),
        (r#"{"username":"ann","password":"2"}"#, ", user ann"),
        (r#"{"username":"bob","password":"2"}"#, ", user bob"),
        // It cannot be read, and is as it was.
        ("2", ", user bob"),
        (r#"{"auth":"YW5uOg==","identitytoken":"i"}"#, ", user ann"),
        // Nobody is named.
        (r#"{"auth":"PHRva2VuPjp0"}"#, ""),
        (r#"{"username":"ann","registrytoken":"r"}"#, ""),
        (r#"{"username":"","password":"2"}"#, ""),
        ("2", ""),
    ] {
        folder.write("auth.json", &format!(r#"{{"auths":{{"r.io":{entry}}}}}"#));
        tokio::time::advance(SECOND).await;
        let standing = standing(&keyring, "a").await;
        let expected = format!("{of_file}{expected}");
        assert_eq!(identity(&keyring, "a").await, expected, "{entry}");
        let rest = standing.strip_prefix(&expected).unwrap();
        assert!(rest.starts_with([':', ' ']), "{entry}: {standing}");
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_used_say_why() {
    let folder = Folder::new();
    fs::create_dir(folder.path("folder")).unwrap();
    folder.write("empty", "\n");
    folder.write("long", &"x".repeat((64 << 10) + 1));
    let fifo = folder.path("pipe");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for (file, problem) in [
        ("absent", "does not exist"),
        ("empty/password", "does not exist"),
        ("folder", "is not a file"),
        ("pipe", "is not a file"),
        ("empty", "has nothing in its first line"),
        ("long", "is longer than 64 KiB"),
    ] {
        let keyring = folder.password(file, None);
        assert_eq!(states(&keyring), [CredentialState::Unknown]);
        assert_eq!(identity(&keyring, "a").await, "user acme");
        let path = folder.path(file);
        let expected = format!("user acme unreadable: '{}' {problem}", path.display());
        assert_eq!(standing(&keyring, "a").await, expected);
        assert_eq!(states(&keyring), [CredentialState::Unreadable]);
    }
    let huge = format!("{}{{}}", " ".repeat(1 << 20));
    let path = folder.write("huge.json", &huge);
    let keyring = folder.keyring("r.io", vec![("**", CredentialSource::AuthFile(path))]);
    let told = standing(&keyring, "a").await;
    assert!(told.ends_with("is longer than 1024 KiB"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_next_password_will_do_when_the_first_is_gone() {
    let folder = Folder::new();
    folder.write("next", "two");
    let keyring = folder.password("password", Some("next"));
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, two");
    folder.write("password", "one");
    fs::remove_file(folder.path("next")).unwrap();
    tokio::time::advance(SECOND).await;
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, one");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_printed_has_a_secret_in_it() {
    let folder = Folder::new();
    folder.write("password", "hunter2");
    let auth = r#"{"auths":{"r.io":{"username":"a","password":"hunter2"}}}"#;
    let sources = vec![
        (
            "a",
            CredentialSource::Password {
                username: "acme".into(),
                password: SecretSource::File(folder.path("password")),
                next: None,
            },
        ),
        (
            "b",
            CredentialSource::IdentityToken(SecretSource::Value(Secret::new("hunter2"))),
        ),
        (
            "**",
            CredentialSource::AuthFile(folder.write("auth.json", auth)),
        ),
    ];
    assert!(!format!("{sources:?}").contains("hunter2"));
    let keyring = folder.keyring("r.io", sources);
    for repository in ["a", "b", "c"] {
        let standing = keyring.standing(&name(repository)).await;
        assert!(matches!(standing, Standing::Ready(_)), "{standing:?}");
        assert!(!format!("{standing:?}").contains("hunter2"), "{standing:?}");
    }
    let shown = format!("{keyring:?} {:?}", keyring.report());
    assert!(!shown.contains("hunter2"), "{shown}");
}

//! Tests of auth files: which entry is for what, and files that are none.

use proptest::prelude::*;

use super::*;

/// Prints what a file has for `server/repository`.
fn found(file: &str, server: &str, repository: &str) -> String {
    let server = ServerName::parse(server).unwrap();
    let repository: RepositoryName = repository.parse().unwrap();
    match AuthFile::parse(file.as_bytes(), &server) {
        Err(error) => error.to_string(),
        Ok(file) => match file.find(&repository) {
            Found::Nothing => "nothing".into(),
            Found::Helper(helper) => format!("helper {helper}"),
            Found::Secret(secret) => shown(secret),
        },
    }
}

fn shown(secret: &LoginSecret) -> String {
    match secret {
        LoginSecret::Password { username, password } => {
            format!("{username} with {}", password.expose())
        }
        LoginSecret::IdentityToken { username, token } => {
            format!("{username:?} identity {}", token.expose())
        }
        LoginSecret::RegistryToken(token) => format!("registry {}", token.expose()),
    }
}

/// An entry with a user of this name, whose password is `p`.
fn user(name: &str) -> String {
    format!(r#"{{"username":"{name}","password":"p"}}"#)
}

fn auths(entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, name)| format!(r#""{key}":{}"#, user(name)))
        .collect();
    format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
}

#[test]
fn which_entry_is_for_a_repository() {
    let spaces = auths(&[
        ("quay.io", "host"),
        ("quay.io/team", "team"),
        ("quay.io/team/app", "app"),
        ("quay.io/team/application", "application"),
        ("other.io/team/app", "other"),
    ]);
    let ports = auths(&[("r.io", "plain"), ("r.io:5000", "port")]);
    for (file, server, repository, expected) in [
        (&spaces, "quay.io", "x", "host with p"),
        (&spaces, "quay.io", "team", "team with p"),
        (&spaces, "quay.io", "team/x", "team with p"),
        (&spaces, "quay.io", "team-b/app", "host with p"),
        (&spaces, "quay.io", "team/app", "app with p"),
        (&spaces, "quay.io", "team/app/x", "app with p"),
        (&spaces, "quay.io", "team/application", "application with p"),
        (&spaces, "other.io", "team/app", "other with p"),
        (&spaces, "other.io", "x", "nothing"),
        (&spaces, "quay.io:5000", "x", "nothing"),
        (&spaces, "evil-quay.io", "x", "nothing"),
        (&spaces, "quay.io.evil.com", "x", "nothing"),
        (&ports, "r.io", "x", "plain with p"),
        (&ports, "r.io:443", "x", "plain with p"),
        (&ports, "r.io:5000", "x", "port with p"),
        (&ports, "r.io:80", "x", "nothing"),
    ] {
        assert_eq!(
            found(file, server, repository),
            expected,
            "{file} {server}/{repository}"
        );
    }
}

#[test]
fn spellings_of_docker_hub_are_one() {
    let hub = |key: &str| auths(&[(key, "hub"), ("quay.io", "quay")]);
    for (file, server, repository, expected) in [
        (
            hub("https://index.docker.io/v1/"),
            "docker.io",
            "library/a",
            "hub with p",
        ),
        (
            hub("index.docker.io"),
            "docker.io",
            "library/a",
            "hub with p",
        ),
        (hub("docker.io"), "docker.io", "library/a", "hub with p"),
        (
            hub("registry-1.docker.io"),
            "docker.io",
            "library/a",
            "hub with p",
        ),
        (
            hub("https://registry-1.docker.io/v2/"),
            "docker.io",
            "library/a",
            "hub with p",
        ),
        (
            hub("docker.io"),
            "registry-1.docker.io",
            "library/a",
            "hub with p",
        ),
        (hub("docker.io/acme"), "docker.io", "acme/app", "hub with p"),
        (hub("docker.io/acme"), "docker.io", "library/a", "nothing"),
        (hub("docker.io"), "quay.io", "a", "quay with p"),
    ] {
        let found = found(&file, server, repository);
        assert_eq!(found, expected, "{file} {server}/{repository}");
    }
}

#[test]
fn of_keys_that_mean_the_same_the_plainest_counts() {
    let keys = ["http://r.io", "https://r.io", "R.io", "r.io"];
    for (number, expected) in [(1, "0"), (2, "1"), (4, "3")] {
        let entries: Vec<(&str, String)> = keys[..number]
            .iter()
            .enumerate()
            .map(|(index, key)| (*key, index.to_string()))
            .collect();
        let entries: Vec<(&str, &str)> =
            entries.iter().map(|(key, name)| (*key, &**name)).collect();
        let expected = format!("{expected} with p");
        assert_eq!(found(&auths(&entries), "r.io", "a"), expected);
        let reversed: Vec<(&str, &str)> = entries.into_iter().rev().collect();
        assert_eq!(found(&auths(&reversed), "r.io", "a"), expected);
    }
    let hub = auths(&[("index.docker.io", "a"), (ServerName::DOCKER_HUB_KEY, "b")]);
    assert_eq!(found(&hub, "docker.io", "a"), "b with p");
}

#[test]
fn shapes_of_entries() {
    for (entry, expected) in [
        // a:b
        (r#"{"auth":"YTpi"}"#, "a with b"),
        // a:b:c
        (r#"{"auth":"YTpiOmM="}"#, "a with b:c"),
        (r#"{"auth":"YTpiOmM"}"#, "a with b:c"),
        (r#"{"auth":" YTpi\nOmM=\n"}"#, "a with b:c"),
        // a:>>>???, in both alphabets
        (r#"{"auth":"YTo+Pj4/Pz8="}"#, "a with >>>???"),
        (r#"{"auth":"YTo-Pj4_Pz8"}"#, "a with >>>???"),
        // a:b\0\0
        (r#"{"auth":"YTpiAAA="}"#, "a with b"),
        // a: and :b
        (r#"{"auth":"YTo="}"#, "a with "),
        (r#"{"auth":"OmI="}"#, " with b"),
        (
            r#"{"auth":"YTpi","username":"x","password":"y"}"#,
            "a with b",
        ),
        (
            r#"{"auth":"","username":"x","password":"y:z"}"#,
            "x with y:z",
        ),
        (r#"{"username":"x","password":"y","email":7}"#, "x with y"),
        // 00000000:
        (
            r#"{"auth":"MDAwMDAwMDA6","identitytoken":"t"}"#,
            r#"Some("00000000") identity t"#,
        ),
        (r#"{"identitytoken":"t"}"#, "None identity t"),
        (
            r#"{"username":"<token>","identitytoken":"t"}"#,
            "None identity t",
        ),
        (
            r#"{"username":"<token>","password":"t"}"#,
            "None identity t",
        ),
        (
            r#"{"registrytoken":"r","identitytoken":"t","auth":"YTpi"}"#,
            "registry r",
        ),
        ("{}", "nothing"),
        ("null", "nothing"),
        (r#"{"auth":null,"identitytoken":""}"#, "nothing"),
        // :
        (r#"{"auth":"Og=="}"#, "nothing"),
    ] {
        let file = format!(r#"{{"auths":{{"r.io":{entry}}}}}"#);
        assert_eq!(found(&file, "r.io", "a"), expected, "{entry}");
    }
}

#[test]
fn entries_that_are_of_no_use() {
    for (entry, fault) in [
        ("[]", "that is none"),
        ("7", "that is none"),
        (r#""YTpi""#, "that is none"),
        (r#"{"auth":["YTpi"]}"#, "that is none"),
        (r#"{"auth":"%%%"}"#, "whose 'auth' is no base64"),
        (
            r#"{"auth":"YWI="}"#,
            "whose 'auth' is no user with a password",
        ),
        (r#"{"auth":"Ojr/"}"#, "whose 'auth' is no text in UTF-8"),
        (
            r#"{"username":"a:b","password":"c"}"#,
            "whose user has a ':'",
        ),
    ] {
        let file = format!(r#"{{"auths":{{"r.io":{entry}}}}}"#);
        let expected = format!("has an entry for 'r.io' {fault}");
        assert_eq!(found(&file, "r.io", "a"), expected, "{entry}");
        // What is wrong with one registry does not concern another.
        assert_eq!(found(&file, "q.io", "a"), "nothing", "{entry}");
    }
}

#[test]
fn helpers_for_one_registry_go_first_and_for_all_last() {
    let file = |auths: &str| {
        format!(
            r#"{{"auths":{auths},"credsStore":"store","credHelpers":{{"https://ecr.io":"ecr","docker.io":"hub"}}}}"#
        )
    };
    let full = file(r#"{"ecr.io":{"auth":"YTpi"},"r.io":{"auth":"YTpi"},"m.io":{}}"#);
    for (server, expected) in [
        ("ecr.io", "helper ecr"),
        ("docker.io", "helper hub"),
        ("r.io", "a with b"),
        ("m.io", "helper store"),
        ("other.io", "helper store"),
    ] {
        assert_eq!(found(&full, server, "a"), expected, "{server}");
    }
    let space = file(r#"{"r.io/team":{"auth":"YTpi"}}"#);
    assert_eq!(found(&space, "r.io", "team/a"), "a with b");
    assert_eq!(found(&space, "r.io", "a"), "helper store");
    for names in [
        r#"{"credsStore":"../../bin/sh"}"#,
        r#"{"credsStore":"a b"}"#,
        r#"{"credHelpers":{"r.io":"x;y"}}"#,
        r#"{"credHelpers":{"r.io":["x"]}}"#,
    ] {
        let problem = "has a name of a credential helper that no program has";
        assert_eq!(found(names, "r.io", "a"), problem, "{names}");
    }
    assert_eq!(found(r#"{"credsStore":""}"#, "r.io", "a"), "nothing");
}

#[test]
fn files_that_are_none_do_not_show_what_is_in_them() {
    let deep = format!("{}1{}", r#"{"auths":"#.repeat(10_000), "}".repeat(10_000));
    let beside = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for file in [
        "",
        "hunter2",
        r#""hunter2""#,
        r#"["hunter2"]"#,
        "[]",
        r#"{"auths":["hunter2"]}"#,
        r#"{"credsStore":{"hunter2":1}}"#,
        r#"{"auths":{"r.io":{"auth":"hunter2"}}"#,
    ] {
        let told = found(file, "r.io", "a");
        let begins = told.starts_with("is no docker or podman configuration: line 1, column ");
        assert!(begins && !told.contains("hunter2"), "{file}: {told}");
    }
    let told = found("{\n  \"auths\": \"hunter2\"\n}", "r.io", "a");
    assert!(told.ends_with(": line 2, column 20"), "{told}");
    for file in [&deep, &beside] {
        let told = found(file, "r.io", "a");
        assert!(
            told.starts_with("is no docker") || told == "nothing",
            "{told}"
        );
    }
    for file in [
        "{}",
        "null",
        r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
    ] {
        let told = found(file, "r.io", "a");
        assert!(told == "nothing" || file == "null", "{file}: {told}");
    }
}

#[test]
fn a_file_is_printed_without_its_secrets() {
    let server = ServerName::parse("r.io").unwrap();
    for entry in [
        r#"{"username":"acme","password":"hunter2"}"#,
        r#"{"identitytoken":"hunter2"}"#,
        r#"{"registrytoken":"hunter2"}"#,
    ] {
        let file = format!(r#"{{"auths":{{"r.io":{entry}}}}}"#);
        let file = AuthFile::parse(file.as_bytes(), &server).unwrap();
        assert_eq!(file.secrets().count(), 1);
        assert!(!format!("{file:?}").contains("hunter2"), "{file:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_file_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let server = ServerName::parse("r.io").unwrap();
        let _result = AuthFile::parse(&bytes, &server);
    }

    #[test]
    fn any_entry_is_one_or_none(key in "(https?://)?[rR]\\.io(:443)?(/[a-z0-9/]{0,6})?", auth in "\\PC{0,20}", token in "\\PC{0,9}") {
        let entry = serde_json::json!({ "auth": auth, "identitytoken": token });
        let file = serde_json::json!({ "auths": { key: entry } }).to_string();
        let told = found(&file, "r.io", "a/b");
        let shows = told.starts_with("has an entry") && told.contains(&format!("{auth:?}"));
        prop_assert!(!shows, "{}", told);
    }

    #[test]
    fn what_docker_writes_is_read(username in "[^:\\p{C}]{1,20}", password in "\\PC{1,40}") {
        let auth = BASE64.encode(format!("{username}:{password}"));
        let file = serde_json::json!({ "auths": { "r.io": { "auth": auth } } }).to_string();
        let expected = match &*username {
            LoginSecret::TOKEN_USER => format!("None identity {password}"),
            _ => format!("{username} with {password}"),
        };
        prop_assert_eq!(found(&file, "r.io", "a"), expected);
    }
}

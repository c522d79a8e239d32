//! Logins: what may be written of them, and what is said about what may not.

use super::*;
use crate::oci::RepositoryPattern;
use crate::upstream::{CredentialSettings, CredentialSource, Secret, SecretSource};

/// Returns the logins of the one upstream that is written.
fn logins(text: &str) -> Vec<(String, CredentialSource)> {
    let text = format!("[server]\npublic_registries = false\n[[upstream]]\n{text}");
    let upstream = settings(&text).upstreams.pop().unwrap();
    let login = |login: CredentialSettings| (login.repositories.to_string(), login.source);
    upstream.credentials.into_iter().map(login).collect()
}

fn in_file(path: &str) -> SecretSource {
    SecretSource::File(PathBuf::from(path))
}

#[test]
fn every_source_of_a_login_arrives() {
    let password = |password, next: Option<&str>| CredentialSource::Password {
        username: "ada".into(),
        password,
        next: next.map(PathBuf::from),
    };
    for (keys, source) in [
        (
            "username = \"ada\", password_file = \"p\"",
            password(in_file("p"), None),
        ),
        (
            "username = \"ada\", password_file = \"/p\", next_password_file = \"n\"",
            password(in_file("/p"), Some("n")),
        ),
        (
            "username = \"ada\", password_env = \"HUB_PASSWORD\"",
            password(SecretSource::Value(Secret::new("hunter2")), None),
        ),
        (
            "identity_token_file = \"/t\"",
            CredentialSource::IdentityToken(in_file("/t")),
        ),
        (
            "identity_token_env = \"HUB_PASSWORD\"",
            CredentialSource::IdentityToken(SecretSource::Value(Secret::new("hunter2"))),
        ),
        (
            "registry_token_file = \"/t\"",
            CredentialSource::RegistryToken(in_file("/t")),
        ),
        (
            "registry_token_env = \"HUB_PASSWORD\"",
            CredentialSource::RegistryToken(SecretSource::Value(Secret::new("hunter2"))),
        ),
        (
            "auth_file = \"/a.json\"",
            CredentialSource::AuthFile("/a.json".into()),
        ),
        (
            "helper = \"ecr-login\"",
            CredentialSource::Helper("ecr-login".parse().unwrap()),
        ),
    ] {
        let text = format!("name = \"r.example\"\ncredentials = {{ {keys} }}\n");
        assert_eq!(logins(&text), [("**".to_owned(), source.clone())], "{keys}");
        let text = format!(
            "name = \"r.example\"\nendpoints = [{{ url = \"https://m.example\", credentials = {{ {keys} }} }}, \
             \"https://r.example\"]\n"
        );
        let of_mirror = settings(&format!("[[upstream]]\n{text}"));
        let of_mirror = of_mirror.upstreams.last().unwrap().clone();
        assert_eq!(of_mirror.endpoints[0].credentials[0].source, source);
        assert_eq!(
            (
                of_mirror.credentials,
                of_mirror.endpoints[1].credentials.len()
            ),
            (vec![], 0)
        );
    }
}

#[test]
fn logins_for_some_repositories_come_first_in_the_order_of_the_file() {
    let found = logins(
        r#"
        name = "r.example"
        credentials = { helper = "all" }
        [[upstream.credential]]
        match = "public/**"
        anonymous = true
        [[upstream.credential]]
        match = "team-a/*"
        helper = "a"
        anonymous = false
        "#,
    );
    let helper = |name: &str| CredentialSource::Helper(name.parse().unwrap());
    let all = RepositoryPattern::all().to_string();
    let expected = [
        ("public/**".to_owned(), CredentialSource::Anonymous),
        ("team-a/*".to_owned(), helper("a")),
        (all, helper("all")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_built_in_upstream_gets_a_login_and_keeps_the_rest() {
    let found = settings(
        "[[upstream]]\nname = \"docker.io\"\ncredentials = { helper = \"x\" }\ntoken_hosts = [\"Auth.example:8443\"]\n",
    );
    let hub = &found.upstreams[0];
    assert_eq!(
        hub.endpoints[0].url.to_string(),
        "https://registry-1.docker.io"
    );
    assert_eq!(hub.credentials.len(), 1);
    assert_eq!(hub.token_hosts, ["auth.example:8443".into()]);
    assert!(
        found.upstreams[1..]
            .iter()
            .all(|other| other.credentials.is_empty())
    );
}

/// Writes keys of a login, on a line of their own.
fn login(keys: &str) -> String {
    format!("[[upstream]]\nname = \"r.example\"\n[upstream.credentials]\n{keys}\n")
}

#[test]
fn mistakes_of_logins() {
    let mistakes = [
        login(""),
        login("username = \"ada\""),
        login("password_file = \"p\""),
        login("next_password_file = \"p\""),
        login("username = \"ada:x\"\npassword_file = \"p\""),
        login("username = \"ada\"\npassword_file = \"p\"\npassword_env = \"HUB_PASSWORD\""),
        login("username = \"ada\"\npassword_env = \"HUB_PASSWORD\"\nnext_password_file = \"p\""),
        login("username = \"ada\"\npassword_env = \"hunter2\""),
        login("username = \"ada\"\npassword_env = \"TWO_LINES\""),
        login("username = \"ada\"\npassword = \"hunter2\""),
        login("identity_token = \"hunter2\""),
        login("helper = \"ecr-login\"\nauth_file = \"/a.json\"\nusername = \"ada\""),
        login("helper = \"docker-credential-ecr-login\""),
        login("helper = \"../x\""),
        login("auth_file = \"/\""),
        login("registry_token_file = \"/dev/null\""),
        login("pasword = \"hunter2\"\nhelper = \"x\""),
        login("anonymous = true"),
        "[[upstream]]\nname = \"r.example\"\n[[upstream.credential]]\nhelper = \"x\"\n".to_owned(),
        "[[upstream]]\nname = \"r.example\"\n[[upstream.credential]]\nmatch = \"Team/*\"\nanonymous = true\nhelper = \"x\"\n"
            .to_owned(),
        "[[upstream]]\nname = \"r.example\"\nshare = \"all\"\ntoken_hosts = [\"https://a.example\"]\n".to_owned(),
        "[credentials]\nauth_files = [\"/\", 1]\nuser_files = \"yes\"\n".to_owned(),
    ];
    let mistakes: Vec<&str> = mistakes.iter().map(String::as_str).collect();
    assert_told("mistakes_of_logins", &mistakes);
}

#[test]
fn a_secret_in_the_wrong_place_is_never_repeated() {
    for text in [
        login("username = \"ada\"\npassword = \"hunter2\""),
        login("username = \"ada\"\npassword = hunter2"),
        login("username = \"ada\"\npassword_env = \"hunter2\""),
        login("pw = \"hunter2\"\nhelper = \"x\""),
        login("username = \"ada:hunter2\"\npassword_file = \"p\""),
        login("identity_token = \"hunter2\"\nregistry_token = \"hunter2\""),
        "[[upstream]]\nname = \"r.example\"\ncredentials = { username = \"ada\", password = \"hunter2\", x = 1 }\n"
            .to_owned(),
        "[[upstream]]\nname = \"r.example\"\npassword = \"hunter2\"\n".to_owned(),
        "[[upstream]]\nname = \"r.example\"\nlogin = { user = \"ada\", password = \"hunter2\" }\n".to_owned(),
        "[[upstream]]\nname = \"r.example\"\nendpoints = [{ url = \"https://a.example\", credentials = { pw = \"hunter2\" } }]\n"
            .to_owned(),
    ] {
        let faults = read(&text).expect_err(&text).to_string();
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn a_family_of_registries_gets_no_secret_of_one() {
    let family = |keys: &str| {
        read(&format!(
            "[[upstream]]\nname = \"*.r.example\"\ncredentials = {{ {keys} }}\n[[upstream.credential]]\n\
             match = \"a/**\"\n{}\n",
            keys.replace(", ", "\n")
        ))
    };
    for keys in [
        "username = \"ada\", password_file = \"p\"",
        "username = \"ada\", password_env = \"HUB_PASSWORD\"",
        "identity_token_file = \"t\"",
        "registry_token_env = \"HUB_PASSWORD\"",
    ] {
        let faults = family(keys).expect_err(keys);
        assert_eq!(faults.as_slice().len(), 2, "{faults}");
        assert!(
            faults.to_string().contains("would go to any of them"),
            "{faults}"
        );
    }
    for keys in ["helper = \"ecr-login\"", "auth_file = \"a.json\""] {
        assert!(family(keys).is_ok(), "{keys}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_and_an_absent_one_is_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().display();
    fs::write(folder.path().join("there"), "x").unwrap();
    for (file, is_fault) in [
        ("there", false),
        ("absent", false),
        ("absent/absent", false),
        ("", true),
        ("there/absent", true),
    ] {
        let text = login(&format!("auth_file = \"{path}/{file}\""));
        assert_eq!(read(&text).is_err(), is_fault, "{file}");
    }
}

#[test]
fn what_the_readme_says_of_private_registries_can_be_written() {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme
        .split_once("\n## Private registries and logins\n")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let (_, example) = section.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert_eq!(
        settings(example)
            .upstreams
            .last()
            .unwrap()
            .credentials
            .len(),
        2
    );

    let (_, table) = section
        .split_once("| registry | `name` | login |\n|---|---|---|\n")
        .unwrap();
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 10);
    for row in rows {
        let columns: Vec<&str> = row.split('|').collect();
        let [_, _, name, login, _] = columns[..] else {
            panic!("{row}");
        };
        let quoted = |text: &str| {
            let found = text.split('`').nth(1)?;
            Some(found.to_owned())
        };
        // Where the name is up to the reader, the endpoint is quoted.
        let Some(first) = quoted(name) else { continue };
        let text = if first.starts_with("endpoints") {
            let endpoints = first.replace("<repository>", "r");
            format!("[[upstream]]\nname = \"r.example\"\n{endpoints}\n")
        } else {
            let helper = quoted(login).filter(|login| login.starts_with("helper"));
            let login = helper.unwrap_or_else(|| "auth_file = \"a.json\"".to_owned());
            format!("[[upstream]]\nname = \"{first}\"\ncredentials = {{ {login} }}\n")
        };
        settings(&text);
    }
}

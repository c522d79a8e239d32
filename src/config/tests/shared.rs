//! What is shared: private content with others, and files of logins among upstreams; and what is warned of.

use super::*;
use crate::addressing::Origin;
use crate::cache::Audience;
use crate::upstream::CredentialSource;

#[test]
fn private_content_stays_on_this_machine_unless_it_is_said() {
    use Audience::{Everyone, ThisMachine};
    assert_eq!(settings("").cache.share, cache::ShareRules::default());
    let stays = "[[upstream]]\nname = \"a.example\"\nshare = \"this-machine\"\n";
    assert_eq!(settings(stays).cache.share, cache::ShareRules::default());
    let rules = settings(
        r#"
        [[upstream]]
        name = "*.r.example"
        share = "everyone"
        [[upstream]]
        name = "own.r.example"
        [[upstream]]
        name = "a.example"
        share = "everyone"
        [[upstream.credential]]
        match = "secret/**"
        helper = "x"
        share = "this-machine"
        [[upstream.credential]]
        match = "open/**"
        helper = "x"
        [[upstream]]
        name = "b.example"
        [[upstream.credential]]
        match = "team/inner/**"
        helper = "x"
        [[upstream.credential]]
        match = "team/**"
        helper = "y"
        share = "everyone"
        "#,
    );
    for (upstream, repository, audience) in [
        ("x.r.example", "any", Everyone),
        // It fits the pattern, and is another upstream all the same.
        ("own.r.example", "any", ThisMachine),
        ("a.example", "any", Everyone),
        ("a.example", "open/any", Everyone),
        ("a.example", "secret/any", ThisMachine),
        ("b.example", "any", ThisMachine),
        ("b.example", "team/any", Everyone),
        ("b.example", "team/inner/any", ThisMachine),
        ("docker.io", "library/any", ThisMachine),
    ] {
        let origin = Origin {
            upstream: upstream.parse().unwrap(),
            repository: repository.parse().unwrap(),
        };
        assert_eq!(rules.cache.share.audience(&origin), audience, "{origin}");
    }
}

/// A home folder with files of docker and podman.
struct Home(TempDir);

impl Home {
    fn with(files: &[&str]) -> Self {
        let home = Self(TempDir::new().unwrap());
        for file in files {
            fs::create_dir_all(home.path(file).parent().unwrap()).unwrap();
            fs::write(home.path(file), "{}").unwrap();
        }
        home
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Loads a configuration there; variables start with a path below the home folder.
    fn load(&self, text: &str, variables: &[(&str, &str)]) -> Loaded {
        let file = self.path("larder.toml");
        fs::write(&file, text).unwrap();
        let mut surroundings = surroundings(&[]);
        surroundings.working_folder = self.0.path().to_owned();
        for (name, below) in [("HOME", "")].iter().chain(variables) {
            let path = self.path(below).into_os_string();
            surroundings.variables.insert((*name).to_owned(), path);
        }
        load(&Flags::default(), &surroundings).unwrap_or_else(|faults| panic!("{faults}"))
    }
}

/// Returns the files that an upstream gets logins from.
fn files_of(loaded: &Loaded, name: &str) -> Vec<PathBuf> {
    let mut upstreams = loaded.settings.upstreams.iter();
    let upstream = upstreams.find(|upstream| upstream.pattern.to_string() == name);
    let file = |source: &CredentialSource| match source {
        CredentialSource::AuthFile(file) => Some(file.clone()),
        _ => None,
    };
    let logins = upstream.unwrap().credentials.iter();
    logins.filter_map(|login| file(&login.source)).collect()
}

#[test]
fn the_files_of_the_user_are_looked_for_where_docker_and_podman_do() {
    let all = [
        "named.json",
        "run/containers/auth.json",
        ".config/containers/auth.json",
        "xdg/containers/auth.json",
        ".docker/config.json",
        "docker/config.json",
    ];
    let home = Home::with(&all);
    for (variables, expected) in [
        (
            &[][..],
            [".config/containers/auth.json", ".docker/config.json"],
        ),
        (
            &[
                ("REGISTRY_AUTH_FILE", "named.json"),
                ("XDG_RUNTIME_DIR", "run"),
            ],
            ["named.json", ".docker/config.json"],
        ),
        (
            &[("XDG_RUNTIME_DIR", "run"), ("DOCKER_CONFIG", "docker")],
            ["run/containers/auth.json", "docker/config.json"],
        ),
        (
            &[("XDG_RUNTIME_DIR", "empty"), ("XDG_CONFIG_HOME", "xdg")],
            ["xdg/containers/auth.json", ".docker/config.json"],
        ),
    ] {
        let loaded = home.load("", variables);
        let expected = expected.map(|file| home.path(file));
        assert_eq!(loaded.auth_files.used, expected, "{variables:?}");
        for upstream in ["docker.io", "ghcr.io"] {
            assert_eq!(files_of(&loaded, upstream), expected);
        }
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
    let loaded = home.load("[credentials]\nuser_files = false\n", &[]);
    assert_eq!(loaded.auth_files, AuthFiles::default());
}

#[test]
fn the_files_of_the_user_are_kept_from_other_machines() {
    let home = Home::with(&[".docker/config.json", "named.json"]);
    let own = home.path(".docker/config.json");
    for (listen, is_used) in [
        ("127.0.0.1:5000", true),
        ("127.1.2.3:5000", true),
        ("[::1]:5000", true),
        ("[::ffff:127.0.0.1]:5000", true),
        ("0.0.0.0:5000", false),
        ("[::]:5000", false),
        ("10.0.0.1:5000", false),
    ] {
        let loaded = home.load(&format!("[server]\nlisten = \"{listen}\"\n"), &[]);
        let files = files_of(&loaded, "docker.io");
        assert_eq!(files.contains(&own), is_used, "{listen}");
        assert_eq!(loaded.auth_files.kept_back.contains(&own), !is_used);
        assert_eq!(loaded.warnings.len(), usize::from(!is_used), "{listen}");
    }
    let text =
        "[server]\nlisten = \"0.0.0.0:5000\"\n[credentials]\nauth_files = [\"named.json\"]\n";
    let loaded = home.load(text, &[]);
    assert_eq!(files_of(&loaded, "ghcr.io"), [home.path("named.json")]);
}

#[test]
fn what_is_for_a_registry_is_not_shown_to_what_took_its_place() {
    let home = Home::with(&[".docker/config.json"]);
    let loaded = home.load(
        r#"
        [[upstream]]
        name = "docker.io"
        endpoints = ["https://registry-1.docker.io", "http://10.0.0.5:5000"]
        [[upstream]]
        name = "quay.io"
        endpoints = ["http://10.0.0.5:5000", "https://quay.io"]
        credentials = { helper = "first" }
        [[upstream]]
        name = "*.dkr.ecr.*.amazonaws.com"
        [[upstream]]
        name = "localhost:5001"
        endpoints = ["http://localhost:5001"]
        "#,
        &[],
    );
    let own = [home.path(".docker/config.json")];
    assert_eq!(files_of(&loaded, "docker.io"), [] as [PathBuf; 0]);
    for upstream in [
        "quay.io",
        "ghcr.io",
        "*.dkr.ecr.*.amazonaws.com",
        "localhost:5001",
    ] {
        assert_eq!(files_of(&loaded, upstream), own, "{upstream}");
    }
    let not_for: Vec<String> = loaded
        .auth_files
        .not_for
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(not_for, ["docker.io"]);
}

#[test]
fn what_is_warned_of() {
    let home = Home::with(&["bin/docker-credential-there"]);
    let loaded = home.load(
        r#"
        [[upstream]]
        name = "a.example"
        endpoints = [
          { url = "http://m.example", credentials = { helper = "there" } },
          { url = "http://a.example" },
        ]
        credentials = { username = "ada", password_file = "absent", next_password_file = "next" }
        [[upstream]]
        name = "b.example"
        endpoints = [{ url = "https://b.example", skip_tls_verify = true }]
        credentials = { helper = "absent" }
        [[upstream]]
        name = "c.example"
        endpoints = [{ url = "https://c.example", http_fallback = true }]
        credentials = { identity_token_file = "token" }
        [[upstream]]
        name = "d.example"
        endpoints = ["http://127.0.0.1:5001"]
        credentials = { helper = "there" }
        [[upstream]]
        name = "e.example"
        endpoints = [{ url = "https://e.example", skip_tls_verify = true }]
        [[upstream.credential]]
        match = "**"
        anonymous = true
        [[upstream]]
        name = "f.example"
        credentials = { helper = "there" }
        [[upstream.credential]]
        match = "open/**"
        anonymous = true
        [[upstream.credential]]
        match = "open/team"
        helper = "there"
        [[upstream.credential]]
        match = "team/**"
        helper = "there"
        share = "everyone"
        [[upstream.credential]]
        match = "team/secret/**"
        helper = "there"
        share = "this-machine"
        [[upstream.credential]]
        match = "team/other/**"
        helper = "there"
        share = "everyone"
        [[upstream.credential]]
        match = "**"
        anonymous = true
        [credentials]
        auth_files = ["auth.json"]
        user_files = false
        "#,
        &[("PATH", "bin")],
    );
    let told = loaded.warnings.join("\n");
    let told = told.replace(home.0.path().to_str().unwrap(), "FOLDER");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("warnings", told);
    });
}

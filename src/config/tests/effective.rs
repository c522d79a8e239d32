//! What `larder check --effective` shows: it can be read again, and says where each value comes from.

use super::*;

/// Returns what is loaded of a file in a folder.
fn loaded(folder: &Path, flags: &Flags, variables: &[(&str, &str)]) -> Loaded {
    let mut surroundings = surroundings(variables);
    surroundings.working_folder = folder.to_owned();
    load(flags, &surroundings).unwrap_or_else(|faults| panic!("{faults}"))
}

const LOGINS: &str = r#"
[credentials]
auth_files = ["auth.json"]
user_files = false
[[upstream]]
name = "logins.example"
endpoints = [
  { url = "https://m.example/v2/proxy", override_path = true, digests_only = true, credentials = { username = "ada", password_env = "HUB_PASSWORD" } },
  "https://logins.example",
]
credentials = { username = "robot\"$all", password_file = "password", next_password_file = "next" }
token_hosts = ["auth.example"]
share = "everyone"
[[upstream.credential]]
match = "public/**"
anonymous = true
[[upstream.credential]]
match = "team-a/**"
helper = "ecr-login"
share = "this-machine"
"#;

#[test]
fn it_gives_the_same_settings_again() {
    let secret = ("HUB_PASSWORD", "hunter2");
    let variables = [
        secret,
        ("LARDER_SERVER__LISTEN", "127.0.0.1:2"),
        ("LARDER_SERVER__REFRESH_FROM", "10.0.0.0/8, 192.0.2.1"),
        ("LARDER_SERVER__OFFLINE", "false"),
        ("LARDER_TAGS__STALE_ON_DENIED", "0"),
    ];
    let flags = Flags {
        cache_path: Some("kept \"here\"".into()),
        offline: true,
        ..Flags::default()
    };
    let texts = [
        String::new(),
        EVERY_KEY.to_owned(),
        format!("{EVERY_KEY}{LOGINS}"),
    ];
    for text in texts {
        for (flags, variables) in [
            (&Flags::default(), &[secret][..]),
            (&Flags::default(), &variables),
            (&flags, &variables),
        ] {
            let [first, second] = [(); 2].map(|()| TempDir::new().unwrap());
            fs::write(first.path().join("larder.toml"), &text).unwrap();
            let written = loaded(first.path(), flags, variables);
            assert!(!written.effective.contains("hunter2"));
            let again = second.path().join("larder.toml");
            fs::write(&again, &written.effective).unwrap();
            let read = loaded(second.path(), &Flags::default(), &[secret]);
            assert_eq!(read.settings, written.settings, "{}", written.effective);
        }
    }
}

#[test]
fn it_says_where_each_value_comes_from() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("larder.toml");
    let text = "[server]\npublic_registries = false\nlisten = '127.0.0.1:1'\n\n[cache]\npath = 'kept'\n\n\
        [[upstream]]\nname = 'r.example'\ncredentials = { auth_file = 'auth.json' }\n\n\
        [[upstream.tag_rule]]\nmatch = '**:v*'\nfreshness = 'immutable'\n\n\
        [[upstream]]\nname = 'docker.io'\nendpoints = ['https://mirror.gcr.io', { url = 'https://registry-1.docker.io' }]\n";
    fs::write(&file, text).unwrap();
    let flags = Flags {
        offline: true,
        ..Flags::default()
    };
    let variables = [
        ("LARDER_SERVER__LISTEN", "127.0.0.1:2"),
        ("LARDER_TAGS__ANSWER_WITHIN", "2s"),
    ];
    let shown = loaded(folder.path(), &flags, &variables).effective;
    let shown = shown.replace(folder.path().to_str().unwrap(), "/FOLDER");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("effective", shown);
    });
    let shown = loaded(&folder.path().join("none"), &Flags::default(), &[]).effective;
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("effective_defaults", shown);
    });
}

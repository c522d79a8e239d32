//! Credential helpers: how they are asked, what they answer, and how often they are run. Their clock is the real one.

use futures_util::future::join_all;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Prints a login with this secret, and takes down each run.
fn answering(secret: &str) -> String {
    format!(r#"echo run >> runs; cat > /dev/null; echo '{{"Username":"u","Secret":"{secret}"}}'"#)
}

impl Folder {
    fn helper(&self, name: HelperName) -> Keyring {
        self.keyring("r.io", vec![("**", CredentialSource::Helper(name))])
    }

    fn runs(&self) -> usize {
        self.read("runs").lines().count()
    }
}

#[tokio::test]
async fn a_helper_is_asked_for_the_registry_of_the_keyring() {
    for (server, asked) in [
        ("r.io:5000", "r.io:5000"),
        ("docker.io", "https://index.docker.io/v1/"),
    ] {
        let folder = Folder::new();
        let script = r#"cat > input; echo "$@" > arguments; echo '{"ServerURL":"x","Username":"u","Secret":"s"}'"#;
        let helper = folder.program("test", script);
        let keyring = folder.keyring(server, vec![("**", CredentialSource::Helper(helper))]);
        assert_eq!(standing(&keyring, "a").await, "helper test: u, s");
        assert_eq!(folder.read("input"), asked);
        assert_eq!(folder.read("arguments"), "get\n");
    }
}

#[tokio::test]
async fn what_helpers_answer() {
    let not_found = "echo credentials not found in native keychain; exit 1";
    let long = "echo '{\"Username\":\"u\",\"Secret\":\"'; head -c 70000 /dev/zero | tr '\\0' x; echo '\"}'";
    let loud = r#"head -c 500000 /dev/zero >&2; echo '{"Username":"u","Secret":"s"}'"#;
    for (script, expected) in [
        (
            r#"echo '{"Username":"<token>","Secret":"t"}'"#,
            "helper test: identity t",
        ),
        (r#"echo '{"Username":"","Secret":""}'"#, "nobody"),
        (
            r#"printf '{"Username":"u","Secret":"s\\u0000"}'"#,
            "helper test: u, s",
        ),
        (loud, "helper test: u, s"),
        (not_found, "nobody"),
        (
            r#"echo hunter2; printf 'no\tway\n\033[1m home' >&2; exit 3"#,
            "failed (exit status: 3): no way [1m home",
        ),
        ("echo hunter2; exit 1", "failed (exit status: 1)"),
        ("kill -9 $$", "failed (signal: 9 (SIGKILL))"),
        ("echo hunter2", "answers something else than a login"),
        (
            r#"echo '{"Username":"hunter2","Secret":2}'"#,
            "answers something else than a login",
        ),
        (
            r#"echo '{"Username":"a:b","Secret":"s"}'"#,
            "answers a user with a ':'",
        ),
        (long, "answers more than 64 KiB"),
    ] {
        let folder = Folder::new();
        let keyring = folder.helper(folder.program("test", script));
        let found = standing(&keyring, "a").await;
        let known = ["nobody", "helper test: "];
        if known.iter().any(|known| expected.starts_with(known)) {
            assert_eq!(found, expected, "{script}");
        } else {
            let told = format!("helper test unreadable: the credential helper 'test' {expected}");
            assert_eq!(found, told, "{script}");
            assert_eq!(identity(&keyring, "a").await, "helper test");
            assert_eq!(states(&keyring), [CredentialState::Unreadable]);
        }
    }
}

#[tokio::test]
async fn a_helper_that_is_not_there_is_told_and_not_looked_for_where_we_are() {
    let folder = Folder::new();
    folder.write("docker-credential-plain", "not executable");
    let keyring = folder.helper("plain".parse().unwrap());
    let told = standing(&keyring, "a").await;
    assert!(
        told.ends_with("there is no program 'docker-credential-plain' in PATH"),
        "{told}"
    );
    let helpers = Helpers {
        path: Some(":.:relative".into()),
        patience: HOUR,
        places: Arc::new(tokio::sync::Semaphore::new(8)),
    };
    let server = ServerName::parse("r.io").unwrap();
    let (name, tasks) = ("plain".parse().unwrap(), Tasks::new());
    assert!(helpers.ask(&name, &server, &tasks).await.is_err());
}

#[tokio::test]
async fn a_helper_waits_for_a_place_to_run() {
    let folder = Folder::new();
    let name = folder.program("own", &answering("s"));
    let places = Arc::new(tokio::sync::Semaphore::new(1));
    let taken = places.clone().acquire_owned().await.unwrap();
    let helpers = |patience| Helpers {
        path: Some(folder.folder.path().into()),
        patience,
        places: places.clone(),
    };
    let (server, tasks) = (ServerName::parse("r.io").unwrap(), Tasks::new());
    let late = helpers(Duration::ZERO).ask(&name, &server, &tasks).await;
    assert!(late.is_err());
    let helpers = helpers(HOUR);
    let mut asking = Box::pin(helpers.ask(&name, &server, &tasks));
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    assert!(!folder.folder.path().join("runs").exists());
    drop(taken);
    assert!(asking.await.unwrap().is_some());
}

#[tokio::test]
async fn a_helper_of_a_cloud_is_asked_for_that_cloud_only() {
    for (helper, server, is_asked) in [
        ("ecr-login", "1234.dkr.ecr.eu-west-1.amazonaws.com", true),
        (
            "ecr-login",
            "1234.dkr.ecr.cn-north-1.amazonaws.com.cn",
            true,
        ),
        ("ecr-login", "public.ecr.aws", true),
        ("ecr-login", "amazonaws.com.evil.example", false),
        ("ecr-login", "evilamazonaws.com", false),
        ("ecr-login", "r.io", false),
        ("gcloud", "europe-docker.pkg.dev", true),
        ("gcr", "eu.gcr.io", true),
        ("gcr", "gcr.io", true),
        ("gcr", "evilgcr.io", false),
        ("acr-env", "acme.azurecr.io:8443", true),
        ("acr-env", "azurecr.io.evil.example", false),
        ("own", "r.io", true),
    ] {
        let folder = Folder::new();
        let name = folder.program(helper, &answering("s"));
        let keyring = folder.keyring(server, vec![("**", CredentialSource::Helper(name))]);
        let told = standing(&keyring, "a").await;
        assert_eq!(
            folder.runs(),
            usize::from(is_asked),
            "{helper} {server}: {told}"
        );
        assert_eq!(told == "nobody", !is_asked, "{helper} {server}: {told}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed_with_what_it_started() {
    let mut folder = Folder::new();
    folder.patience = Duration::from_millis(300);
    // Both hold the pipe open, so that it ends when both are gone.
    let pipe = folder.path("pipe");
    let script = "exec 3<>pipe; sleep 1000 & sleep 1000";
    let helper = folder.program("test", script);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let mut reader = tokio::net::unix::pipe::OpenOptions::new()
        .open_receiver(&pipe)
        .unwrap();
    let keyring = folder.helper(helper);
    let told = standing(&keyring, "a").await;
    assert!(told.ends_with("did not answer within 300ms"), "{told}");
    let mut rest = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut rest);
    assert_eq!(end.await.unwrap(), 0);
}

#[tokio::test]
async fn a_helper_is_run_once_however_many_ask() {
    let folder = Folder::new();
    let keyring = folder.helper(folder.program("test", &answering("s")));
    let asked = (0..20).map(|_| standing(&keyring, "a"));
    for found in join_all(asked).await {
        assert_eq!(found, "helper test: u, s");
    }
    assert_eq!(identity(&keyring, "a").await, "helper test");
    assert_eq!(folder.runs(), 1);
}

#[tokio::test]
async fn a_run_goes_on_when_nobody_waits() {
    let folder = Folder::new();
    let keyring = folder.helper(folder.program("test", &answering("s")));
    assert_eq!(states(&keyring), [CredentialState::Unknown]);
    let repository = name("a");
    let asked = keyring.identity(&repository);
    assert!(futures_util::FutureExt::now_or_never(asked).is_none());
    assert_eq!(standing(&keyring, "a").await, "helper test: u, s");
    assert_eq!(folder.runs(), 1);
}

#[tokio::test]
async fn a_login_counts_for_an_hour_and_an_old_one_is_better_than_none() {
    let folder = Folder::new();
    let keyring = folder.helper(folder.program("test", &answering("one")));
    assert_eq!(standing(&keyring, "a").await, "helper test: u, one");
    folder.program("test", &answering("two"));
    pass(HOUR - Duration::from_secs(60)).await;
    assert_eq!(standing(&keyring, "a").await, "helper test: u, one");
    pass(Duration::from_secs(60)).await;
    assert_eq!(standing(&keyring, "a").await, "helper test: u, two");
    assert_eq!(folder.runs(), 2);
    folder.program("test", "echo run >> runs; exit 1");
    for hours in [1, 10] {
        pass(HOUR * hours).await;
        assert_eq!(standing(&keyring, "a").await, "helper test: u, two");
        assert_eq!(states(&keyring), [CredentialState::Usable]);
    }
    pass(HOUR).await;
    let told = standing(&keyring, "a").await;
    assert!(told.starts_with("helper test unreadable"), "{told}");
}

#[tokio::test]
async fn a_helper_that_failed_is_asked_again_after_a_while() {
    let folder = Folder::new();
    let keyring = folder.helper(folder.program("test", "echo run >> runs; exit 1"));
    for _ in 0..3 {
        let told = standing(&keyring, "a").await;
        assert!(told.starts_with("helper test unreadable"), "{told}");
    }
    assert_eq!(folder.runs(), 1);
    folder.program("test", &answering("s"));
    pass(Duration::from_secs(10)).await;
    assert_eq!(standing(&keyring, "a").await, "helper test: u, s");
}

#[tokio::test]
async fn a_helper_is_run_again_at_once_when_its_login_is_refused() {
    let folder = Folder::new();
    let counting = r#"echo run >> runs; cat > /dev/null; echo "{\"Username\":\"u\",\"Secret\":\"$(wc -l < runs | tr -d ' ')\"}""#;
    let keyring = folder.helper(folder.program("test", counting));
    let (first, same) = (ready(&keyring).await, ready(&keyring).await);
    let second = keyring.refused(&first).await.unwrap();
    assert_eq!(shown(&second), "helper test: u, 2");
    // Who was given the first as well gets the second, without another run.
    assert_eq!(keyring.refused(&same).await, Some(second.clone()));
    assert_eq!(folder.runs(), 2);
    keyring.accepted(&second);
    assert_eq!(ready(&keyring).await, second);
    // It has a new one each time, which must not go on for ever: two at first, and another before it is left alone.
    let mut shown = 0;
    while let Standing::Ready(login) = keyring.standing(&name("a")).await {
        let mut login = Some(login);
        while let Some(refused) = login {
            shown += 1;
            login = keyring.refused(&refused).await;
        }
    }
    assert_eq!(shown, 3);
    assert_eq!(states(&keyring), [CredentialState::Suspended]);
}

#[tokio::test]
async fn a_helper_that_says_the_same_again_has_nothing_new() {
    let folder = Folder::new();
    let keyring = folder.helper(folder.program("test", &answering("s")));
    let login = ready(&keyring).await;
    assert_eq!(keyring.refused(&login).await, None);
    assert_eq!(folder.runs(), 2);
}

#[tokio::test]
async fn an_auth_file_may_name_helpers() {
    let folder = Folder::new();
    folder.program("own", &answering("own"));
    folder.program(
        "store",
        "echo credentials not found in native keychain; exit 1",
    );
    let path = folder.write(
        "config.json",
        r#"{"auths":{"q.io":{}},"credHelpers":{"r.io":"own"},"credsStore":"store"}"#,
    );
    let of_file = format!("file {}", path.display());
    let source = || vec![("**", CredentialSource::AuthFile(path.clone()))];
    let keyring = folder.keyring("r.io", source());
    let of_user = format!("{of_file}, user u");
    assert_eq!(identity(&keyring, "a").await, of_user);
    assert_eq!(standing(&keyring, "a").await, format!("{of_user}: u, own"));
    assert_eq!(states(&keyring), [CredentialState::Usable]);
    // Somebody else has logged in; and the helper fails for long after that.
    folder.program("own", r#"echo '{"Username":"bob","Secret":"own"}'"#);
    pass(HOUR).await;
    let of_user = format!("{of_file}, user bob");
    assert_eq!(
        standing(&keyring, "a").await,
        format!("{of_user}: bob, own")
    );
    folder.program("own", "exit 1");
    pass(13 * HOUR).await;
    let told = standing(&keyring, "a").await;
    assert!(
        told.starts_with(&format!("{of_user} unreadable: ")),
        "{told}"
    );
    assert_eq!(identity(&keyring, "a").await, of_user);
    let keyring = folder.keyring("q.io", source());
    assert_eq!(identity(&keyring, "a").await, "nobody");
    assert_eq!(standing(&keyring, "a").await, "nobody");
    folder.program("store", "exit 1");
    let keyring = folder.keyring("q.io", source());
    assert_eq!(identity(&keyring, "a").await, of_file);
    let told = standing(&keyring, "a").await;
    assert!(told.starts_with(&format!(
        "{of_file} unreadable: the credential helper 'store'"
    )));
    assert_eq!(states(&keyring), [CredentialState::Unreadable]);
}

#[tokio::test]
async fn no_helper_runs_for_a_registry_that_is_offline() {
    let folder = Folder::new();
    let turn = |mode| folder.switch.set(mode, Timestamp::default());
    let auth = folder.write("auth.json", r#"{"credHelpers":{"r.io":"test"}}"#);
    let helper = folder.program("test", &answering("s"));
    let by_name = || folder.helper(helper.clone());
    let by_file = || {
        let source = CredentialSource::AuthFile(auth.clone());
        folder.keyring("r.io", vec![("**", source)])
    };
    for (keyring, named, unknown) in [
        (
            by_name(),
            "helper test".to_owned(),
            "helper test".to_owned(),
        ),
        (
            by_file(),
            format!("file {}, user u", auth.display()),
            format!("file {}", auth.display()),
        ),
    ] {
        let before = folder.runs();
        turn(Mode::Offline);
        assert_eq!(identity(&keyring, "a").await, unknown, "never run");
        let told = standing(&keyring, "a").await;
        assert!(told.contains("larder is offline"), "{told}");
        assert_eq!(folder.runs(), before);
        turn(Mode::Online);
        assert_eq!(identity(&keyring, "a").await, named);
        turn(Mode::Offline);
        pass(HOUR * 24).await;
        assert_eq!(identity(&keyring, "a").await, named, "long ago");
        let told = standing(&keyring, "a").await;
        assert_eq!(told, format!("{named}: u, s"));
        assert_eq!(folder.runs(), before + 1);
    }
}

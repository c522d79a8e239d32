//! Refusals: what is tried instead, and when a login is left alone.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn two_refusals_in_a_row_suspend_a_login_until_its_file_changes() {
    let folder = Folder::new();
    folder.write("password", "wrong");
    let keyring = folder.password("password", None);
    for state in [CredentialState::Usable, CredentialState::Suspended] {
        let login = ready(&keyring).await;
        assert_eq!(keyring.refused(&login).await, None);
        assert_eq!(states(&keyring), [state]);
    }
    let Standing::Suspended { identity, until } = keyring.standing(&name("b")).await else {
        panic!("it is not suspended");
    };
    assert_eq!(
        (identity.as_str(), until),
        ("user acme", Instant::now() + MINUTE)
    );
    // It is still this login that the repository needs.
    assert!(keyring.identity(&name("b")).await.is_some());
    folder.write("password", "right");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, right");
    assert_eq!(states(&keyring), [CredentialState::Usable]);
}

#[tokio::test(start_paused = true)]
async fn after_the_time_one_use_decides_for_all() {
    let folder = Folder::new();
    folder.write("password", "right");
    let keyring = folder.password("password", None);
    for _ in 0..2 {
        let login = ready(&keyring).await;
        assert_eq!(keyring.refused(&login).await, None);
    }
    tokio::time::advance(MINUTE).await;
    let trial = ready(&keyring).await;
    assert_eq!(standing(&keyring, "b").await, "user acme suspended");
    assert_eq!(keyring.refused(&trial).await, None);
    tokio::time::advance(MINUTE).await;
    assert_eq!(standing(&keyring, "b").await, "user acme suspended");
    tokio::time::advance(MINUTE).await;
    let trial = ready(&keyring).await;
    assert_eq!(standing(&keyring, "b").await, "user acme suspended");
    keyring.accepted(&trial);
    for _ in 0..2 {
        assert_eq!(ready(&keyring).await, trial);
    }
    assert_eq!(states(&keyring), [CredentialState::Usable]);
}

#[tokio::test(start_paused = true)]
async fn many_who_hear_of_one_refusal_count_once() {
    let folder = Folder::new();
    folder.write("password", "wrong");
    let keyring = folder.password("password", None);
    let mut logins = Vec::new();
    for _ in 0..20 {
        logins.push(ready(&keyring).await);
    }
    for login in &logins {
        assert_eq!(keyring.refused(login).await, None);
    }
    let last = ready(&keyring).await;
    assert_eq!(keyring.refused(&last).await, None);
    assert_eq!(standing(&keyring, "a").await, "user acme suspended");
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_between_two_refusals_makes_them_single() {
    let folder = Folder::new();
    folder.write("password", "right");
    let keyring = folder.password("password", None);
    for _ in 0..5 {
        let login = ready(&keyring).await;
        assert_eq!(keyring.refused(&login).await, None);
        keyring.accepted(&ready(&keyring).await);
    }
    assert_eq!(states(&keyring), [CredentialState::Usable]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_counts_though_nobody_waits_for_it() {
    let folder = Folder::new();
    folder.write("password", "wrong");
    let keyring = folder.password("password", None);
    for _ in 0..2 {
        let login = ready(&keyring).await;
        let refused = keyring.refused(&login);
        assert!(futures_util::FutureExt::now_or_never(refused).is_none());
        keyring.tasks.drain(MINUTE).await;
    }
    assert_eq!(states(&keyring), [CredentialState::Suspended]);
}

#[tokio::test(start_paused = true)]
async fn the_next_password_is_tried_and_then_kept() {
    let folder = Folder::new();
    folder.write("password", "one");
    folder.write("next", "two");
    let keyring = folder.password("password", Some("next"));
    let (one, late) = (ready(&keyring).await, ready(&keyring).await);
    assert_eq!(shown(&one), "user acme: acme, one");
    let two = keyring.refused(&one).await.unwrap();
    assert_eq!(shown(&two), "user acme: acme, two");
    keyring.accepted(&two);
    assert_eq!(ready(&keyring).await, two);
    // Somebody who was given the first before that.
    assert_eq!(keyring.refused(&late).await, Some(two.clone()));
    keyring.accepted(&two);
    assert_eq!(ready(&keyring).await, two);
    // The second becomes the first, and another is next.
    folder.write("password", "two");
    folder.write("next", "three");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ready(&keyring).await, two);
    let three = keyring.refused(&two).await.unwrap();
    assert_eq!(shown(&three), "user acme: acme, three");
}

#[tokio::test(start_paused = true)]
async fn only_when_both_passwords_were_refused_it_counts() {
    let folder = Folder::new();
    folder.write("password", "one");
    folder.write("next", "two");
    let keyring = folder.password("password", Some("next"));
    for state in [CredentialState::Usable, CredentialState::Suspended] {
        let one = ready(&keyring).await;
        let two = keyring.refused(&one).await.unwrap();
        assert_ne!(one, two);
        assert_eq!(states(&keyring), [CredentialState::Usable]);
        assert_eq!(keyring.refused(&two).await, None);
        assert_eq!(keyring.refused(&one).await, None);
        assert_eq!(states(&keyring), [state]);
    }
    // The trial has both, too.
    tokio::time::advance(MINUTE).await;
    let one = ready(&keyring).await;
    let two = keyring.refused(&one).await.unwrap();
    keyring.accepted(&two);
    assert_eq!(ready(&keyring).await, two);
}

#[tokio::test(start_paused = true)]
async fn the_same_password_twice_is_one() {
    let folder = Folder::new();
    folder.write("password", "one");
    folder.write("next", "one\n");
    let keyring = folder.password("password", Some("next"));
    let login = ready(&keyring).await;
    assert_eq!(keyring.refused(&login).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changed_meanwhile_has_the_answer_to_a_refusal() {
    let folder = Folder::new();
    let user = |password: &str| {
        format!(r#"{{"auths":{{"r.io":{{"username":"acme","password":"{password}"}}}}}}"#)
    };
    let path = folder.write("auth.json", &user("one"));
    let keyring = folder.keyring(
        "r.io",
        vec![("**", CredentialSource::AuthFile(path.clone()))],
    );
    let one = ready(&keyring).await;
    folder.write("auth.json", &user("two"));
    // Before the second is over in which the file is not looked at.
    let two = keyring.refused(&one).await.unwrap();
    assert_eq!(
        shown(&two),
        format!("file {}, user acme: acme, two", path.display())
    );
    assert_eq!(keyring.refused(&two).await, None);
    assert_eq!(states(&keyring), [CredentialState::Usable]);
}

#[tokio::test(start_paused = true)]
async fn logins_of_one_file_are_suspended_apart() {
    let folder = Folder::new();
    let text = r#"{"auths":{"r.io":{"auth":"YTpi"},"r.io/team":{"username":"t","password":"p"}}}"#;
    let path = folder.write("auth.json", text);
    let keyring = folder.keyring("r.io", vec![("**", CredentialSource::AuthFile(path))]);
    for _ in 0..2 {
        let login = ready(&keyring).await;
        assert_eq!(keyring.refused(&login).await, None);
    }
    assert!(standing(&keyring, "a").await.ends_with("suspended"));
    assert!(standing(&keyring, "team/a").await.ends_with(": t, p"));
    assert_eq!(states(&keyring), [CredentialState::Suspended]);
}

#[tokio::test(start_paused = true)]
async fn a_login_of_another_keyring_changes_nothing() {
    let folder = Folder::new();
    folder.write("password", "one");
    let (keyring, other) = (
        folder.password("password", None),
        folder.password("password", None),
    );
    let login = ready(&other).await;
    for _ in 0..3 {
        assert_eq!(keyring.refused(&login).await, None);
    }
    keyring.accepted(&login);
    assert_eq!(standing(&keyring, "a").await, "user acme: acme, one");
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn taken(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(String::from).collect()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once_and_without_the_secret() {
    const ALONE: &str = "LARDER_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // Whether a line is wanted is remembered for all threads of a process: the log is read in one of its own.
        let test = "upstream::credentials::tests::refusals::each_change_is_told_once_and_without_the_secret";
        let mut own = Command::new(std::env::current_exe().unwrap());
        let ended = own.args(["--exact", test]).env(ALONE, "1").output();
        let ended = ended.unwrap();
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(log);
    let folder = Folder::new();
    folder.write("password", "hunter2");
    let keyring = folder.password("password", None);
    let expect = |told: &[&[&str]]| {
        let lines = lines.taken();
        assert_eq!(lines.len(), told.len(), "{lines:?}");
        for (line, words) in lines.iter().zip(told) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
            assert!(!line.contains("hunter"), "{line}");
        }
    };
    for _ in 0..4 {
        if let Standing::Ready(login) = keyring.standing(&name("a")).await {
            assert_eq!(keyring.refused(&login).await, None);
        }
    }
    expect(&[&[
        "WARN",
        "r.io",
        "user acme",
        "suspended_ms=60000",
        "left alone",
    ]]);
    tokio::time::advance(MINUTE).await;
    keyring.accepted(&ready(&keyring).await);
    keyring.accepted(&ready(&keyring).await);
    expect(&[&["INFO", "r.io", "user acme", "accepted again"]]);
    folder.write("password", "hunter3");
    for _ in 0..3 {
        tokio::time::advance(MINUTE).await;
        assert_eq!(standing(&keyring, "a").await, "user acme: acme, hunter3");
    }
    expect(&[&["INFO", "password", "read again"]]);
    folder.write("password", "");
    for _ in 0..3 {
        tokio::time::advance(MINUTE).await;
        assert!(standing(&keyring, "a").await.contains("unreadable"));
    }
    expect(&[&["WARN", "password", "nothing in its first line"]]);
}

//! What `larder serve` says of registries that are not asked.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::Larder;
use crate::support::{FakeRegistry, within};

/// Serves on any port, and returns what the log says until larder is ready.
async fn log(larder: &Larder, flags: &[&str]) -> String {
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], flags].concat();
    let mut server = larder.command(&arguments);
    let mut server = server.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut log = String::new();
    within("a server that is ready", async {
        while !log.contains("\"ready\"") {
            let line = lines.next_line().await.unwrap();
            log.push_str(&line.expect("it goes on until it is ready"));
            log.push('\n');
        }
    })
    .await;
    server.kill().await.unwrap();
    log
}

#[tokio::test]
async fn the_log_says_which_registries_are_not_asked() {
    let registry = FakeRegistry::start().await;
    for (lines, flags, told) in [
        ("", &[][..], None),
        (
            "",
            &["--offline"],
            Some("offline, never asked: all upstreams"),
        ),
        ("offline = false", &["--offline"], None),
        (
            "offline = true",
            &[],
            Some("offline, never asked: all upstreams"),
        ),
        (
            "offline = true\n[[upstream]]\nname = 'other.test'\n",
            &[],
            Some("offline, never asked: up.test\""),
        ),
    ] {
        let larder = Larder::knowing(&registry).and(lines);
        let log = log(&larder, flags).await;
        assert_eq!(log.contains("never asked"), told.is_some(), "{log}");
        assert!(log.contains(told.unwrap_or_default()), "{log}");
    }
}

//! The operator's door over TCP: what it takes to get in, and the commands that use it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{Domain, Socket, Type};

use super::{Larder, UPSTREAM};
use crate::support::{Client, FakeRegistry, Image, noise};

const TOKEN: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";

/// A larder that knows a registry with an image and takes commands over TCP, and the file of its token.
async fn larder() -> (FakeRegistry, Larder, PathBuf) {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("org/app"), "1");
    let larder =
        Larder::knowing(&registry).and("[admin]\nlisten = '127.0.0.1:0'\ntoken_file = 'token'");
    let file = larder.folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    (registry, larder, file)
}

#[tokio::test]
async fn the_token_opens_the_door_and_nothing_else_does() {
    let (_registry, larder, file) = larder().await;
    let running = larder.serve().await;
    let client = Client::new(running.admin());
    let ask = async |token: &str| {
        let request = client.get("/v1/upstreams");
        request
            .header("authorization", &format!("Bearer {token}"))
            .send()
            .await
    };
    let without = client.get("/v1/upstreams").send().await;
    assert_eq!(without.status, 401);
    assert_eq!(without.headers["www-authenticate"], "Bearer");
    assert_eq!(ask(OTHER).await.status, 401);
    assert_eq!(ask(TOKEN).await.status, 200);
    // Here are commands, and the registry is elsewhere.
    assert_eq!(
        running.client().get("/v1/upstreams").send().await.status,
        404
    );
    // Another token counts at once, and the one before no more.
    fs::write(&file, OTHER).unwrap();
    assert_eq!(ask(OTHER).await.status, 200);
    assert_eq!(ask(TOKEN).await.status, 401);
    fs::remove_file(&file).unwrap();
    assert_eq!(ask(OTHER).await.status, 401);
    let log = running.stop().await;
    for told in [
        "without a token",
        "with a wrong token",
        "while there is no token",
    ] {
        assert!(log.contains(told), "{log}");
    }
    assert!(!log.contains(TOKEN) && !log.contains(OTHER), "{log}");
}

#[tokio::test]
async fn every_command_goes_through_the_door() {
    let (_registry, larder, file) = larder().await;
    let running = larder.serve().await;
    // It is this way that they come: the socket is gone.
    fs::remove_file(larder.socket()).unwrap();
    let url = format!("http://{}", running.admin());
    let door = [
        "--admin-url",
        &url,
        "--admin-token-file",
        file.to_str().unwrap(),
    ];
    let operate = async |command: &[&str]| larder.operate(&[command, &door].concat()).await;
    let refreshed = operate(&["refresh", "org/app:1"]).await.answer();
    assert!(
        refreshed.starts_with("up.test/org/app:1: new"),
        "{refreshed}"
    );
    let history = operate(&["tags", "--history", "org/app:1"]).await.answer();
    assert!(history.contains("sha256:"), "{history}");
    let offline = operate(&["upstream", UPSTREAM, "offline"]).await.answer();
    assert!(
        offline.contains("is offline until larder stops"),
        "{offline}"
    );
    let status = operate(&["status", "--upstreams"]).await.answer();
    assert!(status.contains(UPSTREAM), "{status}");
    let talk = operate(&["tags", "org/app"]).await.failure(2);
    assert!(talk.contains("--history"), "{talk}");
    running.stop().await;
}

#[tokio::test]
async fn what_keeps_a_command_out_is_told() {
    let (_registry, larder, file) = larder().await;
    let running = larder.serve().await;
    let wrong = larder.folder.path().join("wrong");
    fs::write(&wrong, OTHER).unwrap();
    let (wrong, file) = (wrong.to_str().unwrap(), file.to_str().unwrap());
    let none = format!("{file}-none");
    let url = format!("http://{}", running.admin());
    let registry = format!("http://{}", running.address());
    // A port that is taken, so that nobody else gets it, and not listened at.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    silent
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let nobody = silent.local_addr().unwrap().as_socket().unwrap();
    let nobody = format!("http://{nobody}");
    for (url, file, code, told) in [
        (
            &url,
            wrong,
            6,
            "has to hold the same as the one that admin.token_file",
        ),
        (&url, none.as_str(), 2, "cannot be read: No such file"),
        (&registry, file, 1, "not that of its registry"),
        (
            &nobody,
            file,
            3,
            "could not connect to the larder at http://127.0.0.1:",
        ),
        (
            &url.replace("http:", "https:"),
            file,
            2,
            "no TLS is spoken here",
        ),
    ] {
        let door = ["--admin-url", url, "--admin-token-file", file];
        let done = larder
            .operate(&[&["status", "--upstreams"], &door[..]].concat())
            .await;
        let talk = done.failure(code);
        assert!(talk.contains(told), "{talk}");
        assert!(!talk.contains(TOKEN) && !talk.contains(OTHER), "{talk}");
    }
    for alone in [["--admin-url", &url], ["--admin-token-file", file]] {
        let command = [&["status", "--upstreams"], &alone[..]].concat();
        let talk = larder.operate(&command).await.failure(2);
        assert!(talk.contains("required"), "{talk}");
    }
    running.stop().await;
}

#[tokio::test]
async fn without_its_token_larder_does_not_begin() {
    let (_registry, larder, file) = larder().await;
    fs::remove_file(&file).unwrap();
    let talk = larder.run(&["serve"]).await.failure(2);
    assert!(talk.contains("admin.token_file: '"), "{talk}");
    assert!(talk.contains("cannot be read: No such file"), "{talk}");
}

//! The socket of a running larder: whose it is, and when it is there.

use std::os::unix::net::UnixListener;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::running::mode_of_socket;
use super::{Larder, UPSTREAM};
use crate::support::{FakeRegistry, Image, noise};

#[tokio::test]
async fn the_socket_is_its_users_alone_and_goes_with_it() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    assert_eq!(mode_of_socket(&larder.socket()), Some(0o600));
    running.stop().await;
    assert_eq!(mode_of_socket(&larder.socket()), None);
}

#[tokio::test]
async fn what_a_killed_larder_left_is_in_nobodys_way() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("org/app"), "1");
    let larder = Larder::knowing(&registry);
    larder.serve().await.kill().await;
    assert_eq!(mode_of_socket(&larder.socket()), Some(0o600));
    let refresh = ["refresh", "org/app:1"];
    larder.operate(&refresh).await.answer();
    let running = larder.serve().await;
    larder.operate(&refresh).await.answer();
    running.stop().await;
    assert_eq!(mode_of_socket(&larder.socket()), None);
}

#[tokio::test]
async fn a_larder_without_its_socket_is_told_apart_from_none() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    std::fs::remove_file(larder.socket()).unwrap();
    for command in [
        &["refresh", "org/app:1"][..],
        &["tags", "--history", "org/app:1"],
        &["upstream", UPSTREAM, "offline"],
        &["status", "--upstreams"],
    ] {
        let talk = larder.operate(command).await.failure(1);
        assert!(talk.contains("takes no commands"), "{talk}");
        assert!(
            talk.contains("in use by another larder (process "),
            "{talk}"
        );
        assert!(talk.contains("\nhint: "), "{talk}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_in_the_place_of_the_socket_stays() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    std::fs::create_dir_all(larder.socket().parent().unwrap()).unwrap();
    std::fs::write(larder.socket(), "mine").unwrap();
    let running = larder.serve().await;
    running.stop().await;
    assert_eq!(std::fs::read(larder.socket()).unwrap(), b"mine");
}

#[tokio::test]
async fn a_larder_that_does_not_answer_as_one_is_told() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    std::fs::create_dir_all(larder.socket().parent().unwrap()).unwrap();
    let listener = UnixListener::bind(larder.socket()).unwrap();
    let other = std::thread::spawn(move || drop(listener.accept()));
    let talk = larder.operate(&["status", "--upstreams"]).await.failure(1);
    other.join().unwrap();
    assert!(talk.contains("closed the connection"), "{talk}");
}

#[tokio::test]
async fn the_api_is_for_other_programs_too() {
    let registry = FakeRegistry::start().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let mut answers = String::new();
    for (method, path, body) in [
        ("GET", "/v1/history?image=org%2Fapp%3A1", ""),
        ("GET", "/v1/history", ""),
        ("PUT", "/v1/upstreams/up.test", r#"{"mode":"offline"}"#),
        ("PUT", "/v1/upstreams/up.test", r#"{"mode":"asleep"}"#),
        ("DELETE", "/v1/upstreams", ""),
        ("GET", "/v2/upstreams", ""),
    ] {
        let answer = answer(&larder, method, path, body).await;
        answers.push_str(&format!("{method} {path}: {answer}"));
    }
    insta::assert_snapshot!(answers, @r#"
    GET /v1/history?image=org%2Fapp%3A1: 200 {
      "registry": "up.test",
      "repository": "org/app",
      "tag": "1",
      "variants": []
    }
    GET /v1/history: 400 {
      "error": {
        "code": "invalid_request",
        "message": "name an image, as in /v1/history?image=alpine:3.20"
      }
    }
    PUT /v1/upstreams/up.test: 200 {
      "upstream": "up.test",
      "before": "online",
      "now": "offline"
    }
    PUT /v1/upstreams/up.test: 400 {
      "error": {
        "code": "invalid_request",
        "message": "the body is not what is taken here: unknown variant `asleep`, expected `online` or `offline` at line 1 column 16"
      }
    }
    DELETE /v1/upstreams: 405 {
      "error": {
        "code": "method_not_allowed",
        "message": "only GET is for /v1/upstreams"
      }
    }
    GET /v2/upstreams: 404 {
      "error": {
        "code": "no_such_path",
        "message": "here are /v1/upstreams, /v1/history, /v1/refresh and /v1/reload"
      }
    }
    "#);
    running.stop().await;
}

/// Asks the larder over its socket, and returns the status and the body.
async fn answer(larder: &Larder, method: &str, path: &str, body: &'static str) -> String {
    let stream = UnixStream::connect(larder.socket()).await.unwrap();
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "larder");
    let request = request.body(Full::<bytes::Bytes>::from(body)).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    format!("{status} {}", String::from_utf8(body.to_vec()).unwrap())
}

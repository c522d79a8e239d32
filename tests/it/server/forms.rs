//! The same answers in every form in which clients ask.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::image::PushedImage;
use crate::support::{FakeRegistry, Image, TestProxy, noise, within};

/// A request, and its answer: status, length as announced, body (`None` where only the status is compared).
struct Case {
    path: String,
    header: (&'static str, String),
    status: u16,
    body: Option<Bytes>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Bytes,
}

/// Asks on a bare socket, and reads to the end of the connection.
async fn bare(proxy: &TestProxy, case: &Case, version: &str) -> Answer {
    let (name, value) = &case.header;
    let request = format!(
        "GET {} {version}\r\nhost: x\r\nconnection: close\r\n{name}: {value}\r\n\r\n",
        case.path
    );
    let mut stream = proxy.socket().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    within("an answer", stream.read_to_end(&mut all))
        .await
        .unwrap();
    let end = all.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let body = Bytes::from(all.split_off(end + 4));
    let head = String::from_utf8(all).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap();
    assert!(status.starts_with(version), "{status}");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answer {
        status: status.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.collect(),
        body,
    }
}

fn check(form: &str, case: &Case, answer: &Answer) {
    let what = format!("{form} {} {:?}", case.path, case.header);
    assert_eq!(answer.status, case.status, "{what}");
    if let Some(body) = &case.body {
        assert_eq!(answer.body, body, "{what}");
    }
    if case.status != 304 {
        let length = answer.headers["content-length"].parse();
        assert_eq!(length, Ok(answer.body.len()), "{what}");
    }
    assert!(!answer.headers.contains_key("transfer-encoding"), "{what}");
}

fn cases(image: &PushedImage, layer: &Bytes) -> Vec<Case> {
    let case = |path: &str, header: (&'static str, String), status, body| Case {
        path: path.to_owned(),
        header,
        status,
        body,
    };
    let none = || ("x-none", "1".to_owned());
    let blob = format!("/v2/app/blobs/{}", image.layers[0]);
    let manifest = format!("/v2/app/manifests/{}", image.digest);
    let tag = format!("\"{}\"", image.digest);
    let absent = "/v2/app/manifests/none";
    vec![
        case(&blob, none(), 200, Some(layer.clone())),
        case(
            &blob,
            ("range", "bytes=100-299".into()),
            206,
            Some(layer.slice(100..300)),
        ),
        case(&manifest, none(), 200, Some(image.bytes.clone())),
        case(&manifest, ("if-none-match", tag), 304, Some(Bytes::new())),
        case(absent, none(), 404, None),
    ]
}

#[tokio::test]
async fn every_form_of_request_gets_the_same_answers() {
    let registry = FakeRegistry::start().await;
    let layer = noise(1, 200_000);
    let image = Image::with_layers([layer.clone()]).push_as(&registry.repository("app"), "1");
    let proxy = TestProxy::of(&registry).await;
    let cases = cases(&image, &layer);
    proxy.get(&cases[0].path).await.body().await;
    for case in &cases {
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            check(version, case, &bare(&proxy, case, version).await);
        }
    }
    for client in [proxy.client(), proxy.client().http2()] {
        let mut connection = client.connect().await;
        for case in &cases {
            let (name, value) = &case.header;
            let ask = connection.get(&case.path).header(name, value);
            let reply = ask.send().await;
            let form = format!("{:?}, kept open", reply.version);
            let headers = reply
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
            let answer = Answer {
                status: reply.status.as_u16(),
                headers: headers.collect(),
                body: reply.body().await,
            };
            check(&form, case, &answer);
        }
    }
}

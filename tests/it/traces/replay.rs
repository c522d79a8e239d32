//! Plays a trace to a larder, over sockets that nobody but the trace writes to: header lines keep their order and number,
//! and connections are closed where the client closed them.

use futures_util::{StreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::step::{Step, Wants, Wave, digest_of};
use crate::support::{TestProxy, within};

/// A connection of a client.
type Wire = BufReader<TcpStream>;

/// Plays a whole trace, and fails the test where an answer is not what the client needs.
pub async fn replay(proxy: &TestProxy, trace: &[Wave]) {
    let mut kept = None;
    for wave in trace {
        match wave {
            Wave::One(step) => kept = play(proxy, step, kept.take()).await,
            Wave::Several(at_a_time, steps) => {
                let each = |step| async move { drop(play(proxy, step, None).await) };
                let all = stream::iter(steps).for_each_concurrent(*at_a_time, each);
                all.await;
            }
        }
    }
}

/// Plays one step, on this connection if there is one, and returns the connection if it stays open.
async fn play(proxy: &TestProxy, step: &Step, kept: Option<Wire>) -> Option<Wire> {
    let what = format!("{} {} {:?}", step.method, step.path, step.lines);
    within(&what, Box::pin(exchange(proxy, step, kept))).await
}

async fn exchange(proxy: &TestProxy, step: &Step, kept: Option<Wire>) -> Option<Wire> {
    let mut wire = ask(proxy, step, kept).await;
    let head = Head::read(&mut wire).await;
    head.check(step);
    let what = format!("{} {} {:?}", step.method, step.path, step.lines);
    let mut body = Vec::new();
    let length = match &step.wants {
        Wants::Beginning(bytes) => bytes.len(),
        _ if step.method == "HEAD" => 0,
        Wants::Anything | Wants::Content(_) | Wants::Exactly(_) => head.length(),
    };
    body.resize(length, 0);
    wire.read_exact(&mut body)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    match &step.wants {
        _ if step.method == "HEAD" => {}
        Wants::Anything => {}
        Wants::Content(digest) => assert_eq!(digest_of(&body), *digest, "{what}"),
        Wants::Exactly(bytes) => assert!(body == *bytes, "{what}: other bytes"),
        Wants::Beginning(bytes) => {
            assert!(body == *bytes, "{what}: other bytes");
            return None;
        }
    }
    let closes = step.lines.contains(&("Connection", "close".to_owned()));
    if closes {
        assert_eq!(head.values("connection"), ["close"], "{what}");
        let more = wire.read(&mut [0]).await;
        assert_eq!(more.unwrap(), 0, "{what}: the connection stays open");
    }
    (!closes).then_some(wire)
}

/// Asks, and returns what is received before the connection breaks, which it has to: the answer promises more.
pub async fn broken(proxy: &TestProxy, step: &Step) -> Vec<u8> {
    let mut wire = ask(proxy, step, None).await;
    let head = Head::read(&mut wire).await;
    head.check(step);
    let mut body = Vec::new();
    // A reset is as good as an end: what came before it counts.
    let reading = within("the break", wire.read_to_end(&mut body));
    reading.await.ok();
    assert!(body.len() < head.length(), "{} did not break", step.path);
    body
}

async fn ask(proxy: &TestProxy, step: &Step, kept: Option<Wire>) -> Wire {
    let mut wire = match kept {
        Some(wire) => wire,
        None => BufReader::new(proxy.socket().await),
    };
    let host = wire.get_ref().peer_addr().unwrap();
    let mut request = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", step.method, step.path);
    for (name, value) in &step.lines {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    wire.get_mut().write_all(request.as_bytes()).await.unwrap();
    wire
}

/// The status and the header lines of an answer.
#[derive(Debug)]
struct Head {
    status: u16,
    lines: Vec<(String, String)>,
}

impl Head {
    async fn read(wire: &mut Wire) -> Self {
        let mut lines = Vec::new();
        let mut status = None;
        loop {
            let mut line = String::new();
            wire.read_line(&mut line).await.unwrap();
            let line = line.strip_suffix("\r\n").unwrap();
            match (status, line.split_once(": ")) {
                (None, _) => {
                    let code = line
                        .strip_prefix("HTTP/1.1 ")
                        .and_then(|line| line.get(..3));
                    status = Some(code.unwrap().parse().unwrap());
                }
                (Some(status), None) => return Self { status, lines },
                (Some(_), Some((name, value))) => {
                    lines.push((name.to_ascii_lowercase(), value.to_owned()));
                }
            }
        }
    }

    fn values(&self, name: &str) -> Vec<&str> {
        let lines = self.lines.iter();
        let of_name = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    fn length(&self) -> usize {
        self.values("content-length")[0].parse().unwrap()
    }

    /// Checks what every client needs, and what this one needs.
    fn check(&self, step: &Step) {
        let what = format!("{} {} {:?}: {self:?}", step.method, step.path, step.lines);
        assert_eq!(self.status, step.status, "{what}");
        assert_eq!(self.values("content-length").len(), 1, "{what}");
        for absent in ["content-encoding", "transfer-encoding"] {
            assert_eq!(self.values(absent).len(), 0, "{what}");
        }
        let version = self.values("docker-distribution-api-version");
        assert_eq!(version, ["registry/2.0"], "{what}");
        for (name, value) in &step.needs {
            assert_eq!(self.values(name), [value], "{what}");
        }
    }
}

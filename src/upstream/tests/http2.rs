//! HTTP/2: refused streams and connections that are being closed do not reach the caller.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::identity;
use super::*;

/// What a registry does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer,
    /// It says that it did nothing with the request (RST_STREAM, REFUSED_STREAM).
    Refuse,
    /// It closes the connection and says that it did nothing with the request (GOAWAY).
    GoAway,
    /// It answers and says that this was the last request of the connection.
    AnswerAndGoAway,
}

/// Kinds of frames and their flags (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: [u8; 4] = 7_u32.to_be_bytes();
const NO_ERROR: [u8; 4] = [0; 4];

/// Speaks HTTP/2, frame by frame.
struct Speaker(TlsStream<TcpStream>);

impl Speaker {
    async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut speaker = Self(stream);
        speaker.say(SETTINGS, 0, 0, &[]).await;
        speaker
    }

    async fn say(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // The client may be gone.
        self.0.write_all(&[&head, body].concat()).await.ok();
        self.0.flush().await.ok();
    }

    /// Returns the stream of the next request, `None` when the client has gone.
    async fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            let mut body = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut body).await.ok()?;
            match kind {
                HEADERS => return Some(u32::from_be_bytes(stream)),
                SETTINGS if flags & ACK == 0 => self.say(SETTINGS, ACK, 0, &[]).await,
                _ => {}
            }
        }
    }

    /// Waits until the client has gone, so that nothing on the way is lost. What it still asks for is not done.
    async fn left(&mut self) {
        while self.request().await.is_some() {}
    }

    async fn answer(&mut self, stream: u32) {
        // The eighth entry of the static table: `:status: 200`.
        self.say(HEADERS, END_HEADERS, stream, &[0x88]).await;
        self.say(DATA, END_STREAM, stream, b"{}").await;
    }

    async fn go_away(&mut self, last: u32) {
        let body = [last.to_be_bytes(), NO_ERROR].concat();
        self.say(GOAWAY, 0, 0, &body).await;
    }
}

/// Starts a registry that does one thing after the other. Its future ends when it has done all.
async fn registry(acts: &'static [Act]) -> (Arc<Upstream>, impl Future<Output = usize>) {
    let identity = identity(&[b"h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let upstream = upstream_with(&[url], quick(), Some(identity.ca_file.clone()));
    let serving = async move {
        let mut connections = 0;
        let mut acts = acts.iter();
        loop {
            let mut speaker = Speaker::accept(&listener, &identity.acceptor).await;
            connections += 1;
            while let Some(stream) = speaker.request().await {
                match acts.next() {
                    None => return connections,
                    Some(Act::Answer) => speaker.answer(stream).await,
                    Some(Act::Refuse) => {
                        speaker.say(RST_STREAM, 0, stream, &REFUSED_STREAM).await;
                    }
                    Some(Act::GoAway) => {
                        speaker.go_away(stream.saturating_sub(2)).await;
                        speaker.left().await;
                        break;
                    }
                    Some(Act::AnswerAndGoAway) => {
                        speaker.answer(stream).await;
                        speaker.go_away(stream).await;
                        speaker.left().await;
                        break;
                    }
                }
            }
        }
    };
    (upstream, serving)
}

async fn asked(upstream: &Upstream, times: usize) {
    for _ in 0..times {
        let found = manifest_of(upstream, "a").await.unwrap().unwrap();
        assert_eq!(found.bytes, "{}");
    }
}

#[tokio::test]
async fn a_refused_stream_is_asked_for_again() {
    const ACTS: &[Act] = &[Act::Refuse, Act::Answer, Act::Refuse, Act::Answer];
    let (upstream, serving) = registry(ACTS).await;
    tokio::select! {
        () = asked(&upstream, 2) => {}
        connections = serving => panic!("more requests than there should be, on {connections}"),
    }
}

#[tokio::test]
async fn a_connection_that_goes_away_is_replaced() {
    const ACTS: &[Act] = &[Act::AnswerAndGoAway, Act::Answer, Act::GoAway, Act::Answer];
    let (upstream, serving) = registry(ACTS).await;
    tokio::select! {
        () = asked(&upstream, 3) => {}
        connections = serving => panic!("more requests than there should be, on {connections}"),
    }
}

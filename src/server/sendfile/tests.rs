//! What sending files promises: the right bytes, whatever hyper and the file do.

use std::convert::Infallible;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, advance};

use super::socket::OPERATION;
use super::windows::View;
use super::*;
use crate::runtime::Tasks;
use crate::runtime::executor::HyperExecutor;
use crate::server::activity::Patience;
use crate::server::connection;
use crate::server::greeting::bounded;
use crate::store::FileSlice;

async fn pair() -> (FileSocket, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    (FileSocket::new(accepted.unwrap().0), client.unwrap())
}

/// A file whose bytes tell where they are.
fn file(length: usize) -> (File, Vec<u8>) {
    let content: Vec<u8> = (0..251)
        .flat_map(|byte| [byte; 7])
        .cycle()
        .take(length)
        .collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    (file, content)
}

fn slice(file: File, offset: u64, length: u64) -> FileSlice {
    let file = Arc::new(file);
    FileSlice {
        file,
        offset,
        length,
    }
}

/// Memory that is registered as a window, though it has nothing in common with the file.
fn disguised(windows: &Windows, file: File, length: usize) -> Bytes {
    let memory = Bytes::from(vec![b'?'; length]);
    windows.views().push(View {
        address: memory.as_ptr().addr(),
        length,
        file: Arc::new(file),
        offset: 0,
    });
    memory
}

async fn received(mut client: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    all
}

/// Has hyper answer two requests with a body, and returns all that the client gets.
async fn answered(
    socket: FileSocket,
    mut client: TcpStream,
    body: impl Fn() -> UnsyncBoxBody<Bytes, Infallible>,
) -> Vec<u8> {
    let service = service_fn(|_: Request<Incoming>| {
        let response = Response::new(body());
        async { Ok::<_, Infallible>(response) }
    });
    let builder = connection::builder(HyperExecutor::new(Tasks::new()));
    let served = builder.serve_connection(TokioIo::new(bounded(socket)), service);
    let asked = async {
        let requests = b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nconnection: close\r\n\r\n";
        client.write_all(requests).await.unwrap();
        received(client).await
    };
    let (served, all) = tokio::join!(served, asked);
    served.unwrap();
    all
}

fn without_heads(mut all: &[u8]) -> Vec<u8> {
    let mut bodies = Vec::new();
    while let Some(head) = all.windows(4).position(|end| end == b"\r\n\r\n") {
        let text = std::str::from_utf8(&all[..head]).unwrap();
        let length = text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        bodies.extend(&all[head + 4..head + 4 + length]);
        all = &all[head + 4 + length..];
    }
    bodies
}

#[tokio::test]
async fn hyper_hands_windows_on_without_looking_into_them() {
    let (socket, client) = pair().await;
    let (file, content) = file(9_000_000);
    let memory = disguised(socket.windows(), file, content.len());
    let all = answered(socket, client, || Full::new(memory.clone()).boxed_unsync()).await;
    assert!(without_heads(&all) == content.repeat(2), "{}", all.len());
}

#[tokio::test]
async fn a_body_without_a_length_is_a_file_between_other_bytes() {
    let (socket, client) = pair().await;
    let (file, content) = file(100_000);
    let memory = disguised(socket.windows(), file, content.len());
    let pieces = [
        Bytes::from_static(b"before"),
        memory,
        Bytes::from_static(b"after"),
    ];
    let all = answered(socket, client, || {
        let frames = pieces.clone().map(|piece| Ok(Frame::data(piece)));
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    });
    let all = all.await;
    let body = [
        b"6\r\nbefore\r\n186A0\r\n".as_slice(),
        &content,
        b"\r\n5\r\nafter\r\n0\r\n\r\n",
    ];
    let body = body.concat();
    let found = all.windows(body.len()).filter(|part| *part == body);
    assert_eq!(found.count(), 2);
}

#[tokio::test]
async fn a_window_shows_its_part_of_the_file_and_is_forgotten_with_its_last_byte() {
    let (mut socket, client) = pair().await;
    let (file, content) = file(3_000_000);
    let window = socket
        .windows()
        .open(&slice(file, 4_321, 2_500_000))
        .unwrap();
    assert!(window == content[4_321..2_504_321]);
    let windows = socket.windows().clone();
    let sent = async {
        socket.write_all(b"head").await.unwrap();
        socket.write_all(&window.slice(1_000_000..)).await.unwrap();
        socket.write_all(&window.slice(..10)).await.unwrap();
        drop(window);
        assert!(windows.views().is_empty());
        drop(socket);
    };
    let ((), all) = tokio::join!(sent, received(client));
    let parts = [
        b"head".as_slice(),
        &content[1_004_321..2_504_321],
        &content[4_321..4_331],
    ];
    assert!(all == parts.concat(), "{}", all.len());
}

#[tokio::test]
async fn a_file_that_is_cut_breaks_the_connection_and_nothing_else() {
    let (mut socket, client) = pair().await;
    let (file, content) = file(500_000);
    let slice = slice(file, 0, 500_000);
    let windows = socket.windows().clone();
    let window = windows.open(&slice).unwrap();
    slice.file.set_len(300_000).unwrap();
    let sent = async {
        let sent = socket.write_all(&window).await;
        drop(socket);
        sent.unwrap_err().kind()
    };
    let (error, all) = tokio::join!(sent, received(client));
    assert_eq!(error, io::ErrorKind::UnexpectedEof);
    assert_eq!(windows.take_fault().unwrap().kind(), error);
    assert!(windows.take_fault().is_none());
    assert!(all == content[..300_000], "{}", all.len());
}

#[tokio::test]
async fn where_a_file_cannot_be_sent_its_memory_is_written() {
    let (mut socket, client) = pair().await;
    // The kernel sends no folders.
    let file = File::open("/").unwrap();
    let memory = disguised(socket.windows(), file, 400_000);
    let sent = async {
        socket.write_all(&memory).await.unwrap();
        drop(socket);
    };
    let ((), all) = tokio::join!(sent, received(client));
    assert!(all == memory, "{}", all.len());
}

#[tokio::test]
async fn a_fast_client_leaves_others_their_turn() {
    let (mut socket, _client) = pair().await;
    let (file, content) = file(1_000_000);
    let window = socket.windows().open(&slice(file, 0, 1_000_000)).unwrap();
    let (sent, left) = poll_fn(|context| {
        let Poll::Ready(Ok(sent)) = Pin::new(&mut socket).poll_write(context, &window) else {
            panic!("nothing is in the way yet");
        };
        let mut left = 0;
        while let Poll::Ready(operation) = poll_proceed(context) {
            operation.made_progress();
            left += 1;
        }
        Poll::Ready((sent, left))
    })
    .await;
    assert!(sent > 2 * OPERATION && content.len() >= sent, "{sent}");
    assert!(left + sent / OPERATION < 128, "{left} after {sent}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_part_of_a_window_is_there() {
    let (mut socket, _client) = pair().await;
    let (file, _) = file(1_000);
    let window = socket.windows().open(&slice(file, 0, 1_000)).unwrap();
    let activity = socket.windows().activity().clone();
    let _open = activity.request();
    let patience = Patience {
        idle: Duration::from_secs(10),
        stalled: Duration::from_secs(100),
    };
    advance(Duration::from_secs(60)).await;
    socket.write_all(&window).await.unwrap();
    let from = Instant::now();
    activity.quiet(patience).await;
    assert_eq!(from.elapsed(), patience.stalled);
}

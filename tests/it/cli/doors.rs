//! The doors of the program: sockets that are open already, ports that are taken, and what the log says of connections.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::Larder;
use crate::support::{Authority, Client, FakeRegistry, Image, noise, within};

async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry
}

/// Passes two sockets to a program as systemd does, with these names, and has it write what comes to stdout nowhere.
pub(super) fn activated(command: &Command, sockets: [OwnedFd; 2], names: &str) -> Command {
    let program = command.as_std();
    let mut shell = Command::new("/bin/sh");
    let script = "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let [first, second] = sockets;
    shell
        .args(["-c", script])
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", names)
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second))
        .kill_on_drop(true);
    shell
}

pub(super) fn listener() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener.into(), address)
}

#[tokio::test]
async fn sockets_that_are_open_are_taken_by_their_names() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let ((metrics_socket, metrics), (socket, address)) = (listener(), listener());
    let command = larder.command(&["serve"]);
    let command = activated(&command, [metrics_socket, socket], "metrics:registry");
    let running = larder.begin(command).await;
    assert_eq!(running.address(), address);
    running.pull("app", "1").await;
    let ready = Client::new(metrics).get("/readyz").send().await;
    assert_eq!(ready.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn sockets_that_cannot_be_taken_are_refused() {
    let larder = Larder::knowing(&registry().await);
    let refused = async |sockets: [OwnedFd; 2], names: &str| {
        let command = larder.command(&["serve"]);
        let mut command = activated(&command, sockets, names);
        let output = within("a command", command.stderr(Stdio::piped()).output());
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let no_socket = || OwnedFd::from(fs::File::open("/dev/null").unwrap());
    let (listening, address) = listener();
    let connected = std::net::TcpStream::connect(address).unwrap();
    for (first, told) in [
        (
            no_socket(),
            "could not take the socket registry of LISTEN_FDS",
        ),
        (connected.into(), "does not listen: write Accept=no"),
    ] {
        let second = listening.try_clone().unwrap();
        let talk = refused([first, second], "").await;
        assert!(talk.contains(told), "{talk}");
    }
    let talk = refused([listening, no_socket()], "registry:admin").await;
    assert!(talk.contains("'admin' in LISTEN_FDNAMES"), "{talk}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_what_to_do() {
    let registry = registry().await;
    let authority = Authority::new();
    let tls = authority.settings();
    let (_socket, address) = listener();
    let files = format!(
        "[server.tls]\nlisten = '{address}'\ncert_file = '{}'\nkey_file = '{}'\n",
        tls.cert_file.display(),
        tls.key_file.display()
    );
    let listen = address.to_string();
    for (larder, arguments, setting) in [
        (
            Larder::knowing(&registry),
            &["serve", "--listen", &listen][..],
            "--listen or server.listen",
        ),
        (
            Larder::knowing(&registry).and(&files),
            &["serve"],
            "server.tls.listen",
        ),
    ] {
        let done = larder.operate(arguments).await;
        assert_eq!(done.code, 1, "{done:?}");
        for told in [
            &format!("could not listen at {address}"),
            "\nhint: ",
            setting,
        ] {
            assert!(done.talk.contains(told), "{done:?}");
        }
    }
}

#[tokio::test]
async fn the_log_says_what_comes_of_connections() {
    let registry = registry().await;
    let authority = Authority::new();
    let tls = authority.settings();
    let larder = Larder::knowing(&registry).and(&format!(
        "[server.tls]\nlisten = '127.0.0.1:0'\ncert_file = '{}'\nkey_file = '{}'\n",
        tls.cert_file.display(),
        tls.key_file.display()
    ));
    let mut command = larder.command(&["serve"]);
    command.env("LARDER_LOG", "debug").stdout(Stdio::null());
    command.env("LARDER_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let running = larder.begin(command).await;
    let client = running.client();
    let reply = client.get("/v2/app/manifests/1");
    let reply = reply.header("x-forwarded-for", "192.0.2.7").send().await;
    assert_eq!(reply.status, 200);
    let mut socket = TcpStream::connect(running.address()).await.unwrap();
    socket
        .write_all(b"\x16\x03\x01\x00\x05hello\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    drop(within("the end", socket.read_to_end(&mut answer)).await);
    let log = running.stop().await;
    assert!(log.contains("\"client.address\":\"192.0.2.7\""), "{log}");
    assert!(
        log.contains("a client speaks TLS where larder does not"),
        "{log}"
    );
}

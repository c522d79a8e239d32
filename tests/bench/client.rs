//! A client that costs as little as it can, so that there is processor left for the target: blocking sockets, and bodies
//! that nobody wants to see are dropped in the kernel.

use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use larder::oci::Digest;
use sha2::{Digest as _, Sha256};
use socket2::SockRef;

use super::content::{Content, INDEX, MANIFEST};

/// How long an answer may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// `MSG_TRUNC`: for TCP on Linux, bytes are taken off the queue and not copied (tcp(7)).
const TRUNCATE: i32 = 0x20;

/// What happens to the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// It is counted.
    Dropped,
    /// It is hashed.
    Checked,
}

/// What a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it; and it is right, where it was checked.
    Whole,
    /// A whole answer with other bytes than were asked for.
    Wrong,
    /// Something else than the content, and the client knows it.
    Failed(String),
}

/// An answer, and how long it took.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// When the first byte of the body was there.
    pub(crate) first_byte: Duration,
    pub(crate) total: Duration,
}

impl Answer {
    /// Fails when it is not what was asked for.
    pub(crate) fn whole(self) -> Result<Self> {
        match self.verdict {
            Verdict::Whole => Ok(self),
            Verdict::Wrong => bail!("wrong bytes"),
            Verdict::Failed(error) => bail!(error),
        }
    }
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
        })
    }

    /// Asks for content, and fails when anything else comes.
    fn whole(&mut self, path: &str, content: &Content, body: Body) -> Result<Answer> {
        self.ask(path, content, body)?
            .whole()
            .with_context(|| path.to_owned())
    }

    /// Asks for content; fails when the connection does.
    fn ask(&mut self, path: &str, content: &Content, body: Body) -> Result<Answer> {
        let start = Instant::now();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {INDEX}, {MANIFEST}\r\n\r\n"
        );
        self.socket.write_all(request.as_bytes())?;
        let (mut end, mut head) = (0, None);
        while head.is_none() {
            end += self.read(end)?;
            head = self.buffer[..end]
                .windows(4)
                .position(|it| it == b"\r\n\r\n")
                .map(|it| it + 4);
        }
        let (status, length) = parse(&self.buffer[..head.unwrap_or(end)])?;
        let mut read = (end - head.unwrap_or(end)) as u64;
        let mut hash = Sha256::new();
        let mut block = head.unwrap_or(end)..end;
        let mut first_byte = (read > 0).then(|| start.elapsed());
        loop {
            if body == Body::Checked {
                hash.update(&self.buffer[block.clone()]);
            }
            if read >= length {
                break;
            }
            let length = match body {
                Body::Checked => self.read(0),
                Body::Dropped => self.drop_bytes(),
            };
            let length = length.with_context(|| format!("cut after {read} bytes"))?;
            block = 0..length;
            read += length as u64;
            first_byte.get_or_insert_with(|| start.elapsed());
        }
        let is_right =
            body == Body::Dropped || Digest::Sha256(hash.finalize().into()) == content.digest;
        let verdict = match status {
            200 if length == content.size && is_right => Verdict::Whole,
            200 => Verdict::Wrong,
            status => Verdict::Failed(format!("HTTP {status}")),
        };
        let total = start.elapsed();
        Ok(Answer {
            verdict,
            first_byte: first_byte.unwrap_or(total),
            total,
        })
    }

    fn read(&mut self, from: usize) -> Result<usize> {
        let length = self.socket.read(&mut self.buffer[from..])?;
        ensure!(length > 0, "the connection ended");
        Ok(length)
    }

    fn drop_bytes(&self) -> Result<usize> {
        // Nothing is written there: it says how many bytes are taken off at most.
        let mut nowhere = [MaybeUninit::uninit(); BUFFER];
        loop {
            match SockRef::from(&self.socket).recv_with_flags(&mut nowhere, TRUNCATE) {
                Ok(0) => bail!("the connection ended"),
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns status and length of an answer.
fn parse(head: &[u8]) -> Result<(u16, u64)> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.with_context(|| format!("an answer without a length: {head}"))?;
    Ok((
        status.context("no status")?.parse()?,
        length.trim().parse()?,
    ))
}

/// Asks once, over a connection of its own.
pub(crate) fn ask(port: u16, path: &str, content: &Content, body: Body) -> Answer {
    let start = Instant::now();
    let answer =
        Connection::open(port).and_then(|mut connection| connection.ask(path, content, body));
    answer.unwrap_or_else(|error| Answer {
        verdict: Verdict::Failed(format!("{error:#}")),
        first_byte: start.elapsed(),
        total: start.elapsed(),
    })
}

/// Has so many clients ask at the same time, each over a connection of its own, which goes on as long as `is_enough` does
/// not say of the number of its requests that they are enough. Returns how long each took; only the first checks bytes.
pub(crate) fn crowd(
    clients: usize,
    port: u16,
    (path, content): (&str, &Content),
    is_enough: impl Fn(usize) -> bool + Sync,
) -> Result<Vec<Duration>> {
    let together = Barrier::new(clients);
    let client = |number: usize| -> Result<Vec<Duration>> {
        let connection = Connection::open(port);
        together.wait();
        let mut connection = connection?;
        let mut took = Vec::new();
        while !is_enough(took.len()) {
            let is_checked = number == 0 && took.is_empty();
            let body = if is_checked {
                Body::Checked
            } else {
                Body::Dropped
            };
            took.push(connection.whole(path, content, body)?.total);
        }
        Ok(took)
    };
    let took = thread::scope(|scope| {
        let client = &client;
        let started: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        let ended = started
            .into_iter()
            .map(|it| it.join().map_err(|_| anyhow!("a client panicked"))?);
        ended.collect::<Result<Vec<_>>>()
    })?;
    Ok(took.concat())
}

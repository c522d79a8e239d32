//! A relay in front of a registry that lets a certain number of bytes through and holds back the rest until it is
//! opened: whatever has to happen in the middle of a transfer happens while it is closed. Or it is open, and says that
//! whoever comes through it is on another machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a test waits at a gate before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a connection begins that is relayed for somebody on another machine (PROXY protocol, version 1).
const FROM_ELSEWHERE: &[u8] = b"PROXY TCP4 198.51.100.7 127.0.0.1 40000 5000\r\n";

/// A relay to a port of the loopback interface.
#[derive(Debug)]
pub(crate) struct Gate {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What all connections of a gate share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// How many connections wait.
    waiting: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// This many bytes of answers may still pass, over all connections.
    Letting(usize),
    Open,
    /// The test is over.
    Gone,
}

impl Gate {
    /// Puts a gate before a server; `bytes` of its answers pass, over all connections, until it is opened.
    pub(crate) fn before(server: u16, bytes: usize) -> Self {
        Self::relay(server, Stage::Letting(bytes), &[])
    }

    /// Puts an open gate before a server that reads the PROXY protocol: who comes through it is on another machine.
    pub(crate) fn from_elsewhere(server: u16) -> Self {
        Self::relay(server, Stage::Open, FROM_ELSEWHERE)
    }

    /// Relays to a server, which reads this first.
    fn relay(server: u16, stage: Stage, greeting: &'static [u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            state: Mutex::new(State { stage, waiting: 0 }),
            changed: Condvar::new(),
        });
        let for_connections = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if for_connections.lock().stage == Stage::Gone {
                    break;
                }
                // A server that is stopped: the client's connection ends as well.
                if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server))
                    && server.write_all(greeting).is_ok()
                {
                    relay(client, server, &for_connections);
                }
            }
        });
        Self {
            port,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns when all bytes that may pass have passed and more are waiting.
    pub(crate) fn wait_until_holding(&self) {
        let state = self.shared.lock();
        let (_state, waited) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.waiting == 0)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "nothing came to the gate");
    }

    /// Lets everything through from now on.
    pub(crate) fn open(&self) {
        self.shared.enter(Stage::Open);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.enter(Stage::Gone);
        // Wakes the thread that accepts, so that it sees the end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        self.lock().stage = stage;
        self.changed.notify_all();
    }

    /// Waits until some bytes may pass and returns how many of `wanted`; none when the test is over.
    fn pass(&self, wanted: usize) -> usize {
        let mut state = self.lock();
        loop {
            match state.stage {
                Stage::Letting(0) => {
                    state.waiting += 1;
                    self.changed.notify_all();
                    state = self
                        .changed
                        .wait_while(state, |state| state.stage == Stage::Letting(0))
                        .unwrap_or_else(PoisonError::into_inner);
                    state.waiting -= 1;
                }
                Stage::Letting(left) => {
                    let passing = wanted.min(left);
                    state.stage = Stage::Letting(left - passing);
                    return passing;
                }
                Stage::Open => return wanted,
                Stage::Gone => return 0,
            }
        }
    }
}

/// Copies in both directions until either side ends.
fn relay(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let (mut requests, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        // An error is the end of a side, like an end without one.
        drop(io::copy(&mut requests, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        drop(copy_answers(server, &client, &shared));
        drop(client.shutdown(Shutdown::Both));
    });
}

/// Copies answers as far as the gate lets them pass.
fn copy_answers(mut server: TcpStream, mut client: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer)?;
        let mut rest = &buffer[..length];
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            let passing = shared.pass(rest.len());
            if passing == 0 {
                return Ok(());
            }
            client.write_all(&rest[..passing])?;
            rest = &rest[passing..];
        }
    }
}

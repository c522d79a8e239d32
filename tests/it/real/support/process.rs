//! Servers that run beside the test: started on a free port, waited for, and gone when the test is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// What [`ask`] signs with, so that a log tells them from requests.
pub(crate) const PING_AGENT: &str = "larder-test-ping";

/// How often [`until`] looks, and how long it lets pass in between: half a minute in all.
const TRIES: usize = 1200;
const PAUSE: Duration = Duration::from_millis(25);

/// How much of the log of a server is shown when a test fails.
const LOG_LINES: usize = 30;

/// Looks again and again for something that another process brings about, and fails when it does not come.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(PAUSE);
    }
    panic!("waited in vain until {what}");
}

/// Returns a port that nobody listens on, and never the same one twice.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if given.insert(port) {
            return port;
        }
    }
}

/// A process that is killed, by its id and as `kill -9` does it, when it is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command without input.
    pub(crate) fn start(command: &mut Command) -> Self {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("cannot start {command:?}: {error}"),
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// Waits for the end of one that has no timeout of its own, and fails when it takes longer than this.
    pub(crate) fn wait_at_most(&mut self, patience: Duration) -> ExitStatus {
        let tries = patience.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            thread::sleep(PAUSE);
        }
        panic!("process {} did not end in {patience:?}", self.0.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A registry in a process of its own: `docker-registry` or larder. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    log: PathBuf,
}

impl Server {
    /// Starts a program that is going to listen on this port of the loopback interface, adds what it says to a log,
    /// and returns when it answers.
    pub(crate) fn start(command: &mut Command, port: u16, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let process = Process::start(command.stdout(file.try_clone().unwrap()).stderr(file));
        let mut server = Self {
            process,
            log: log.to_owned(),
        };
        until(&format!("{command:?} answers"), || {
            let ended = server.process.0.try_wait().unwrap();
            assert_eq!(ended, None, "{command:?} ended");
            pings(port).then_some(())
        });
        server
    }

    /// Asks the server to stop and returns how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let child = &mut self.process.0;
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        until("a server ends after SIGTERM", || child.try_wait().unwrap())
    }
}

impl Drop for Server {
    /// Shows the end of the log when a test fails: its folder goes away with the test.
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            drop(writeln!(io::stderr(), "{}:\n{end}\n", self.log.display()));
        }
    }
}

/// Returns whether a registry on this port answers that it is one.
fn pings(port: u16) -> bool {
    // 401 is the answer of one that wants a login.
    ask(port, "/v2/").is_ok_and(|answer| {
        ["200", "401"]
            .iter()
            .any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")))
    })
}

/// Asks a server on this port of the loopback interface, and returns its whole answer.
pub(crate) fn ask(port: u16, path: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {PING_AGENT}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

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
use tempfile::NamedTempFile;

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

    /// Runs a command to its end, and returns what it printed, or what it complained of when it failed. Fails when it
    /// takes longer than this.
    pub(crate) fn run(command: &mut Command, patience: Duration) -> Result<String, String> {
        // Files, which are never full, and of which nobody waits for the end.
        let [data, talk] = [(); 2].map(|()| NamedTempFile::new().unwrap());
        command
            .stdout(data.reopen().unwrap())
            .stderr(talk.reopen().unwrap());
        let status = Self::start(command).wait_at_most(patience);
        let [data, talk] = [data, talk].map(|file| fs::read_to_string(file.path()).unwrap());
        status.success().then_some(data).ok_or(talk)
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

/// A server in a process of its own. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    log: PathBuf,
}

impl Server {
    /// Starts a program, adds what it says to a log, and returns when `answers` says that it answers.
    pub(crate) fn start(command: &mut Command, log: &Path, answers: impl Fn() -> bool) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let process = Process::start(command.stdout(file.try_clone().unwrap()).stderr(file));
        let mut server = Self {
            process,
            log: log.to_owned(),
        };
        until(&format!("{command:?} answers"), || {
            let ended = server.process.0.try_wait().unwrap();
            assert_eq!(ended, None, "{command:?} ended");
            answers().then_some(())
        });
        server
    }

    /// Returns the process that it has started, when there is one.
    pub(crate) fn child(&self) -> Option<Pid> {
        let id = self.process.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }

    /// Waits for its end, and returns whether it has come.
    pub(crate) fn has_ended(&mut self) -> bool {
        (0..TRIES).any(|_| {
            let has_ended = !matches!(self.process.0.try_wait(), Ok(None));
            if !has_ended {
                thread::sleep(PAUSE);
            }
            has_ended
        })
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

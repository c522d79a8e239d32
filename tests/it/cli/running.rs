//! A larder that serves, in a process of its own, for the commands that have something done by it.

use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::Larder;
use crate::support::{Client, within};

/// A larder that serves until it is dropped.
pub struct Running {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Larder {
    /// Starts it, and waits until it is ready.
    pub async fn serve(&self) -> Running {
        let mut command = self.command(&["serve"]);
        command.stdout(Stdio::null());
        self.begin(command).await
    }

    /// Starts it by this command, and waits until it is ready.
    pub async fn begin(&self, mut command: Command) -> Running {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = within("the start", async {
            loop {
                let line = log.next_line().await.unwrap().expect("it starts");
                let line: Value = serde_json::from_str(&line).expect(&line);
                if line["message"] == "ready" {
                    return line;
                }
            }
        });
        let ready = ready.await;
        let address = |key: &str| ready[key].as_str().map(|text| text.parse().unwrap());
        Running {
            address: address("server.listen").unwrap(),
            admin: address("admin.listen"),
            process,
            log,
        }
    }

    /// Returns where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("cache/larder.sock")
    }
}

impl Running {
    /// Returns a client of it.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns where it takes commands over TCP.
    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("it is configured")
    }

    /// Pulls a manifest by tag.
    pub async fn pull(&self, repository: &str, tag: &str) {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let reply = self.client().get(&path).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.process.id().unwrap().try_into().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits until it says this in its log, and returns the line.
    pub async fn says(&mut self, message: &str) -> Value {
        let line = within(message, async {
            loop {
                let line = self.log.next_line().await.unwrap().expect(message);
                let line: Value = serde_json::from_str(&line).expect(&line);
                if line["message"]
                    .as_str()
                    .is_some_and(|said| said.contains(message))
                {
                    return line;
                }
            }
        });
        line.await
    }

    /// Ends it by SIGKILL.
    pub async fn kill(mut self) {
        within("the end", self.process.kill()).await.unwrap();
    }

    /// Ends it by SIGTERM, and returns what it said until then.
    pub async fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let mut said = String::new();
        within("the rest of the log", async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                said.push_str(&line);
                said.push('\n');
            }
        })
        .await;
        let status = within("the end", self.process.wait()).await.unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

/// Returns the mode of a socket's file, `None` when there is none.
pub fn mode_of_socket(path: &Path) -> Option<u32> {
    let found = std::fs::symlink_metadata(path).ok()?;
    assert!(found.file_type().is_socket());
    Some(found.permissions().mode() & 0o777)
}

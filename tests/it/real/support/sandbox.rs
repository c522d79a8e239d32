//! A daemon that mounts things and starts further processes: it has namespaces of its own for both, so that they end with
//! it, and sees other files than the rest of the machine where its places are fixed.

use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::process::Server;

/// Makes a folder appear at a fixed place, gives the daemon a `/run` of its own, and becomes the daemon.
const SCRIPT: &str = r#"mount -t tmpfs tmpfs /run; mount --bind "$1" "$2"; shift 2; exec "$@""#;

/// A daemon, with all that it has started and mounted. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Sandbox {
    server: Server,
    /// What it has of its own, as `unshare` and `nsenter` call it.
    namespaces: &'static [&'static str],
    /// The daemon itself: the first process of its namespace, with which all others of it end.
    daemon: Pid,
}

impl Sandbox {
    /// Starts a daemon which sees a folder at a place that exists already, adds what it says to a log, and returns when
    /// it answers.
    pub(crate) fn start(
        daemon: &Command,
        (folder, place): (&Path, &str),
        log: &Path,
        answers: impl Fn() -> bool,
    ) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", SCRIPT, "sh"])
            .arg(folder)
            .arg(place)
            .arg(daemon.get_program())
            .args(daemon.get_args())
            .envs(
                daemon
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        Self::start_in(&["--mount"], &shell, log, answers)
    }

    /// Starts a daemon which has processes and these namespaces of its own, adds what it says to a log, and returns when
    /// it answers.
    pub(crate) fn start_in(
        namespaces: &'static [&'static str],
        daemon: &Command,
        log: &Path,
        answers: impl Fn() -> bool,
    ) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(namespaces)
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(daemon.get_program())
            .args(daemon.get_args())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(
                daemon
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let server = Server::start(&mut command, log, answers);
        // Without it, killing `unshare` would kill the daemon, but nobody could wait for the end of that.
        let daemon = server.child().expect("unshare has started the daemon");
        Self {
            server,
            namespaces,
            daemon,
        }
    }

    /// Returns a command that is in the namespaces with which the daemon was started.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.daemon.as_raw_nonzero()))
            .args(self.namespaces)
            .arg(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // `unshare` ends when the daemon has, and the daemon when all processes of its namespace have.
        kill_process(self.daemon, Signal::KILL).ok();
        self.server.has_ended();
    }
}

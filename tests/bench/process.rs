//! A target in a process of its own, with its workers: started, measured by what the kernel counts for it, and ended.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a target may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// In what the kernel counts processor time: `USER_HZ`, which is 100 on all architectures of Linux that matter here.
const TICK: Duration = Duration::from_millis(10);

/// The groups of the processes that run, for [`kill_all`].
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A process in a group of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
}

impl Process {
    /// Starts a command, adds what it says to a log, and returns when `answers` says that it answers.
    pub(crate) fn start(
        command: &mut Command,
        log: &Path,
        answers: impl Fn() -> bool,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0);
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let group = Pid::from_child(&child);
        running.push(group);
        drop(running);
        let mut process = Self { child, group };
        let start = Instant::now();
        while !answers() {
            let ended = process.child.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(log).unwrap_or_default();
                bail!(
                    "does not start: {}",
                    log.lines().last().unwrap_or("it says nothing")
                );
            }
            thread::sleep(PAUSE);
        }
        Ok(process)
    }

    /// Returns the processor time that it and its workers have used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let ticks = self.each("stat", |stat| {
            // The name may have any characters in it; of what follows, the 12th and 13th are user and system time.
            let (_, fields) = stat.rsplit_once(')')?;
            let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
            Some(fields.next()?.ok()? + fields.next()?.ok()?)
        })?;
        Ok(TICK * u32::try_from(ticks)?)
    }

    /// Returns the most memory that it and its workers have had in RAM, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        self.each("status", |status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kibibytes * 1024)
        })
    }

    /// Returns when it has been doing next to nothing for a moment, or has been given up on.
    pub(crate) fn settle(&self, is_idle: impl Fn() -> bool) -> Result<()> {
        let (start, mut before) = (Instant::now(), self.cpu()?);
        loop {
            thread::sleep(PAUSE * 15);
            let now = self.cpu()?;
            if now - before <= TICK && is_idle() || start.elapsed() > PATIENCE {
                return Ok(());
            }
            before = now;
        }
    }

    /// Adds up what files in `/proc` say, of it and of its workers.
    fn each(&self, file: &str, read: impl Fn(&str) -> Option<u64>) -> Result<u64> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.context("this kernel does not tell the children of a process")?;
        let ids = children
            .split_whitespace()
            .map(str::to_owned)
            .chain([id.to_string()]);
        let values = ids.map(|id| {
            let place = format!("/proc/{id}/{file}");
            let text = fs::read_to_string(&place).with_context(|| place.clone())?;
            read(&text).with_context(|| format!("{place} has another form"))
        });
        values.sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails when it has ended.
        _ = kill_process_group(self.group, Signal::TERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                _ = kill_process_group(self.group, Signal::KILL);
            }
            thread::sleep(PAUSE);
        }
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|group| *group != self.group);
    }
}

/// Ends all that run, for a benchmark that ends at once: nothing can be started afterwards.
pub(crate) fn kill_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for group in &*running {
        _ = kill_process_group(*group, Signal::KILL);
    }
    // Whoever wants to start one waits for the lock.
    std::mem::forget(running);
}

/// Returns a port that nobody listens on.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}

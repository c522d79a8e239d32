//! The commands that look at registries, and those that command a larder: the program itself, in a process of its own,
//! against registries in this one.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{FakeRegistry, within};

mod admin;
mod doctor;
mod doors;
mod eviction;
mod exits;
mod healthcheck;
mod history;
mod inspect;
mod offline;
mod quirks;
mod refresh;
mod reload;
mod request_ids;
mod running;
mod socket;
mod status;
mod stopping;
mod tags;
mod upstream;

/// The name by which the program knows the first registry.
const UPSTREAM: &str = "up.test";

/// The program, with a configuration of its own.
pub struct Larder {
    folder: TempDir,
    config: String,
    programs: PathBuf,
}

/// What came of a command.
#[derive(Debug)]
pub struct Done {
    /// Its exit code.
    pub code: i32,
    data: String,
    talk: String,
}

impl Done {
    /// Returns the answer of a command that had to succeed.
    #[track_caller]
    fn answer(self) -> String {
        assert_eq!((self.code, self.talk.as_str()), (0, ""), "{self:?}");
        self.data
    }

    /// Returns the same as JSON.
    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.answer()).unwrap()
    }

    /// Returns what a command says that had to fail with this code.
    #[track_caller]
    fn failure(self, code: i32) -> String {
        assert_eq!((self.code, self.data.as_str()), (code, ""), "{self:?}");
        self.talk
    }
}

impl Larder {
    /// A program that knows a registry by the name [`UPSTREAM`] and the alias `up`, takes it where no registry is named,
    /// and knows no other.
    pub fn knowing(registry: &FakeRegistry) -> Self {
        Self::knowing_at(registry.url())
    }

    fn knowing_at(url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = format!(
            "[server]\n\
             listen = '127.0.0.1:0'\n\
             default_upstream = '{UPSTREAM}'\n\
             public_registries = false\n\
             [cache]\n\
             path = '{}'\n\
             min_free = '64MiB'\n\
             [[upstream]]\n\
             name = '{UPSTREAM}'\n\
             aliases = ['up']\n\
             endpoints = ['{url}']\n",
            folder.path().join("cache").display()
        );
        Self {
            folder,
            config,
            programs: PathBuf::new(),
        }
    }

    /// Has other programs, such as credential helpers, in a folder.
    pub fn finding_programs_in(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.programs);
        self
    }

    /// Adds lines to the configuration.
    pub fn and(mut self, lines: &str) -> Self {
        writeln!(self.config, "{lines}").unwrap();
        self
    }

    /// Runs a command that looks at registries to its end. Nothing may be kept by it.
    pub async fn run(&self, arguments: &[&str]) -> Done {
        let done = self.operate(arguments).await;
        assert!(!self.folder.path().join("cache").exists());
        done
    }

    /// Runs a command to its end, which may work with the cache.
    pub async fn operate(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(arguments);
        let output = within("a command", command.output()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code().unwrap(),
            data: text(output.stdout),
            talk: text(output.stderr),
        }
    }

    /// Writes the configuration, and returns its file.
    fn write(&self) -> PathBuf {
        let file = self.folder.path().join("larder.toml");
        std::fs::write(&file, &self.config).unwrap();
        file
    }

    /// Writes the configuration, and returns a command that reads it.
    fn command(&self, arguments: &[&str]) -> Command {
        let file = self.write();
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .env_clear()
            .env("PATH", &self.programs)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command that has to succeed and to say nothing beside its answer.
    async fn answer(&self, arguments: &[&str]) -> String {
        self.run(arguments).await.answer()
    }

    /// Runs a command that has to succeed, and reads its JSON.
    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        self.run(&arguments).await.json()
    }

    /// Runs a command that has to fail with this code. Returns what it says.
    async fn failure(&self, code: i32, arguments: &[&str]) -> String {
        self.run(arguments).await.failure(code)
    }
}

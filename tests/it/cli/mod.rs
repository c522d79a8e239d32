//! The commands that look at registries: the program itself, in a process of its own, against registries in this one.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{FakeRegistry, within};

mod exits;
mod inspect;
mod offline;
mod quirks;
mod tags;

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
             default_upstream = '{UPSTREAM}'\n\
             public_registries = false\n\
             [cache]\n\
             path = '{}'\n\
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

    /// Makes a command that has the configuration.
    fn command(&self, arguments: &[&str]) -> Command {
        let file = self.folder.path().join("larder.toml");
        std::fs::write(&file, &self.config).unwrap();
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

    /// Runs a command to its end. Nothing may be kept by it.
    pub async fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(arguments);
        let output = within("a command", command.output()).await.unwrap();
        assert!(!self.folder.path().join("cache").exists());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code().unwrap(),
            data: text(output.stdout),
            talk: text(output.stderr),
        }
    }

    /// Runs a command that has to succeed and to say nothing beside its answer.
    async fn answer(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments).await;
        assert_eq!((done.code, done.talk.as_str()), (0, ""), "{done:?}");
        done.data
    }

    /// Runs a command that has to succeed, and reads its JSON.
    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        serde_json::from_str(&self.answer(&arguments).await).unwrap()
    }

    /// Runs a command that has to fail with this code. Returns what it says.
    async fn failure(&self, code: i32, arguments: &[&str]) -> String {
        let done = self.run(arguments).await;
        assert_eq!((done.code, done.data.as_str()), (code, ""), "{done:?}");
        done.talk
    }
}

//! The command line: reads what is asked for, does it, and says what came of it. One file a command.
//!
//! Exit codes: 0 when all went well, 1 when something failed while running, 2 when the configuration or the command
//! line is wrong. Commands that look at registries have more of them (`trouble.rs`), and so have those that command a
//! larder (`not_done.rs`).

mod activation;
mod ago;
mod args;
mod assembly;
mod check;
mod client_config;
mod columns;
mod config;
mod doctor;
mod failure;
mod foundation;
mod healthcheck;
mod inspect;
mod measures;
mod not_done;
mod operator;
mod output;
mod printable;
mod refresh;
mod reload;
mod reloading;
pub mod serve;
mod status;
mod tags;
#[cfg(test)]
mod tests;
mod trouble;
mod upstream;
mod visit;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::config::Surroundings;
use crate::telemetry::log::{LogLevel, LogOutput, LogSettings};
use args::{Arguments, Command};
use failure::{Exit, Failure};
use output::Output;

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    let mut output = Output::of_process();
    let surroundings = Surroundings::of_process();
    run(std::env::args_os(), &surroundings, &mut output).into()
}

/// Does what a command line says.
fn run(
    arguments: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(answer) if answer.use_stderr() => {
            output.talk(&answer.render().to_string());
            return Exit::Misused;
        }
        Err(answer) => {
            output.data(&answer.render().to_string());
            return Exit::Done;
        }
    };
    let done = match arguments.command {
        Command::Serve(arguments) => serve::serve(&arguments.into(), surroundings),
        Command::Healthcheck(arguments) => healthcheck::healthcheck(arguments, surroundings),
        Command::Check(arguments) => {
            let form = arguments.form();
            check::check(&arguments.into(), form, surroundings, output)
        }
        Command::Config(arguments) => {
            config::config(&arguments, output);
            Ok(())
        }
        Command::Tags(arguments) => tags::tags(arguments, surroundings, output),
        Command::Inspect(arguments) => inspect::inspect(arguments, surroundings, output),
        Command::Refresh(arguments) => refresh::refresh(arguments, surroundings, output),
        Command::Upstream(arguments) => upstream::upstream(arguments, surroundings, output),
        Command::Reload(arguments) => reload::reload(arguments, surroundings, output),
        Command::Status(arguments) => status::status(arguments, surroundings, output),
        Command::ClientConfig(arguments) => {
            client_config::client_config(*arguments, surroundings, output)
        }
        Command::Doctor(arguments) => doctor::doctor(*arguments, surroundings, output),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output.failure(&failure);
            failure.exit()
        }
    }
}

/// Reads the level of the log from the environment.
fn log_settings(surroundings: &Surroundings, usual: LogLevel) -> Result<LogSettings, Failure> {
    let variable = |name: &str| {
        let value = surroundings.variable(name)?;
        Some(value.to_string_lossy().into_owned())
    };
    LogSettings::read(variable, LogOutput::of_standard_error(), usual).map_err(Failure::misused)
}

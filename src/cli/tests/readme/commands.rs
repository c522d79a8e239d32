//! What the README says of the commands, from what clap knows of them.

use std::collections::BTreeMap;

use clap::{Arg, Command, CommandFactory};

use super::{Table, assert_written, code, prose};
use crate::cli::args::Arguments;

/// Of more values than this, only the names are told: `--help` says the rest.
const EXPLAINED_VALUES: usize = 4;

#[test]
fn the_readme_has_each_command_as_it_is() {
    let mut larder = Arguments::command();
    larder.build();
    let commands: Vec<Command> = larder.get_subcommands().cloned().collect();
    assert!(commands.len() >= 12);
    let shared = Shared::of(&commands);
    assert_written("commands", &overview(&commands));
    assert_written("arguments", &own(&commands, &shared));
    assert_written("shared options", &shared.table());
}

/// Says what each command does.
fn overview(commands: &[Command]) -> String {
    let mut table = Table::new(&["command", "what it does"]);
    for command in commands {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let about = command.get_about().unwrap().to_string();
        table.row(&[code(usage), prose(&about)]);
    }
    table.0
}

/// Says what each command takes that others do not.
fn own(commands: &[Command], shared: &Shared) -> String {
    let mut table = Table::new(&["command", "argument or option", "meaning"]);
    for command in commands {
        let mut name = code(command.get_name());
        for argument in arguments(command) {
            let told = Told::of(argument);
            if shared.commands(&told).len() == 1 {
                table.row(&[std::mem::take(&mut name), told.written, told.meaning]);
            }
        }
    }
    table.0
}

/// Returns the arguments of a command, those that all commands have aside.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_usual = |argument: &Arg| ["help", "version"].contains(&argument.get_id().as_str());
    command
        .get_arguments()
        .filter(move |argument| !is_usual(argument))
}

/// What is told of an argument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    written: String,
    meaning: String,
}

impl Told {
    fn of(argument: &Arg) -> Self {
        Self {
            written: written(argument),
            meaning: meaning(argument),
        }
    }
}

/// Says how an argument is written.
fn written(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let value = argument.get_value_names().unwrap_or_default().join(" ");
    match argument.get_long() {
        None => code(&format!("<{value}>")),
        Some(long) if takes_value => code(&format!("--{long} <{value}>")),
        Some(long) => code(&format!("--{long}")),
    }
}

/// Says what an argument means: its whole help, its values and its default.
fn meaning(argument: &Arg) -> String {
    let help = argument
        .get_long_help()
        .or(argument.get_help())
        .unwrap()
        .to_string();
    let paragraphs: Vec<String> = help
        .split("\n\n")
        .map(|text| sentence(&text.replace('\n', " ")))
        .collect();
    let mut meaning = prose(&paragraphs.join(" "));
    // That a flag is not set, unless it is, needs no words.
    if !argument.get_action().takes_values() {
        return meaning;
    }
    let values = argument.get_possible_values();
    if !values.is_empty() {
        let is_explained = values.len() <= EXPLAINED_VALUES;
        let tell = |value: &clap::builder::PossibleValue| {
            let name = code(value.get_name());
            match value.get_help().filter(|_| is_explained) {
                Some(help) => format!("{name} ({})", prose(&help.to_string())),
                None => name,
            }
        };
        let values: Vec<String> = values.iter().map(tell).collect();
        meaning.push_str(&format!(" One of {}.", values.join(", ")));
    }
    for default in argument.get_default_values() {
        meaning.push_str(&format!(" Default: {}.", code(&default.to_string_lossy())));
    }
    meaning
}

/// Ends a text with a dot.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim().trim_end_matches('.'))
}

/// What several commands take, and which.
struct Shared(BTreeMap<Told, Vec<String>>);

impl Shared {
    fn of(commands: &[Command]) -> Self {
        let mut found: BTreeMap<Told, Vec<String>> = BTreeMap::new();
        for command in commands {
            for argument in arguments(command) {
                let users = found.entry(Told::of(argument)).or_default();
                users.push(command.get_name().to_owned());
            }
        }
        Self(found)
    }

    /// Returns the commands that take this.
    fn commands(&self, told: &Told) -> &[String] {
        self.0.get(told).map_or(&[], Vec::as_slice)
    }

    fn table(&self) -> String {
        let mut table = Table::new(&["option", "of", "meaning"]);
        for (told, users) in self.0.iter().filter(|(_, users)| users.len() > 1) {
            let users: Vec<String> = users.iter().map(|name| code(name)).collect();
            table.row(&[told.written.clone(), users.join(", "), told.meaning.clone()]);
        }
        table.0
    }
}

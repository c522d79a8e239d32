//! `larder config`: what can be configured, as an example for people and as a schema for programs.

use super::args::{ConfigForm, ConfigFormArguments};
use super::output::Output;
use crate::config;

/// The commented example, as it is beside the sources.
const EXAMPLE: &str = include_str!("../../deploy/larder.toml");

/// Prints what is asked for. No configuration is read.
pub(super) fn config(arguments: &ConfigFormArguments, output: &mut Output) {
    match arguments.form() {
        ConfigForm::Example => output.data(EXAMPLE.trim_end()),
        ConfigForm::Schema => output.data(&format!("{:#}", config::schema())),
    }
}

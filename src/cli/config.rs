//! `larder config`: what can be configured, as an example for people and as a schema for programs.

use clap::Args;

use super::output::Output;
use crate::config;

/// What `larder config --help` says behind the flags.
pub(super) const CONFIG_HELP: &str = "\
The example has every key with its meaning, its default and its danger; what it does not say is the
default. It is a configuration as it is:
  larder config --example > larder.toml

The schema (JSON schema, draft 2020-12) is for editors and for checks before a file is deployed.
What has to agree with other keys, and how a value is spelled in full, `larder check` says.";

/// The flags of `larder config`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct ConfigFormArguments {
    /// A configuration file with every key, commented.
    #[arg(long)]
    example: bool,
    /// The JSON schema of the configuration file.
    #[arg(long)]
    schema: bool,
}

/// In which form it is said what can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConfigForm {
    Example,
    Schema,
}

impl ConfigFormArguments {
    /// Returns the form that is asked for, of which there is one.
    fn form(&self) -> ConfigForm {
        match self.schema {
            true => ConfigForm::Schema,
            false => ConfigForm::Example,
        }
    }
}

/// The commented example, as it is beside the sources.
const EXAMPLE: &str = include_str!("../../deploy/larder.toml");

/// Prints what is asked for. No configuration is read.
pub(super) fn config(arguments: &ConfigFormArguments, output: &mut Output) {
    match arguments.form() {
        ConfigForm::Example => output.data(EXAMPLE.trim_end()),
        ConfigForm::Schema => output.data(&format!("{:#}", config::schema())),
    }
}

//! What can be written behind `larder check`.

use clap::Args;

use crate::cli::args::ConfigArguments;
use crate::config::Flags;

/// The flags of `larder check`.
#[derive(Args, Debug)]
pub(in crate::cli) struct CheckArguments {
    /// Prints the configuration that is in effect instead, as TOML, with where each value comes from.
    #[arg(long)]
    effective: bool,
    #[command(flatten)]
    config: ConfigArguments,
}

/// In which form `larder check` says what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum CheckForm {
    /// What it means, and who can pull what.
    Report,
    /// The values, and where each comes from.
    Effective,
}

impl CheckArguments {
    /// Returns the form that is asked for.
    pub(in crate::cli) fn form(&self) -> CheckForm {
        match self.effective {
            true => CheckForm::Effective,
            false => CheckForm::Report,
        }
    }
}

impl From<CheckArguments> for Flags {
    fn from(arguments: CheckArguments) -> Self {
        arguments.config.into()
    }
}

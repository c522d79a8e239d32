//! `larder status`: says how the running larder stands.

mod arguments;
mod upstreams;

pub(super) use arguments::{STATUS_HELP, StatusArguments};

use self::arguments::StatusParts;
use super::args::Format;
use super::failure::Failure;
use super::operator;
use super::output::Output;
use super::printable;
use crate::config::Surroundings;

/// What to do when no larder runs.
const INSTEAD: &str = "give the configuration that the larder in question runs with, with --config or --cache-path; `larder check` says what is configured";

/// Prints what is asked for.
pub(super) fn status(
    arguments: StatusArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let StatusArguments {
        parts: StatusParts { upstreams: _ },
        output: format,
        folder,
    } = arguments;
    let done = operator::command(&folder.into(), surroundings, INSTEAD, async |client| {
        operator::heard(client.upstreams().await)
    })?;
    output.data(&match format {
        Format::Table => upstreams::table(&done),
        Format::Json => printable::json(&done),
    });
    Ok(())
}

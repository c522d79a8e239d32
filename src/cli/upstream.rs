//! `larder upstream`: says whether a registry is asked, until larder stops.

use super::args::{Format, UpstreamArguments};
use super::failure::Failure;
use super::operator;
use super::output::Output;
use super::printable;
use crate::admin::document::ModeChanged;
use crate::config::Surroundings;

/// What to do when no larder runs: there is nothing that could be told.
const INSTEAD: &str = "the mode lasts until larder stops; to start with it, set offline in the [[upstream]], or in [server] for all";

/// Changes the mode of an upstream, and prints what it was.
pub(super) fn upstream(
    arguments: UpstreamArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let UpstreamArguments {
        name,
        mode,
        output: format,
        folder,
    } = arguments;
    let done = operator::command(&folder.into(), surroundings, INSTEAD, async |client| {
        operator::heard(client.set_mode(&name, mode.into()).await)
    })?;
    output.data(&match format {
        Format::Table => table(&done),
        Format::Json => printable::json(&done),
    });
    Ok(())
}

fn table(done: &ModeChanged) -> String {
    let name = printable::short(&done.upstream);
    let (before, now) = (done.before.name(), done.now.name());
    if done.before == done.now {
        format!("{name} is {now}, as before")
    } else {
        format!("{name} is {now} until larder stops; it was {before}")
    }
}
